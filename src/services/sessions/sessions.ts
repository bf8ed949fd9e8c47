/**
 * Sessions: the one place that issues tokens of the gateway, and ends what they stand for.
 *
 * A session is a record in a store and two tokens at its holder. The access token carries all that later requests need;
 * the refresh token is stored nowhere. This service has no memory of its own and never sees a password.
 *
 * @module
 */
import { LONGEST_ACCESS_TOKEN_SECONDS, type IssuerConfig, type TenantConfig } from '../../config/config.ts'
import type { Identified } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { issue } from './issue.ts'
import { longestTokenLife, newSession } from './lifetimes.ts'
import { createRefreshing } from './refreshing.ts'
import { standingOf } from './standing.ts'
import type { By, SessionRecord, SessionRef, SessionStore, TokenRef, UserRef } from './store.ts'

export { deviceName } from '../device-name.ts'
export { createSessionEndpoints, type SessionEndpointsNeeds } from './endpoints.ts'
export type {
  By,
  Ending,
  NewSession,
  Revocable,
  Rotation,
  RotationRequest,
  SessionRecord,
  SessionRef,
  SessionStore,
  TokenRef,
  UserRef,
} from './store.ts'

/** RFC 6749 §5.1, and when the refresh token ends, and the session. */
export interface TokenPair {
  readonly access_token: string
  readonly refresh_token: string
  readonly token_type: 'Bearer'
  /** Seconds. */
  readonly expires_in: number
  /** Seconds until the session ends unless it is used. */
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
  /** Where that is, ISO 3166-1; absent where it is not known. */
  readonly country?: string
  /** Who asked for it: a client, or the gateway itself. */
  readonly clientId: string
  readonly by?: By
}

export interface RefreshRequest {
  readonly token: string
  /** Absent where the request names no tenant: the token tells then. */
  readonly tenant?: string | undefined
  /** Scope of the access token where it shall be less than the session's. */
  readonly scope?: string
  /** May refuse by throwing, with the session at hand and before anything moves. */
  inspect?(session: SessionRecord): void | Promise<void>
  readonly by?: By
}

/** What a user, or a token of theirs, ends: the token's own expiry is kept in mind where there is one. */
export type Whose = UserRef & Partial<Pick<Identified, 'expiresAt' | 'skewSeconds'>>

/** Every method rejects with `storage_unavailable` where the store does, and nothing is half done then. */
export interface Sessions {
  /**
   * Begins a session.
   *
   * @throws Problem `tenant_not_found`; `access_denied` for a user who is disabled, `invalid_request` for one that is none
   */
  create(request: SessionRequest): Promise<TokenPair>
  /** New tokens for a refresh token. @throws Problem `invalid_token` for whatever is not the newest one of a live session */
  refresh(request: RefreshRequest): Promise<TokenPair>
  /** The live session of an authentic refresh token, whatever its generation; `invalid_token` for one that is not authentic. */
  findByToken(token: string, tenant?: string): Promise<FoundByToken>
  find(session: SessionRef): Promise<SessionRecord | undefined>
  /** Live sessions, most recently used first. */
  list(user: UserRef): Promise<readonly SessionRecord[]>
  /** Ends what a token stands for: its session, else the token alone. */
  end(principal: Identified, reason: string, by?: By): Promise<void>
  /** Ends one session of a user; false when there was no live one. */
  endSession(session: SessionRef, reason: string, by?: By): Promise<boolean>
  /** Ends the session of a refresh token, also one that the store lost: tokens of it may live. */
  endFound(found: FoundByToken, reason: string, by?: By): Promise<void>
  /** Ends every session of a user; returns how many were live. */
  endAll(user: Whose, reason: string, by?: By): Promise<number>
  /** Ends every session of a user but this one; returns how many were live. */
  endOthers(session: SessionRef, reason: string, by?: By): Promise<number>
  /** Revokes a token alone; its session goes on. @throws Problem `invalid_request` for one without an id */
  revokeToken(principal: Identified, reason: string, by?: By): Promise<void>
}

/** What an authentic refresh token names, and the session where there is a live one. */
export interface FoundByToken {
  readonly tenant: string
  readonly ref: TokenRef
  readonly session: SessionRecord | undefined
}

/** Who has an account here. */
export interface Users {
  /** `unknown`: not one of the account directory, as users of foreign issuers are. */
  status(tenant: string, user: string): Promise<'active' | 'disabled' | 'unknown'>
}

export interface SessionsNeeds {
  readonly store: SessionStore
  readonly users: Users
  readonly tokens: {
    sign(tenant: string, claims: Readonly<Record<string, unknown>>, typ: string): Promise<string>
    mintRefreshToken(tenant: string, sid: string, generation: number, bucket: number): string
    readRefreshToken(
      tenant: string,
      token: string,
    ): { readonly sid: string; readonly generation: number; readonly bucket: number } | undefined
  }
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** From 0, below 1. */
  random(): number
  randomBytes(size: number): Buffer
  /** Told of what happened, for the metrics. */
  count?(tenant: string, event: SessionEvent, by: number): void
  /** Told of an authentic refresh token whose session is not there: it had expired, or was ended before. */
  expired?(session: { readonly tenant: string; readonly id: string }, by: By | undefined): void
}

export type SessionEvent = 'created' | 'evicted' | 'refreshed' | 'retried' | 'healed' | 'reused' | 'ended'

export interface SessionsConfig {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  /** Foreign issuers: their tokens too die with `endAll`. */
  readonly issuers: ReadonlyMap<string, IssuerConfig>
}

const ID_BYTES = 16

export function createSessions(needs: SessionsNeeds, config: SessionsConfig): Sessions {
  const { store } = needs
  const { refresh, findByToken } = createRefreshing(needs, { tenants: config.tenants, endSession })
  const longest = new Map([...config.tenants.values()].map((tenant) => [tenant.id, longestTokenLife(tenant, config.issuers)]))
  return {
    create,
    refresh,
    findByToken,
    find: (session) => store.find(session),
    list: (user) => store.list(user),
    end,
    endSession,
    endFound,
    endAll,
    endOthers,
    revokeToken,
  }

  async function create(request: SessionRequest): Promise<TokenPair> {
    const tenant = config.tenants.get(request.tenant)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    const standing = await standingOf(needs.users, request)
    if (standing === 'disabled') throw disabled()
    if (standing === 'missing') throw missing()
    const now = needs.nowSeconds()
    const session = newSession(request, tenant, now, needs.randomBytes(ID_BYTES).toString('hex'))
    const { epoch, bucket, evicted } = await store.create(session, {
      sessionsPerUser: tenant.sessionsPerUser,
      ...because(request.by),
    })
    if (evicted.length > 0) needs.count?.(tenant.id, 'evicted', evicted.length)
    // Whoever was disabled since the first look had their sessions ended before this one was there.
    if ((await standingOf(needs.users, session)) !== 'good') {
      await endSession(session, 'user disabled', request.by)
      throw disabled()
    }
    needs.count?.(tenant.id, 'created', 1)
    return issue(needs, { tenant, session, bucket, generation: 0, epoch, scope: session.scope, now })
  }

  async function end(principal: Identified, reason: string, by?: By): Promise<void> {
    const { tenant, user, session } = principal
    if (session === undefined) {
      await revokeToken(principal, reason, by)
      return
    }
    const ended = await store.end(
      { tenant, user, id: session },
      {
        reason,
        tokensUntil: endOfTokens(principal),
        ...because(by),
      },
    )
    if (ended) needs.count?.(tenant, 'ended', 1)
  }

  async function endSession({ tenant, user, id }: SessionRef, reason: string, by?: By): Promise<boolean> {
    const ended = await store.end({ tenant, user, id }, { reason, tokensUntil: endOfTokens({ tenant }), ...because(by) })
    if (ended) needs.count?.(tenant, 'ended', 1)
    return ended
  }

  async function endFound({ ref, session }: FoundByToken, reason: string, by?: By): Promise<void> {
    if (session !== undefined) await endSession(session, reason, by)
    else await store.revoke({ kind: 'session', ...ref }, { reason, tokensUntil: endOfAnyToken(ref), ...because(by) })
  }

  async function endAll(whose: Whose, reason: string, by?: By): Promise<number> {
    const { tenant, user } = whose
    const ended = await store.endAll({ tenant, user }, { reason, tokensUntil: endOfAnyToken(whose), ...because(by) })
    needs.count?.(tenant, 'ended', ended)
    return ended
  }

  async function endOthers({ tenant, user, id }: SessionRef, reason: string, by?: By): Promise<number> {
    const ended = await store.endOthers({ tenant, user, id }, { reason, tokensUntil: endOfTokens({ tenant }), ...because(by) })
    needs.count?.(tenant, 'ended', ended)
    return ended
  }

  async function revokeToken(principal: Identified, reason: string, by?: By): Promise<void> {
    const { tenant, user, tokenId } = principal
    if (tokenId === undefined) {
      throw new Problem('invalid_request', { description: 'The token has no id, so it cannot be revoked.' })
    }
    const tokensUntil = Math.ceil(principal.expiresAt + principal.skewSeconds)
    await store.revoke({ kind: 'token', tenant, user, id: tokenId }, { reason, tokensUntil, ...because(by) })
  }

  /** No token of this user that was made up to now is taken after this. */
  function endOfTokens({ tenant, expiresAt = 0, skewSeconds = 0 }: Omit<Whose, 'user'>): number {
    return Math.max(Math.ceil(expiresAt + skewSeconds), needs.nowSeconds() + (longest.get(tenant) ?? 0))
  }

  /** The same where no session says how long its tokens were made to live: `accessToken.lifetime` may have been longer then. */
  function endOfAnyToken(whose: Omit<Whose, 'user'>): number {
    return Math.max(endOfTokens(whose), needs.nowSeconds() + LONGEST_ACCESS_TOKEN_SECONDS)
  }
}

/** For a record in which absent is optional. */
export function because(by: By | undefined): { readonly by?: By } {
  return by === undefined ? {} : { by }
}

function disabled(): Problem {
  return new Problem('access_denied', { description: 'The user is disabled.' })
}

function missing(): Problem {
  return new Problem('invalid_request', {
    description: 'There is no user of this id.',
    fields: [{ field: 'user_id', message: 'has the form of the ids of our own accounts and is none of them' }],
  })
}
