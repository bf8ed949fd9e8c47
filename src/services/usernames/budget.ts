import type { TenantConfig } from '../../config/config.ts'
import { networkOf } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { createShelves } from './shelves.ts'
import type { Shelf, Shelves } from './shelves.ts'

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
  readonly headers: Readonly<Record<'ratelimit' | 'ratelimit-policy', string>>
}

export interface Budget {
  /** @throws Problem `rate_limited` */
  spend(tenant: TenantConfig, caller: Caller, units: number): Spent
}

export interface BudgetNeeds {
  monotonicMs(): number
  /** Told of each refusal. */
  refused(tenant: string, source: string, caller: Caller): void
  /** Absent: this process is the only one. */
  readonly counts?: BudgetCounts
}

/** What all processes and gateways count together. */
export interface BudgetCounts {
  /** Takes it where there is room, and says what is owed then, microseconds. Undefined where nobody can tell now. Never rejects. */
  take(charges: readonly BudgetCharge[]): Promise<BudgetTaken | undefined> | undefined
}

export interface BudgetTaken {
  /** False: there was no room for it. */
  readonly isAdmitted: boolean
  readonly debtsUs: readonly number[]
}

export interface BudgetCharge {
  /** What keeps it apart from the limits of routes: no route has such a name. */
  readonly route: '~usernames'
  readonly policy: 'budget'
  readonly caller: string
  /** What it costs, and the most that can be owed; microseconds. */
  readonly intervalUs: number
  readonly spanUs: number
}

/** Users and holders of a ticket may ask so many times as often as an address without a name. */
const NAMED_SHARE = 3
const LEAST_BURST = 20
/** What a caller has spent here is told to the others by so large parts of a burst: who asks now and then costs nothing there. */
const TOLD_PART = 8
/** A burst is what comes in so many minutes. */
const BURST_MINUTES = 2
/** Callers that are remembered. Whoever is forgotten starts with a full budget: the tenant's own bounds what that is good for. */
const ENTRIES = 100_000

interface Limit {
  readonly perMs: number
  readonly burst: number
  readonly policy: string
}

interface Limits {
  readonly address: Limit
  readonly named: Limit
  readonly total: Limit
  /** Of all callers together. */
  readonly spent: Bucket
  /** By network or user. */
  readonly callers: Readonly<Record<CallerKind, Shelf<Bucket>>>
}

/** An address is no user, whatever ids users have; and all tickets of an address are together, which could ask for more by each. */
type CallerKind = 'ip' | 'ip with ticket' | 'user'

interface Bucket {
  units: number
  filledMs: number
  /** Spent here, and not told to the others. */
  untold: number
}

/**
 * Units that come back steadily, up to a burst: one bucket for each caller, one for each tenant. In memory, and at once; what a
 * caller spends is told to the other processes and gateways behind it, and what they say is taken over.
 */
export function createBudget(needs: BudgetNeeds, tenants: Iterable<TenantConfig>): Budget {
  const shelves = createShelves<Bucket>(ENTRIES)
  const limits = new Map([...tenants].map((tenant) => [tenant.id, limitsOf(tenant, needs.monotonicMs(), shelves)]))
  return { spend }

  function spend(tenant: TenantConfig, caller: Caller, units: number): Spent {
    const limit = limits.get(tenant.id)
    if (limit === undefined) throw new Problem('tenant_not_found')
    const now = needs.monotonicMs()
    const source = sourceOf(caller)
    const kind = kindOf(caller)
    const own = kind === 'ip' ? limit.address : limit.named
    const bucket = bucketOf(limit.callers[kind], source, { limit: own, now })
    const total = refilled(limit.spent, limit.total, now)
    if (bucket.units < units) {
      needs.refused(tenant.id, source, caller)
      throw refusal(bucket, own, units)
    }
    if (total.units < units) throw refusal(total, limit.total, units)
    bucket.units -= units
    total.units -= units
    bucket.untold += units
    if (bucket.untold >= own.burst / TOLD_PART) tell(bucket, `${tenant.id}:${kind}:${source}`, own)
    return { source, headers: headersOf(bucket, own) }
  }

  function tell(bucket: Bucket, key: string, { perMs, burst }: Limit): void {
    const unitUs = Math.max(1, Math.round(1_000 / perMs))
    const spent = bucket.untold
    const charge = {
      route: '~usernames',
      policy: 'budget',
      caller: `names:${key}`,
      intervalUs: unitUs * spent,
      spanUs: unitUs * burst,
    } as const
    bucket.untold = 0
    void needs.counts?.take([charge])?.then((taken) => {
      if (taken === undefined) return
      // What had no room is spent all the same.
      const unknown = bucket.untold + (taken.isAdmitted ? 0 : spent)
      bucket.units = Math.max(0, Math.min(bucket.units, burst - (taken.debtsUs[0] ?? 0) / unitUs - unknown))
    })
  }

  function bucketOf(
    callers: Shelf<Bucket>,
    source: string,
    { limit, now }: { readonly limit: Limit; readonly now: number },
  ): Bucket {
    const known = callers.get(source)
    const bucket = known === undefined ? { units: limit.burst, filledMs: now, untold: 0 } : refilled(known, limit, now)
    // Moving costs more than finding.
    if (known === undefined || shelves.isFilling()) callers.put(source, bucket)
    return bucket
  }
}

function refilled(bucket: Bucket, limit: Limit, now: number): Bucket {
  bucket.units = Math.min(limit.burst, bucket.units + (now - bucket.filledMs) * limit.perMs)
  bucket.filledMs = now
  return bucket
}

function limitsOf({ throttle }: TenantConfig, nowMs: number, shelves: Shelves<Bucket>): Limits {
  const total = limitOf(throttle.usernamesTotalPerMinute)
  return {
    address: limitOf(throttle.usernamesPerMinute),
    named: limitOf(throttle.usernamesPerMinute * NAMED_SHARE),
    total,
    spent: { units: total.burst, filledMs: nowMs, untold: 0 },
    callers: { ip: shelves.add(), 'ip with ticket': shelves.add(), user: shelves.add() },
  }
}

function limitOf(perMinute: number): Limit {
  const burst = Math.max(LEAST_BURST, Math.ceil(perMinute * BURST_MINUTES))
  const windowSeconds = Math.max(1, Math.ceil((burst / perMinute) * 60))
  return { perMs: perMinute / 60_000, burst, policy: `"usernames";q=${burst};w=${windowSeconds}` }
}

function kindOf({ user, ticket }: Caller): CallerKind {
  if (user !== undefined) return 'user'
  return ticket === undefined ? 'ip' : 'ip with ticket'
}

function sourceOf(caller: Caller): string {
  return caller.user ?? networkOf(caller.ip)
}

/** What is left, and the seconds until all of it is there again. */
function headersOf(bucket: Bucket, limit: Limit): Spent['headers'] {
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
