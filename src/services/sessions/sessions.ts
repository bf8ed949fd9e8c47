/**
 * Sessions: the one place that issues tokens of the gateway, and ends what they stand for.
 *
 * A session is a record in a store and two tokens at its holder. The access token carries all that later requests need;
 * the refresh token is stored nowhere. This service has no memory of its own and never sees a password.
 *
 * @module
 */
import type { IssuerConfig, TenantConfig } from '../../config/config.ts'
import type { Identified } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'

/** A user within a tenant. */
export interface UserRef {
  readonly tenant: string
  readonly user: string
}

export interface SessionRef extends UserRef {
  readonly id: string
}

/** A session as it begins. All times in whole seconds since 1970. */
export interface NewSession extends SessionRef {
  readonly scope: string
  readonly metadata: Readonly<Record<string, string>>
  /** User agent, at most 256 characters. */
  readonly device: string
  readonly ip: string
  readonly createdAt: number
  readonly expiresAt: number
  /** When it ends unless it is used before. */
  readonly idleExpiresAt: number
  /** No access token of it is taken after this: the latest expiry and the clock skew. */
  readonly tokensUntil: number
}

export interface SessionRecord extends NewSession {
  /** The user's epoch when the session was made. */
  readonly epoch: number
  /** Of the refresh token that is good now; the first is 0. */
  readonly generation: number
  readonly lastUsedAt: number
}

/** Why something ends, and until when at least its tokens must be remembered as revoked. */
export interface Ending {
  readonly reason: string
  /** Whole seconds since 1970. */
  readonly tokensUntil: number
}

/** What is presented of a refresh token that was found authentic, and what becomes of its session if it is good. */
export interface RotationRequest {
  readonly tenant: string
  /** Part of the store that holds the session, as the token says. */
  readonly bucket: number
  readonly id: string
  /** Generation that the token carries. */
  readonly generation: number
  /** For how long the parent of the newest token still gets that same token, seconds. 0: never. */
  readonly graceSeconds: number
  /** Without rotation the generation stays and only the use is noted. */
  readonly rotation: 'on' | 'off'
  /** Whole seconds since 1970; a store with a clock of its own corrects it to within 2 s. */
  readonly now: number
  /** Seconds until the session ends unless it is used again. */
  readonly idleSeconds: number
  /** No access token that this refresh makes is taken after this, whole seconds since 1970. */
  readonly tokensUntil: number
  /** Why the session ends, should the token be an old one. */
  readonly reuseReason: string
}

/**
 * What one atomic step made of a refresh token: p is its generation, g the stored one.
 *
 * `rotated`: p = g, now g + 1. `retried`: p = g − 1 within the grace, the same successor again, nothing moves. `healed`: p is
 * ahead of g by at most 2, because the store lost a write; rolled forward. `reused`: anything else; the session is ended and
 * revoked. `epoch`: all sessions of the user were ended since; removed. `unknown`: there is no live session of this id.
 */
export type Rotation =
  | { readonly outcome: 'rotated' | 'retried' | 'healed'; readonly session: SessionRecord }
  | { readonly outcome: 'reused' | 'epoch'; readonly user: string }
  | { readonly outcome: 'unknown' }

/** What is revoked besides a session or all of a user's. */
export type Revocable =
  /** One token by its `jti`; `user` finds the part of the store. */
  | { readonly kind: 'token'; readonly tenant: string; readonly user: string; readonly id: string }
  /** All tokens of the tenant that were issued up to now. */
  | { readonly kind: 'tenant'; readonly tenant: string }
  /** All tokens that this key of the tenant signed, by `kid`. */
  | { readonly kind: 'key'; readonly tenant: string; readonly id: string }

/**
 * Keeps sessions. Storage implements it; each method is one atomic step that does all or nothing, or rejects with
 * `storage_unavailable`. An ending writes its revocations to the ordered log in the same step.
 */
export interface SessionStore {
  /**
   * Records a session and reads the user's epoch in the same step, so that no revoke-all slips in between. Of more than
   * `sessionsPerUser` live sessions the least recently used are ended, with reason `evicted`.
   */
  create(
    session: NewSession,
    limits: { readonly sessionsPerUser: number },
  ): Promise<{ readonly epoch: number; readonly bucket: number; readonly evicted: readonly string[] }>
  /** One use of a refresh token. */
  rotate(request: RotationRequest): Promise<Rotation>
  /** The session, if it has not ended or expired. */
  find(session: SessionRef): Promise<SessionRecord | undefined>
  /** The session that a refresh token names, if it has not ended or expired. */
  findByToken(token: { readonly tenant: string; readonly bucket: number; readonly id: string }): Promise<SessionRecord | undefined>
  /** Live sessions of a user, most recently used first. */
  list(user: UserRef): Promise<readonly SessionRecord[]>
  /** Ends a session of this user and revokes its tokens; false when there was no live one. */
  end(session: SessionRef, ending: Ending): Promise<boolean>
  /** Ends all sessions of a user by a new epoch; returns how many were live. */
  endAll(user: UserRef, ending: Ending): Promise<number>
  /** Ends all sessions of a user but this one, each with a revocation of its own; returns how many were live. */
  endOthers(session: SessionRef, ending: Ending): Promise<number>
  /** Revokes something that is not a session. */
  revoke(what: Revocable, ending: Ending): Promise<void>
}

/** RFC 6749 §5.1, and when the refresh token ends, and the session. */
export interface TokenPair {
  readonly access_token: string
  readonly refresh_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly refresh_expires_in: number
  readonly session_id: string
  readonly scope: string
}

export interface SessionRequest extends UserRef {
  readonly scope: string
  readonly metadata?: Readonly<Record<string, string>>
  /** User agent as sent; cut to 256 characters. */
  readonly device: string
  readonly ip: string
  /** When the user proved who they are, seconds since 1970. */
  readonly authTime: number
  readonly clientId: string
}

export interface Sessions {
  /** Begins a session. */
  create(request: SessionRequest): Promise<TokenPair>
  /** Ends what a token stands for: its session, else the token alone. */
  end(principal: Identified, reason: string): Promise<void>
  /** Ends every session of the token's user; returns how many were live. */
  endAll(principal: Identified, reason: string): Promise<number>
}

export interface SessionsNeeds {
  readonly store: SessionStore
  readonly tokens: {
    sign(tenant: string, claims: Readonly<Record<string, unknown>>, typ: string): Promise<string>
    mintRefreshToken(tenant: string, sid: string, generation: number): string
  }
  /** Whole seconds since 1970. */
  nowSeconds(): number
  randomBytes(size: number): Buffer
  /** Told of what happened, for the metrics. */
  count?(tenant: string, event: 'created' | 'ended', by: number): void
}

export interface SessionsConfig {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  /** Foreign issuers: their tokens too die with `endAll`. */
  readonly issuers: ReadonlyMap<string, IssuerConfig>
}

const ID_BYTES = 16
const DEVICE_CHARACTERS = 256

export function createSessions(needs: SessionsNeeds, config: SessionsConfig): Sessions {
  const longest = new Map([...config.tenants.values()].map((tenant) => [tenant.id, longestTokenLife(tenant, config.issuers)]))
  return { create, end, endAll }

  async function create(request: SessionRequest): Promise<TokenPair> {
    const tenant = config.tenants.get(request.tenant)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    const now = needs.nowSeconds()
    const session = newSession(request, tenant, now, needs.randomBytes(ID_BYTES).toString('hex'))
    const { epoch } = await needs.store.create(session)
    const claims = accessClaims(request, tenant, session, needs.randomBytes(ID_BYTES).toString('hex'))
    const accessToken = await needs.tokens.sign(tenant.id, { ...claims, uv: epoch }, 'at+jwt')
    needs.count?.(tenant.id, 'created', 1)
    return {
      access_token: accessToken,
      refresh_token: needs.tokens.mintRefreshToken(tenant.id, session.id, 0),
      token_type: 'Bearer',
      expires_in: tenant.accessToken.lifetimeSeconds,
      refresh_expires_in: tenant.refreshToken.lifetimeSeconds,
      session_id: session.id,
      scope: session.scope,
    }
  }

  async function end(principal: Identified, reason: string): Promise<void> {
    const ending = { reason, tokensUntil: endOfTokens(principal) }
    const { tenant, user, session, tokenId } = principal
    if (session !== undefined) {
      const wasLive = await needs.store.end({ tenant, user, id: session }, ending)
      if (wasLive) needs.count?.(tenant, 'ended', 1)
      return
    }
    if (tokenId === undefined) {
      throw new Problem('invalid_request', { description: 'The token names no session and has no id, so it cannot be revoked.' })
    }
    await needs.store.revokeToken({ tenant, id: tokenId }, ending)
  }

  async function endAll(principal: Identified, reason: string): Promise<number> {
    const { tenant, user } = principal
    const ended = await needs.store.endAll({ tenant, user }, { reason, tokensUntil: endOfTokens(principal) })
    needs.count?.(tenant, 'ended', ended)
    return ended
  }

  /** No token of this user that was made up to now is taken after this. */
  function endOfTokens(principal: Identified): number {
    const own = Math.ceil(principal.expiresAt + principal.skewSeconds)
    return Math.max(own, needs.nowSeconds() + (longest.get(principal.tenant) ?? 0))
  }
}

function longestTokenLife(tenant: TenantConfig, issuers: ReadonlyMap<string, IssuerConfig>): number {
  let longest = tenant.accessToken.lifetimeSeconds + tenant.clockSkewSeconds
  for (const issuer of issuers.values()) {
    // A foreign token may be dated ahead by the skew, and is taken behind by it.
    if (issuer.tenant === tenant.id) longest = Math.max(longest, issuer.maxLifetimeSeconds + 2 * issuer.clockSkewSeconds)
  }
  return Math.ceil(longest)
}

function newSession(request: SessionRequest, tenant: TenantConfig, now: number, id: string): NewSession {
  return {
    tenant: tenant.id,
    id,
    user: request.user,
    scope: request.scope,
    metadata: request.metadata ?? {},
    device: request.device.slice(0, DEVICE_CHARACTERS),
    ip: request.ip,
    createdAt: now,
    expiresAt: now + tenant.refreshToken.lifetimeSeconds,
    idleExpiresAt: now + tenant.refreshToken.idleSeconds,
    tokensUntil: Math.ceil(now + tenant.accessToken.lifetimeSeconds + tenant.clockSkewSeconds),
  }
}

/** RFC 9068 §2.2, and what the gateway adds. */
function accessClaims(request: SessionRequest, tenant: TenantConfig, session: NewSession, jti: string) {
  return {
    iss: tenant.issuer,
    sub: session.user,
    aud: tenant.audience,
    exp: session.createdAt + tenant.accessToken.lifetimeSeconds,
    iat: session.createdAt,
    nbf: session.createdAt,
    jti,
    sid: session.id,
    tenant_id: tenant.id,
    scope: session.scope,
    metadata: session.metadata,
    token_type: 'access',
    client_id: request.clientId,
    auth_time: request.authTime,
  }
}
