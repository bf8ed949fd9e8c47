import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import { networkOf } from '../accounts/throttle.ts'

/** Who asks. */
export interface Caller {
  /** IP address of the client. */
  readonly ip: string
  /** Id of the user, where a token named one. */
  readonly user?: string
  /** A ticket that this gateway gave out and that has not ended; only by `ticketOf` of the service. */
  readonly ticket?: string
}

export interface Spent {
  /** Whoever asks, as far as analytics and the notice of probing tell callers apart. */
  readonly source: string
  /** `ratelimit` and `ratelimit-policy` (draft-ietf-httpapi-ratelimit-headers-11). */
  readonly headers: Readonly<Record<string, string>>
}

export interface Budget {
  /** @throws Problem `rate_limited` */
  spend(tenant: TenantConfig, caller: Caller, units: number): Spent
}

export interface BudgetNeeds {
  monotonicMs(): number
  /** Told of each refusal. */
  refused(tenant: string, source: string, caller: Caller): void
}

/** Users and holders of a ticket may ask so many times as often as an address without a name. */
const NAMED_SHARE = 3
const LEAST_BURST = 20
/** A burst is what comes in so many minutes. */
const BURST_MINUTES = 2
/** Callers that are remembered. Whoever is forgotten starts with a full budget: the tenant's own bounds what that is good for. */
const ENTRIES = 100_000
/** Taken away at once when there are too many: a Map finds its oldest key slowly after many deletions. */
const EVICTED = ENTRIES / 10

interface Limit {
  readonly perMs: number
  readonly burst: number
  readonly policy: string
}

interface Limits {
  readonly address: Limit
  readonly named: Limit
  readonly total: Limit
}

interface Bucket {
  units: number
  filledMs: number
}

/** Units that come back steadily, up to a burst: one bucket for each caller, one for each tenant. In memory, of this gateway alone. */
export function createBudget(needs: BudgetNeeds, tenants: Iterable<TenantConfig>): Budget {
  const limits = new Map([...tenants].map((tenant) => [tenant.id, limitsOf(tenant)]))
  const totals = new Map<string, Bucket>()
  const buckets = new Map<string, Bucket>()
  return { spend }

  function spend(tenant: TenantConfig, caller: Caller, units: number): Spent {
    const limit = limits.get(tenant.id)
    if (limit === undefined) throw new Problem('tenant_not_found')
    const now = needs.monotonicMs()
    const source = sourceOf(caller)
    const own = caller.user === undefined && caller.ticket === undefined ? limit.address : limit.named
    // All tickets of an address together: it could ask for more of them by each of them.
    const of = caller.user === undefined && caller.ticket !== undefined ? ' by ticket' : ''
    const bucket = bucketOf(`${tenant.id} ${source}${of}`, own, now)
    const total = totals.get(tenant.id) ?? { units: limit.total.burst, filledMs: now }
    totals.set(tenant.id, refilled(total, limit.total, now))
    if (bucket.units < units) {
      needs.refused(tenant.id, source, caller)
      throw refusal(bucket, own, units)
    }
    if (total.units < units) throw refusal(total, limit.total, units)
    bucket.units -= units
    total.units -= units
    return { source, headers: headersOf(bucket, own) }
  }

  function bucketOf(key: string, limit: Limit, now: number): Bucket {
    const known = buckets.get(key)
    const bucket = known === undefined ? { units: limit.burst, filledMs: now } : refilled(known, limit, now)
    // The most recent is the last, as soon as it may matter: moving costs more than finding.
    if (known !== undefined && buckets.size > ENTRIES / 2) buckets.delete(key)
    if (known === undefined || buckets.size > ENTRIES / 2) buckets.set(key, bucket)
    if (buckets.size > ENTRIES) for (const oldest of buckets.keys().take(EVICTED)) buckets.delete(oldest)
    return bucket
  }
}

function refilled(bucket: Bucket, limit: Limit, now: number): Bucket {
  bucket.units = Math.min(limit.burst, bucket.units + (now - bucket.filledMs) * limit.perMs)
  bucket.filledMs = now
  return bucket
}

function limitsOf({ throttle }: TenantConfig): Limits {
  return {
    address: limitOf(throttle.usernamesPerMinute),
    named: limitOf(throttle.usernamesPerMinute * NAMED_SHARE),
    total: limitOf(throttle.usernamesTotalPerMinute),
  }
}

function limitOf(perMinute: number): Limit {
  const burst = Math.max(LEAST_BURST, Math.ceil(perMinute * BURST_MINUTES))
  const windowSeconds = Math.max(1, Math.ceil((burst / perMinute) * 60))
  return { perMs: perMinute / 60_000, burst, policy: `"usernames";q=${burst};w=${windowSeconds}` }
}

function sourceOf(caller: Caller): string {
  return caller.user ?? networkOf(caller.ip)
}

/** What is left, and the seconds until all of it is there again. */
function headersOf(bucket: Bucket, limit: Limit): Readonly<Record<string, string>> {
  // Whole milliseconds first: what division leaves behind is no second.
  const seconds = Math.ceil(Math.floor((limit.burst - bucket.units) / limit.perMs) / 1_000)
  return {
    ratelimit: `"usernames";r=${Math.floor(bucket.units)};t=${seconds}`,
    'ratelimit-policy': limit.policy,
  }
}

function refusal(bucket: Bucket, limit: Limit, units: number): Problem {
  const seconds = Math.max(1, Math.ceil((Math.min(units, limit.burst) - bucket.units) / limit.perMs / 1_000))
  return new Problem('rate_limited', { headers: { 'retry-after': String(seconds), ...headersOf(bucket, limit) } })
}
