/**
 * Speed and size of sessions in Redis: one gateway on the first core, Redis and the clients on the second.
 *
 * Run by `npm run bench -- sessions`, or by the names of its scenarios.
 */
import { loadavg } from 'node:os'
import { ask, cpuSeconds } from './support/processes.ts'
import type { Timing } from './support/latencies.ts'
import type { OpenLoad } from './support/open-load.ts'
import { measureBytes } from './support/session-bytes.ts'
import type { SessionLoad, SessionLoadResult } from './support/session-load.ts'
import { CONNECTIONS, startSessionWorld, VALIDATED } from './support/session-world.ts'
import type { SessionGateway, SessionWorld, Tenant } from './support/session-world.ts'
import { median, round2, saveRows } from './support/results.ts'

interface SessionScenario {
  readonly title: string
  readonly target?: string
  run(world: SessionWorld, seconds: number): Promise<SessionMeasured>
}

interface SessionMeasured extends Timing {
  readonly errors: number
  /** CPU time for each request: of the gateway, and of its Redis. */
  readonly gatewayMicros: number
  readonly redisMicros: number
}

/** Validations that are asked for, a second. */
const VALIDATIONS = 5000
const USERS_AT_ONCE = 256

const SESSION_SCENARIOS = {
  create: {
    title: 'POST /sessions, RS256',
    target: '≥ 1,500/s',
    run: (world, seconds) => create(world, 'rs256', seconds),
  },
  'create-es256': { title: 'POST /sessions, ES256', run: (world, seconds) => create(world, 'es256', seconds) },
  rotate: {
    title: 'POST /sessions/refresh, RS256',
    target: '≥ 5,000/s',
    run: (world, seconds) => rotate(world, 'rs256', seconds),
  },
  'rotate-es256': { title: 'POST /sessions/refresh, ES256', run: (world, seconds) => rotate(world, 'es256', seconds) },
  validate: {
    title: 'POST /sessions/validate at 5,000/s, nothing revoked',
    target: 'p99 < 5 ms',
    async run(world, seconds) {
      const tokens = (await world.live()).slice(0, VALIDATED).map((pair) => pair.access)
      return validate(world.calm, tokens, seconds)
    },
  },
  'validate-revoked': {
    title: 'POST /sessions/validate at 5,000/s, 10,000 revocations',
    target: 'p99 < 10 ms',
    async run(world, seconds) {
      const { gateway, shown } = await world.revoking()
      return validate(gateway, shown, seconds)
    },
  },
  live: {
    title: '10,000 live sessions, forwarded, each its own token',
    async run(world, seconds) {
      const tokens = (await world.live()).map((pair) => pair.access)
      return watched(world.calm, { job: 'use', tenant: 'rs256', tokens, seconds, connections: USERS_AT_ONCE })
    },
  },
  'redis-create': {
    title: 'the commands of create, without a gateway',
    run: (world, seconds) => plain(world, 'create', seconds),
  },
  'redis-rotate': {
    title: 'the commands of rotate, without a gateway',
    run: (world, seconds) => plain(world, 'rotate', seconds),
  },
  'redis-set': { title: 'SET with an expiry, without a gateway', run: (world, seconds) => plain(world, 'set', seconds) },
} as const satisfies Record<string, SessionScenario>

type Name = keyof typeof SESSION_SCENARIOS

/** Names of `npm run bench -- NAME`: a scenario, the bytes alone, or all of them. */
export const SESSION_NAMES: readonly string[] = [...Object.keys(SESSION_SCENARIOS), 'bytes', 'sessions']

/** Measures, prints tables and writes results/sessions.json. */
export async function benchSessions(asked: readonly string[], rounds: number, seconds: number): Promise<void> {
  const isWhole = asked.includes('sessions')
  const names = Object.keys(SESSION_SCENARIOS)
    .filter(isName)
    .filter((name) => isWhole || asked.includes(name))
  const loadBefore = loadavg()
  const rows = names.length === 0 ? [] : await measureAll(names, rounds, seconds)
  if (rows.length > 0) console.table(Object.fromEntries(rows.map(({ scenario, ...row }) => [scenario, row])))
  const bytes = isWhole || asked.includes('bytes') ? await measureBytes() : []
  if (bytes.length > 0) console.table(bytes)
  const taken = { node: process.version, date: new Date().toISOString(), seconds, rounds, connections: CONNECTIONS, loadBefore }
  saveRows(
    'sessions.json',
    rows.map((row) => ({ ...row, taken })),
    bytes.length === 0 ? {} : { bytes },
  )
}

async function measureAll(names: readonly Name[], rounds: number, seconds: number) {
  const world = await startSessionWorld()
  try {
    const results = new Map<Name, SessionMeasured[]>(names.map((name) => [name, []]))
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        // Round 0 warms up and is thrown away.
        const measured = await SESSION_SCENARIOS[name].run(world, round === 0 ? 2 : seconds)
        if (round > 0) results.get(name)?.push(measured)
      }
      console.error(round === 0 ? 'warmed up' : `round ${round} of ${rounds}`)
    }
    return names.map((name) => summarise(name, results.get(name) ?? []))
  } finally {
    await world.stop()
  }
}

function create({ calm }: SessionWorld, tenant: Tenant, seconds: number): Promise<SessionMeasured> {
  return watched(calm, { job: 'create', tenant, authorization: calm.authorization(tenant), seconds, connections: CONNECTIONS })
}

async function rotate({ calm, chains }: SessionWorld, tenant: Tenant, seconds: number): Promise<SessionMeasured> {
  const measured = await watched(calm, {
    job: 'rotate',
    tenant,
    tokens: chains.get(tenant) ?? [],
    seconds,
    connections: CONNECTIONS,
  })
  chains.set(tenant, measured.tokens)
  return measured
}

function validate(gateway: SessionGateway, tokens: readonly string[], seconds: number): Promise<SessionMeasured> {
  const bodies = tokens.map((token) => JSON.stringify({ access_token: token }))
  const load = { path: '/sessions/validate', bodies, perSecond: VALIDATIONS, seconds, connections: CONNECTIONS }
  return observed(gateway, (origin) => ask<SessionLoadResult>(1, 'open-load.ts', { ...load, origin } satisfies OpenLoad))
}

function watched(gateway: SessionGateway, load: Omit<SessionLoad, 'origin'>): Promise<SessionMeasured & SessionLoadResult> {
  return observed(gateway, (origin) => ask<SessionLoadResult>(1, 'session-load.ts', { ...load, origin }))
}

/** With the CPU time that it cost. */
async function observed(
  gateway: SessionGateway,
  work: (origin: string) => Promise<SessionLoadResult>,
): Promise<SessionMeasured & SessionLoadResult> {
  const pids = [gateway.pid, gateway.redis.pid] as const
  const before = pids.map(cpuSeconds)
  const result = await work(gateway.url)
  const [gatewayMicros = 0, redisMicros = 0] = pids.map(
    (pid, index) => ((cpuSeconds(pid) - (before[index] ?? 0)) * 1e6) / result.served,
  )
  return { ...result, gatewayMicros, redisMicros }
}

/** In the gateway's place, on its core. */
async function plain({ calm }: SessionWorld, job: 'create' | 'rotate' | 'set', seconds: number): Promise<SessionMeasured> {
  const before = cpuSeconds(calm.redis.pid)
  const result = await ask<Timing>(0, 'store-load.ts', { url: calm.redis.url, job, seconds, concurrency: CONNECTIONS })
  const redisMicros = ((cpuSeconds(calm.redis.pid) - before) * 1e6) / result.requests
  return { ...result, errors: 0, gatewayMicros: 0, redisMicros }
}

function summarise(name: Name, rounds: readonly SessionMeasured[]) {
  const scenario: SessionScenario = SESSION_SCENARIOS[name]
  const middle = (of: (measured: SessionMeasured) => number): number => round2(median(rounds.map(of)))
  const rates = rounds.map((round) => round.requestsPerSecond)
  return {
    scenario: name,
    title: scenario.title,
    perSecond: Math.round(median(rates)),
    spread: Math.round(Math.max(...rates) - Math.min(...rates)),
    p50Ms: middle((round) => round.p50Ms),
    p99Ms: middle((round) => round.p99Ms),
    maxMs: middle((round) => round.maxMs),
    gatewayMicros: middle((round) => round.gatewayMicros),
    redisMicros: middle((round) => round.redisMicros),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    target: scenario.target ?? '',
  }
}

function isName(name: string): name is Name {
  return Object.hasOwn(SESSION_SCENARIOS, name)
}
