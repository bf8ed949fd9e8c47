import type { IssuerConfig, TenantConfig } from '../../config/config.ts'
import type { SessionRequest } from './sessions.ts'
import type { NewSession } from './store.ts'

const DEVICE_CHARACTERS = 256

/** The record of a session that begins now. */
export function newSession(request: SessionRequest, tenant: TenantConfig, now: number, id: string): NewSession {
  return {
    tenant: tenant.id,
    id,
    user: request.user,
    scope: request.scope,
    metadata: request.metadata ?? {},
    device: request.device.slice(0, DEVICE_CHARACTERS).toWellFormed(),
    ip: request.ip,
    ...(request.country !== undefined && { country: request.country }),
    clientId: request.clientId,
    createdAt: now,
    expiresAt: now + tenant.refreshToken.lifetimeSeconds,
    idleExpiresAt: now + tenant.refreshToken.idleSeconds,
    tokensUntil: lastTokenOf(tenant, now),
  }
}

/** When the last access token that is made at `now` is taken no more, whole seconds since 1970. */
export function lastTokenOf(tenant: TenantConfig, now: number): number {
  return Math.ceil(now + tenant.accessToken.lifetimeSeconds + tenant.clockSkewSeconds)
}

/** Seconds that any token of the tenant, made now, is taken at most. */
export function longestTokenLife(tenant: TenantConfig, issuers: ReadonlyMap<string, IssuerConfig>): number {
  let longest = tenant.accessToken.lifetimeSeconds + tenant.clockSkewSeconds
  for (const issuer of issuers.values()) {
    // A foreign token may be dated ahead by the skew, and is taken behind by it.
    if (issuer.tenant === tenant.id) longest = Math.max(longest, issuer.maxLifetimeSeconds + 2 * issuer.clockSkewSeconds)
  }
  return Math.ceil(longest)
}
