/**
 * Decides whether the gateway takes one more request, so that a flood costs those who make it and not everybody.
 *
 * It looks at what is known without work: how many requests are in flight, how late the event loop is, how much memory is in
 * use. What is refused is chosen by priority first and by fairness then: of one priority, whoever asks for more than an equal
 * share gives way before anyone else. A tenant is who a verified token says, never who a request says it is, so that nobody can
 * use up the share of another; what nobody has verified yet is one party of its own.
 *
 * It never waits, never queues, never looks at a token or a body, and counts nothing for each client but signatures that did
 * not hold. It does not limit rates: a quiet gateway serves one client as fast as it can.
 *
 * @module
 */
import type { OverloadConfig } from '../config/config.ts'
import type { Authenticated, Priority, Route, Routed } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import { createEpisodes } from './episode.ts'
import { createForgeryBudget } from './forgery-budget.ts'
import { createLagMeter } from './lag-meter.ts'
import { createParties, createParty, type Party } from './parties.ts'
import { NO_PRESSURE, createPressureGauge, type Pressure } from './pressure.ts'
import { PRIORITIES, priorityOf, rankOf } from './priorities.ts'
import { createForgeryProblems, createShedProblems } from './refusals.ts'

/** Why a request was refused: too many in flight, more than its party's share of them, a late event loop, little memory. */
export type ShedReason = 'requests' | 'share' | 'lag' | 'memory'

export interface OverloadEvents {
  shed(reason: ShedReason, priority: Priority): void
  /** Requests begin to be refused. */
  began(reason: string): void
  /** None was refused for a while: after so long, so many. */
  ended(facts: { readonly seconds: number; readonly refused: number }): void
}

export interface OverloadNeeds {
  /** Milliseconds of a clock that is never set back. */
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  /** 64 secret bits. */
  readonly seed: readonly [number, number]
  /** Runs once after `delayMs`; returns the way to call it off. Must be the timers of this very event loop. */
  schedule(delayMs: number, run: () => void): () => void
  /** Share in use of the memory that this process may have, 0 to 1. */
  memoryShare(): number
  /** Share in use of the connections that the listener takes, 0 to 1. */
  connectionShare(): number
  readonly events: OverloadEvents
}

/** The place of one request among those in flight. Only this room writes to it. */
export interface Place {
  rank: number
  party: Party | undefined
  state: 'outside' | 'waiting' | 'served' | 'left'
}

export interface Overload {
  /** A place for a request, not taken yet. */
  place(): Place
  /**
   * Takes the place, when the route is known.
   *
   * @throws Problem `overloaded`
   */
  enter(place: Place, exchange: Routed): void
  /**
   * Settles whose place it is, when it is known who asks.
   *
   * @throws Problem `overloaded`
   */
  claim(place: Place, exchange: Authenticated): void
  /** Gives the place up. May be called more than once. */
  leave(place: Place): void
  /** Guards the time that signatures take. */
  readonly effort: {
    /**
     * Before one is verified: why it is not. `overloaded`, or `rate_limited` after too many that did not hold.
     *
     * @param who Issuer and user, as the token says itself.
     */
    refuse(by: Routed, who: string): Problem | undefined
    /** It did not hold. */
    failed(by: Routed, who: string): void
    /** It holds. */
    held(by: Routed, who: string): void
  }
  /** Requests that have a place. */
  inFlight(): number
  /** Share of requests that is being refused because of lag or memory, 0 to 1. */
  share(): number
  /** Whether requests are refused, or were a moment ago. */
  isOverloaded(): boolean
  stop(): void
}

/** What is known of a route. */
interface Standing {
  readonly rank: number
  /** Whoever comes without a token. */
  readonly anonymous: Party
}

const LOOK_MS = 100
const LOWEST = 0
/** Part of `maxRequests` that each priority may fill, by rank: what is above is for those that go last. */
const ROOM = [0.8, 0.9, 1] as const
/** Part of that room which is there for anyone; above it nobody gets more than an equal share. */
const FREE = 0.8

/**
 * Nothing is refused where the configuration says so; requests are counted all the same.
 *
 * @param current The configuration in force, asked ten times a second: what is counted outlasts a change of it.
 */
export function createOverload(needs: OverloadNeeds, current: () => OverloadConfig): Overload {
  const parties = createParties()
  const gauge = createPressureGauge()
  const unverified = createParty()
  /** By the tenant of a verified token, of which the configuration knows all. */
  const tenants = new Map<string, Party>()
  const episodes = createEpisodes(needs.events)
  const forgeries = createForgeryBudget(needs, () => config.badSignaturesPerMinute)
  const shedProblem = createShedProblems(needs)
  const forgeryProblem = createForgeryProblems()
  const standings = new WeakMap<Route, Standing>()
  let config = current()
  /** Of whom it is not known yet who asks. */
  let waiting = 0
  let served = 0
  let pressure: Pressure = NO_PRESSURE
  let lookedMs = needs.monotonicMs()
  const meter = createLagMeter(needs, sampled)
  return {
    place: () => ({ rank: LOWEST, party: undefined, state: 'outside' }),
    enter,
    claim,
    leave,
    effort: {
      refuse: refuseEffort,
      failed: ({ client }, who) => forgeries.failed(client, who),
      held: ({ client }, who) => forgeries.held(client, who),
    },
    inFlight: () => waiting + served,
    share: () => pressure.share,
    isOverloaded: episodes.isUnderWay,
    stop: meter.stop,
  }

  function enter(place: Place, exchange: Routed): void {
    meter.look(exchange.startedMs)
    const { rank, anonymous } = standingOf(exchange.route)
    place.rank = rankOf(rank, exchange.bodyLength)
    // Where a token is taken, who asks is known by that and by nothing else.
    if (exchange.route.auth === 'public') {
      take(place, anonymous)
      return
    }
    // They have a room of their own: who waits to be known must not keep out those who are.
    if (config.enabled && waiting >= roomOf(place.rank)) throw shed('requests', place.rank)
    waiting += 1
    place.state = 'waiting'
  }

  function claim(place: Place, { principal, route }: Authenticated): void {
    if (place.state !== 'waiting') return
    take(place, principal.kind === 'identified' ? ofTenant(principal.tenant) : standingOf(route).anonymous)
    waiting -= 1
  }

  function take(place: Place, party: Party): void {
    const { rank } = place
    parties.note(party, rank)
    const reason = config.enabled ? whyNot(party, rank) : undefined
    if (reason !== undefined) throw shed(reason, rank)
    parties.enter(party)
    served += 1
    place.party = party
    place.state = 'served'
  }

  function leave(place: Place): void {
    if (place.state === 'waiting') waiting -= 1
    if (place.state === 'served') served -= 1
    if (place.party !== undefined && place.state === 'served') parties.leave(place.party)
    place.state = 'left'
  }

  function whyNot(party: Party, rank: number): ShedReason | undefined {
    const room = roomOf(rank)
    if (served >= room) return 'requests'
    if (served >= room * FREE && party.inFlight > 0 && party.inFlight >= room / parties.present()) return 'share'
    return isDrawn(party, rank) ? pressure.cause : undefined
  }

  function isDrawn(party: Party, rank: number): boolean {
    if (pressure.share === 0) return false
    const share = party.refused[rank] ?? 0
    return share > 0 && needs.random() < share
  }

  function refuseEffort({ route, client, bodyLength }: Routed, who: string): Problem | undefined {
    if (!config.enabled) return undefined
    const waitMs = forgeries.waitMs(client, who)
    if (waitMs > 0) return forgeryProblem(waitMs)
    const rank = rankOf(standingOf(route).rank, bodyLength)
    parties.note(unverified, rank)
    return isDrawn(unverified, rank) ? shed(pressure.cause, rank) : undefined
  }

  function shed(reason: ShedReason, rank: number): Problem {
    needs.events.shed(reason, PRIORITIES[rank] ?? 'low')
    episodes.refused(reason, needs.monotonicMs())
    return shedProblem()
  }

  function sampled(delayMs: number, nowMs: number): void {
    gauge.note(delayMs, config)
    if (nowMs - lookedMs < LOOK_MS) return
    lookedMs = nowMs
    config = current()
    pressure = config.enabled ? gauge.read(config, needs.memoryShare()) : NO_PRESSURE
    parties.settle(pressure.share)
    episodes.look(nowMs, pressure.share > 0)
  }

  function standingOf(route: Route): Standing {
    const known = standings.get(route)
    if (known !== undefined) return known
    const standing = { rank: PRIORITIES.indexOf(priorityOf(route)), anonymous: createParty() }
    standings.set(route, standing)
    return standing
  }

  function ofTenant(tenant: string): Party {
    const known = tenants.get(tenant)
    if (known !== undefined) return known
    const party = createParty()
    tenants.set(tenant, party)
    return party
  }

  function roomOf(rank: number): number {
    return Math.ceil(config.maxRequests * (ROOM[rank] ?? 1))
  }
}
