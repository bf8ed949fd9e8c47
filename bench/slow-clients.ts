/**
 * What a thousand clients who send one octet a second cost everybody else.
 *
 * Run by `npm run bench -- slow-clients`. Writes bench/results/slow-clients.json.
 */
import { loadavg } from 'node:os'
import type { FloodLoad, FloodResult } from './support/flood-load.ts'
import { startFloodWorld, type FloodWorld } from './support/flood-world.ts'
import { ask, cpuSeconds } from './support/processes.ts'
import { round2, saveResults } from './support/results.ts'

export const SLOW_CLIENTS_NAME = 'slow-clients'

const WARM_UP_SECONDS = 4
const GOOD_PER_SECOND = 500
const HEALTHY_SECONDS = 10
const SLOW_SECONDS = 30
const EACH_KIND = 500

/** Measures, prints a table and writes results/slow-clients.json. */
export async function benchSlowClients(): Promise<void> {
  const loadBefore = loadavg()
  const world = await startFloodWorld('{}')
  try {
    const tokens = world.tokens('acme', 100)
    const good = { path: '/echo/small', perSecond: GOOD_PER_SECOND, tokens, connections: 16 }
    const slow = { heads: EACH_KIND, bodies: EACH_KIND, bodyPath: '/echo/slow', token: tokens[0] ?? '' }
    const rows = {
      healthy: await measure({ origin: world.url, seconds: HEALTHY_SECONDS, good }, world),
      slow: await measure({ origin: world.url, seconds: SLOW_SECONDS, good, slow }, world),
    }
    console.error(SLOW_CLIENTS_NAME)
    console.table(rows)
    saveResults('slow-clients.json', { setting: { node: process.version, goodPerSecond: GOOD_PER_SECOND, loadBefore }, ...rows })
  } finally {
    await world.stop()
  }
}

async function measure(load: FloodLoad, { pid, lagP99Ms }: FloodWorld) {
  await lagP99Ms()
  const before = cpuSeconds(pid)
  const { good, goodStatuses, cut } = await ask<FloodResult>(1, 'flood-load.ts', load)
  const slow = (load.slow?.heads ?? 0) + (load.slow?.bodies ?? 0)
  return {
    slow,
    served: goodStatuses['200'] ?? 0,
    refused: Object.entries(goodStatuses).reduce((sum, [status, count]) => sum + (status === '200' ? 0 : count), 0),
    p50Ms: round2(good.p50Ms),
    p99Ms: round2(good.p99Ms),
    maxMs: round2(good.maxMs),
    lagP99Ms: round2(await lagP99Ms()),
    gatewayCores: round2((cpuSeconds(pid) - before) / (load.seconds + WARM_UP_SECONDS)),
    cut,
  }
}
