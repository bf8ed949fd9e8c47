import { readFileSync } from 'node:fs'
import { runLoad } from '../rig/load.ts'
import { startGateway } from '../rig/subjects.ts'
import type { Rig } from '../rig/rig.ts'
import type { Effort, Table } from '../scenarios.ts'
import type { OpenLoad } from '../support/open-load.ts'
import type { Timing } from '../support/latencies.ts'
import { ask } from '../support/processes.ts'
import { median, round2 } from '../support/results.ts'

const RATES = [1000, 5000] as const
const SECONDS = 6
const WARM_UP_SECONDS = 4
const CONNECTIONS = 64
/** Of the clients, whose loop never sleeps: the upstream on the same core goes first. */
const NICENESS = 19

/**
 * Latency at fixed rates, alone and through the gateway in turns. Requests are due at evenly spaced moments and latency counts from
 * then, so that a stall is felt by all that were due meanwhile (coordinated omission). autocannon keeps whole milliseconds, which is too
 * coarse here: support/open-load.ts on bare sockets asks instead.
 */
export async function latency(rig: Rig, { rounds, seconds = SECONDS }: Effort): Promise<Table> {
  const gateway = await startGateway(rig)
  const tokens = readFileSync(rig.warmTokens, 'utf8').trimEnd().split('\n')
  const ways = {
    direct: { port: rig.upstream.port, path: '/small' },
    'public route': { port: gateway.port, path: '/public/small' },
    token: { port: gateway.port, path: '/api/small' },
  } as const
  // The code of both ways is hot before the first request that counts, as it is in a process that has served for a minute.
  for (const { port, path } of [ways['public route'], ways.token]) {
    const load = { url: `http://127.0.0.1:${port}${path}`, seconds: WARM_UP_SECONDS, connections: CONNECTIONS, pid: gateway.pid }
    await runLoad({ ...load, tokenFile: rig.warmTokens }, rig.wrkScript)
  }
  const table: Record<string, Record<string, number>> = {}
  for (const perSecond of RATES) {
    const measured = new Map(Object.keys(ways).map((way) => [way, [] as Timing[]]))
    for (let round = 0; round <= rounds; round += 1) {
      for (const [way, { port, path }] of Object.entries(ways)) {
        const origin = `http://127.0.0.1:${port}`
        const load: OpenLoad = { origin, path, tokens, perSecond, seconds: round === 0 ? 2 : seconds, connections: CONNECTIONS }
        const timing = await ask<Timing & { errors: number }>(1, 'open-load.ts', load, NICENESS)
        if (timing.errors > 0) throw new Error(`${way}: ${timing.errors} failed`)
        // Round 0 warms up and is thrown away.
        if (round > 0) measured.get(way)?.push(timing)
      }
      gateway.tidy()
      console.error(`${perSecond}/s: ${round === 0 ? 'warmed up' : `round ${round} of ${rounds}`}`)
    }
    const alone = figures(measured.get('direct') ?? [])
    for (const [way, timings] of measured) {
      const own = figures(timings)
      const added =
        way === 'direct' ? {} : { addedP50Ms: round2(own.p50Ms - alone.p50Ms), addedP99Ms: round2(own.p99Ms - alone.p99Ms) }
      table[`${way} at ${perSecond}/s`] = { ...own, ...added }
    }
  }
  return table
}

function figures(timings: readonly Timing[]) {
  const of = (read: (timing: Timing) => number): number => round2(median(timings.map(read)))
  return {
    perSecond: Math.round(of((one) => one.requestsPerSecond)),
    p50Ms: of((one) => one.p50Ms),
    p99Ms: of((one) => one.p99Ms),
  }
}
