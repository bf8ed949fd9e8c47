import { createKeyedHash, type RateLimit } from '../exchange/exchange.ts'
import { createDebts, type Debts } from './debts.ts'
import type { Charged } from './shared.ts'

/** A limit, ready to count. */
export interface Meter {
  readonly route: string
  readonly policy: string
  readonly by: RateLimit['by']
  readonly intervalUs: number
  readonly spanUs: number
  /** Its part of `ratelimit-policy`. */
  readonly field: string
  /** The beginning of its part of `ratelimit`. */
  readonly remaining: string
  readonly debts: Debts
}

/** What somebody owes, as far as this process knows. */
export interface Owed extends Charged {
  readonly debts: Debts
  /** Microseconds of debt: before the request is counted, then with it. */
  debtUs: number
  /** Whether the debt is the caller's own for sure. */
  isOwn: boolean
}

/** One request at one limit. */
export interface Charge extends Owed {
  readonly meter: Meter
}

export interface Meters {
  of(limit: RateLimit): Meter
  debtsOf(limit: Pick<Charged, 'route' | 'policy'>): Debts
}

/**
 * Limits keep their debts for as long as there is one of that name in that route, so that a changed file sets nobody free.
 *
 * @param entries - callers of each limit that are known one by one
 */
export function createMeters(seed: readonly [number, number], entries: number): Meters {
  const keyed = createKeyedHash(seed)
  const tables = new Map<string, Debts>()
  return { of, debtsOf }

  function of(limit: RateLimit): Meter {
    const { route, policy, by, requests, perSeconds, burst } = limit
    const intervalUs = wholeGrains((perSeconds * 1_000_000) / requests)
    const spanUs = intervalUs * burst
    const window = Math.max(1, Math.ceil(Math.floor(spanUs / 1_000) / 1_000))
    const field = `"${policy}";q=${burst};w=${window}`
    return { route, policy, by, intervalUs, spanUs, field, remaining: `"${policy}";r=`, debts: debtsOf(limit) }
  }

  function debtsOf({ route, policy }: Pick<Charged, 'route' | 'policy'>): Debts {
    const name = `${policy} ${route}`
    const debts = tables.get(name) ?? createDebts(keyed, entries)
    tables.set(name, debts)
    return debts
  }
}

/**
 * Whole microseconds, sixteenths of them below a millisecond: sums of these are exact in a double for some years, so that the
 * last request of a burst fits.
 */
function wholeGrains(us: number): number {
  const grain = us >= 1_000 ? 1 : 16
  return Math.max(1, Math.round(us * grain)) / grain
}

export function chargeOf(meter: Meter, caller: string): Charge {
  const { route, policy, intervalUs, spanUs, debts } = meter
  return { route, policy, caller, intervalUs, spanUs, debts, meter, debtUs: 0, isOwn: false }
}

/** Reads what each owes in this process. */
export function read(charges: readonly Owed[], nowUs: number): void {
  for (const charge of charges) {
    const { debts, spanUs } = charge
    debts.locate(charge.caller, nowUs)
    charge.debtUs = Math.min(Math.max(0, debts.untilUs() - nowUs), spanUs)
    charge.isOwn = debts.isOwn()
  }
}

/** Counts the request in this process: {@link read} has found room for it. */
export function add(charges: readonly Owed[], nowUs: number): void {
  for (const charge of charges) {
    charge.debtUs += charge.intervalUs
    charge.debts.put(nowUs + charge.debtUs)
  }
}

/**
 * Notes what the fleet says that each owes. Not in the place of somebody else who is in debt: the fleet knows both.
 *
 * @param askedUs - when it was asked: nothing is noted as owed longer than it is
 */
export function note(charges: readonly Owed[], debtsUs: readonly number[], askedUs: number): void {
  for (const [index, charge] of charges.entries()) {
    const { debts } = charge
    charge.debtUs = debtsUs[index] ?? 0
    debts.locate(charge.caller, askedUs)
    const untilUs = askedUs + charge.debtUs
    if (debts.isOwn() ? debts.untilUs() < untilUs : debts.untilUs() <= askedUs) debts.put(untilUs)
  }
}
