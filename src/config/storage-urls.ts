import { isIP } from 'node:net'
import { isHostName } from './addresses.ts'
import { scalar, text } from './scalars.ts'
import type { Reading } from './scalars.ts'

/** A URL of Redis. A user name and password in it come from the environment, so the URL is a secret and is never repeated. */
export function redisUrl() {
  return text<string>(MUST, '^rediss?://', (value): Reading<string> | undefined => readRedisUrl(value))
}

/** `embedded`, or the URL of one Redis. */
export function sessionStorage() {
  const shape = {
    anyOf: [
      { type: 'string', enum: ['embedded'] },
      { type: 'string', pattern: '^rediss?://|\\$\\{' },
    ],
  }
  return scalar<'embedded' | { readonly url: string }>(shape, (value) => {
    if (value === 'embedded') return { value }
    if (typeof value !== 'string' || !/^rediss?:/.test(value)) return { fault: ANY }
    const reading = readRedisUrl(value) ?? { fault: MUST }
    return 'fault' in reading ? reading : { value: { url: reading.value } }
  })
}

const SERVERS = new Map([
  ['postgres:', 'postgres'],
  ['postgresql:', 'postgres'],
  ['mysql:', 'mysql'],
] as const)

/** What may follow the `?` of a database's URL. */
const TLS_MODES: ReadonlySet<string> = new Set(['disable', 'require', 'verify-ca', 'verify-full'])

/** `embedded`, or the URL of a database server. */
export function accountStorage() {
  const shape = {
    anyOf: [
      { type: 'string', enum: ['embedded'] },
      { type: 'string', pattern: '^(postgres|postgresql|mysql)://|\\$\\{' },
    ],
  }
  return scalar<'embedded' | { readonly kind: 'postgres' | 'mysql'; readonly url: string }>(shape, (value) => {
    if (value === 'embedded') return { value }
    if (typeof value !== 'string' || !/^(?:postgres|postgresql|mysql):/.test(value)) return { fault: ANY_DATABASE }
    return readDatabaseUrl(value) ?? { fault: MUST_DATABASE }
  })
}

const ANY_DATABASE = 'must be embedded, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE'
const MUST_DATABASE =
  'must be postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE; in a name or password, write %XX for / ? # @ : and %'

function readDatabaseUrl(value: string): Reading<{ readonly kind: 'postgres' | 'mysql'; readonly url: string }> | undefined {
  if (!URL.canParse(value) || /[\s#]/.test(value)) return undefined
  const url = new URL(value)
  const kind = [...SERVERS].find(([protocol]) => protocol === url.protocol)?.[1]
  if (kind === undefined || !isHost(url.hostname) || url.username === '') return undefined
  if (![url.username, url.password, url.pathname].every(isDecodable) || !/^\/[^/]+$/.test(url.pathname)) return undefined
  const isAddress = isIP(url.hostname.replace(/^\[(.*)\]$/, '$1')) !== 0
  if (kind === 'mysql' && isAddress && url.searchParams.get('sslmode') === 'verify-full')
    return { fault: 'sslmode=verify-full needs the name of the host, not its address, with mysql://' }
  return faultOfQuery(url.searchParams) ?? { value: { kind, url: value } }
}

function faultOfQuery(query: URLSearchParams): { readonly fault: string } | undefined {
  const extra = [...query.keys()].find((key) => key !== 'sslmode' && key !== 'sslrootcert')
  if (extra !== undefined) return { fault: 'must have nothing after the ? but sslmode and sslrootcert' }
  const mode = query.get('sslmode') ?? 'disable'
  if (!TLS_MODES.has(mode)) return { fault: 'sslmode must be disable, require, verify-ca or verify-full' }
  const file = query.get('sslrootcert')
  if (file !== null && !file.startsWith('/')) return { fault: 'sslrootcert must be an absolute path' }
  const isProved = mode === 'verify-ca' || mode === 'verify-full'
  return query.has('sslrootcert') && !isProved
    ? { fault: 'sslrootcert goes with sslmode=verify-ca or verify-full only' }
    : undefined
}

function isHost(hostname: string): boolean {
  const name = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(name) !== 0 || isHostName(name.toLowerCase())
}

/**
 * True when the text of the file holds a password, or a piece of one, instead of taking all of it from the environment.
 *
 * @param written as it stands in the file, before the environment is put into it
 */
export function holdsPassword(written: unknown): boolean {
  if (typeof written !== 'string') return false
  const literal = written.replace(/\$\{[A-Za-z_][A-Za-z0-9_]*\}/g, '')
  return /:\/\/[^/?#:]*:[^/?#]+@/.test(literal)
}

/** `/3` of `redis://host/3`; 0 where the URL names none. */
export function databaseOf(url: string): number {
  return Number(new URL(url).pathname.slice(1))
}

const MUST = 'must be redis://HOST:PORT or rediss://HOST:PORT; in a user name or password, write %XX for / ? # @ : and %'
const ANY =
  'must be embedded, redis://HOST:PORT, rediss://HOST:PORT, { url: redis://… }, { cluster: [redis://…] } or { sentinels: [redis://…], name: NAME }'

function readRedisUrl(value: string): Reading<string> | undefined {
  if (!URL.canParse(value) || /[\s?#]/.test(value)) return undefined
  const url = new URL(value)
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') return undefined
  if (!isHost(url.hostname)) return undefined
  if (!isDecodable(url.username) || !isDecodable(url.password)) return undefined
  if (!/^\/?$|^\/\d{1,3}$/.test(url.pathname))
    return { fault: 'must have no path but the number of a database, such as redis://127.0.0.1:6379/1' }
  return { value }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
