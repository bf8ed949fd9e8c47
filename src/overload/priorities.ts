import type { Priority, Route } from '../exchange/exchange.ts'

/** First to go first. */
export const PRIORITIES = ['low', 'normal', 'high'] as const satisfies readonly Priority[]

/** A body that announces more octets than this makes its request the first to go: it holds what it has longest. */
const LARGE_BODY = 1024 * 1024

/**
 * What built-in endpoints are worth, where it is not `normal`. What ends sessions and tokens, what keeps users logged in, what
 * others need to verify tokens, and what load balancers ask goes on longest; what runs Argon2 or searches goes first.
 */
const OF_ENDPOINTS: ReadonlyMap<string, Priority> = new Map<string, Priority>([
  ['health.health', 'high'],
  ['sessions.refresh', 'high'],
  ['sessions.revoke', 'high'],
  ['sessions.revoke-all', 'high'],
  ['sessions.revoke-others', 'high'],
  ['sessions.delete', 'high'],
  ['oauth.revoke', 'high'],
  ['accounts.logout', 'high'],
  ['accounts.logout-all', 'high'],
  ['discovery.jwks', 'high'],
  ['discovery.passport-jwks', 'high'],
  ['discovery.tenant-jwks', 'high'],
  ['accounts.register', 'low'],
  ['accounts.login', 'low'],
  ['accounts.password', 'low'],
  ['usernames.availability', 'low'],
  ['usernames.hold', 'low'],
])

/** The priority of a route: its own, else that of the endpoint, else `low` where anyone may come in. */
export function priorityOf({ priority, target, auth }: Route): Priority {
  if (priority !== undefined) return priority
  // Without it the request that it asks for is not made.
  if (target.kind === 'preflight') return 'normal'
  if (target.kind !== 'service' || target.service === 'echo') return auth === 'public' ? 'low' : 'normal'
  return OF_ENDPOINTS.get(`${target.service}.${target.endpoint}`) ?? 'normal'
}

/** The place of a request among {@link PRIORITIES}: that of its route, one lower for a large body where it is not the highest. */
export function rankOf(ofRoute: number, bodyLength: number | undefined): number {
  return ofRoute === 1 && bodyLength !== undefined && bodyLength > LARGE_BODY ? 0 : ofRoute
}
