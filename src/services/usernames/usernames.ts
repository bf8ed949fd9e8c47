/**
 * Usernames: whether one can be had, a place for one until it is claimed, and the rules that a claim must keep to.
 *
 * A question goes through layers, cheapest first: the rules, a filter of all names in memory, what was asked lately, Redis, the
 * database. None of them promises anything: who has a name is decided by the unique index when it is claimed. This service
 * never gives a name to anyone, never lists names, and says that a name is free only where a layer can know.
 *
 * @module
 */
import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import type { UsernameClaim } from '../accounts/accounts.ts'
import type { Service } from '../services.ts'
import { createAnalytics } from './analytics.ts'
import type { AnalyticsReport } from './analytics.ts'
import { createBudget } from './budget.ts'
import type { Caller, Spent } from './budget.ts'
import { createCheck } from './checks.ts'
import type { Availability } from './checks.ts'
import { createEndpoints } from './endpoints.ts'
import { createFollower } from './follow.ts'
import { createTickets, HOLD_SECONDS, hashOf } from './holds.ts'
import { createLookups } from './lookups.ts'
import { createMemory } from './memory.ts'
import { fold, skeletonOf } from './names.ts'
import type { UsernamesConfig, UsernamesNeeds } from './needs.ts'
import { createPace } from './pace.ts'
import { createProbing } from './probing.ts'
import { createRulesOf } from './rules.ts'
import type { Rules } from './rules.ts'
import { createSquatting } from './squatting.ts'
import type { NameEvent, UsernameKey } from './store.ts'
import { createSuggest } from './suggestions.ts'

export type { AnalyticsReport } from './analytics.ts'
export type { Caller, Spent } from './budget.ts'
export type { Availability } from './checks.ts'
export type { UsernameRecord, UsernamesConfig, UsernamesNeeds } from './needs.ts'
export type { NameCache } from './lookups.ts'
export { parseReserved } from './rules.ts'

export interface Usernames {
  readonly service: Service<'usernames'>
  /**
   * Whether anybody could claim the name now. Spends nothing: {@link Usernames.spend} goes before it.
   *
   * @param source - whoever asks, from `spend`; for analytics and the notice of probing
   * @returns at once what needs nobody else
   * @throws Problem `storage_unavailable` or `overloaded` where no layer knows
   */
  check(tenant: string, name: string, source: string): Availability | Promise<Availability>
  /**
   * The name in the forms in which it is claimed.
   *
   * @param ticket - of a hold, as the client gives it
   * @throws Problem `username_invalid`, `username_reserved`
   */
  claimable(tenant: string, name: string, ticket?: string): UsernameClaim
  /** Names like it that are free, five at most; none where that cannot be known. For whoever lost a claim. Never rejects. */
  suggest(tenant: string, name: string): Promise<readonly string[]>
  /** A claim was committed: this gateway and Redis know it from now on, other gateways by the feed. */
  claimed(tenant: string, name: string): void
  /** A name was given up: it is in quarantine. */
  released(tenant: string, name: string): void
  /** A claim lost against the unique index, a hold or a quarantine. */
  conflicted(tenant: string): void
  /**
   * Takes units from the budget of the caller: one for each check.
   *
   * @returns headers for the answer, and the source for `check`
   * @throws Problem `rate_limited` with the seconds to wait
   */
  spend(tenant: TenantConfig, caller: Caller, units: number): Spent
  /**
   * Loads the filters and follows what happens to names. Resolves when they are loaded, when they could not be at first, and after
   * ten seconds at the latest; what is not loaded then is loaded meanwhile. Never rejects.
   */
  start(): Promise<void>
  stop(): void
  /** What was asked for, without names or persons. */
  analytics(): AnalyticsReport
  /** Milliseconds since the filters had all there was; infinite before they are loaded. */
  filterAgeMs(): number
  /** Names in the filter of each tenant. */
  filterNames(): Iterable<readonly [tenant: string, names: number]>
}

/** A little longer than Redis may keep an answer that a writer could not correct. */
const CACHE_LEEWAY = 1.15
/** The longest that a start waits for the filters. */
const LOADING_MS = 10_000
const SWEEP_MS = 60_000
const SWEPT = 1_000

export function createUsernames(needs: UsernamesNeeds, config: UsernamesConfig): Usernames {
  const { store, cache, events } = needs
  const tenants = [...config.tenants.keys()]
  const rules = rulesOf(needs.reserved, config.tenants)
  const cachedMs = config.usernames.cacheSeconds * 1_000 * CACHE_LEEWAY
  const analytics = createAnalytics(needs, tenants)
  const probing = createProbing(needs)
  const squatting = createSquatting(needs)
  const tickets = createTickets(needs)
  const memory = createMemory({ ...needs, isFollowed: () => follower.isFollowed() })
  const lookups = createLookups(needs)
  const follower = createFollower({ ...needs, heard }, tenants)
  const { isSurelyFree } = follower
  const suggestFor = createSuggest({ random: () => needs.random(), isSurelyFree, statesOf: lookups.statesOf })
  const checkFor = createCheck({
    ...needs,
    memory,
    lookups,
    pace: createPace(needs),
    suggest: suggestFor,
    isSurelyFree,
    asked,
    answered: analytics.answered,
  })
  const budget = createBudget({ ...needs, refused: probing.refused }, config.tenants.values())
  const usernames = { check, claimable, suggest, conflicted, spend: budget.spend }
  let cancelSweep: (() => void) | undefined
  let isStopped = false
  let endStart: (() => void) | undefined
  return {
    ...usernames,
    service: createEndpoints({ store, nowSeconds: () => needs.nowSeconds(), tickets, usernames, held }, config),
    claimed: (tenant, name) => happened(tenant, fold(name), 'taken', cachedMs),
    released: (tenant, name) => happened(tenant, fold(name), 'quarantined', cachedMs),
    start,
    stop,
    analytics: analytics.report,
    filterAgeMs: follower.ageMs,
    filterNames: follower.names,
  }

  function check(tenant: string, name: string, source: string): Availability | Promise<Availability> {
    return checkFor(tenant, name, rulesFor(tenant), source)
  }

  function asked(tenant: string, folded: string, source: string): void {
    analytics.asked(tenant, folded, source)
    probing.asked(tenant, source, folded)
  }

  function claimable(tenant: string, name: string, ticket?: string): UsernameClaim {
    const judgement = rulesFor(tenant).judge(name)
    if (judgement === 'invalid') throw new Problem('username_invalid')
    if (judgement === 'reserved') throw new Problem('username_reserved')
    const forms = { shown: name, folded: fold(name), skeleton: skeletonOf(name) }
    return ticket === undefined ? forms : { ...forms, ticketHash: hashOf(ticket) }
  }

  function suggest(tenant: string, name: string): Promise<readonly string[]> {
    return suggestFor(tenant, name, rulesFor(tenant))
  }

  function conflicted(tenant: string): void {
    events.conflict(tenant)
    analytics.conflicted(tenant)
  }

  function rulesFor(tenant: string): Rules {
    const own = rules.get(tenant)
    if (own === undefined) throw new Problem('tenant_not_found')
    return own
  }

  /** Something was committed here. */
  function happened(tenant: string, folded: string, state: 'taken' | 'quarantined', forMs: number): void {
    follower.add(tenant, folded)
    memory.happened(tenant, folded, state, forMs)
    shared(cache?.write(tenant, folded, true))
  }

  function held({ tenant, folded, seconds }: UsernameKey & { readonly seconds: number }, source: string): void {
    follower.add(tenant, folded)
    memory.happened(tenant, folded, 'held', seconds * 1_000)
    shared(cache?.write(tenant, folded, true, seconds))
    squatting.held(tenant, source)
  }

  /** Something was committed somewhere: until what Redis may have had before is over, memory has the last word on it. */
  function heard({ tenant, folded, event, at }: NameEvent): void {
    if (!rules.has(tenant)) return
    if (event === 'held') return memory.happened(tenant, folded, 'held', (at + HOLD_SECONDS - needs.nowSeconds()) * 1_000)
    memory.happened(tenant, folded, event === 'claimed' ? 'taken' : 'quarantined', cachedMs)
    if (event === 'claimed') squatting.claimed(tenant, folded)
  }

  async function start(): Promise<void> {
    planSweep()
    const { promise, resolve } = Promise.withResolvers<void>()
    endStart = resolve
    const cancel = needs.schedule(LOADING_MS, resolve)
    await Promise.race([follower.start(), promise])
    cancel()
  }

  function planSweep(): void {
    if (!isStopped) cancelSweep = needs.schedule(SWEEP_MS * (0.75 + needs.random() / 2), () => void sweep())
  }

  /** Never rejects: what is over is swept another time, and counts for nothing until then. */
  async function sweep(): Promise<void> {
    try {
      for (const { tenant, folded } of await store.sweep(needs.nowSeconds(), SWEPT)) {
        memory.forget(tenant, folded)
        shared(cache?.write(tenant, folded, false))
      }
    } catch {
      // That the database is away is told by whoever keeps it.
    }
    planSweep()
  }

  function stop(): void {
    isStopped = true
    endStart?.()
    cancelSweep?.()
    follower.stop()
    lookups.stop()
  }
}

function rulesOf(reserved: readonly string[], tenants: ReadonlyMap<string, TenantConfig>): ReadonlyMap<string, Rules> {
  const rulesOfTenant = createRulesOf(reserved)
  return new Map([...tenants].map(([id, tenant]) => [id, rulesOfTenant(tenant.usernames)]))
}

/** Redis is a shortcut: what it did not take, the feed tells every gateway. */
function shared(writing: Promise<void> | undefined): void {
  writing?.catch(() => undefined)
}
