/**
 * Refuses tokens that were revoked before they expired.
 *
 * Every process holds the complete set of live revocations, fed by an ordered log, and knows how stale it is; the route
 * says what happens past its bound.
 *
 * @module
 */

/** One thing that was revoked. All times in seconds since 1970; ids are opaque. */
export type Revocation =
  /** One token, by `jti`. */
  | { readonly kind: 'token'; readonly tenant: string; readonly id: string; readonly expiresAt: number }
  /** All tokens of a session, by `sid`. */
  | { readonly kind: 'session'; readonly tenant: string; readonly id: string; readonly expiresAt: number }
  /** All tokens of a user that carry an epoch (`uv`) below `epoch`, or were issued before `at` where they carry none. */
  | {
      readonly kind: 'user'
      readonly tenant: string
      readonly id: string
      readonly epoch: number
      readonly at: number
      readonly expiresAt: number
    }

/** A stretch of the log: what it says, and the position to read on from. */
export interface LogSlice {
  readonly position: number
  readonly revocations: readonly Revocation[]
}

/** The ordered log of revocations. Storage implements it. */
export interface RevocationLog {
  /** Every revocation that is still alive, as of `position`. Rejects when the log cannot be read. */
  snapshot(): Promise<LogSlice>
  /** What was appended after `position`, oldest first, at most a bounded batch. Rejects when the log cannot be read. */
  readAfter(position: number): Promise<LogSlice>
  /** Calls `wake` soon after something was appended by this process; returns the way to stop it. */
  onAppend(wake: () => void): () => void
}

/** What is asked about one token. */
export interface TokenFacts {
  readonly tenant: string
  readonly user: string
  readonly session?: string
  readonly tokenId?: string
  readonly epoch?: number
  readonly issuedAt?: number
}

/** Asks the store itself about one token. Storage implements it. */
export interface RevocationLookup {
  isRevoked(token: TokenFacts): Promise<boolean>
}
