import type { TenantConfig } from '../../config/config.ts'
import { networkOf } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'

/** How an attempt went; `withdrawn` when the password was never compared. */
export type Outcome = 'passed' | 'failed' | 'withdrawn'

/** What is made to wait: one account for one address, or all of that address. */
export type Lock = 'account' | 'address'

export interface Attempt {
  end(outcome: Outcome): void
}

/** Slows down guessing of passwords. Counts failures only: who logs in rightly is never slowed down by it. */
export interface Throttle {
  /**
   * Begins an attempt; it must be ended.
   *
   * @param client - IP address
   * @param subject - whom the client wants to be, folded; it counts whether or not there is such an account
   * @param locked - told before the throw, once for each account and address in a quarter of an hour: who goes on guessing
   * must not be able to fill a record
   * @throws Problem `rate_limited` with the seconds to wait
   */
  begin(tenant: TenantConfig, client: string, subject: string, locked?: (what: Lock) => void): Attempt
}

/** Attempts of one address at once, before the rate of the tenant applies. */
const BURST = 20

/** Failures of one address with one account that cost nothing; after them 1 s, 2 s, 4 s … up to the longest wait. */
const FREE_FAILURES = 5
const LONGEST_WAIT_MS = 15 * 60_000

/** What nobody touched for so long is forgotten. Longer than the longest wait. */
const FORGET_MS = 60 * 60_000
const ENTRIES = 50_000

/** Taken away at once when there are too many: a Map finds its oldest key slowly after many deletions. */
const EVICTED = ENTRIES / 10

interface Told {
  /** When a lock was last told of; absent: never. */
  toldMs?: number
}

interface Bucket extends Told {
  tokens: number
  filledMs: number
}

interface Failures extends Told {
  count: number
  /** Attempts that have begun and not ended: they may all turn out as failures. */
  pending: number
  lastMs: number
}

export function createThrottle(needs: { nowMs(): number }): Throttle {
  const buckets = createRecent<Bucket>(ENTRIES)
  const failures = createRecent<Failures>(ENTRIES)
  return { begin }

  function begin(tenant: TenantConfig, client: string, subject: string, locked?: (what: Lock) => void): Attempt {
    const now = needs.nowMs()
    const address = `${tenant.id} ${networkOf(client)}`
    const account = `${address} ${subject}`
    const record = failuresOf(account, now)
    const waitMs = waitOf(record, now)
    if (waitMs > 0) {
      if (isNews(record, now)) locked?.('account')
      throw refused(waitMs)
    }
    const bucket = bucketOf(address, tenant.throttle.loginPerMinute, now)
    if (bucket.tokens < 1) {
      if (isNews(bucket, now)) locked?.('address')
      throw refused(((1 - bucket.tokens) / tenant.throttle.loginPerMinute) * 60_000)
    }
    bucket.tokens--
    record.pending++
    buckets.put(address, bucket)
    failures.put(account, record)
    return {
      end(outcome) {
        record.pending--
        if (outcome !== 'failed') bucket.tokens = Math.min(BURST, bucket.tokens + 1)
        if (outcome === 'failed') fail(account, record)
        if (outcome === 'passed') record.count = 0
        if (record.count === 0 && record.pending === 0) failures.remove(account)
      },
    }
  }

  function failuresOf(account: string, now: number): Failures {
    const known = failures.find(account)
    if (known === undefined || (known.pending === 0 && now - known.lastMs > FORGET_MS))
      return { count: 0, pending: 0, lastMs: now }
    return known
  }

  function fail(account: string, record: Failures): void {
    record.count++
    record.lastMs = needs.nowMs()
    failures.put(account, record)
  }

  function bucketOf(address: string, perMinute: number, now: number): Bucket {
    const known = buckets.find(address)
    if (known === undefined) return { tokens: BURST, filledMs: now }
    known.tokens = Math.min(BURST, known.tokens + ((now - known.filledMs) * perMinute) / 60_000)
    known.filledMs = now
    return known
  }
}

/** Whether nobody was told of the lock for so long; now they are. */
function isNews(told: Told, now: number): boolean {
  if (told.toldMs !== undefined && now - told.toldMs < LONGEST_WAIT_MS) return false
  told.toldMs = now
  return true
}

function waitOf(record: Failures, now: number): number {
  // One at a time from the sixth on, else a volley would be free of the delay.
  if (record.pending > 0 && record.count + record.pending >= FREE_FAILURES) return 1_000
  if (record.count < FREE_FAILURES) return 0
  const delayMs = Math.min(1_000 * 2 ** (record.count - FREE_FAILURES), LONGEST_WAIT_MS)
  return record.lastMs + delayMs - now
}

function refused(waitMs: number): Problem {
  return new Problem('rate_limited', { headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1_000))) } })
}

interface Recent<T> {
  find(key: string): T | undefined
  /** Makes it the most recent; the least recent go when there are too many. */
  put(key: string, value: T): void
  remove(key: string): void
}

function createRecent<T>(limit: number): Recent<T> {
  const entries = new Map<string, T>()
  return {
    find: (key) => entries.get(key),
    put(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size <= limit) return
      for (const oldest of entries.keys().take(EVICTED)) entries.delete(oldest)
    },
    remove: (key) => entries.delete(key),
  }
}
