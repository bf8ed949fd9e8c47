import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createGathered } from './gathered.ts'

/** The whole answer of something that is not streamed. */
export interface WholeAnswer {
  readonly status: number
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  /** Set-Cookie lines. */
  readonly cookies?: readonly string[]
  readonly body?: string | Uint8Array
}

/**
 * Reads a body to its end.
 *
 * @throws Problem `payload_too_large` past `limit` octets, `invalid_request` when the client breaks off
 */
export function readBody(req: RequestMessage, limit: number, record: { bytesIn: number }): Promise<Buffer> {
  const gathered = createGathered()
  return new Promise((resolve, reject) => {
    // Nothing more is heard of a connection that is gone.
    if (req.destroyed) {
      brokenOff()
      return
    }
    req.on('data', onData)
    req.on('end', () => resolve(gathered.all()))
    req.on('error', brokenOff)
    req.on('close', brokenOff)

    function onData(chunk: Buffer): void {
      record.bytesIn += chunk.length
      if (record.bytesIn <= limit) {
        gathered.add(chunk)
        return
      }
      // The rest of the body is for whoever throws it away.
      req.off('data', onData)
      req.pause()
      reject(new Problem('payload_too_large'))
    }

    function brokenOff(error?: Error): void {
      if (error instanceof Problem) reject(error)
      else if (!req.complete) reject(new Problem('invalid_request', { detail: 'the client broke off its request' }))
    }
  })
}

/** Lists (RFC 9110 §5.6.1) that the path and a service may both have something to say in. */
const LISTS: ReadonlySet<string> = new Set(['ratelimit', 'ratelimit-policy', 'vary'])

/**
 * The head goes out as a list of names and values: the server copies an object field by field, and one that was put together of
 * several slowly.
 *
 * @param announced what the answer says beside its own fields: name, value, name, value …
 */
export function writeAnswer(res: AnswerMessage, answer: WholeAnswer, requestId: string, announced?: readonly string[]): void {
  const { status, headers, cookies, body } = answer
  const fields = announced === undefined ? [] : [...announced]
  for (const name in headers) put(fields, name, headers[name] ?? '', res)
  fields.push('x-request-id', requestId, 'x-content-type-options', 'nosniff')
  if (cookies !== undefined) for (const cookie of cookies) fields.push('set-cookie', cookie)
  if (body !== undefined) fields.push('content-length', String(Buffer.byteLength(body)))
  else if (status !== 204 && status !== 304) fields.push('content-length', '0')
  res.writeHead(status, fields)
  res.end(body)
}

/** Lists that the path and a service both speak of are one list, those of the path first. */
function put(fields: string[], name: string, value: string, res: AnswerMessage): void {
  if (!LISTS.has(name)) {
    fields.push(name, value)
    return
  }
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== name) continue
    fields[at + 1] = `${fields[at + 1]}, ${value}`
    return
  }
  fields.push(name, res.hasHeader(name) ? `${String(res.getHeader(name))}, ${value}` : value)
}

/** For answers that are made here; of a passed-on one, which has its fields in a list, they are part. */
export function announce(res: AnswerMessage, announced: readonly string[] | undefined): void {
  if (announced === undefined) return
  for (let index = 0; index < announced.length; index += 2) res.setHeader(announced[index] ?? '', announced[index + 1] ?? '')
}
