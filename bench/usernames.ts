/**
 * Availability of usernames over a million taken ones: latency at a fixed rate, the ceiling of one core, a crowd of connections,
 * the filter alone, and what Redis keeps.
 *
 * Run by `npm run bench -- usernames`, or by the names of its scenarios.
 */
import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, cpuSeconds } from './support/processes.ts'
import { round2, saveTables } from './support/results.ts'
import { measureCrowd } from './support/username-crowd.ts'
import { curveOf, percentilesOf } from './support/username-latencies.ts'
import type { UsernameLoad, UsernameLoadResult } from './support/username-load.ts'
import { between, countsOf, type Counted } from './support/username-metrics.ts'
import { TAKEN_NAMES } from './support/username-names.ts'
import { writeUsernameReport } from './support/username-report.ts'
import { startUsernameWorld, type UsernameGateway, type UsernameWorld } from './support/username-world.ts'

/** Checks that are asked for, a second. */
const CHECKS_PER_SECOND = 10_000
const CONNECTIONS = 256
const SOURCES = Array.from({ length: 8 }, (_, index) => `127.0.0.${index + 2}`)
const WARM_UP_SECONDS = 5
const STARTING_MS = 2_000
/** Longer where there are more requests to make. */
const STARTING_MS_EACH = 100
const SAMPLES = 12
const LEAST_SAMPLE_MS = 2_000
const ENTRIES_LOOKED_AT = 1_000
/** The clients go before Redis and the database on their core, where that is allowed: what is late there is not the gateway's. */
const CLIENTS_NICENESS = -5
/** One run of each scenario: what is shorter says little of its 99th percentile. */
const DEFAULT_SECONDS = 10

interface Place {
  readonly world: UsernameWorld
  readonly gateway: UsernameGateway
  readonly seconds: number
}

const SCENARIOS = {
  'username-cold': async ({ world, gateway, seconds }: Place) => {
    await world.forget()
    return loaded({ world, gateway, seconds }, CHECKS_PER_SECOND)
  },
  'username-checks': async ({ world, gateway, seconds }: Place) => {
    await warm(world)
    return loaded({ world, gateway, seconds }, CHECKS_PER_SECOND)
  },
  'username-ceiling': async ({ world, gateway, seconds }: Place) => {
    await warm(world)
    return loaded({ world, gateway, seconds }, undefined)
  },
  'username-entries': async ({ world }: Place) => {
    await warm(world)
    return measureEntries(world)
  },
  'username-crowd': async ({ world, seconds }: Place) => {
    await warm(world)
    return measureCrowd(world, seconds)
  },
} as const

const FILTER = 'username-filter'

type Name = keyof typeof SCENARIOS

/** Of one scenario at a rate, or without. */
export type UsernameMeasured = Awaited<ReturnType<typeof loaded>>

/** Names of `npm run bench -- NAME`: a scenario, or all of them. */
export const USERNAME_NAMES: readonly string[] = [...Object.keys(SCENARIOS), FILTER, 'usernames']

/**
 * Measures, prints tables and writes results/usernames.json, results/usernames.md and its plots. What is not measured stays there
 * as it was.
 */
export async function benchUsernames(asked: readonly string[], given: number | undefined): Promise<void> {
  const seconds = given ?? DEFAULT_SECONDS
  const isWhole = asked.includes('usernames')
  const names = Object.keys(SCENARIOS)
    .filter(isName)
    .filter((name) => isWhole || asked.includes(name))
  const setting = { node: process.version, takenNames: TAKEN_NAMES, loadBefore: loadavg() }
  const tables: Record<string, object> = names.length === 0 ? {} : await measureAll(names, seconds)
  if (isWhole || asked.includes(FILTER)) tables[FILTER] = measureFilter()
  for (const [name, table] of Object.entries(tables)) {
    console.error(name)
    console.table(Array.isArray(table) ? table : shown(table))
  }
  saveTables('usernames.json', { setting, ...tables })
  writeUsernameReport()
}

async function measureAll(names: readonly Name[], seconds: number): Promise<Record<string, object>> {
  const world = await startUsernameWorld()
  try {
    const gateway = await world.add()
    const tables: Record<string, object> = {
      start: { readyMs: Math.round(gateway.startMs), filterMs: Math.round(gateway.filterMs) },
    }
    for (const name of names) {
      tables[name] = await SCENARIOS[name]({ world, gateway, seconds })
      console.error(`measured ${name}`)
    }
    return tables
  } finally {
    await world.stop()
  }
}

async function warm(world: UsernameWorld): Promise<void> {
  await world.forget()
  await world.remember(CHECKS_PER_SECOND)
}

/** @param perSecond - absent: as fast as it goes */
async function loaded({ world, gateway, seconds }: Place, perSecond: number | undefined) {
  // Until then the clients make their requests and open their connections.
  const startAtMs = Date.now() + STARTING_MS + seconds * STARTING_MS_EACH
  const load: UsernameLoad = {
    origin: gateway.url,
    startAtMs,
    seed: Math.floor(Math.random() * 2 ** 31),
    connections: CONNECTIONS,
    sources: SOURCES,
    ...(perSecond !== undefined && { perSecond }),
    pick: 'free',
    pauseMs: 0.05,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
  }
  const pids = [gateway.pid, world.redis.pid] as const
  const running = ask<UsernameLoadResult>(1, 'username-load.ts', load, CLIENTS_NICENESS)
  await sleep(startAtMs + WARM_UP_SECONDS * 1000 - Date.now())
  const before = pids.map(cpuSeconds)
  const samples = [{ atSeconds: 0, ...(await countsOf(gateway.adminUrl)) }]
  const startedMs = performance.now()
  const everyMs = Math.max(LEAST_SAMPLE_MS, (seconds * 1000) / SAMPLES)
  while (performance.now() - startedMs + everyMs < seconds * 1000) {
    await sleep(everyMs)
    const atSeconds = round2((performance.now() - startedMs) / 1000)
    samples.push({ atSeconds, ...(await countsOf(gateway.adminUrl)) })
  }
  const cpu = pids.map((pid, index) => cpuSeconds(pid) - (before[index] ?? 0))
  const passedSeconds = (performance.now() - startedMs) / 1000
  return summarise(await running, { samples, cpu, passedSeconds })
}

interface Watched {
  readonly samples: readonly (Counted & { readonly atSeconds: number })[]
  /** CPU time of the gateway and of Redis in that time. */
  readonly cpu: readonly number[]
  readonly passedSeconds: number
}

function summarise(result: UsernameLoadResult, { samples, cpu, passedSeconds }: Watched) {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined) throw new Error('nothing was counted')
  const { checks, byLayer, queries } = between(first, last)
  const [gateway = 0, redis = 0] = cpu
  const { all, taken, free, bySecond } = result
  const timing = percentilesOf(all)
  return {
    ...timing,
    seconds: Math.round(result.measuredSeconds),
    perSecond: Math.round(timing.checks / result.measuredSeconds),
    errorShare: result.errors / (result.errors + result.served),
    errors: result.errors,
    wrong: result.wrong,
    databaseShare: (byLayer['database'] ?? 0) / checks,
    queriesPerCheck: queries / checks,
    gatewayMicros: round2((gateway * 1e6) / checks),
    gatewayCore: round2(gateway / passedSeconds),
    clientMicros: round2(result.microsEach),
    sentLateP99Ms: percentilesOf(result.late).p99Ms,
    waitedP99Ms: percentilesOf(result.waited).p99Ms,
    redisMicros: round2((redis * 1e6) / checks),
    perCoreSecond: Math.round(checks / gateway),
    layers: Object.fromEntries(Object.entries(byLayer).map(([layer, count]) => [layer, count / checks])),
    answeredTaken: percentilesOf(taken),
    answeredFree: percentilesOf(free),
    distribution: curveOf(all),
    distributionTaken: curveOf(taken),
    distributionFree: curveOf(free),
    bySecond: bySecond.map(percentilesOf),
    layersOverTime: samples.slice(1).map((sample, index) => {
      const part = between(samples[index] ?? first, sample)
      return { atSeconds: sample.atSeconds, databaseShare: (part.byLayer['database'] ?? 0) / part.checks }
    }),
  }
}

/** Octets of an entry, as Redis says itself. */
async function measureEntries({ redis: { admin } }: UsernameWorld) {
  const sizes: number[] = []
  for await (const keys of admin.scanStream({ match: 'username_exists:*', count: ENTRIES_LOOKED_AT })) {
    for (const key of keys) if (sizes.length < ENTRIES_LOOKED_AT) sizes.push(Number(await admin.memory('USAGE', key)))
    if (sizes.length >= ENTRIES_LOOKED_AT) break
  }
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
  return {
    lookedAt: sizes.length,
    least: Math.min(...sizes),
    mean: round2(mean),
    most: Math.max(...sizes),
    megabytesPerMillion: round2(mean),
  }
}

/** On the first core. */
function measureFilter(): object {
  const script = join(import.meta.dirname, 'micro', 'username-filter.ts')
  return Object(JSON.parse(execFileSync('taskset', ['-c', '0', process.execPath, '--expose-gc', script], { encoding: 'utf8' })))
}

/** Numbers and texts alone: what is for the plots is in the file. */
function shown(table: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table as object).filter(([, value]) => typeof value !== 'object'))
}

function isName(name: string): name is Name {
  return Object.hasOwn(SCENARIOS, name)
}
