/**
 * Half of what a gateway carries, for long, while its file changes every 5 s and its servers are stopped and started again:
 * whether a good request fails, and whether memory, descriptors, sockets or timers grow.
 *
 * Run by `npm run bench -- soak --seconds 600`. Writes bench/results/soak.json.
 */
import { loadavg } from 'node:os'
import { ask, cpuSeconds } from './support/processes.ts'
import { median, round2, saveResults } from './support/results.ts'
import { CACHED_TOKENS, CHANGES } from './support/soak-file.ts'
import type { Inside } from './support/soak-inside.ts'
import type { Kind, SoakLoad, SoakResult } from './support/soak-load.ts'
import { seriesOf, trendsOf, type Sample, type Series, type Trend } from './support/soak-series.ts'
import { startSoakWorld, type Outside, type SoakWorld } from './support/soak-world.ts'

export const SOAK_NAME = 'soak'

const PROBES = 3
const PROBE_SECONDS = 5
const WARM_UP_SECONDS = 3
const CONNECTIONS = 64
const TOKENS = 200
const STAYING = 100
const COMING_AND_GOING = 20
const CHANGE_MS = 5000
const RESTART_MS = 15_000
const REVOKE_MS = 1000
const SAMPLE_MS = 1000
/** A server that is started again takes so long until it is asked, so none is stopped for so long before the end. */
const LAST_RESTART_MS = 8000
/** What is written later would be read when it is over. */
const LAST_CHANGE_MS = 3000
const FIRST_CHANGE_MS = 1500
/** Afterwards, until connections that nobody uses are closed at both sides. */
const SETTLE_MS = 70_000

export const SOAK_FILE = 'soak.json'

/** What documents show of it. */
export interface SoakResults {
  readonly setting: { readonly node: string; readonly seconds: number; readonly perSecond: number }
  readonly good: { readonly requests: number; readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }
  readonly failed: number
  readonly changes: { readonly good: number; readonly bad: number }
  readonly restarts: number
  readonly series: Series
  readonly trends: Readonly<Record<string, Trend>>
  readonly left: Readonly<Record<string, { readonly first: number; readonly last: number; readonly growth: number }>>
}

/** What is alive inside, and what of the machine is its own, {@link Outside}. */
interface Left extends Inside, Pick<Outside, 'ownMiB'> {}

interface Unrest {
  readonly samples: readonly Sample[]
  readonly changes: { readonly good: number; readonly bad: number }
  readonly restarts: number
  readonly revocations: { readonly made: number; readonly takenLater: number; readonly failed: readonly string[] }
}

/** Measures, prints and writes results/soak.json. */
export async function benchSoak(seconds: number): Promise<void> {
  const loadBefore = loadavg()
  const world = await startSoakWorld()
  try {
    const tokens = await world.tokens('main', TOKENS)
    const load = { origin: world.url, kinds: kindsOf(tokens), connections: CONNECTIONS }
    await ask<SoakResult>(1, 'soak-load.ts', { ...load, seconds: WARM_UP_SECONDS } satisfies SoakLoad)
    const probes: number[] = []
    while (probes.length < PROBES) {
      const probe = await ask<SoakResult>(1, 'soak-load.ts', { ...load, seconds: PROBE_SECONDS } satisfies SoakLoad)
      probes.push(Math.round(probe.requestsPerSecond))
    }
    const perSecond = Math.round(median(probes) / 2)
    console.error(`soak: ${probes.join(', ')}/s at most, ${perSecond}/s for ${seconds} s`)
    await doOnce(world)
    const before = { ...(await world.inside()), ownMiB: world.outside().ownMiB }
    const results = await soak(world, { ...load, perSecond, seconds, sockets: socketsOf(tokens) })
    await waited(SETTLE_MS)
    const left = leftOf(before, { ...(await world.inside()), ownMiB: world.outside().ownMiB })
    const setting = { node: process.version, seconds, perSecond, probesPerSecond: probes }
    show(results, left)
    saveResults(SOAK_FILE, { setting: { ...setting, loadBefore, loadAfter: loadavg() }, ...results, left })
  } finally {
    await world.stop()
  }
}

/** All that goes on later, so that what is made when it is done for the first time is there before anything is counted. */
async function doOnce(world: SoakWorld): Promise<void> {
  for (const token of await world.tokens('brief', CACHED_TOKENS)) await world.use(token)
  for (const _ of CHANGES) {
    world.changeFile()
    await waited(FIRST_CHANGE_MS)
  }
  await world.restartServer()
}

function kindsOf(tokens: readonly string[]): readonly Kind[] {
  const get = { method: 'GET', tokens, expected: [200] } as const
  return [
    { ...get, name: 'api', path: '/api/small', share: 130 },
    { ...get, name: 'slow', path: '/api/slow', share: 10 },
    { ...get, name: 'counted', path: '/counted/small', share: 20 },
    { ...get, name: 'public', path: '/public/small', tokens: [], share: 20 },
    { ...get, name: 'echo', path: '/echo/some', method: 'POST', body: 'what is sent '.repeat(20), share: 19 },
    // One user, who asks for more than the limit of the route.
    { ...get, name: 'greedy', path: '/greedy/small', tokens: tokens.slice(0, 1), expected: [200, 429], share: 1 },
  ]
}

function socketsOf(tokens: readonly string[]) {
  return {
    token: tokens[0] ?? '',
    stay: { path: '/chat', count: STAYING },
    comeAndGo: { path: '/api/chat', count: COMING_AND_GOING },
  }
}

async function soak(world: SoakWorld, load: SoakLoad & { readonly perSecond: number }) {
  const over = new AbortController()
  const cpuBefore = cpuSeconds(world.pid)
  const reloadsBefore = await world.metric('gatehouse_config_reloads_total')
  const asking = ask<SoakResult>(1, 'soak-load.ts', load).finally(() => over.abort())
  const [result, unrest] = await Promise.all([asking, disturb(world, load.seconds * 1000, over.signal)])
  const reloads = await world.metric('gatehouse_config_reloads_total')
  const { timing, ...rest } = timesOf(result)
  const series = seriesOf(unrest.samples, world.collections(), load.seconds)
  return {
    good: { ...timing, perFifth: rest.perFifth },
    failed: result.failed + unrest.revocations.failed.length,
    failures: [...result.failures, ...unrest.revocations.failed],
    statuses: result.statuses,
    closedIdle: result.closedIdle,
    sockets: result.sockets,
    gatewayCores: round2((cpuSeconds(world.pid) - cpuBefore) / load.seconds),
    changes: unrest.changes,
    reloads: differences(reloadsBefore, reloads),
    restarts: unrest.restarts,
    retries: await world.metric('gatehouse_upstream_retries_total'),
    ejections: await world.metric('gatehouse_upstream_ejections_total'),
    shed: await world.metric('gatehouse_shed_total'),
    revocations: { made: unrest.revocations.made, takenLater: unrest.revocations.takenLater },
    series,
    trends: trendsOf(series),
  }
}

/** All that goes on beside the load, each at its own pace, until it is over. */
async function disturb(world: SoakWorld, lengthMs: number, over: AbortSignal): Promise<Unrest> {
  const samples: Sample[] = []
  const changes = { good: 0, bad: 0 }
  const revocations = { made: 0, takenLater: 0, failed: [] as string[] }
  const endMs = performance.now() + lengthMs
  let restarts = 0
  await Promise.all([
    every(SAMPLE_MS, over, async () => void samples.push({ ...world.outside(), atMs: Date.now(), reloads: changes.good })),
    every(CHANGE_MS, over, async () => {
      if (endMs - performance.now() > LAST_CHANGE_MS) changes[world.changeFile() ? 'good' : 'bad'] += 1
    }),
    every(RESTART_MS, over, async () => {
      if (endMs - performance.now() < LAST_RESTART_MS) return
      await world.restartServer()
      restarts += 1
    }),
    every(REVOKE_MS, over, async () => {
      const fault = await endOne(world, revocations)
      if (fault !== undefined) revocations.failed.push(`${new Date().toISOString()}: ${fault}`)
    }),
  ])
  return { samples, changes, restarts, revocations }
}

/** A session begins, its token is used, and is revoked. Returns what was wrong with it. */
async function endOne(world: SoakWorld, counts: { made: number; takenLater: number }): Promise<string | undefined> {
  try {
    const [token = ''] = await world.tokens('brief', 1)
    const used = await world.use(token)
    if (used !== 200) return `a new token was answered with ${used}`
    const revoked = await world.revoke(token)
    if (revoked !== 200) return `a revocation was answered with ${revoked}`
    counts.made += 1
    if ((await world.use(token)) !== 401) counts.takenLater += 1
    return undefined
  } catch (error) {
    return `a session could not be made or used: ${String(error)}`
  }
}

async function every(intervalMs: number, over: AbortSignal, run: () => Promise<void>): Promise<void> {
  let dueMs = performance.now() + intervalMs
  while (await waited(dueMs - performance.now(), over)) {
    await run()
    dueMs = Math.max(dueMs + intervalMs, performance.now())
  }
}

/** Resolves to false when it is over before. */
function waited(ms: number, over?: AbortSignal): Promise<boolean> {
  if (over?.aborted === true) return Promise.resolve(false)
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const pass = (): void => {
      over?.removeEventListener('abort', end)
      resolve(true)
    }
    const timer = setTimeout(pass, Math.max(0, ms))
    over?.addEventListener('abort', end, { once: true })
  })
}

function timesOf({ requests, p50Ms, p99Ms, maxMs, fifths }: SoakResult) {
  return {
    timing: { requests, p50Ms: round2(p50Ms), p99Ms: round2(p99Ms), maxMs: round2(maxMs) },
    perFifth: fifths.map((fifth) => ({ requests: fifth.requests, p50Ms: round2(fifth.p50Ms), p99Ms: round2(fifth.p99Ms) })),
  }
}

/** What is alive without load, before and afterwards. */
function leftOf(before: Left, after: Left): SoakResults['left'] {
  return {
    timers: between(before.timers, after.timers),
    sockets: between(before.sockets, after.sockets),
    servers: between(before.servers, after.servers),
    promises: between(before.promises, after.promises),
    heapMiB: between(before.heapMiB, after.heapMiB),
    heldMiB: between(before.heldMiB, after.heldMiB),
    externalMiB: between(before.externalMiB, after.externalMiB),
    rssMiB: between(before.rssMiB, after.rssMiB),
    ownMiB: between(before.ownMiB, after.ownMiB),
  }
}

function between(first: number, last: number) {
  return { first: round2(first), last: round2(last), growth: round2(last - first) }
}

function differences(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) {
  return Object.fromEntries(Object.entries(after).map(([labels, value]) => [labels, value - (before[labels] ?? 0)]))
}

function show(results: Awaited<ReturnType<typeof soak>>, left: ReturnType<typeof leftOf>): void {
  const { good, failed, failures, sockets, changes, reloads, restarts, retries, revocations, series, trends, gatewayCores } =
    results
  console.error(SOAK_NAME)
  console.dir({ good, failed, failures, sockets, changes, reloads, restarts, retries, revocations, gatewayCores }, { depth: 4 })
  console.table(series)
  console.table(trends)
  console.table(left)
}
