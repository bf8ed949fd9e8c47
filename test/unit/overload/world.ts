/** What the tests of this room share: an event loop that the test holds in its hand, and requests of tenants. */
import type { OverloadConfig } from '../../../src/config/config.ts'
import { ANONYMOUS, type Authenticated, type Identified, type Principal, type Route } from '../../../src/exchange/exchange.ts'
import { createOverload, type Overload, type Place } from '../../../src/overload/overload.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { ADMITTED } from '../telemetry/world.ts'

export interface World {
  readonly overload: Overload
  config: OverloadConfig
  memory: number
  /** Share of the connections that are open. */
  connections: number
  readonly sheds: string[]
  readonly log: string[]
  nowMs(): number
  /** Time passes within a turn. */
  work(ms: number): void
  /** One turn of the event loop that takes so long; what is due by its end is run then. */
  turn(ms: number): void
  /** Turns of a loop that has nothing to do. */
  rest(ms: number): void
  /** Turns that each take so long. */
  lag(turnMs: number, turns: number): void
}

export const CONFIG: OverloadConfig = {
  enabled: true,
  maxRequests: 1000,
  lagMs: 100,
  memory: 0.95,
  badSignaturesPerMinute: 600,
}

export function openWorld(config: Partial<OverloadConfig> = {}): World {
  let now = 0
  let timers: { readonly at: number; readonly run: () => void }[] = []
  let seed = 1
  const sheds: string[] = []
  const log: string[] = []
  const state = { config: { ...CONFIG, ...config }, memory: 0.1, connections: 0.1 }
  const overload = createOverload(
    {
      monotonicMs: () => now,
      seed: [0x03020100, 0x07060504],
      random() {
        seed = (seed * 48_271) % 2_147_483_647
        return seed / 2_147_483_647
      },
      schedule(delayMs, run) {
        const timer = { at: now + delayMs, run }
        timers.push(timer)
        return () => {
          timers = timers.filter((other) => other !== timer)
        }
      },
      memoryShare: () => state.memory,
      connectionShare: () => state.connections,
      events: {
        shed: (reason, priority) => void sheds.push(`${reason} ${priority}`),
        began: (reason) => void log.push(`began ${reason}`),
        ended: ({ seconds, refused }) => void log.push(`ended ${seconds} s ${refused}`),
      },
    },
    () => state.config,
  )
  return Object.assign(state, {
    overload,
    sheds,
    log,
    nowMs: () => now,
    work: (ms: number) => void (now += ms),
    turn,
    rest: (ms: number) => repeat(ms / 5, () => turn(5)),
    lag: (turnMs: number, turns: number) => repeat(turns, () => turn(turnMs)),
  })

  function turn(ms: number): void {
    now += ms
    const due = timers.filter((timer) => timer.at <= now)
    timers = timers.filter((timer) => timer.at > now)
    for (const timer of due) timer.run()
  }
}

export function routeOf(more: Partial<Route> = {}): Route {
  return { ...ADMITTED.route, name: 'orders', auth: 'required', target: { kind: 'upstream', upstream: 'orders' }, ...more }
}

export const ORDERS = routeOf()
export const FRONT = routeOf({ name: 'front', auth: 'public' })
export const BATCH = routeOf({ name: 'batch', priority: 'low' })
export const REFRESH = serviceRoute('sessions', 'refresh', 'public')
export const HEALTH = serviceRoute('health', 'health', 'public')
export const LOGIN = serviceRoute('accounts', 'login', 'public')

export function serviceRoute(service: string, endpoint: string, auth: Route['auth'] = 'required'): Route {
  return routeOf({ name: `${service}.${endpoint}`, auth, target: { kind: 'service', service, endpoint } })
}

export function tenant(name: string): Identified {
  if (ADMITTED.principal.kind !== 'identified') throw new Error('the sample is of somebody')
  return { ...ADMITTED.principal, tenant: name }
}

export function exchangeOf(route: Route, principal: Principal = ANONYMOUS, more: Partial<Authenticated> = {}): Authenticated {
  return { ...ADMITTED, bodyLength: 0, client: '192.0.2.1', route, principal, ...more }
}

/** The place of a request that was let in, or the problem. */
export function ask(world: World, exchange: Authenticated): Place | Problem {
  const place = world.overload.place()
  try {
    world.overload.enter(place, { ...exchange, startedMs: world.nowMs() })
    world.overload.claim(place, exchange)
    return place
  } catch (error) {
    world.overload.leave(place)
    return Problem.from(error)
  }
}

/** Whether it is let in. It is over at once. */
export function passes(world: World, exchange: Authenticated): boolean {
  const place = ask(world, exchange)
  if (place instanceof Problem) return false
  world.overload.leave(place)
  return true
}

export interface Crowd {
  readonly name: string
  readonly exchange: Authenticated
  /** Requests in a millisecond. */
  readonly rate: number
  /** Whether it is served. Default: {@link passes}. */
  ask?(world: World, exchange: Authenticated): boolean
}

/** What came of each crowd. */
export type Outcome = Readonly<Record<string, { readonly asked: number; readonly share: number }>>

/**
 * An event loop under load: a turn takes as long as the requests that came during the one before it. A request that is served
 * takes `serveMs`, one that is refused `refuseMs`. The second half of the time counts.
 */
export function flood(world: World, crowds: readonly Crowd[], ms: number, { serveMs = 0.1, refuseMs = 0.03 } = {}) {
  const asked = crowds.map(() => 0)
  const served = crowds.map(() => 0)
  const owed = crowds.map(() => 0)
  let turnMs = 1
  let longestMs = 0
  const startedMs = world.nowMs()
  while (world.nowMs() - startedMs < ms) {
    let workMs = 0
    // What came during the turn before, in the order in which it came.
    for (let momentMs = 0; momentMs < turnMs; momentMs += 1) {
      for (const [index, crowd] of crowds.entries()) {
        owed[index] = (owed[index] ?? 0) + crowd.rate * Math.min(1, turnMs - momentMs)
        for (; (owed[index] ?? 0) >= 1; owed[index] = (owed[index] ?? 0) - 1) {
          const isServed = (crowd.ask ?? passes)(world, crowd.exchange)
          const counts = world.nowMs() - startedMs > ms / 2
          asked[index] = (asked[index] ?? 0) + Number(counts)
          served[index] = (served[index] ?? 0) + Number(counts && isServed)
          world.work(isServed ? serveMs : refuseMs)
          workMs += isServed ? serveMs : refuseMs
        }
      }
    }
    turnMs = Math.max(1, workMs)
    if (world.nowMs() - startedMs > ms / 2) longestMs = Math.max(longestMs, turnMs)
    world.turn(turnMs - workMs)
  }
  const outcome: Outcome = Object.fromEntries(
    crowds.map(({ name }, index) => [
      name,
      { asked: asked[index] ?? 0, share: (served[index] ?? 0) / Math.max(1, asked[index] ?? 0) },
    ]),
  )
  return { outcome, longestMs }
}

function repeat(times: number, run: () => void): void {
  for (let time = 0; time < times; time += 1) run()
}
