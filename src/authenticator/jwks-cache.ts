import { fetchKeySet } from './fetcher.ts'
import type { FetcherNeeds } from './fetcher.ts'
import type { KeyRing, OnDropped } from './key-ring.ts'
import type { KeySet } from './key-set.ts'
import { EMPTY_KEY_SET, KeySetFault, MAX_UNNAMED, createKeySet } from './key-set.ts'

export interface RemoteKeyNeeds extends FetcherNeeds {
  /** Milliseconds of a clock that is never set back. */
  monotonicMs(): number
  /** 0 to 1. */
  random(): number
  onDropped: OnDropped
  onFetched(result: 'ok' | 'error', cause?: unknown): void
}

/** Times in milliseconds; see `issuers.*.jwks` of the configuration. */
export interface RemoteKeyConfig {
  readonly uri: string
  readonly refreshMs: number
  readonly minIntervalMs: number
  readonly staleForMs: number
  readonly timeoutMs: number
}

export interface RemoteKeyRing extends KeyRing {
  /** Since the keys were last fetched; infinite while they never were. */
  ageSeconds(): number
  /** What was fetched last, and when. */
  state(): { readonly keys: KeySet; readonly fetchedAtMs: number }
}

const NOTHING = Object.freeze({ keys: EMPTY_KEY_SET, fetchedAtMs: Number.NEGATIVE_INFINITY })
/** Fetches that unknown keys may cause at once; each comes back after `minIntervalMs`. */
const BUCKET = 2
const FIRST_RETRY_MS = 1000
/** A key that is missing from a set this young is not asked for again: half of the second in which a new key has to work. */
const YOUNG_MS = 500
/** Tokens that waited for a fetch go on so many at a time: thousands may have, and nobody else's request is to wait for all of them. */
const TOGETHER = 16
/** Share by which each delay is varied, so that the replicas of a gateway do not ask together. */
const JITTER = 0.1

/**
 * The published keys of one issuer: refreshed ahead of need, one fetch at a time, kept through an outage for
 * `staleForMs`, replaced whole. Only tokens that no known key signed go through the bucket, and they
 * never wait for it.
 *
 * @param before A ring of the same issuer and address, whose keys serve on: nobody waits for the first fetch then.
 */
export function createRemoteKeyRing(needs: RemoteKeyNeeds, config: RemoteKeyConfig, before?: RemoteKeyRing): RemoteKeyRing {
  let { keys, fetchedAtMs } = before?.state() ?? NOTHING
  let inFlight: Promise<void> | undefined
  let waiting: (() => void)[] = []
  let failures = 0
  let cancelTimer: (() => void) | undefined
  let stopped = false
  const takeFromBucket = createBucket(needs, config.minIntervalMs)

  return {
    candidates: (kid, algorithm) => (isServed() ? keys.candidates(kid, algorithm) : undefined),
    holds: (key) => keys.has(key) && isServed(),
    refresh,
    start,
    stop,
    ageSeconds: () => ageMs() / 1000,
    state: () => ({ keys, fetchedAtMs }),
  }

  async function start(): Promise<void> {
    const fetching = fetchOnce()
    if (!isServed()) await fetching
  }

  function ageMs(): number {
    return needs.monotonicMs() - fetchedAtMs
  }

  function isServed(): boolean {
    return ageMs() <= config.staleForMs
  }

  function refresh(): Promise<void> | undefined {
    if (inFlight === undefined) {
      if (stopped || ageMs() < YOUNG_MS || !takeFromBucket()) return undefined
      void fetchOnce()
    }
    return new Promise((resolve) => waiting.push(resolve))
  }

  function fetchOnce(): Promise<void> {
    inFlight ??= load().finally(() => {
      inFlight = undefined
      arm()
      const goingOn = waiting
      waiting = []
      release(goingOn, 0)
    })
    return inFlight
  }

  function release(those: readonly (() => void)[], from: number): void {
    const end = from + TOGETHER
    for (const goOn of those.slice(from, end)) goOn()
    if (end < those.length) needs.schedule(0, () => release(those, end))
  }

  async function load(): Promise<void> {
    try {
      const jwks = await fetchKeySet(needs, config.uri, config.timeoutMs)
      const next = createKeySet(jwks, keys, { symmetric: 'published', maxUnnamed: MAX_UNNAMED, onDropped: needs.onDropped })
      if (next.size === 0) throw new KeySetFault('the key set has no usable key')
      keys = next
      fetchedAtMs = needs.monotonicMs()
      failures = 0
      needs.onFetched('ok')
    } catch (cause) {
      // The old keys serve on; the age of the set and the counted failure show it.
      failures += 1
      needs.onFetched('error', cause)
    }
  }

  function arm(): void {
    cancelTimer?.()
    if (stopped) return
    const backOffMs = FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 30)
    const delayMs = failures === 0 ? config.refreshMs : Math.min(config.refreshMs, backOffMs)
    cancelTimer = needs.schedule(delayMs * (1 - JITTER + 2 * JITTER * needs.random()), () => void fetchOnce())
  }

  function stop(): void {
    stopped = true
    cancelTimer?.()
  }
}

/** A token bucket: answers whether one may be taken, and takes it. */
function createBucket(clock: { monotonicMs(): number }, refillMs: number): () => boolean {
  let level = BUCKET
  let filledAtMs = clock.monotonicMs()
  return function take() {
    const nowMs = clock.monotonicMs()
    level = Math.min(BUCKET, level + Math.max(0, nowMs - filledAtMs) / refillMs)
    filledAtMs = nowMs
    if (level < 1) return false
    level -= 1
    return true
  }
}
