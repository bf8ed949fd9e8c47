import { isGrpc } from '../exchange/exchange.ts'

/** What the first line of an HTTP/1.1 request says, as HTTP/2 has it (RFC 9113 §8.3.1). */
export interface RequestLine {
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Where no Host field says otherwise. */
  readonly authority: string
  readonly path: string
  readonly hasBody: boolean
}

/** Methods whose requests are expected to have a body (RFC 9110 §8.6): that there is none is said. */
const EXPECT_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/**
 * Name, value, name, value … with the pseudo-fields first. The fields come without those of a connection (RFC 9113 §8.2.2);
 * a Host field becomes `:authority`, and a gRPC call says that it takes trailers, which its servers ask for.
 */
export function requestFields(line: RequestLine, fields: readonly string[]): string[] {
  const out = [':method', line.method, ':scheme', line.scheme, ':authority', line.authority, ':path', line.path]
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    if (name === 'host') {
      if (value !== '') out[5] = value
      continue
    }
    out.push(name, value)
    if (name === 'content-type' && isGrpc(value)) out.push('te', 'trailers')
  }
  if (!line.hasBody && EXPECT_BODY.has(line.method)) out.push('content-length', '0')
  return out
}

/** The fields of a head or of trailers by name, each line kept; without the pseudo-fields. */
export function receivedFields(raw: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null)
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (name.startsWith(':')) continue
    const value = raw[index + 1] ?? ''
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (typeof before === 'string') fields[name] = [before, value]
    else before.push(value)
  }
  return fields
}
