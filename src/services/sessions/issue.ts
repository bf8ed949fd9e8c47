import type { TenantConfig } from '../../config/config.ts'
import type { SessionsNeeds, TokenPair } from './sessions.ts'
import type { NewSession } from './store.ts'

/** What the tokens of one answer are made of. */
export interface Issue {
  readonly tenant: TenantConfig
  readonly session: NewSession
  /** Part of the store that holds the session. */
  readonly bucket: number
  /** Of the refresh token. */
  readonly generation: number
  /** The user's epoch when the session was made. */
  readonly epoch: number
  /** Of the access token: the session's, or less. */
  readonly scope: string
  /** Whole seconds since 1970. */
  readonly now: number
}

const ID_BYTES = 16

/** An access token and the refresh token of this generation. The refresh token of one generation is always the same. */
export async function issue(needs: Pick<SessionsNeeds, 'tokens' | 'random' | 'randomBytes'>, what: Issue): Promise<TokenPair> {
  const { tenant, session, now } = what
  const lifetime = lifetimeOf(what, needs.random())
  const claims = claimsOf(what, now + lifetime, needs.randomBytes(ID_BYTES).toString('hex'))
  const accessToken = await needs.tokens.sign(tenant.id, claims, 'at+jwt')
  return {
    access_token: accessToken,
    refresh_token: needs.tokens.mintRefreshToken(tenant.id, session.id, what.generation, what.bucket),
    token_type: 'Bearer',
    expires_in: lifetime,
    refresh_expires_in: Math.max(0, Math.min(session.idleExpiresAt, session.expiresAt) - now),
    session_id: session.id,
    scope: what.scope,
  }
}

/** An access token never outlives its session; the jitter only shortens it. */
function lifetimeOf({ tenant, session, now }: Issue, chance: number): number {
  const { lifetimeSeconds, jitter } = tenant.accessToken
  return Math.max(1, Math.min(Math.floor(lifetimeSeconds * (1 - jitter * chance)), session.expiresAt - now))
}

/** RFC 9068 §2.2, and what the gateway adds. */
function claimsOf({ tenant, session, epoch, scope, now }: Issue, expiresAt: number, jti: string) {
  return {
    iss: tenant.issuer,
    sub: session.user,
    aud: tenant.audience,
    exp: expiresAt,
    iat: now,
    nbf: now,
    jti,
    sid: session.id,
    tenant_id: tenant.id,
    scope,
    metadata: session.metadata,
    token_type: 'access',
    client_id: session.clientId,
    auth_time: session.createdAt,
    uv: epoch,
  }
}
