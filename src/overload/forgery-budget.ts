import { networkOf } from '../exchange/exchange.ts'
import { createKnownUsers } from './known-users.ts'
import { createRecent } from './recent.ts'

/** How many signatures that do not hold a network may have verified. `who`: whom the token names, as it says itself. */
export interface ForgeryBudget {
  /** Milliseconds until one more signature from the network of this address is verified; 0 for at once. */
  waitMs(client: string, who: string): number
  /** A signature from there did not hold. */
  failed(client: string, who: string): void
  /** A signature from there holds. */
  held(client: string, who: string): void
}

interface Bucket {
  level: number
  filledMs: number
}

/** Networks that are remembered, the latest: 10,000 are about 2 MB. */
const NETWORKS = 10_000
/** Users at a network that are remembered, the latest: 400 KB. */
const USERS = 16_384
const LONGEST_WHO = 256
/** The least that a network may get wrong at once. */
const LEAST_BURST = 10
/** What a bucket holds, as a part of what it gets in a minute. */
const BURST_SHARE = 1 / 6
/** What is given to each user who was seen at a network: at once, and in a minute. */
const OF_USER = { burst: 10, perMinute: 10 } as const

/**
 * A token bucket for each network, which only failures empty. Users who showed a good token there have one of their own
 * besides, for when that is empty: their next token is as new as a forged one, and must not wait for a flood to end.
 */
export function createForgeryBudget(
  clock: { monotonicMs(): number; /** 64 secret bits. */ readonly seed: readonly [number, number] },
  perMinute: () => number,
): ForgeryBudget {
  const networks = createRecent<Bucket>(NETWORKS)
  const users = createKnownUsers(clock, { places: USERS, ...OF_USER })
  return { waitMs, failed, held }

  function waitMs(client: string, who: string): number {
    if (networks.isEmpty()) return 0
    const network = networkOf(client)
    const bucket = networks.get(network)
    if (bucket === undefined) return 0
    fill(bucket, burst(), perMinute())
    if (bucket.level >= burst()) networks.delete(network)
    if (bucket.level >= 1 || hasMore(network, who)) return 0
    return ((1 - bucket.level) / perMinute()) * 60_000
  }

  function failed(client: string, who: string): void {
    const network = networkOf(client)
    const bucket = networks.get(network) ?? { level: burst(), filledMs: clock.monotonicMs() }
    fill(bucket, burst(), perMinute())
    if (bucket.level < 1 && hasMore(network, who)) {
      users.take()
      return
    }
    // Signatures that were being verified in other threads may end when nothing is left.
    bucket.level = Math.max(0, bucket.level - 1)
    networks.keep(network, bucket)
  }

  function held(client: string, who: string): void {
    if (who.length > LONGEST_WHO) return
    // Who is seen again was seen last.
    if (users.find(networkOf(client), who)) users.level()
    else users.enter()
  }

  /** Whether a user was seen there, and has something left. */
  function hasMore(network: string, who: string): boolean {
    return who.length <= LONGEST_WHO && users.find(network, who) && users.level() >= 1
  }

  function fill(bucket: Bucket, most: number, eachMinute: number): void {
    const nowMs = clock.monotonicMs()
    bucket.level = Math.min(most, bucket.level + ((nowMs - bucket.filledMs) / 60_000) * eachMinute)
    bucket.filledMs = nowMs
  }

  function burst(): number {
    return Math.max(LEAST_BURST, perMinute() * BURST_SHARE)
  }
}
