/** A clock that stands until it is moved, chance that repeats itself, and destinations without connections. */
import { ANONYMOUS, type Admitted, type Principal } from '../../../src/exchange/exchange.ts'
import type { Destination } from '../../../src/upstream/destination.ts'
import { testConfig } from '../../support/config.ts'

export interface TestClock {
  monotonicMs(): number
  schedule(delayMs: number, run: () => void): () => void
  /** Lets time pass; what is due runs at its moment. */
  pass(ms: number): void
  /** Timers that wait. */
  waiting(): number
}

export function testClock(): TestClock {
  let nowMs = 1_000_000
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>()
  return {
    monotonicMs: () => nowMs,
    waiting: () => timers.size,
    schedule(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    pass(ms) {
      const endMs = nowMs + ms
      for (;;) {
        const next = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined) break
        nowMs = next.atMs
        timers.delete(next)
        next.run()
      }
      nowMs = endMs
    },
  }
}

/** Numbers from 0 to below 1, even, and the same in each run (Park and Miller). */
export function testChance(seed = 1): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

const [UPSTREAM] = testConfig('upstreams: { main: { targets: ["http://127.0.0.1:1"] } }').upstreams.values()

export function testDestination(port: number, weight = 1): Destination {
  if (UPSTREAM === undefined) throw new Error('there is one')
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    basePath: '',
    pool: { dispatch: () => true, close: async () => undefined, destroy: async () => undefined },
    tlsName: '',
    upstream: UPSTREAM,
    target: port,
    weight,
    load: { inFlight: 0, waiting: 0, carried: 0, latencyMs: 0, costMs: 0, costAtMs: 0 },
    standing: { isHealthy: true, isEjected: false, failures: 0, ejections: 0, returnedMs: 0, why: '', sinceMs: 0 },
    counts: { active: 0 },
    judge: undefined,
  }
}

const ROUTE = testConfig(
  'upstreams: { main: { targets: ["http://127.0.0.1:1"] } }\nroutes: [{ name: all, match: { path: /* }, auth: public, upstream: main }]',
).routes[0]

export interface Asked {
  readonly client?: string
  readonly rawHeaders?: readonly string[]
  readonly principal?: Principal
}

/** A request as far as the choice of a destination looks at it. */
export function testExchange(asked: Asked = {}): Admitted {
  if (ROUTE?.target.kind !== 'upstream') throw new Error('there is one')
  return {
    id: 'id-1',
    method: 'GET',
    target: '/',
    host: 'a',
    authority: 'a',
    rawHeaders: [],
    peer: '127.0.0.1',
    trusted: false,
    client: '127.0.0.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
    route: { ...ROUTE, auth: 'public', target: ROUTE.target },
    path: '/',
    forwardPath: '/',
    query: '',
    params: new Map(),
    principal: ANONYMOUS,
    revocation: 'none',
    tenant: undefined,
    admitted: true,
    ...asked,
  }
}
