import type { DispatchRequest } from './dispatch.ts'
import { isFieldText, isTargetText, isToken } from './http1-octets.ts'
import { errors } from './undici-errors.ts'

/** The length of a body that nobody knows: it goes in chunks. */
export const UNKNOWN_LENGTH = -1

/** Methods whose requests are expected to have a body (RFC 9110 §8.6): that there is none is said. */
const EXPECT_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY'])
/** What frames a message or belongs to its connection is written here alone. */
const NOT_TAKEN: ReadonlySet<string> = new Set(['connection', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade'])

/**
 * How long the body of a request is by its fields; {@link UNKNOWN_LENGTH} where they do not say.
 *
 * @throws InvalidArgumentError where they say it twice, or in no number
 */
export function declaredLength(headers: readonly string[]): number {
  let length = UNKNOWN_LENGTH
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue
    const text = headers[index + 1] ?? ''
    if (length !== UNKNOWN_LENGTH || !/^\d{1,15}$/.test(text)) throw new errors.InvalidArgumentError('invalid content-length')
    length = Number(text)
  }
  return length
}

/** Writes the heads of requests to one place. */
export interface HeadWriter {
  /**
   * The head of a request with its blank line, in one string of octets: Host first, one framing, and nothing in it that could
   * end a line too early, whatever came before has checked (RFC 9112 §3, §5, §11.1).
   *
   * @param bodyLength of a request with a body; {@link UNKNOWN_LENGTH}: chunked
   * @throws InvalidArgumentError for what cannot be sent so
   */
  write(request: DispatchRequest, bodyLength: number): string
}

type Kind = 'plain' | 'host' | 'length'

/** A field that was found good at its place. */
interface Line {
  readonly name: string
  readonly kind: Kind
  value: string
  /** With its end; of a plain field. */
  text: string
}

const MAX_KNOWN = 64
const KEPT = '\r\nconnection: keep-alive\r\n'
const CLOSED = '\r\nconnection: close\r\n'

/**
 * Requests to one place have the same fields in the same order again and again: what was found good at its place is only compared.
 *
 * @param host where no field says otherwise
 */
export function createHeadWriter(host: string): HeadWriter {
  const known: Line[] = []
  /** Behind the path of nearly every request. */
  const usual = restOfStart(host, KEPT)
  let knownMethod = ''
  return { write }

  function write(request: DispatchRequest, bodyLength: number): string {
    const { method, path, headers, ready } = request
    checkMethod(method)
    if (!isTargetText(path)) throw new errors.InvalidArgumentError('invalid request line')
    let authority: string | undefined
    let lengths = 0
    let lines = ''
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] ?? ''
      const value = headers[index + 1] ?? ''
      const line = lineOf(index >> 1, name, value)
      if (line.kind === 'plain') lines += line.text
      else if (line.kind === 'host') {
        if (authority !== undefined) throw new errors.InvalidArgumentError('two Host fields')
        authority = value
      } else {
        lengths += 1
        if (lengths > 1 || request.body === null) throw new errors.InvalidArgumentError('invalid content-length')
      }
    }
    if (ready !== undefined) lines += ready.lines
    const isLast = closes(request)
    const rest = authority === undefined && !isLast ? usual : restOfStart(authority ?? host, isLast ? CLOSED : KEPT)
    return method + ' ' + path + rest + lines + framing(request, bodyLength)
  }

  function checkMethod(method: string): void {
    if (method === knownMethod) return
    if (!isToken(method) || method === 'CONNECT') throw new errors.InvalidArgumentError('invalid request line')
    knownMethod = method
  }

  function lineOf(place: number, name: string, value: string): Line {
    const line = known[place]
    if (line === undefined || line.name !== name) return newLine(place, name, value)
    if (line.value === value) return line
    checkValue(value)
    line.value = value
    line.text = textOf(name, value)
    return line
  }

  function newLine(place: number, name: string, value: string): Line {
    const line = { name, kind: kindOf(name), value, text: textOf(name, value) }
    checkValue(value)
    if (place < MAX_KNOWN) known[place] = line
    return line
  }
}

/** What stands behind the path: the version, Host, and how the connection goes on. */
function restOfStart(authority: string, connection: string): string {
  return ' HTTP/1.1\r\nhost: ' + authority + connection
}

function checkValue(value: string): void {
  if (!isFieldText(value)) throw new errors.InvalidArgumentError('invalid field')
}

function textOf(name: string, value: string): string {
  return name + ': ' + value + '\r\n'
}

function kindOf(name: string): Kind {
  const lower = name.toLowerCase()
  if (!isToken(name) || NOT_TAKEN.has(lower)) throw new errors.InvalidArgumentError('invalid field')
  if (lower === 'host') return 'host'
  return lower === 'content-length' ? 'length' : 'plain'
}

/** Whether the connection ends with the exchange. Some servers send a body behind the head that HEAD asks for. */
export function closes({ method, reset }: DispatchRequest): boolean {
  return reset === true || method === 'HEAD'
}

function framing({ method, body }: DispatchRequest, bodyLength: number): string {
  if (body === null) return EXPECT_BODY.has(method) ? 'content-length: 0\r\n\r\n' : '\r\n'
  return bodyLength === UNKNOWN_LENGTH ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${bodyLength}\r\n\r\n`
}
