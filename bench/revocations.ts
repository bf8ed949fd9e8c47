/**
 * Revocation in a fleet: how soon every gateway refuses, whether any misses one, and what a Redis that is silent costs.
 *
 * Run by `npm run bench -- revocations`, or by the names of its scenarios.
 */
import { loadavg } from 'node:os'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFleetWorld, TENANT, type FleetWorld } from './support/fleet-world.ts'
import { measure } from './support/measure.ts'
import { ask } from './support/processes.ts'
import { median, round2, saveTables } from './support/results.ts'
import type { RevocationLoad, RevocationLoadResult } from './support/revocation-load.ts'

const REVOCATIONS_PER_SECOND = 1000
/** Of so many revocations one is watched: asking a gateway that has to verify the token costs more than revoking it. */
const WATCHED = 10
/** A fleet has more than a core: three gateways on one would be measured by how they take turns on it. */
const ALL_CORES = '0,1'
const FIRST_CORE = '0'
const KILLS = 100
const KILLED_REVOCATIONS = 10_000
const MILLION = 1_000_000
const LOAD_CONNECTIONS = 64
const TOKENS = 1000
/** What a start leaves behind is given back soon after; then the copy on the disk is written, and what that leaves is given back. */
const RESTS_MS = 12_000

const SCENARIOS = {
  'revoke-everywhere': everywhere,
  'revoke-kills': kills,
  'redis-silent': silent,
  'start-million': startMillion,
} as const

type Name = keyof typeof SCENARIOS

/** Names of `npm run bench -- NAME`: a scenario, or all of them. */
export const REVOCATION_NAMES: readonly string[] = [...Object.keys(SCENARIOS), 'revocations']

/** Measures, prints tables and writes results/revocations.json. */
export async function benchRevocations(asked: readonly string[], rounds: number, seconds: number): Promise<void> {
  const tables: Record<string, object> = {}
  for (const name of Object.keys(SCENARIOS).filter(isName)) {
    if (!asked.includes('revocations') && !asked.includes(name)) continue
    const loadBefore = loadavg()
    const table = await SCENARIOS[name](rounds, seconds)
    console.error(name)
    console.table(table)
    const taken = { node: process.version, date: new Date().toISOString(), seconds, rounds, loadBefore }
    tables[name] = { ...table, taken }
  }
  saveTables('revocations.json', tables)
}

/** From the answer to a revocation to its refusal by the last of three gateways. */
function everywhere(rounds: number, seconds: number) {
  return inWorld(ALL_CORES, async (world) => {
    const [first, ...others] = [await world.add(), await world.add(), await world.add()] as const
    const results: RevocationLoadResult[] = []
    for (let round = 0; round <= rounds; round += 1) {
      const pairs = await world.sessions(first, REVOCATIONS_PER_SECOND * seconds)
      const load: RevocationLoad = {
        origins: [first, ...others].map((gateway) => gateway.url),
        tokens: pairs.map((pair) => pair.access),
        perSecond: REVOCATIONS_PER_SECOND,
        mode: 'watch',
        watchOneIn: WATCHED,
      }
      const result = await ask<RevocationLoadResult>(1, 'revocation-load.ts', load)
      // Round 0 warms up and is thrown away.
      if (round > 0) results.push(result)
    }
    const middle = (of: (result: RevocationLoadResult) => number): number => round2(median(results.map(of)))
    return {
      perSecond: middle((result) => result.revoke.requestsPerSecond),
      answerP50Ms: middle((result) => result.revoke.p50Ms),
      answerP99Ms: middle((result) => result.revoke.p99Ms),
      everywhereP50Ms: middle((result) => result.everywhere.p50Ms),
      everywhereP99Ms: middle((result) => result.everywhere.p99Ms),
      everywhereMaxMs: middle((result) => result.everywhere.maxMs),
      target: 'everywhereP99Ms ≤ 50',
      missed: results.reduce((sum, result) => sum + result.missed, 0),
    }
  })
}

/** Whether a gateway misses a revocation while connections to Redis are cut. */
function kills() {
  return inWorld(ALL_CORES, async (world) => {
    const [first, ...others] = [await world.add(), await world.add(), await world.add()] as const
    const pairs = await world.sessions(first, KILLED_REVOCATIONS)
    const load: RevocationLoad = {
      origins: [first, ...others].map((gateway) => gateway.url),
      tokens: pairs.map((pair) => pair.access),
      perSecond: REVOCATIONS_PER_SECOND,
      mode: 'after',
      watchOneIn: 1,
    }
    const revoking = ask<RevocationLoadResult>(1, 'revocation-load.ts', load)
    let killed = 0
    for (let turn = 0; turn < KILLS; turn += 1) {
      await sleep((KILLED_REVOCATIONS / REVOCATIONS_PER_SECOND / KILLS) * 1000)
      killed += await killOne(world)
    }
    const { missed, repeated } = await revoking
    return { revocations: pairs.length, gateways: 1 + others.length, killed, repeated, missed, target: 'missed 0' }
  })
}

/** Any connection of a gateway: the one that follows the feed as well as those that carry commands. */
async function killOne({ redis }: FleetWorld): Promise<number> {
  const clients = String(await redis.admin.client('LIST')).split('\n')
  const ids = clients.filter((line) => line.includes('name=gatehouse')).map((line) => /^id=(\d+)/.exec(line)?.[1])
  const id = ids[Math.floor(Math.random() * ids.length)]
  return id === undefined ? 0 : Number(await redis.admin.client('KILL', 'ID', id))
}

/** Requests a second while Redis is stopped, against the same gateway with Redis well; rounds take turns. */
function silent(rounds: number, seconds: number) {
  return inWorld(FIRST_CORE, async (world) => {
    const gateway = await world.add()
    const tokens = (await world.sessions(gateway, TOKENS)).map((pair) => pair.access)
    const load = { url: `${gateway.url}/api/small`, seconds, connections: LOAD_CONNECTIONS, tokens, pid: gateway.pid }
    await measure({ ...load, seconds: 2 })
    const rows = { well: [] as number[], silent: [] as number[] }
    const tails = { well: [] as number[], silent: [] as number[] }
    const micros = { well: [] as number[], silent: [] as number[] }
    let errors = 0
    for (let round = 0; round < rounds; round += 1) {
      for (const state of ['well', 'silent'] as const) {
        if (state === 'silent') process.kill(world.redis.pid, 'SIGSTOP')
        // Past the bound on staleness, so that what stale routes do is what is measured; and as long with Redis well, for a
        // process that was idle starts colder. Then a second to warm up.
        await sleep(2500)
        await measure({ ...load, seconds: 1 })
        try {
          const measured = await measure(load)
          rows[state].push(measured.requestsPerSecond)
          tails[state].push(measured.p99Ms)
          micros[state].push(measured.cpuMicrosPerRequest)
          errors += measured.errors
        } finally {
          process.kill(world.redis.pid, 'SIGCONT')
        }
      }
    }
    return {
      wellPerSecond: Math.round(median(rows.well)),
      silentPerSecond: Math.round(median(rows.silent)),
      ratio: round2(median(rows.silent) / median(rows.well)),
      wellP99Ms: median(tails.well),
      silentP99Ms: median(tails.silent),
      wellMicros: median(micros.well),
      silentMicros: median(micros.silent),
      errors,
      target: 'ratio ≥ 0.95',
    }
  })
}

/** A start with a million live revocations in Redis, and what they take in the process. */
function startMillion() {
  return inWorld(FIRST_CORE, async (world) => {
    const empty = await world.add()
    const emptyMiB = await restingMiB(empty.pid)
    await empty.stop()
    await fill(world)
    const full = await world.add()
    const fullMiB = await restingMiB(full.pid)
    const ready = await fetch(`${full.adminUrl}/metrics`).then((response) => response.text())
    return {
      entries: Number(/^gatehouse_revocation_entries(?:\{.*\})? (\d+)/m.exec(ready)?.[1]),
      startWithNoneMs: Math.round(empty.startMs),
      startMs: Math.round(full.startMs),
      residentMiB: fullMiB,
      bytesEach: Math.round(((fullMiB - emptyMiB) * 1024 * 1024) / MILLION),
      target: 'startMs ≤ 5000, bytesEach ≤ 120',
    }
  })
}

/** As the layout says: the set of live revocations, half sessions and half tokens. */
async function fill({ redis }: FleetWorld): Promise<void> {
  const expiresAt = Math.floor(Date.now() / 1000) + 3600
  const batch = 10_000
  for (let first = 0; first < MILLION; first += batch) {
    const members = Array.from({ length: batch }, (_, index) => {
      const id = crypto.randomUUID().replaceAll('-', '')
      return [expiresAt, JSON.stringify([index % 2 === 0 ? 's' : 't', TENANT, id])] as const
    })
    await redis.admin.zadd('revocations:live:{0}', ...members.flat())
  }
}

/** Resident memory of a gateway that was left alone. */
async function restingMiB(pid: number): Promise<number> {
  await sleep(RESTS_MS)
  return residentMiB(pid)
}

function residentMiB(pid: number): number {
  const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  return Math.round(kib / 1024)
}

async function inWorld<T>(cores: string, work: (world: FleetWorld) => Promise<T>): Promise<T> {
  const world = await startFleetWorld(cores)
  try {
    return await work(world)
  } finally {
    await world.stop()
  }
}

function isName(name: string): name is Name {
  return Object.hasOwn(SCENARIOS, name)
}
