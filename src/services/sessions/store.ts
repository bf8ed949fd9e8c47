/** What the sessions service asks of whoever keeps them. */

/** A user within a tenant. */
export interface UserRef {
  readonly tenant: string
  readonly user: string
}

export interface SessionRef extends UserRef {
  readonly id: string
}

/** A session as its refresh token names it. */
export interface TokenRef {
  readonly tenant: string
  /** Part of the store that holds it. */
  readonly bucket: number
  readonly id: string
}

/** A session as it begins. All times in whole seconds since 1970. */
export interface NewSession extends SessionRef {
  readonly scope: string
  readonly metadata: Readonly<Record<string, string>>
  /** User agent, at most 256 characters. */
  readonly device: string
  readonly ip: string
  /** Country that it began in, ISO 3166-1; absent where that was not known. */
  readonly country?: string
  /** `client_id` of its access tokens (RFC 9068 §2.2): who made it. */
  readonly clientId: string
  /** Also when the user proved who they are: `auth_time` of its access tokens. */
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

/** By which request something is done, and who is behind it: for the audit record. Stores pay no heed to it. */
export interface By {
  readonly actor: string
  readonly ip: string
  readonly requestId: string
}

/** Why something ends, and until when at least its tokens must be remembered as revoked. */
export interface Ending {
  readonly reason: string
  readonly by?: By
  /** Whole seconds since 1970. */
  readonly tokensUntil: number
}

/** What is presented of a refresh token that was found authentic, and what becomes of its session if it is good. */
export interface RotationRequest extends TokenRef {
  /** Whose session it is, where that is known already: it saves the store a look. */
  readonly user?: string
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
  readonly by?: By
}

/**
 * What one atomic step made of a refresh token: p is its generation, g the stored one.
 *
 * `rotated`: p = g, now g + 1. `retried`: p = g − 1 within the grace, the same successor again, nothing moves. `healed`: p is
 * ahead of g by at most 2, because the store lost a write; rolled forward. `reused`: anything else; the session is ended and
 * revoked. `epoch`: all sessions of the user or the tenant were ended since; removed. `unknown`: there is no live session of this id.
 */
export type Rotation =
  | { readonly outcome: 'rotated' | 'retried' | 'healed'; readonly session: SessionRecord }
  | { readonly outcome: 'reused' | 'epoch'; readonly user: string }
  | { readonly outcome: 'unknown' }

/** What is revoked besides a session or all of a user's. */
export type Revocable =
  /** One token by its `jti`; `user` finds the part of the store. */
  | { readonly kind: 'token'; readonly tenant: string; readonly user: string; readonly id: string }
  /** All tokens of a session that the store does not know, or knows no more: it may have lost it. */
  | ({ readonly kind: 'session' } & TokenRef)
  /** All tokens of the tenant that were issued up to now, and all its sessions. */
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
    limits: { readonly sessionsPerUser: number; readonly by?: By },
  ): Promise<{ readonly epoch: number; readonly bucket: number; readonly evicted: readonly string[] }>
  /**
   * What is recorded of the session that a refresh token names, in one look: it may have ended since with all others of its
   * user or tenant, which `rotate` sees.
   */
  peek(token: TokenRef): Promise<SessionRecord | undefined>
  /** One use of a refresh token. */
  rotate(request: RotationRequest): Promise<Rotation>
  /** The session, if it has not ended or expired. */
  find(session: SessionRef): Promise<SessionRecord | undefined>
  /** The session that a refresh token names, if it has not ended or expired. */
  findByToken(token: TokenRef): Promise<SessionRecord | undefined>
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
