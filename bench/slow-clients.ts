/**
 * What a thousand clients who send one octet a second cost everybody else, beside what as many ordinary newcomers cost as there are
 * slow ones who are cut and come back. Healthy and slow rounds take turns; what is shown is the median of each.
 *
 * Run by `npm run bench -- slow-clients`. Writes bench/results/slow-clients.json.
 */
import { loadavg } from 'node:os'
import type { FloodLoad, FloodResult } from './support/flood-load.ts'
import { startFloodWorld, type FloodWorld } from './support/flood-world.ts'
import { ask, cpuSeconds } from './support/processes.ts'
import { median, round2, saveResults } from './support/results.ts'
import type { SlowLoad, SlowResult } from './support/slow-load.ts'

export const SLOW_CLIENTS_NAME = 'slow-clients'

const WARM_UP_SECONDS = 4
/** Those who are slow leave so long after what is measured has ended. */
const STAY_SECONDS = 1
/** An idle gateway, of which a 99th percentile is five requests a second, and one with a fifth of what it can do. */
const IDLE: Good = { perSecond: 500, connections: 16 }
const FAST: Good = { perSecond: 5000, connections: 64 }
const GOODS: readonly Good[] = [IDLE, FAST]
const HEALTHY_SECONDS = 10
const SLOW_SECONDS = 30
const EACH_KIND = 500
/** As many as there are heads that are cut after ten seconds. */
const NEWCOMERS_PER_SECOND = 50

interface Good {
  readonly perSecond: number
  readonly connections: number
}

type Beside = Partial<Pick<SlowLoad, 'heads' | 'bodies' | 'newcomersPerSecond'>>
type Measured = Readonly<Record<string, number>>

/** @param seconds - of each slow part; a healthy one is at most ten */
export interface SlowTurns {
  readonly rounds: number
  readonly seconds?: number
}

/** Measures, prints a table and writes results/slow-clients.json. */
export async function benchSlowClients({ rounds, seconds = SLOW_SECONDS }: SlowTurns): Promise<void> {
  const loadBefore = loadavg()
  const shorter = Math.min(HEALTHY_SECONDS, seconds)
  const world = await startFloodWorld('{}')
  try {
    const rows: Record<string, Measured> = {}
    // What is done for the first time is compiled meanwhile, on the same core: that would be in the first round of one kind alone.
    await measure(world, FAST, shorter, { heads: EACH_KIND, bodies: EACH_KIND })
    for (const good of GOODS) {
      const measured: Record<'healthy' | 'newcomers' | 'slow', Measured[]> = { healthy: [], newcomers: [], slow: [] }
      for (let round = 0; round < rounds; round += 1) {
        measured.healthy.push(await measure(world, good, shorter, {}))
        measured.newcomers.push(await measure(world, good, shorter, { newcomersPerSecond: NEWCOMERS_PER_SECOND }))
        measured.slow.push(await measure(world, good, seconds, { heads: EACH_KIND, bodies: EACH_KIND }))
      }
      for (const [name, all] of Object.entries(measured)) rows[`${name}, ${good.perSecond}/s`] = rowOf(all, measured.healthy)
    }
    console.error(SLOW_CLIENTS_NAME)
    console.table(rows)
    saveResults('slow-clients.json', { setting: { node: process.version, rounds, seconds, loadBefore }, ...rows })
  } finally {
    await world.stop()
  }
}

async function measure(world: FloodWorld, { perSecond, connections }: Good, seconds: number, beside: Beside): Promise<Measured> {
  const { pid, lagP99Ms, tokens: tokensOf, url: origin } = world
  const tokens = tokensOf('acme', 100)
  const good = { path: '/echo/small', perSecond, tokens, connections }
  const load: FloodLoad = { origin, seconds, warmUpSeconds: WARM_UP_SECONDS, good }
  const slow: SlowLoad = {
    origin,
    seconds: WARM_UP_SECONDS + seconds + STAY_SECONDS,
    heads: beside.heads ?? 0,
    bodies: beside.bodies ?? 0,
    bodyPath: '/echo/slow',
    newcomersPerSecond: beside.newcomersPerSecond ?? 0,
    path: good.path,
    token: tokens[0] ?? '',
  }
  await lagP99Ms()
  const before = cpuSeconds(pid)
  // It is there in healthy rounds too, and does nothing. Who measures never sleeps and cannot share a core without being held up, so it
  // has what the gateway leaves of its own, and makes way when that wakes up.
  const besides = ask<SlowResult>(0, 'slow-load.ts', slow, 'idle')
  const { good: timing, goodStatuses } = await ask<FloodResult>(1, 'flood-load.ts', load)
  const gatewayCores = (cpuSeconds(pid) - before) / (WARM_UP_SECONDS + seconds)
  const lag = await lagP99Ms()
  const { cut, answered } = await besides
  const served = goodStatuses['200'] ?? 0
  return {
    served,
    refused: Object.values(goodStatuses).reduce((sum, count) => sum + count, 0) - served,
    p50Ms: timing.p50Ms,
    p99Ms: timing.p99Ms,
    maxMs: timing.maxMs,
    sentLateP99Ms: timing.sentLateP99Ms,
    besideOwnP99Ms: timing.besideOwnP99Ms,
    lagP99Ms: lag,
    gatewayCores,
    cut,
    answered,
  }
}

/** Medians of the rounds; of the 99th percentile also what it is of a healthy one, round by round. */
function rowOf(rounds: readonly Measured[], healthy: readonly Measured[]): Measured {
  const of = (name: string): number[] => rounds.map((round) => round[name] ?? 0)
  const p99s = of('p99Ms')
  const ratiosOf = (name: string): number[] => of(name).map((value, index) => value / (healthy[index]?.[name] ?? Number.NaN))
  const ratios = ratiosOf('p99Ms')
  const medians = Object.keys(rounds[0] ?? {}).map((name) => [name, round2(median(of(name)))] as const)
  return {
    ...Object.fromEntries(medians),
    leastP99Ms: round2(Math.min(...p99s)),
    mostP99Ms: round2(Math.max(...p99s)),
    timesHealthy: round2(median(ratios)),
    leastTimes: round2(Math.min(...ratios)),
    mostTimes: round2(Math.max(...ratios)),
    timesHealthyBesideOwn: round2(median(ratiosOf('besideOwnP99Ms'))),
  }
}
