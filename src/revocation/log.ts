/** One thing that was revoked. All times in seconds since 1970; ids are opaque. */
export type Revocation =
  /** One token, by `jti`. */
  | { readonly kind: 'token'; readonly tenant: string; readonly id: string; readonly expiresAt: number }
  /** All tokens of a session, by `sid`. */
  | { readonly kind: 'session'; readonly tenant: string; readonly id: string; readonly expiresAt: number }
  /** All tokens of a user that carry an epoch (`uv`) below `epoch`, or were issued at or before `at` where they carry none. */
  | {
      readonly kind: 'user'
      readonly tenant: string
      readonly id: string
      readonly epoch: number
      readonly at: number
      readonly expiresAt: number
    }
  /** All tokens of a tenant that were issued at or before `at`. */
  | { readonly kind: 'tenant'; readonly tenant: string; readonly at: number; readonly expiresAt: number }
  /** All tokens that a key of the tenant signed, by `kid`; the key leaves the verifiers too. */
  | { readonly kind: 'key'; readonly tenant: string; readonly id: string; readonly expiresAt: number }

/** A stretch of the log: what it says, and the position to read on from. */
export interface LogSlice {
  /** Opaque: what the log gave is given back to it, also by a process that starts later. */
  readonly position: string
  readonly revocations: readonly Revocation[]
  /** Whether the end of the log was reached, so that what is known is fresh. */
  readonly complete: boolean
  /**
   * The log cannot go on from the position it was given (trimmed, lost a write, put back, emptied): it may lack what is known.
   * Such a slice has no revocations; the whole is loaded next, and what the log lacks is put back.
   */
  readonly isRestart?: true
  /** What was read is older than the reading by so much: a replica that lags, for instance. Absent: not at all. */
  readonly lagMs?: number
}

/** The ordered log of revocations. Storage implements it. */
export interface RevocationLog {
  /**
   * Every revocation that is still alive, in pages of some thousands so that other work gets its turn between them; the last
   * page, also of an empty log, is `complete`, the others are not. The position of every page is the one to read on from
   * after the last, taken before the first was read. Fails when the log cannot be read.
   */
  snapshot(): AsyncIterable<LogSlice>
  /** What was appended after `position`, oldest first, at most a bounded batch; or that it `isRestart`. Rejects when the log cannot be read. */
  readAfter(position: string): Promise<LogSlice>
  /**
   * Puts back facts that are known, each once more as far as the log lacks it: the later expiry and the higher epoch stay.
   * At most some thousands in one call.
   *
   * @returns how many the log lacked
   */
  restore(revocations: readonly Revocation[]): Promise<number>
  /** Calls `wake` soon after something was appended, by this process or another; returns the way to stop it. */
  onAppend(wake: () => void): () => void
}

/** A copy of the set that outlives the process. Storage implements it. */
export interface RevocationCopy {
  /**
   * Hands out what was kept, page by page; undefined when there is none. Rejects when it is damaged or of another version;
   * what was handed out before is true all the same.
   */
  load(take: (page: readonly Revocation[]) => void): Promise<CopyState | undefined>
  /** Writes everything anew, in the place of what is there once it is whole. The pages are asked for one by one. */
  replace(state: CopyState, pages: Iterable<readonly Revocation[]>): Promise<void>
  /** Adds to what this process wrote; `outgrown` when it is time to write everything anew. */
  append(state: CopyState, revocations: readonly Revocation[]): Promise<'kept' | 'outgrown'>
  close(): Promise<void>
}

/** Up to where a copy has everything. */
export interface CopyState {
  /** Of the log. */
  readonly position: string
  /** When the log was last read to its end: wall clock, milliseconds since 1970. */
  readonly confirmedAtMs: number
}

/** What is asked about one token. */
export interface TokenFacts {
  readonly tenant: string
  readonly user: string
  readonly session?: string
  readonly tokenId?: string
  readonly epoch?: number
  readonly issuedAt?: number
  /** `kid` of the key that signed it, for the gateway's own tokens. */
  readonly keyId?: string
}

/** Asks the store itself about one token. Storage implements it. */
export interface RevocationLookup {
  isRevoked(token: TokenFacts): Promise<boolean>
}
