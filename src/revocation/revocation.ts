/**
 * Refuses tokens that were revoked before they expired.
 *
 * Every process holds the complete set of live revocations, fed by an ordered log, and knows how stale it is; the route
 * says what happens past its bound. A revocation that is known is enforced always, however stale the set is.
 *
 * This room never revokes anything, never waits for the network while its set is fresh, and never forgets a revocation
 * before it expires.
 *
 * @module
 */
import type { RevocationConfig } from '../config/config.ts'
import type { Authenticated, Identified, RevocationFact, Unrevoked } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createFeed } from './feed.ts'
import { covers, createReplica } from './replica.ts'
import { createStoreCheck } from './store-check.ts'

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
  /** Opaque: what the log gave is given back to it. */
  readonly position: string
  readonly revocations: readonly Revocation[]
  /** Whether the end of the log was reached, so that what is known is fresh. */
  readonly complete: boolean
}

/** The ordered log of revocations. Storage implements it. */
export interface RevocationLog {
  /** Every revocation that is still alive, as of `position`. Rejects when the log cannot be read. */
  snapshot(): Promise<LogSlice>
  /**
   * What was appended after `position`, oldest first, at most a bounded batch. Where the log cannot go on from there (it was
   * trimmed, lost a write or was put back from a copy), a snapshot instead. Rejects when the log cannot be read.
   */
  readAfter(position: string): Promise<LogSlice>
  /** Calls `wake` soon after something was appended, by this process or another; returns the way to stop it. */
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
  /** `kid` of the key that signed it, for the gateway's own tokens. */
  readonly keyId?: string
}

/** Asks the store itself about one token. Storage implements it. */
export interface RevocationLookup {
  isRevoked(token: TokenFacts): Promise<boolean>
}

/** What this room reports. */
export interface RevocationEvents {
  /** A token was compared: `unknown` where nothing could be said about it. */
  checked(result: 'clear' | 'revoked' | 'unknown', source: 'replica' | 'store' | 'skipped'): void
  /** From the notice of an append to its enforcement, seconds. */
  lag(seconds: number): void
  breaker(state: 'closed' | 'half-open' | 'open'): void
  /** The log cannot be read, or can be again; told once for each change. */
  feed(state: 'up' | 'down', cause?: unknown): void
  /** A listener of `onRevoked` threw; the others were told. */
  listenerFailed(cause: unknown): void
}

export interface RevocationNeeds {
  readonly log: RevocationLog
  readonly lookup: RevocationLookup
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number
  /** From 0, below 1; spreads the retries of many gateways. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  readonly events: RevocationEvents
}

export interface RevocationRoom {
  /** Resolves when the snapshot is loaded, which is tried until it succeeds; or when the room was stopped before. */
  start(): Promise<void>
  stop(): void
  /**
   * Compares the token of a request with the revocations. Answers at once, unless the set is stale and the route says
   * `verify`. Throws, or rejects with, the problems `token_revoked` and `revocation_unavailable`.
   */
  check(exchange: Authenticated): Unrevoked | Promise<Unrevoked>
  /** Age of the set; infinite before it is loaded. */
  stalenessMs(): number
  /** Revocations held. */
  entries(): number
  /** Whether the snapshot was loaded. */
  isReady(): boolean
  /** Whether the set revokes the token. */
  lists(token: TokenFacts): boolean
  /** Whether this one revocation concerns the token. */
  covers(revocation: Revocation, token: TokenFacts): boolean
  /** Tells of each revocation that is new here, after it is in force; returns the way to stop that. */
  onRevoked(listener: (revocation: Revocation) => void): () => void
  /**
   * Resolves when everything that was appended before the call is in force here. Rejects with `storage_unavailable` when
   * the log cannot be read now.
   */
  synced(): Promise<void>
}

const RETRY_SOON = { headers: { 'retry-after': '1' } } as const
// RFC 9110 §9.2.1; TRACE is forwarded by nobody.
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createRevocation(needs: RevocationNeeds, config: RevocationConfig): RevocationRoom {
  const listeners = new Set<(revocation: Revocation) => void>()
  const replica = createReplica()
  const feed = createFeed(needs, (revocation) => {
    if (replica.add(revocation)) tell(revocation)
  })
  const store = createStoreCheck(needs, config.breaker)
  let cancelSweep: (() => void) | undefined
  return {
    start,
    stop,
    check,
    stalenessMs: () => feed.stalenessMs(),
    entries: () => replica.entries(),
    isReady: () => feed.isLoaded(),
    lists: (token) => replica.lists(token),
    covers,
    onRevoked,
    synced: () => feed.synced(),
  }

  function start(): Promise<void> {
    cancelSweep = needs.schedule(SWEEP_MS, sweep)
    return feed.start()
  }

  function stop(): void {
    cancelSweep?.()
    feed.stop()
    store.stop()
  }

  function check(exchange: Authenticated): Unrevoked | Promise<Unrevoked> {
    const principal = exchange.principal
    if (principal.kind === 'anonymous') return proved(exchange, 'none')
    if (replica.lists(principal)) throw revoked('replica')
    const policy = exchange.route.revocation
    if (feed.stalenessMs() <= policy.maxStalenessMs) {
      needs.events.checked('clear', 'replica')
      return proved(exchange, 'checked')
    }
    if (policy.whenStale === 'verify') return verify(exchange, principal)
    if (policy.whenStale === 'allow' || (policy.whenStale === 'safe-methods' && SAFE_METHODS.has(exchange.method))) {
      needs.events.checked('unknown', 'skipped')
      return proved(exchange, 'skipped')
    }
    needs.events.checked('unknown', 'replica')
    throw new Problem('revocation_unavailable', { ...RETRY_SOON, detail: 'the local copy of the revocations is stale' })
  }

  async function verify(exchange: Authenticated, principal: Identified): Promise<Unrevoked> {
    let isRevoked: boolean
    try {
      isRevoked = await store.isRevoked(principal, exchange.route.revocation.maxStalenessMs)
    } catch (cause) {
      needs.events.checked('unknown', 'store')
      throw new Problem('revocation_unavailable', { ...RETRY_SOON, detail: 'the store of revocations did not answer', cause })
    }
    if (isRevoked) throw revoked('store')
    // The set may have learnt of it during the question.
    if (replica.lists(principal)) throw revoked('replica')
    needs.events.checked('clear', 'store')
    return proved(exchange, 'verified')
  }

  function revoked(source: 'replica' | 'store'): Problem {
    needs.events.checked('revoked', source)
    return new Problem('token_revoked')
  }

  function onRevoked(listener: (revocation: Revocation) => void): () => void {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  function tell(revocation: Revocation): void {
    for (const listener of listeners) {
      try {
        listener(revocation)
      } catch (cause) {
        // A listener that fails must not keep the rest of the log from being applied.
        needs.events.listenerFailed(cause)
      }
    }
  }

  /** Removes what has expired, a slice at a time so that no request waits for a large set. */
  function sweep(): void {
    const finished = replica.sweep(Math.floor(needs.nowMs() / 1000))
    cancelSweep = needs.schedule(finished ? SWEEP_MS : SWEEP_SLICE_MS, sweep)
  }
}

const SWEEP_MS = 60_000
const SWEEP_SLICE_MS = 10

function proved(exchange: Authenticated, revocation: RevocationFact): Unrevoked {
  return { ...exchange, revocation }
}
