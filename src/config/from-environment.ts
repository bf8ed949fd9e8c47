import type { Path } from './faults.ts'

/**
 * Something that the file does not speak of and an environment variable says. The names are those of older authentication
 * services, so that a gateway can be put in the place of one without a line of configuration.
 */
export interface TakenFromEnvironment {
  readonly variable: string
  /** What it stands for: `issuers.legacy`. */
  readonly key: string
}

/** The file with what was taken from the environment, and what that was. */
export interface Folded {
  readonly value: unknown
  readonly taken: readonly TakenFromEnvironment[]
}

interface Needs {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (path: Path, message: string) => void
}

/** RFC 7518 §3.2, for HS256. */
const SECRET_BYTES = 32
const ADDRESS = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/
const LONGEST_LIFE = '12h'

/**
 * Adds what the variables of an older service say where the file says nothing itself:
 *
 * - `JWT_SECRET`, and `JWT_SECRET_PREVIOUS` while it is being replaced, where there is no `issuers`: its tokens are taken;
 * - `REDIS_ADDR` (HOST or HOST:PORT) and `REDIS_PASSWORD`, where there is no `storage.sessions`: sessions are there, sealed by
 *   `GATEHOUSE_MASTER_KEY` where that is set and the file names no other;
 * - both, where there is no `revocation.legacyChannel`: its channel of invalidations is heard.
 *
 * A variable that is empty is not set. The file always wins: `issuers: {}` or `storage: { sessions: embedded }` leaves it alone.
 */
export function foldEnvironment(value: unknown, { environment, report }: Needs): Folded {
  return isMapping(value) ? fold(value, { environment, report }) : { value, taken: [] }
}

interface Draft {
  readonly file: Readonly<Record<string, unknown>>
  readonly folded: Record<string, unknown>
  /** What a variable holds; undefined for one that is not set, or empty. */
  said(variable: string): string | undefined
  take(variable: string, key: string): void
  report(message: string): void
}

function fold(file: Readonly<Record<string, unknown>>, { environment, report }: Needs): Folded {
  const taken: TakenFromEnvironment[] = []
  const folded: Record<string, unknown> = { ...file }
  const draft: Draft = {
    file,
    folded,
    said: (variable) => (Object.hasOwn(environment, variable) ? environment[variable] || undefined : undefined),
    take: (variable, key) => void taken.push({ variable, key }),
    report: (message) => report([], `the environment variable ${message}`),
  }
  const hasIssuer = foldIssuer(draft)
  const hasRedis = foldRedis(draft)
  if (hasIssuer && hasRedis) foldChannel(draft)
  return { value: folded, taken }
}

function foldIssuer({ file, folded, said, take, report }: Draft): boolean {
  const names = ['JWT_SECRET', 'JWT_SECRET_PREVIOUS'].filter((name) => said(name) !== undefined)
  if (file['issuers'] !== undefined || !names.includes('JWT_SECRET')) return false
  for (const name of names) {
    if (Buffer.byteLength(said(name) ?? '') >= SECRET_BYTES) continue
    report(`${name} is too short: HS256 needs at least ${SECRET_BYTES} bytes`)
    return false
  }
  const secrets = names.map((name) => ({ env: name }))
  const facts = { tenant: 'default', audiences: 'any', algorithms: ['HS256'], maxLifetime: LONGEST_LIFE }
  // Such services name the user in one or the other.
  const claims = { user: 'sub', userElse: 'user_id' }
  folded['issuers'] = { legacy: { issuer: 'authentication-service', ...facts, claims, secrets } }
  for (const name of names) take(name, 'issuers.legacy')
  return true
}

function foldRedis({ file, folded, said, take, report }: Draft): boolean {
  const [address, storage] = [said('REDIS_ADDR'), mappingOr(file['storage'])]
  if (address === undefined || storage === undefined || storage['sessions'] !== undefined) return false
  if (!ADDRESS.test(address)) {
    report('REDIS_ADDR must be HOST or HOST:PORT, such as 127.0.0.1:6379')
    return false
  }
  const password = said('REDIS_PASSWORD')
  const access = password === undefined ? '' : `:${encodeURIComponent(password.toWellFormed())}@`
  folded['storage'] = { ...storage, sessions: `redis://${access}${address}/0` }
  take('REDIS_ADDR', 'storage.sessions')
  if (password !== undefined) take('REDIS_PASSWORD', 'storage.sessions')
  if (file['masterKey'] === undefined && said('GATEHOUSE_MASTER_KEY') !== undefined) {
    folded['masterKey'] = { env: 'GATEHOUSE_MASTER_KEY' }
    take('GATEHOUSE_MASTER_KEY', 'masterKey')
  }
  return true
}

function foldChannel({ file, folded, take }: Draft): void {
  const revocation = mappingOr(file['revocation'])
  if (revocation === undefined || revocation['legacyChannel'] !== undefined) return
  folded['revocation'] = { ...revocation, legacyChannel: {} }
  take('REDIS_ADDR', 'revocation.legacyChannel')
}

/** A mapping, also for a key that is not there; undefined for what is something else, which the grammar will say. */
function mappingOr(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined) return {}
  return isMapping(value) ? value : undefined
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
