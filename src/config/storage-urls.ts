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
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(name) === 0 && !isHostName(name.toLowerCase())) return undefined
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
