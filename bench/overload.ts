/**
 * Floods: tokens with wrong signatures, and a tenant that asks for more than can be done, each with and without what is done
 * about it; and what a refusal costs beside an answer. Healthy and flooded rounds with wrong signatures take turns, and what
 * is shown is the median of each: one pause of the machine is more than all else of a 99th percentile below a millisecond.
 *
 * Run by `npm run bench -- overload`, or one part of it by its name. Writes bench/results/overload.json.
 */
import { loadavg } from 'node:os'
import type { FloodLoad, FloodResult, Stream } from './support/flood-load.ts'
import { startFloodWorld, type FloodWorld } from './support/flood-world.ts'
import { ask, cpuSeconds } from './support/processes.ts'
import { median, readResults, round2, saveResults } from './support/results.ts'

const OVERLOAD_FILE = 'overload.json'

const SECONDS = 3
const WARM_UP_SECONDS = 2
const ROUNDS = 5
const GOOD_PER_SECOND = 500
const GARBAGE_PER_SECOND = 5000
const FLOOD_PER_SECOND = 40_000
const FLOOD_CONNECTIONS = 2000
/** By what it is. */
type Measured = Readonly<Record<string, number>>

/** So that nobody ever reaches it. */
const NO_BUDGET = 'badSignatures: 999999/s'

const PARTS: Readonly<Record<string, () => Promise<Readonly<Record<string, object>>>>> = {
  garbage: () => inWorld('{}', garbageInTurns),
  'garbage-unbounded': () =>
    inWorld(`{ ${NO_BUDGET} }`, async (world) => ({ 'garbage, no budget': await flooded(world, garbage(world)) })),
  'tenant-unbounded': () =>
    inWorld('{ enabled: false }', async (world) => ({ 'tenant, not enabled': await flooded(world, tenant(world)) })),
  tenant: () => inWorld('{}', async (world) => ({ tenant: await flooded(world, tenant(world)) })),
}
const COSTS_NAME = 'refusal-cost'

/** `overload` is all of them. */
export const OVERLOAD_NAMES: readonly string[] = ['overload', ...Object.keys(PARTS), COSTS_NAME]

interface OverloadResults {
  readonly setting?: Readonly<Record<string, object>>
  readonly floods?: Readonly<Record<string, object>>
  readonly cpuMicros?: object
}

/** Measures, prints tables and writes results/overload.json; what is not named stays there as it was. */
export async function benchOverload(named: readonly string[]): Promise<void> {
  const before = (readResults(OVERLOAD_FILE) as OverloadResults | undefined) ?? {}
  const isWanted = (name: string): boolean => named.length === 0 || named.includes('overload') || named.includes(name)
  const setting = (): object => ({
    node: process.version,
    rounds: ROUNDS,
    seconds: SECONDS,
    goodPerSecond: GOOD_PER_SECOND,
    loadBefore: loadavg(),
  })
  let results: OverloadResults = before
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!isWanted(name)) continue
    const settings = { ...results.setting, [name]: setting() }
    const rows = await measure()
    console.error(name)
    console.table(rows)
    results = { ...results, setting: settings, floods: { ...results.floods, ...rows } }
  }
  if (isWanted(COSTS_NAME)) {
    const settings = { ...results.setting, [COSTS_NAME]: setting() }
    const cpuMicros = await inWorld('{ maxRequests: 20 }', costs)
    console.error(COSTS_NAME)
    console.table(cpuMicros)
    results = { ...results, setting: settings, cpuMicros }
  }
  saveResults(OVERLOAD_FILE, results)
}

async function inWorld<T>(overload: string, run: (world: FloodWorld) => Promise<T>): Promise<T> {
  const world = await startFloodWorld(overload)
  try {
    return await run(world)
  } finally {
    await world.stop()
  }
}

async function garbageInTurns(world: FloodWorld) {
  const healthy: Measured[] = []
  const floods: Measured[] = []
  while (floods.length < ROUNDS) {
    healthy.push(await flooded(world))
    floods.push(await flooded(world, garbage(world)))
  }
  return { healthy: mediansOf(healthy), garbage: mediansOf(floods) }
}

function mediansOf(rounds: readonly Measured[]): Measured {
  const names = new Set(rounds.flatMap((round) => Object.keys(round)))
  return Object.fromEntries([...names].map((name) => [name, round2(median(rounds.map((round) => round[name] ?? 0)))]))
}

function garbage(world: FloodWorld): Stream {
  return { path: '/echo/small', perSecond: GARBAGE_PER_SECOND, tokens: world.forged(2000), connections: 64 }
}

function tenant(world: FloodWorld): Stream {
  const tokens = world.tokens('globex', 50)
  return { path: '/echo/small', perSecond: FLOOD_PER_SECOND, tokens, connections: FLOOD_CONNECTIONS }
}

async function flooded(world: FloodWorld, flood?: Stream): Promise<Measured> {
  const good = { path: '/echo/small', perSecond: GOOD_PER_SECOND, tokens: world.tokens('acme', 100), connections: 64 }
  const load: FloodLoad = {
    origin: world.url,
    seconds: SECONDS,
    warmUpSeconds: WARM_UP_SECONDS,
    good,
    ...(flood === undefined ? {} : { flood }),
  }
  const before = cpuSeconds(world.pid)
  await world.lagP99Ms()
  const result = await ask<FloodResult>(1, 'flood-load.ts', load)
  return {
    goodP50Ms: round2(result.good.p50Ms),
    goodP99Ms: round2(result.good.p99Ms),
    goodMaxMs: round2(result.good.maxMs),
    goodSentLateP99Ms: round2(result.good.sentLateP99Ms),
    ...perSecond('good', result.goodStatuses),
    ...perSecond('flood', result.floodStatuses),
    lagP99Ms: round2(await world.lagP99Ms()),
    gatewayCores: round2((cpuSeconds(world.pid) - before) / (SECONDS + WARM_UP_SECONDS)),
  }
}

function perSecond(whose: string, statuses: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(statuses).map(([status, count]) => [`${whose} ${status}/s`, Math.round(count / SECONDS)]),
  )
}

/** CPU time of a request that is answered, and of one that is refused because all places are taken. */
async function costs(world: FloodWorld) {
  const load = { url: `${world.url}/front/small`, seconds: 3, connections: 12, tokens: [] }
  const answered = await cpuOf(world, load)
  const [token = ''] = world.tokens('acme', 1)
  const gone = new AbortController()
  const held = Array.from({ length: 18 }, () =>
    fetch(`${world.url}/mute/`, { headers: { authorization: `Bearer ${token}` }, signal: gone.signal }).catch(() => undefined),
  )
  await new Promise((resolve) => setTimeout(resolve, 500))
  const refused = await cpuOf(world, load)
  gone.abort()
  await Promise.all(held)
  return { answered, refused }
}

async function cpuOf(world: FloodWorld, load: object) {
  const before = cpuSeconds(world.pid)
  const { requests, errors } = await ask<{ requests: number; errors: number }>(1, 'cannon.ts', load)
  const micros = ((cpuSeconds(world.pid) - before) * 1e6) / (requests + errors)
  return { cpuMicros: round2(micros), answered: requests, refused: errors }
}
