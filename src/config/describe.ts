import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.ts'

type Hide = (secret: string | Uint8Array) => unknown

/** Headers whose configured value is a credential more often than not. */
const SECRET_HEADER = /authorization|cookie|key|token|secret|password|credential/i

/** First 16 hex digits of the SHA-256 of the effective configuration; secrets count by their own hash. */
export function versionOf(config: Config): string {
  const { file: _file, version: _version, warnings: _warnings, ...effective } = config
  return sha256(JSON.stringify(plain(effective, [], sha256))).slice(0, 16)
}

/** The effective configuration as plain JSON, with `[redacted]` for each secret. */
export function describe(config: Config): unknown {
  const { warnings: _warnings, ...effective } = config
  return plain(effective, [], redacted)
}

/** Something that stands below one of the keys of the configuration, in the same form. */
export function describePart(key: keyof Config, value: unknown): unknown {
  return plain(value, [key], redacted)
}

/** Headers that a route asks for, for people to read: ` [x-beta: 1]` for each, without what is probably a secret. */
export function headersInWords(headers: Iterable<readonly [name: string, value: string]>): string {
  let text = ''
  for (const [name, value] of headers) text += ` [${name}: ${SECRET_HEADER.test(name) ? redacted() : value}]`
  return text
}

/** Whether two parts of configurations say the same. */
export function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other)
}

function redacted(): string {
  return '[redacted]'
}

/** Freezes the configuration all the way down. Maps, sets, URLs and bytes are read-only by type alone. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value
  if (value instanceof Map) for (const item of value.values()) freeze(item)
  for (const item of Object.values(value)) freeze(item)
  return Object.freeze(value)
}

/** Keys in order, so that equal configurations are equal text. */
function plain(value: unknown, path: readonly string[], hide: Hide): unknown {
  if (value instanceof Uint8Array) return hide(value)
  if (typeof value === 'string' && isStorageUrl(path)) return withoutCredentials(value, hide)
  if (typeof value === 'string') return isSecret(path) ? hide(value) : value
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof URL) return value.href
  if (value instanceof Set) return [...value].map(String).toSorted(byText)
  if (Array.isArray(value)) return value.map((item) => plain(item, path, hide))
  const entries: [string, unknown][] =
    value instanceof Map ? [...value].map(([key, item]) => [String(key), item]) : Object.entries(value)
  const sorted = entries.toSorted(([a], [b]) => byText(a, b))
  return Object.fromEntries(sorted.map(([key, item]) => [key, plain(item, [...path, key], hide)]))
}

/** By code unit: the same on every machine. */
function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function isSecret(path: readonly string[]): boolean {
  const [first, second, third] = path
  if (first === 'listeners') return second === 'admin' ? third === 'token' : third === 'tls' && path.at(-1) === 'key'
  if (first === 'upstreams') return third === 'tls' && path[3] === 'key'
  if (first === 'telemetry') return second === 'traces' && third === 'headers'
  const inHeaders = first === 'routes' && (path.at(-2) === 'set' || (second === 'match' && third === 'headers'))
  return inHeaders && SECRET_HEADER.test(path.at(-1) ?? '')
}

function isStorageUrl([first, second, third]: readonly string[]): boolean {
  if (first !== 'storage' || (second !== 'sessions' && second !== 'accounts')) return false
  return third === 'url' || third === 'urls' || third === 'replica'
}

/** `redis://[redacted]@host:6379/0`: which server it is, is worth knowing. */
function withoutCredentials(url: string, hide: Hide): string {
  const at = url.lastIndexOf('@')
  if (at === -1) return url
  const start = url.indexOf('//') + 2
  return `${url.slice(0, start)}${String(hide(url.slice(start, at)))}${url.slice(at)}`
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
