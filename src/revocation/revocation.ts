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
import { isSame, type RevocationConfig } from '../config/config.ts'
import type { Authenticated, Identified, RevocationFact, Unrevoked } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createFeed } from './feed.ts'
import { createHealing } from './healing.ts'
import { createKeeping } from './keeping.ts'
import type { Revocation, RevocationCopy, RevocationLog, RevocationLookup, TokenFacts } from './log.ts'
import { createReplica } from './replica.ts'
import { createStoreCheck } from './store-check.ts'

export type { CopyState, LogSlice, Revocation, RevocationCopy, RevocationLog, RevocationLookup, TokenFacts } from './log.ts'

/** What this room reports. */
export interface RevocationEvents {
  /** A token was compared: `unknown` where nothing could be said about it. */
  checked(result: 'clear' | 'revoked' | 'unknown', source: 'replica' | 'store' | 'skipped'): void
  /** From the notice of an append to its enforcement, seconds. */
  lag(seconds: number): void
  /** Look-ups are refused at once, or asked again. */
  breaker(state: 'closed' | 'open'): void
  /** The log cannot be read, or can be again; told once for each change. */
  feed(state: 'up' | 'down', cause?: unknown): void
  /** A listener of `onRevoked` threw; the others were told. */
  listenerFailed(cause: unknown): void
  /** So many facts were put back into a log that had lost them. */
  restored(count: number): void
  /** The set began with a copy of an earlier process; infinite when its age cannot be told. */
  copyLoaded(ageSeconds: number): void
  /** There is a copy, and it cannot be used. */
  copyRefused(cause: unknown): void
  /** The copy cannot be written, or can be again; told once for each change. */
  copyKept(state: 'up' | 'down', cause?: unknown): void
}

export interface RevocationNeeds {
  readonly log: RevocationLog
  readonly lookup: RevocationLookup
  /** Absent where the log is on this machine itself. */
  readonly copy?: RevocationCopy | undefined
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
  /**
   * Resolves when the snapshot is loaded, which is tried until it succeeds; or when the log cannot be read and there is a
   * copy, which is as old as it says; or when the room was stopped before.
   */
  start(): Promise<void>
  /** Stops following. Resolves when the copy has what is known. */
  stop(): Promise<void>
  /**
   * Compares the token of a request with the revocations. Answers at once, unless the set is stale and the route says
   * `verify`. Throws, or rejects with, the problems `token_revoked` and `revocation_unavailable`.
   */
  check(exchange: Authenticated): Unrevoked | Promise<Unrevoked>
  /** Age of the set; infinite before it is loaded. */
  stalenessMs(): number
  /** Revocations held. */
  entries(): number
  /** Where the log would be read on from; undefined before anything was loaded. */
  position(): string | undefined
  /** What is alive, page by page; others may have their turn in between. */
  pages(): Iterable<readonly Revocation[]>
  /** Whether the snapshot was loaded, or a copy of it. */
  isReady(): boolean
  /** Whether the set revokes the token. */
  lists(token: TokenFacts): boolean
  /** Tells of each revocation that is new here, after it is in force; returns the way to stop that. */
  onRevoked(listener: (revocation: Revocation) => void): () => void
  /**
   * Resolves when everything that was appended before the call is in force here. Rejects with `storage_unavailable` when
   * the log cannot be read for a second.
   */
  synced(): Promise<void>
  /** Takes on another configuration. What is known, and who listens, stays. */
  use(config: RevocationConfig): void
}

const RETRY_SOON = { headers: { 'retry-after': '1' } } as const
// RFC 9110 §9.2.1; TRACE is forwarded by nobody.
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createRevocation(needs: RevocationNeeds, config: RevocationConfig): RevocationRoom {
  const listeners = new Set<(revocation: Revocation) => void>()
  const replica = createReplica(needs.random)
  const healing = createHealing(needs, replica)
  const feed = createFeed(needs, { apply, wholeBegins: replica.forgetLog, wholeEnds: healing.begin })
  const keeping = needs.copy === undefined ? undefined : createKeeping(needs, { copy: needs.copy, replica, feed })
  let { breaker } = config
  let store = createStoreCheck(needs, breaker)
  let cancelSweep: (() => void) | undefined
  return {
    start,
    stop,
    check,
    stalenessMs: () => feed.stalenessMs(),
    entries: () => replica.entries(),
    position: () => feed.position(),
    pages: () => replica.pages(Math.floor(needs.nowMs() / 1000), 'all'),
    isReady: () => feed.isLoaded(),
    lists: (token) => replica.lists(token),
    onRevoked,
    synced: () => feed.synced(),
    use,
  }

  async function start(): Promise<void> {
    cancelSweep = needs.schedule(SWEEP_MS, sweep)
    const place = await keeping?.load()
    keeping?.start()
    await feed.start(place)
  }

  async function stop(): Promise<void> {
    cancelSweep?.()
    feed.stop()
    healing.stop()
    store.stop()
    await keeping?.stop()
  }

  function use(next: RevocationConfig): void {
    if (isSame(next.breaker, breaker)) return
    // Who waits for an answer gets it.
    needs.schedule(breaker.timeoutMs, store.stop)
    breaker = next.breaker
    store = createStoreCheck(needs, breaker)
  }

  function apply(revocation: Revocation): void {
    if (!replica.add(revocation, 'log')) return
    keeping?.note(revocation)
    tell(revocation)
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
