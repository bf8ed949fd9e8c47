/**
 * Joins the traces to the path: each room is asked as before, and what it does for a request that is being recorded is noted.
 *
 * The path itself knows nothing of it. Where no traces are configured the rooms are those that were given, and a request pays
 * nothing; where they are, a request that is not recorded pays for its trace id alone.
 *
 * @module
 */
import { isSame, type Config } from './config/config.ts'
import type { Arrived } from './exchange/exchange.ts'
import type { Foundation } from './foundation.ts'
import type { Rooms } from './pipeline.ts'
import { Problem } from './problem/problem.ts'
import { redact } from './telemetry/telemetry.ts'
import { openTraces, type Traces } from './traces/traces.ts'
import { monotonicMs } from './world.ts'

/** What traces an arrangement has, and of which configuration. */
export interface Tracing {
  readonly traces: Traces
  readonly of: Config['telemetry']['traces']
}

/**
 * @param before That of the arrangement in force: configured alike, it goes over with what waits in it.
 * @throws Error when it cannot be opened
 */
export async function openTracing(
  foundation: Foundation,
  config: Config,
  before: Tracing | undefined,
): Promise<Tracing | undefined> {
  const { traces: of } = config.telemetry
  if (of === undefined) return undefined
  if (before !== undefined && isSame(before.of, of)) return before
  const { nowMs, random, schedule } = foundation.world
  const { identity, telemetry } = foundation
  return {
    of,
    traces: await openTraces({ nowMs, monotonicMs, random, schedule, redact, identity, told: telemetry.events.traces }, of),
  }
}

/** The same rooms, of which each notes what it does where a request is recorded. */
export function traced(rooms: Rooms, tracing: Tracing | undefined): Rooms {
  if (tracing === undefined) return rooms
  const { traces } = tracing
  const { listener, router, quota, authenticator, revocation, policy, replay, targets, telemetry } = rooms
  const arrive = noted('quota', quota.arrive)
  const spend = noted('quota', quota.spend)
  const replayed = noted('replay', replay.spend)
  const checked = noted('revocation', revocation.check, (exchange) => ({ 'gatehouse.revocation': exchange.revocation }))
  return {
    ...rooms,
    listener: { ...listener, read },
    router: { match: (exchange) => marked('routed', exchange, router.match(exchange)) },
    quota: {
      arrive: (exchange, reply) =>
        exchange.route.rateLimit?.when === 'arrival' ? arrive(exchange, reply) : quota.arrive(exchange, reply),
      spend: (exchange, reply) =>
        exchange.route.rateLimit?.when === 'admission' ? spend(exchange, reply) : quota.spend(exchange, reply),
    },
    authenticator: {
      authenticate: noted('authenticate', authenticator.authenticate, ({ principal }) =>
        principal.kind === 'identified' ? { 'gatehouse.issuer': principal.issuer } : NO_FACTS,
      ),
    },
    revocation: {
      check: (exchange) => (exchange.principal.kind === 'anonymous' ? revocation.check(exchange) : checked(exchange)),
    },
    policy: { admit: (exchange) => marked('permitted', exchange, policy.admit(exchange)) },
    replay: { spend: (exchange) => (exchange.route.replay === undefined ? replay.spend(exchange) : replayed(exchange)) },
    targets: {
      ...targets,
      async serve(exchange, req, res, record) {
        const { target } = exchange.route
        if (target.kind !== 'service') return targets.serve(exchange, req, res, record)
        await noted(`${target.service}.${target.endpoint}`, () => targets.serve(exchange, req, res, record))(exchange)
      },
    },
    telemetry: {
      open: telemetry.open,
      close(record) {
        traces.end(record)
        telemetry.close(record)
      },
    },
  }

  function read(req: Parameters<Rooms['listener']['read']>[0]): ReturnType<Rooms['listener']['read']> {
    const { arrived, fault } = listener.read(req)
    return { arrived: { ...arrived, trace: traces.begin(arrived, req.httpVersion) }, fault }
  }
}

type Traced = Pick<Arrived, 'trace'>
type Facts = Readonly<Record<string, string>>

const NO_FACTS: Facts = {}

function marked<Fact>(event: string, { trace }: Traced, fact: Fact): Fact {
  trace?.recording?.event(event)
  return fact
}

/** A step that is noted with the time that it takes, whichever way it ends. */
function noted<Given extends Traced, More extends unknown[], Fact>(
  name: string,
  step: (exchange: Given, ...more: More) => Fact | Promise<Fact>,
  factsOf: (fact: Fact) => Facts = () => NO_FACTS,
): (exchange: Given, ...more: More) => Fact | Promise<Fact> {
  return (exchange, ...more) => {
    const recording = exchange.trace?.recording
    if (recording === undefined) return step(exchange, ...more)
    const startedMs = monotonicMs()
    return follow()

    async function follow(): Promise<Fact> {
      try {
        const fact = await step(exchange, ...more)
        recording?.step(name, startedMs, factsOf(fact))
        return fact
      } catch (error) {
        recording?.step(name, startedMs, NO_FACTS, Problem.from(error).kind)
        throw error
      }
    }
  }
}
