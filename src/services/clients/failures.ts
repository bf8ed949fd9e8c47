import { networkOf } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'

/** Slows down guessing. Counts failures only: who proves itself is never slowed down by it, however often it asks. */
export interface Failures {
  /**
   * Begins an attempt of an address to be a client, known or not.
   *
   * @throws Problem `rate_limited` with the seconds to wait
   */
  begin(address: string, client: string): { failed(): void }
  /** An attempt failed at another process of this gateway, which said so by `failed` of its needs. */
  failedElsewhere(failure: unknown): void
}

export interface FailuresNeeds {
  nowMs(): number
  /** An attempt failed here. */
  failed?(failure: ClientFailure): void
}

/** What other processes have to know of an attempt. */
export interface ClientFailure {
  readonly network: string
  readonly client: string
}

interface Bucket {
  tokens: number
  filledMs: number
}

/** Failures at once and a minute: for one client at one network, and for all clients there, several of which may share it. */
const FOR_CLIENT = { burst: 20, perMinute: 20 } as const
const FOR_NETWORK = { burst: 200, perMinute: 100 } as const

const ENTRIES = 50_000
/** Taken away at once when there are too many: a Map finds its oldest key slowly after many deletions. */
const EVICTED = ENTRIES / 10
const LONGEST_ID = 128

export function createFailures(needs: FailuresNeeds): Failures {
  const buckets = new Map<string, Bucket>()
  return { begin, failedElsewhere }

  function begin(address: string, presented: string): { failed(): void } {
    const failure = { network: networkOf(address), client: presented.slice(0, LONGEST_ID) }
    const { network } = failure
    const both = bothOf(failure)
    const now = needs.nowMs()
    const waitMs = Math.max(waitOf(both, FOR_CLIENT, now), waitOf(network, FOR_NETWORK, now))
    if (waitMs > 0) throw new Problem('rate_limited', { headers: { 'retry-after': String(Math.ceil(waitMs / 1_000)) } })
    return {
      failed() {
        count(failure)
        needs.failed?.(failure)
      },
    }
  }

  function failedElsewhere(failure: unknown): void {
    if (isFailure(failure)) count(failure)
  }

  function count(failure: ClientFailure): void {
    take(bothOf(failure), FOR_CLIENT)
    take(failure.network, FOR_NETWORK)
  }

  function waitOf(key: string, rate: typeof FOR_CLIENT | typeof FOR_NETWORK, now: number): number {
    const bucket = buckets.get(key)
    if (bucket === undefined) return 0
    const tokens = tokensOf(bucket, rate, now)
    return tokens >= 1 ? 0 : ((1 - tokens) / rate.perMinute) * 60_000
  }

  function take(key: string, rate: typeof FOR_CLIENT | typeof FOR_NETWORK): void {
    const now = needs.nowMs()
    const bucket = buckets.get(key)
    // Put back as the most recent.
    buckets.delete(key)
    buckets.set(key, { tokens: (bucket === undefined ? rate.burst : tokensOf(bucket, rate, now)) - 1, filledMs: now })
    if (buckets.size <= ENTRIES) return
    for (const oldest of buckets.keys().take(EVICTED)) buckets.delete(oldest)
  }
}

function bothOf({ network, client }: ClientFailure): string {
  return `${network} ${client}`
}

function isFailure(value: unknown): value is ClientFailure {
  if (typeof value !== 'object' || value === null || !('network' in value) || !('client' in value)) return false
  return typeof value.network === 'string' && typeof value.client === 'string'
}

function tokensOf(bucket: Bucket, rate: { readonly burst: number; readonly perMinute: number }, now: number): number {
  return Math.min(rate.burst, bucket.tokens + ((now - bucket.filledMs) * rate.perMinute) / 60_000)
}
