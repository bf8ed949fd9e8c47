import { networkOf, OWN_ISSUER, type Identified, type RateLimitBy, type Routed, type Uncounted } from '../exchange/exchange.ts'

/**
 * Whom a request is counted with, as one text. It begins with what it is; of what follows, only the last part may hold a
 * colon, since names of issuers and ids of tenants have none: no two callers are one text.
 */
export function callerOf(by: RateLimitBy, exchange: Uncounted): string {
  const { principal } = exchange
  if (by === 'tenant') return `tenant:${exchange.tenant ?? ''}`
  if (by === 'ip' || principal.kind === 'anonymous') return addressOf(exchange)
  if (by === 'token' && principal.tokenId !== undefined) {
    return `token:${principal.issuer}:${principal.tenant}:${principal.tokenId}`
  }
  const client = by === 'client' ? clientOf(principal) : undefined
  if (client !== undefined) return clientNamed(principal.issuer, principal.tenant, client)
  return `user:${principal.tenant}:${principal.user}`
}

export function addressOf({ client }: Pick<Routed, 'client'>): string {
  return `ip:${networkOf(client)}`
}

export function clientNamed(issuer: string, tenant: string, client: string): string {
  return `client:${issuer}:${tenant}:${client}`
}

/**
 * Whether the caller is a client that proves itself to the service: who it is, is known only then. Where others may call
 * too, HTTP Basic says that it is one, and what it says is proved or refused.
 */
export function provesItself({ route, principal, rawHeaders }: Uncounted): boolean {
  if (principal.kind === 'identified' || route.caller === undefined || route.caller === 'holder') return false
  return route.caller === 'client' || rawHeaders.some(isBasic)
}

function isBasic(value: string, index: number, rawHeaders: readonly string[]): boolean {
  return index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization' && /^basic /i.test(value)
}

/** `client_id` of what the gateway issues at a login: that is no client. */
const LOGIN = 'gatehouse'

/** RFC 9068 §2.2, OpenID Connect Core §2. */
function clientOf({ issuer, claims }: Identified): string | undefined {
  const client = Object.hasOwn(claims, 'client_id') ? claims['client_id'] : claims['azp']
  if (typeof client !== 'string' || client === '') return undefined
  return issuer === OWN_ISSUER && client === LOGIN ? undefined : client
}
