/**
 * Holds the rate limits of routes: so many requests in so much time, counted by address, user, tenant, token or client.
 *
 * Each caller of a limit has one number, the end of its debt (the generic cell rate algorithm, ITU-T I.371): a request adds what
 * it costs, time takes it off, and where the debt would be larger than the burst the request is refused. That is exact, one
 * number to keep and one step to make. A request is taken from all limits of its route or, refused, from none.
 *
 * With a store of the fleet the counts are there, and noted here too: who is known to have no room is refused without a
 * question, and when the store is away counting goes on here at once, from what was noted. This room never waits longer than
 * its timeout for the store, never lets a request pass uncounted, and keeps no name of a caller.
 *
 * @module
 */
import {
  OWN_ISSUER,
  type Admitted,
  type Counted,
  type Paced,
  type Permitted,
  type RateLimitBy,
  type RateLimits,
  type Routed,
  type Uncounted,
} from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { addressOf, callerOf, clientNamed, provesItself } from './callers.ts'
import { fullest, isSpent, POLICY, policyOf, refusal, REMAINING, remainingOf } from './fields.ts'
import { add, chargeOf, createMeters, note, read, type Charge, type Meter } from './meters.ts'
import { createShared, type Shared, type SharedCounts, type SharedNeeds, type Taken } from './shared.ts'

export type { Counts } from './counts.ts'
export { createCounts } from './counts.ts'
export type { Charged, SharedCounts, Taken } from './shared.ts'

/** What becomes the answer: whatever it will be, it says what is left. */
export interface Reply {
  /** Fields: name, value, name, value … */
  announced: readonly string[] | undefined
}

export interface Quota {
  /**
   * Counts a request whose route has limits by address alone, before anything of it is verified: what is refused later has
   * been counted, so that garbage is as limited as anything else.
   *
   * @param reply - absent where the answer takes no fields
   * @throws {Problem} `rate_limited`
   */
  arrive(exchange: Routed, reply?: Reply): Paced | Promise<Paced>
  /**
   * Counts a request that was let in; the exchange itself on a route without limits.
   *
   * @throws {Problem} `rate_limited`
   */
  spend(exchange: Permitted, reply?: Reply): Counted | Promise<Counted>
  /**
   * Counts a request by the client that has proved itself since to a service.
   *
   * @throws {Problem} `rate_limited`
   */
  proved(exchange: Admitted, client: { readonly id: string; readonly tenant: string }): void | Promise<void>
  /** The same steps for a request that is only asked about: whether it would be let in now, by what is noted in this process. */
  readonly preview: Pick<Quota, 'arrive' | 'spend'>
  /** For what else is counted in common: as {@link Shared}, and undefined at once where there is nothing in common. */
  readonly take: Shared['take']
  stop(): void
}

export interface QuotaNeeds extends Omit<SharedNeeds, 'counts'> {
  /** Milliseconds, fractions welcome. */
  monotonicMs(): number
  /** 64 secret bits. */
  readonly seed: readonly [number, number]
  /** Absent: each process counts by itself. */
  readonly counts?: SharedCounts
  /** Told of each refusal. */
  limited(route: string, by: RateLimitBy): void
  /** Told where a request was counted, or found to have no room. */
  counted(where: 'shared' | 'here'): void
}

export interface QuotaConfig {
  /** Callers of each limit that are known one by one in this process. */
  readonly entries: number
  /** Longest wait for the store. */
  readonly timeoutMs: number
}

interface Later {
  readonly reply: Reply | undefined
  readonly charges: readonly Charge[]
}

export function createQuota(needs: QuotaNeeds, config: QuotaConfig): Quota {
  const meters = createMeters(needs.seed, config.entries)
  const metersOf = new WeakMap<RateLimits, readonly Meter[]>()
  const shared = needs.counts && createShared({ ...needs, counts: needs.counts }, config.timeoutMs)
  /** Of requests whose client is still to prove itself. */
  const later = new WeakMap<Admitted, Later>()
  return {
    ...stepsBy(count),
    preview: stepsBy(look),
    proved,
    take: (charges) => shared?.take(charges),
    stop: () => shared?.stop(),
  }

  /** @param take Counts, or only looks. */
  function stepsBy(take: (request: Counting) => void | Promise<void>): Pick<Quota, 'arrive' | 'spend'> {
    return { arrive, spend }

    function arrive(exchange: Routed, reply?: Reply): Paced | Promise<Paced> {
      const { rateLimit } = exchange.route
      if (rateLimit?.when === 'arrival') {
        const caller = addressOf(exchange)
        const charges = compiled(rateLimit).map((meter) => chargeOf(meter, caller))
        const counting = take({ exchange, charges, reply })
        if (counting !== undefined) return counting.then(() => pass(exchange))
      }
      return pass(exchange)
    }

    function spend(exchange: Permitted, reply?: Reply): Counted | Promise<Counted> {
      if (!('uncounted' in exchange)) return exchange
      const { rateLimit } = exchange.route
      // The policy has seen limits; a fault there must not let the request pass uncounted.
      if (rateLimit === undefined) throw new Problem('internal_error', { detail: 'there is no limit to count' })
      const isLater = provesItself(exchange)
      const charges: Charge[] = []
      for (const meter of compiled(rateLimit)) {
        if (!isLater || meter.by !== 'client') charges.push(chargeOf(meter, callerOf(meter.by, exchange)))
      }
      const counting = charges.length === 0 ? undefined : take({ exchange, charges, reply })
      if (counting !== undefined) return counting.then(() => admit(exchange, charges, reply))
      return admit(exchange, charges, reply)
    }
  }

  /** As far as it is known here: nobody is asked, and nothing is counted or told. */
  function look({ charges }: Counting): void {
    read(charges, clockUs())
    if (!haveRoom(charges)) throw refusal(charges, fullest(charges))
  }

  function admit(exchange: Uncounted, charges: readonly Charge[], reply: Reply | undefined): Counted {
    const { principal, route } = exchange
    if (route.replay === 'once') {
      if (principal.kind === 'anonymous') throw new Problem('unauthorized')
      return { ...exchange, principal, tenant: principal.tenant }
    }
    const admitted: Admitted = { ...exchange, admitted: true }
    if (charges.length < (route.rateLimit?.limits.length ?? 0)) later.set(admitted, { reply, charges })
    return admitted
  }

  function proved(exchange: Admitted, client: { readonly id: string; readonly tenant: string }): void | Promise<void> {
    const waiting = later.get(exchange)
    const { rateLimit } = exchange.route
    if (waiting === undefined || rateLimit === undefined) return undefined
    later.delete(exchange)
    const caller = clientNamed(OWN_ISSUER, client.tenant, client.id)
    const charges = compiled(rateLimit).flatMap((meter) => (meter.by === 'client' ? [chargeOf(meter, caller)] : []))
    return count({ exchange, charges, reply: waiting.reply, before: waiting.charges })
  }

  function compiled(limits: RateLimits): readonly Meter[] {
    const known = metersOf.get(limits)
    if (known !== undefined) return known
    const made = limits.limits.map(meters.of)
    metersOf.set(limits, made)
    return made
  }

  function count(request: Counting): void | Promise<void> {
    const { charges } = request
    const nowUs = clockUs()
    read(charges, nowUs)
    const asking = shared === undefined || isSurelySpent(charges) ? undefined : shared.take(charges)
    if (asking === undefined) return countHere(request, nowUs)
    return asking.then((taken) => (taken === undefined ? countLate(request) : countShared(request, taken, nowUs)))
  }

  function countShared(request: Counting, taken: Taken, askedUs: number): void {
    needs.counted('shared')
    note(request.charges, taken.debtsUs, askedUs)
    settle(request, taken.isAdmitted)
  }

  /** The store did not answer: what was read before may be old by now. */
  function countLate(request: Counting): void {
    const nowUs = clockUs()
    read(request.charges, nowUs)
    countHere(request, nowUs)
  }

  function countHere(request: Counting, nowUs: number): void {
    needs.counted('here')
    const isAdmitted = haveRoom(request.charges)
    if (isAdmitted) add(request.charges, nowUs)
    settle(request, isAdmitted)
  }

  function settle({ exchange, charges, reply, before }: Counting, isAdmitted: boolean): void {
    const all = before === undefined ? charges : [...before, ...charges]
    if (!isAdmitted) {
      const full = fullest(charges)
      needs.limited(exchange.route.name, full.meter.by)
      throw refusal(all, full)
    }
    if (reply !== undefined) reply.announced = [REMAINING, remainingOf(all), POLICY, policyOf(all)]
  }

  function clockUs(): number {
    return Math.floor(needs.monotonicMs() * 1_000)
  }
}

function pass(exchange: Routed): Paced {
  mark(exchange)
  return exchange
}

/** Says to the compiler what has been done. */
function mark(exchange: Routed): asserts exchange is Paced {
  void exchange
}

/** One request, at limits of its route. */
interface Counting {
  readonly exchange: Routed
  /** At least one. */
  readonly charges: readonly Charge[]
  readonly reply: Reply | undefined
  /** The same request at others, counted already. */
  readonly before?: readonly Charge[]
}

function haveRoom(charges: readonly Charge[]): boolean {
  for (const charge of charges) if (isSpent(charge)) return false
  return true
}

/** Of the fleet's counts this process knows what was noted: that only grows by what others let pass. */
function isSurelySpent(charges: readonly Charge[]): boolean {
  for (const charge of charges) if (charge.isOwn && isSpent(charge)) return true
  return false
}
