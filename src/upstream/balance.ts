import type { BalanceConfig } from '../config/config.ts'
import type { Admitted } from '../exchange/exchange.ts'
import { hashBalancer } from './balance-hash.ts'
import type { Destination } from './destination.ts'

/** Chooses one of several destinations. */
export interface Balancer {
  /** Told at the beginning and at each change: those that may be chosen, at least one. */
  use(members: readonly Destination[]): void
  /** `not`: one that failed this request already, chosen again only where there is no other. */
  next(exchange: Admitted, not: Destination | undefined): Destination
  /** How long an answer took. Absent where that does not count. */
  observe?(to: Destination, latencyMs: number): void
}

export interface BalanceNeeds {
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
}

/** Up to so many destinations are compared, all of them; of more, two that chance names. */
const FEW = 4
/** How fast a cost is forgotten: after so long e⁻¹ of it is left. */
const DECAY_MS = 10_000

export function createBalancer(needs: BalanceNeeds, config: BalanceConfig): Balancer {
  if (config.kind === 'hash') return hashBalancer(config)
  if (config.kind === 'ewma') return ewma(needs)
  return config.kind === 'leastRequests' ? leastOf(needs, requestsOf) : roundRobin(needs)
}

/** In turn, those with more weight more often and evenly spread: the smooth weighted round robin of nginx. */
function roundRobin({ random }: BalanceNeeds): Balancer {
  let members: readonly Destination[] = []
  let credits: number[] = []
  let total = 0
  return { use, next }

  function use(given: readonly Destination[]): void {
    const before = new Map(members.map((member, index) => [member, credits[index] ?? 0]))
    members = given
    credits = given.map((member) => before.get(member) ?? 0)
    total = given.reduce((sum, { weight }) => sum + weight, 0)
  }

  function next(_: Admitted, not: Destination | undefined): Destination {
    // A second attempt is nobody's turn: else two targets would take turns in first attempts and second ones.
    return not === undefined || members.length === 1 ? turn() : byChance(members, not, random())
  }

  function turn(): Destination {
    let best = 0
    let most = Number.NEGATIVE_INFINITY
    for (let index = 0; index < members.length; index += 1) {
      const credit = (credits[index] ?? 0) + (members[index]?.weight ?? 0)
      credits[index] = credit
      if (credit > most) {
        most = credit
        best = index
      }
    }
    credits[best] = most - total
    return existing(members[best])
  }
}

/** Requests under way, for each part of the weight. */
function requestsOf({ load, weight }: Destination): number {
  return load.inFlight / weight
}

/** The destination with the least of something; of equals, by chance and weight. */
function leastOf({ random }: BalanceNeeds, burden: (one: Destination) => number): Balancer {
  let members: readonly Destination[] = []
  return { use: (given) => void (members = given), next }

  function next(_: Admitted, not: Destination | undefined): Destination {
    if (members.length <= FEW) return leastOfAll(not)
    // The power of two choices: nearly as good as all, without everybody choosing the same one.
    const first = byChance(members, not, random())
    const second = byChance(members, not, random())
    return burden(second) < burden(first) ? second : first
  }

  function leastOfAll(not: Destination | undefined): Destination {
    let best: Destination | undefined
    let least = Number.POSITIVE_INFINITY
    let equals = 0
    for (const one of members) {
      if (one === not && members.length > 1) continue
      const its = burden(one)
      if (its > least) continue
      equals = its < least ? one.weight : equals + one.weight
      if (its < least || random() * equals < one.weight) best = one
      least = its
    }
    return existing(best)
  }
}

/** By weight; `chance`: from 0, below 1. */
function byChance(members: readonly Destination[], not: Destination | undefined, chance: number): Destination {
  let total = 0
  for (const one of members) if (one !== not) total += one.weight
  let left = chance * total
  let last: Destination | undefined
  for (const one of members) {
    if (one === not) continue
    last = one
    left -= one.weight
    if (left < 0) break
  }
  return existing(last)
}

/**
 * The peak EWMA of Finagle and Linkerd: what a request to a destination would cost is how long answers take there, times
 * those that are under way. It believes a slow answer at once and fast ones little by little, so that a destination that
 * begins to stall is left alone before its requests have piled up.
 */
function ewma(needs: BalanceNeeds): Balancer {
  let nowMs = 0
  const least = leastOf(needs, costOf)
  return { use: least.use, next, observe }

  function next(exchange: Admitted, not: Destination | undefined): Destination {
    nowMs = needs.monotonicMs()
    return least.next(exchange, not)
  }

  function costOf({ load, weight }: Destination): number {
    // Of a destination that nothing is known of, the requests alone count.
    const costMs = load.costMs * Math.exp((load.costAtMs - nowMs) / DECAY_MS)
    return ((costMs + 1) * (load.inFlight + 1)) / weight
  }

  function observe({ load }: Destination, latencyMs: number): void {
    const atMs = needs.monotonicMs()
    const kept = Math.exp((load.costAtMs - atMs) / DECAY_MS)
    load.costMs = latencyMs > load.costMs ? latencyMs : load.costMs * kept + latencyMs * (1 - kept)
    load.costAtMs = atMs
  }
}

function existing(one: Destination | undefined): Destination {
  if (one === undefined) throw new Error('there is always one to choose')
  return one
}
