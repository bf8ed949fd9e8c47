import { createKeyedHash } from '../exchange/exchange.ts'
import { createDebts, type Debts } from './debts.ts'
import type { Charged, Taken } from './shared.ts'

export interface CountsNeeds {
  /** Milliseconds, fractions welcome. */
  monotonicMs(): number
  /** 64 secret bits. */
  readonly seed: readonly [number, number]
}

/** What several processes of one machine count, in the memory of one of them. */
export interface Counts {
  /** Takes one request from all limits or from none. */
  take(charges: readonly Charged[]): Taken
}

/** @param entries - callers of each limit that are known one by one */
export function createCounts(needs: CountsNeeds, entries: number): Counts {
  const keyed = createKeyedHash(needs.seed)
  const tables = new Map<string, Debts>()
  return { take }

  function take(charges: readonly Charged[]): Taken {
    const nowUs = Math.floor(needs.monotonicMs() * 1_000)
    const debtsUs = charges.map((charge) => debtOf(charge, nowUs))
    const isAdmitted = charges.every(({ intervalUs, spanUs }, index) => (debtsUs[index] ?? 0) + intervalUs <= spanUs)
    if (!isAdmitted) return { isAdmitted, debtsUs }
    const after = charges.map(({ intervalUs }, index) => (debtsUs[index] ?? 0) + intervalUs)
    // Each limit has a table of its own, which still has the place of its caller in hand.
    for (const [index, charge] of charges.entries()) tableOf(charge).put(nowUs + (after[index] ?? 0))
    return { isAdmitted, debtsUs: after }
  }

  function debtOf(charge: Charged, nowUs: number): number {
    const debts = tableOf(charge)
    debts.locate(charge.caller, nowUs)
    return Math.min(Math.max(0, debts.untilUs() - nowUs), charge.spanUs)
  }

  function tableOf({ route, policy }: Charged): Debts {
    const name = `${policy} ${route}`
    const known = tables.get(name)
    if (known !== undefined) return known
    const made = createDebts(keyed, entries)
    tables.set(name, made)
    return made
  }
}
