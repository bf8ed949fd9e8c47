/**
 * Hundreds of changes of the file, one after the other: what is left of the configurations that were. After every hundred the gateway
 * is given rest, and what is alive in it is counted.
 *
 *     npm run bench -- reloads --seconds 200
 *
 * It is memory that is measured, so other work on the machine does no harm. Writes bench/results/reloads.json.
 */
import { loadavg } from 'node:os'
import { round2, saveResults } from './support/results.ts'
import type { Inside } from './support/soak-inside.ts'
import { trendOf, type Trend } from './support/soak-series.ts'
import { startSoakWorld, type SoakWorld } from './support/soak-world.ts'

export const RELOADS_NAME = 'reloads'
export const RELOADS_FILE = 'reloads.json'

export interface ReloadsResults {
  /** One for each rest. */
  readonly rows: readonly (Inside & { readonly reloads: number })[]
  readonly trends: Readonly<Record<string, Trend>>
}

const TOKENS = 20
const WARM_UP_REQUESTS = 4000
const CHANGE_MS = 200
/** Until the gateway has tidied up after what came before. */
const REST_MS = 5000
const CHANGES_EACH = 100
const RELOADS = '{result="ok"}'
const COUNTED = ['rssMiB', 'heapMiB', 'heldMiB', 'externalMiB', 'timers', 'sockets', 'servers', 'promises'] as const

/** Measures, prints and writes results/reloads.json. */
export async function benchReloads(seconds: number): Promise<void> {
  const loadBefore = loadavg()
  const world = await startSoakWorld()
  try {
    const tokens = await world.tokens('main', TOKENS)
    for (let asked = 0; asked < WARM_UP_REQUESTS; asked += TOKENS) await use(world, tokens)
    const rows: ReloadsResults['rows'][number][] = [await rest(world)]
    const changes = Math.round((seconds * 1000) / CHANGE_MS)
    for (let changed = 0; changed < changes; changed += 1) {
      await change(world, tokens)
      if ((changed + 1) % CHANGES_EACH === 0) rows.push(await rest(world))
    }
    const trends = Object.fromEntries(COUNTED.map((name) => [name, trendOf(rows.map((row) => [row.reloads, row[name]]))]))
    console.error(RELOADS_NAME)
    console.table(rows)
    console.table(trends)
    const setting = { node: process.version, changes, everyMs: CHANGE_MS, loadBefore, loadAfter: loadavg() }
    saveResults(RELOADS_FILE, { setting, rows, trends } satisfies ReloadsResults & { setting: object })
  } finally {
    await world.stop()
  }
}

/** One is put in force, and asked for something, so that connections are made under it. */
async function change(world: SoakWorld, tokens: readonly string[]): Promise<void> {
  const startedMs = performance.now()
  world.changeFile()
  process.kill(world.pid, 'SIGHUP')
  await use(world, tokens)
  const leftMs = CHANGE_MS - (performance.now() - startedMs)
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)))
}

async function use(world: SoakWorld, tokens: readonly string[]): Promise<void> {
  const statuses = await Promise.all(tokens.map((token) => world.use(token)))
  if (statuses.some((status) => status !== 200)) throw new Error(`a good request was answered with ${statuses.join(', ')}`)
}

async function rest(world: SoakWorld): Promise<ReloadsResults['rows'][number]> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS))
  const reloads = (await world.metric('gatehouse_config_reloads_total'))[RELOADS] ?? 0
  const inside = await world.inside()
  return {
    reloads,
    ...inside,
    rssMiB: round2(inside.rssMiB),
    heapMiB: round2(inside.heapMiB),
    heldMiB: round2(inside.heldMiB),
    externalMiB: round2(inside.externalMiB),
  }
}
