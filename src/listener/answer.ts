import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

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
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    // Nothing more is heard of a connection that is gone.
    if (req.destroyed) {
      brokenOff()
      return
    }
    req.on('data', onData)
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', brokenOff)
    req.on('close', brokenOff)

    function onData(chunk: Buffer): void {
      record.bytesIn += chunk.length
      if (record.bytesIn <= limit) {
        chunks.push(chunk)
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
const LISTS = ['ratelimit', 'ratelimit-policy', 'vary'] as const

export function writeAnswer(res: AnswerMessage, answer: WholeAnswer, requestId: string): void {
  const { body } = answer
  const headers: Record<string, string | string[]> = {
    ...answer.headers,
    'x-request-id': requestId,
    'x-content-type-options': 'nosniff',
  }
  if (answer.cookies !== undefined) headers['set-cookie'] = [...answer.cookies]
  if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
  else if (answer.status !== 204 && answer.status !== 304) headers['content-length'] = '0'
  for (const name of LISTS) {
    const own = headers[name]
    if (own !== undefined && res.hasHeader(name)) headers[name] = `${String(res.getHeader(name))}, ${String(own)}`
  }
  res.writeHead(answer.status, headers)
  res.end(body)
}
