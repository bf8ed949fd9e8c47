import { isIP } from 'node:net'
import { Problem, type FieldFault } from '../problem/problem.ts'

/** A request that an operator asks about. */
export interface AskedRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly host: string
  /** Over TLS. */
  readonly isSecure: boolean
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** It is a secret. */
  readonly token?: string
  /** Address that it comes from. */
  readonly ip: string
}

const KEYS: ReadonlySet<string> = new Set(['method', 'url', 'headers', 'token', 'ip'])
const TEXTS = ['method', 'url', 'token', 'ip'] as const

/**
 * Reads `{ url, method?, headers?, token?, ip? }`. The URL is absolute, or a path; then the Host is `localhost`.
 *
 * @throws Problem `invalid_request` that repeats nothing of what was sent
 */
export function readAskedRequest(body: Readonly<Record<string, unknown>>): AskedRequest {
  const faults: FieldFault[] = Object.keys(body).flatMap((field) =>
    KEYS.has(field) ? [] : [{ field: field.slice(0, 64), message: 'is unknown' }],
  )
  const texts = new Map<string, string>()
  for (const field of TEXTS) {
    const value = body[field]
    if (typeof value === 'string') texts.set(field, value)
    else if (value !== undefined) faults.push({ field, message: 'must be a text' })
  }
  const place = placeOf(texts.get('url') ?? '')
  if (place === undefined) faults.push({ field: 'url', message: 'must be a URL, or a path' })
  const ip = texts.get('ip') ?? '127.0.0.1'
  if (isIP(ip) === 0) faults.push({ field: 'ip', message: 'must be an IP address' })
  const headers = fieldsOf(body['headers'] ?? {})
  if (headers === undefined) faults.push({ field: 'headers', message: 'must be texts by name' })
  if (faults.length > 0 || place === undefined || headers === undefined) throw new Problem('invalid_request', { fields: faults })
  const token = texts.get('token')
  return {
    ...place,
    method: (texts.get('method') ?? 'GET').toUpperCase(),
    headers,
    ...(token !== undefined && { token }),
    ip,
  }
}

/** The target as it is written: what a URL parser makes of it is not what a client sends. */
function placeOf(url: string): Pick<AskedRequest, 'target' | 'host' | 'isSecure'> | undefined {
  if (url.startsWith('/')) return { target: url, host: 'localhost', isSecure: false }
  const parts = /^(?<scheme>https?):\/\/(?<host>[^/?#@]+)(?<target>[^#]*)/i.exec(url)?.groups
  if (parts === undefined) return undefined
  const { scheme = '', host = '', target = '' } = parts
  const isSecure = scheme.toLowerCase() === 'https'
  return { target: target.startsWith('/') ? target : `/${target}`, host, isSecure }
}

function fieldsOf(value: unknown): readonly (readonly [string, string])[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const fields: [string, string][] = []
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') return undefined
    fields.push([name, text])
  }
  return fields
}
