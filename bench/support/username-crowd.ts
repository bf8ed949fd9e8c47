/** People who keep their connections and ask now and then, of one gateway: in steps, until all of them are there or something runs out. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, cpuSeconds } from './processes.ts'
import { round2 } from './results.ts'
import { percentilesOf, together, type Percentiles } from './username-latencies.ts'
import type { UsernameLoad, UsernameLoadResult } from './username-load.ts'
import { residentMiB, type UsernameGateway, type UsernameWorld } from './username-world.ts'

export interface CrowdStep extends Percentiles {
  readonly clients: number
  /** Connections that were open. */
  readonly opened: number
  readonly workers: number
  readonly perSecond: number
  readonly errors: number
  /** Those after the first round of checks, in which each connection is used for the first time. Absent: the run did not count them apart. */
  readonly measuredErrors?: number
  readonly wrong: number
  /** What a connection in use takes of the gateway's memory. */
  readonly kibEach: number
  /** Of all its processes together. */
  readonly gatewayMiB: number
  /** CPU time of all its processes, in cores. */
  readonly gatewayCore: number
  /** Open files of the process that hands connections out, and of the worker that has most. */
  readonly primaryFiles: number
  readonly workerFiles: number
  readonly sentLateP99Ms: number
  /** What stopped it, where not all were there. */
  readonly stoppedBy?: string
}

const STEPS = [10_000, 50_000, 100_000] as const
/** Each client checks a name once in so many seconds. */
const THINK_SECONDS = 20
/** Files that a process has besides connections. */
const OTHER_FILES = 500
/** More at once than the gateway hands out to its workers wait in one process, which may have no more open files than each of them. */
const OPENED_PER_SECOND = 3_000
const STARTING_MS = 3_000
const SAMPLE_MS = 500
const PAUSE_MS = 0.1
const SOURCES_EACH = 4

/** Most connections of one process here. */
function roomOfProcess(): number {
  const [, hard = '0'] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return hard === 'unlimited' ? Math.max(...STEPS) : Number(hard) - OTHER_FILES
}

/**
 * The gateway has as many workers, all on the first core, as the limit of open files asks for, and each step as many processes of
 * clients.
 */
export async function measureCrowd(world: UsernameWorld, seconds: number): Promise<readonly CrowdStep[]> {
  const room = roomOfProcess()
  const gateway = await world.add(Math.ceil(Math.max(...STEPS) / room))
  const steps: CrowdStep[] = []
  // What a step has taken is not given back before the next one.
  const idleMiB = sum([gateway.pid, ...childrenOf(gateway.pid)], residentMiB)
  for (const clients of STEPS) {
    const step = await crowd(gateway, { clients, seconds, processes: Math.ceil(clients / room), idleMiB })
    steps.push(step)
    console.error(`${step.opened} of ${clients} clients over ${step.workers} workers`)
    if (step.stoppedBy !== undefined) break
    // What was closed is gone before the next ones come.
    await sleep(1_000)
  }
  await gateway.stop()
  return steps
}

interface Size {
  readonly clients: number
  readonly processes: number
  readonly seconds: number
  /** What the gateway takes without connections. */
  readonly idleMiB: number
}

async function crowd(gateway: UsernameGateway, { clients, processes, seconds, idleMiB }: Size): Promise<CrowdStep> {
  const workers = childrenOf(gateway.pid)
  const pids = [gateway.pid, ...workers]
  const each = Math.ceil(clients / processes)
  const startAtMs = Date.now() + STARTING_MS + (clients / OPENED_PER_SECOND) * 1_000
  const loads = Array.from({ length: processes }, (_, index): UsernameLoad => {
    const sources = Array.from({ length: SOURCES_EACH }, (_one, at) => `127.0.${index + 1}.${at + 1}`)
    const pace = { perSecond: each / THINK_SECONDS, seconds, warmUpSeconds: THINK_SECONDS, pick: 'turn', startAtMs } as const
    const opening = { connections: each, openedPerSecond: OPENED_PER_SECOND / processes, sources }
    return { ...pace, ...opening, pauseMs: PAUSE_MS * processes, origin: gateway.url, seed: index }
  })
  const startedMs = performance.now()
  const used = sum(pids, cpuSeconds)
  const running = Promise.all(loads.map((load) => ask<UsernameLoadResult>(1, 'username-load.ts', load)))
  const most = await mostWhile(running, () => ({
    mebibytes: sum(pids, residentMiB),
    primaryFiles: filesOf(gateway.pid),
    workerFiles: Math.max(...workers.map(filesOf)),
  }))
  const results = await running
  const failure = results.find((result) => result.failure !== undefined)?.failure
  return {
    clients,
    opened: sum(results, (result) => result.opened),
    workers: workers.length,
    ...percentilesOf(together(results.map((result) => result.all))),
    perSecond: Math.round(sum(results, (result) => result.served) / (seconds + THINK_SECONDS)),
    errors: sum(results, (result) => result.errors),
    measuredErrors: sum(results, (result) => result.measuredErrors),
    wrong: sum(results, (result) => result.wrong),
    kibEach: Math.round(((most.mebibytes - idleMiB) * 1024 * 10) / clients) / 10,
    gatewayMiB: Math.round(most.mebibytes),
    gatewayCore: round2(((sum(pids, cpuSeconds) - used) * 1000) / (performance.now() - startedMs)),
    primaryFiles: most.primaryFiles,
    workerFiles: most.workerFiles,
    sentLateP99Ms: percentilesOf(together(results.map((result) => result.late))).p99Ms,
    ...(failure !== undefined && { stoppedBy: failure }),
  }
}

/** The most of each figure. */
async function mostWhile<K extends string>(work: Promise<unknown>, read: () => Record<K, number>): Promise<Record<K, number>> {
  const over = work.then(
    () => true,
    () => true,
  )
  const most = read()
  while (!(await Promise.race([over, sleep(SAMPLE_MS, false)]))) {
    const now = read()
    for (const name in now) most[name] = Math.max(most[name], now[name])
  }
  return most
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

function filesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((all, item) => all + of(item), 0)
}
