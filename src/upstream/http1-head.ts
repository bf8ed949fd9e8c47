import { errors } from 'undici'
import type { DispatchRequest } from './dispatch.ts'
import { isFieldText, isTargetText, isToken } from './http1-octets.ts'

/** The length of a body that nobody knows: it goes in chunks. */
export const UNKNOWN_LENGTH = -1

/** Methods whose requests are expected to have a body (RFC 9110 §8.6): that there is none is said. */
const EXPECT_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY'])
/** What frames a message or belongs to its connection is written here alone. By the lengths of their names. */
const NOT_TAKEN: readonly (readonly string[] | undefined)[] = byLength([
  'connection',
  'expect',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

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

/**
 * The head of a request with its blank line, in one string of octets: Host first, one framing, and nothing in it that could end
 * a line too early, whatever came before has checked (RFC 9112 §3, §5, §11.1).
 *
 * @param host where no field says otherwise
 * @param bodyLength of a request with a body; {@link UNKNOWN_LENGTH}: chunked
 * @throws InvalidArgumentError for what cannot be sent so
 */
export function requestHead(request: DispatchRequest, host: string, bodyLength: number): string {
  const { method, path, headers } = request
  if (!isToken(method) || method === 'CONNECT' || !isTargetText(path))
    throw new errors.InvalidArgumentError('invalid request line')
  let authority: string | undefined
  let lengths = 0
  let lines = ''
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (!isToken(name) || !isFieldText(value)) throw new errors.InvalidArgumentError('invalid field')
    if (name.length === 4 && name.toLowerCase() === 'host') {
      if (authority !== undefined) throw new errors.InvalidArgumentError('two Host fields')
      authority = value
    } else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      lengths += 1
      if (lengths > 1 || request.body === null) throw new errors.InvalidArgumentError('invalid content-length')
    } else {
      if (NOT_TAKEN[name.length]?.includes(name.toLowerCase()) === true) throw new errors.InvalidArgumentError('invalid field')
      lines += name + ': ' + value + '\r\n'
    }
  }
  const first = method + ' ' + path + ' HTTP/1.1\r\nhost: ' + (authority ?? host)
  const connection = closes(request) ? '\r\nconnection: close\r\n' : '\r\nconnection: keep-alive\r\n'
  return first + connection + lines + framing(request, bodyLength)
}

/** Whether the connection ends with the exchange. Some servers send a body behind the head that HEAD asks for. */
export function closes({ method, reset }: DispatchRequest): boolean {
  return reset === true || method === 'HEAD'
}

function framing({ method, body }: DispatchRequest, bodyLength: number): string {
  if (body === null) return EXPECT_BODY.has(method) ? 'content-length: 0\r\n\r\n' : '\r\n'
  return bodyLength === UNKNOWN_LENGTH ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${bodyLength}\r\n\r\n`
}

function byLength(names: readonly string[]): (readonly string[] | undefined)[] {
  const longest = Math.max(...names.map((name) => name.length))
  return Array.from({ length: longest + 1 }, (_, length) => {
    const those = names.filter((name) => name.length === length)
    return those.length === 0 ? undefined : those
  })
}
