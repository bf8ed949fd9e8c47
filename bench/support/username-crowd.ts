/** People who keep their connections and ask now and then, of one gateway: in steps, until all of them are there or something runs out. */
import { readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, cpuSeconds, TICKS_PER_SECOND } from './processes.ts'
import { round2 } from './results.ts'
import { percentilesOf, together, type Percentiles } from './username-latencies.ts'
import type { UsernameLoad, UsernameLoadResult } from './username-load.ts'
import { residentMiB, type UsernameGateway, type UsernameWorld } from './username-world.ts'

/** Of one number of connections. Latencies count from the moment at which a check was due. */
export interface CrowdStep extends Percentiles {
  readonly clients: number
  /** Connections that were open. */
  readonly opened: number
  readonly workers: number
  /** For how long it was measured, when each connection had been used once. */
  readonly seconds: number
  /** Answered in the measured time. */
  readonly perSecond: number
  /** Those of the first check of each connection, which are not measured otherwise. */
  readonly firstErrors: number
  readonly errors: number
  /** The first checks included. */
  readonly wrong: number
  /** From the moment at which a check was sent: without what the clients were late. */
  readonly sinceSent: Pick<Percentiles, 'p50Ms' | 'p95Ms' | 'p99Ms'>
  /** How late checks were sent, and how long answers can have been there before the clients looked. */
  readonly sentLateP99Ms: number
  readonly unreadP99Ms: number
  readonly bySecond: readonly Pick<Percentiles, 'p50Ms' | 'p95Ms' | 'p99Ms'>[]
  /** What a connection in use takes of the gateway's memory. */
  readonly kibEach: number
  /** Of all its processes together. */
  readonly gatewayMiB: number
  /** CPU time of all its processes, in cores. */
  readonly gatewayCore: number
  /** CPU time of all else on the machine, in cores: the clients, Redis and the database. */
  readonly otherCores: number
  /** Open files of the process that hands connections out, and of the worker that has most. */
  readonly primaryFiles: number
  readonly workerFiles: number
  /** What stopped it, where not all were there. */
  readonly stoppedBy?: string
}

const STEPS = [10_000, 50_000, 100_000] as const
/** Each client checks a name once in so many seconds. */
const THINK_SECONDS = 30
/** Of the steps before the last, at the longest: they show where the last one comes from. */
const STEP_SECONDS = 20
/** Files that a process has besides connections. */
const OTHER_FILES = 500
/** More at once than the gateway hands out to its workers wait in one process, which may have no more open files than each of them. */
const OPENED_PER_SECOND = 3_000
const STARTING_MS = 3_000
const SETTLING_MS = 3_000
const SAMPLE_MS = 500
const PAUSE_MS = 0.1
const SOURCES_EACH = 16
/** Of the gateway: one alone is no match for as many processes as the limit of open files asks for. */
const CORES = '0,1'
/** The clients go before Redis and the database on their core, where that is allowed. */
const CLIENTS_NICENESS = -5

/** Most connections of one process here. */
function roomOfProcess(): number {
  const [, hard = '0'] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return hard === 'unlimited' ? Math.max(...STEPS) : Number(hard) - OTHER_FILES
}

/**
 * The gateway has as many workers, on both cores, as the limit of open files asks for, and each step as many processes of clients,
 * on the second one.
 *
 * @param seconds - of the last step
 */
export async function measureCrowd(
  world: UsernameWorld,
  seconds: number,
  sizes: readonly number[] = STEPS,
): Promise<readonly CrowdStep[]> {
  const room = roomOfProcess()
  const most = Math.max(...sizes)
  const gateway = await world.add(Math.ceil(most / room), CORES)
  const steps: CrowdStep[] = []
  // What the start has left behind is given back first.
  await sleep(SETTLING_MS)
  // What a step has taken is not given back before the next one.
  const idleMiB = sum([gateway.pid, ...childrenOf(gateway.pid)], residentMiB)
  for (const [nr, clients] of sizes.entries()) {
    const measured = clients === most ? seconds : Math.min(seconds, STEP_SECONDS)
    const step = await crowd(gateway, { clients, seconds: measured, processes: Math.ceil(clients / room), nr, idleMiB })
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
  /** Of the step, from 0. */
  readonly nr: number
  readonly clients: number
  readonly processes: number
  readonly seconds: number
  /** What the gateway takes without connections. */
  readonly idleMiB: number
}

async function crowd(gateway: UsernameGateway, size: Size): Promise<CrowdStep> {
  const workers = childrenOf(gateway.pid)
  const pids = [gateway.pid, ...workers]
  const startAtMs = Date.now() + STARTING_MS + (size.clients / OPENED_PER_SECOND) * 1_000
  const running = Promise.all(
    loadsOf(gateway, size, startAtMs).map((load) => ask<UsernameLoadResult>(1, 'username-load.ts', load, CLIENTS_NICENESS)),
  )
  const cores = coresWhile(pids, { fromMs: startAtMs + THINK_SECONDS * 1_000, seconds: size.seconds })
  const most = await mostWhile(running, () => ({
    mebibytes: sum(pids, residentMiB),
    primaryFiles: filesOf(gateway.pid),
    workerFiles: Math.max(...workers.map(filesOf)),
  }))
  const results = await running
  return {
    clients: size.clients,
    workers: workers.length,
    ...summarise(results, size.seconds),
    kibEach: Math.round(((most.mebibytes - size.idleMiB) * 1024 * 10) / size.clients) / 10,
    gatewayMiB: Math.round(most.mebibytes),
    ...(await cores),
    primaryFiles: most.primaryFiles,
    workerFiles: most.workerFiles,
  }
}

/**
 * Of each process of clients. Their checks are due one after the other, and all in even steps. Each step has addresses of its own:
 * where those of the one before still are in TIME-WAIT, the system looks for a port for most of a second.
 */
function loadsOf(
  { url }: UsernameGateway,
  { nr, clients, processes, seconds }: Size,
  startAtMs: number,
): readonly UsernameLoad[] {
  const connections = Math.ceil(clients / processes)
  return Array.from({ length: processes }, (_, index) => ({
    origin: url,
    seed: index,
    connections,
    openedPerSecond: OPENED_PER_SECOND / processes,
    sources: Array.from({ length: SOURCES_EACH }, (_one, at) => `127.${nr + 1}.${index + 1}.${at + 1}`),
    pick: 'turn',
    perSecond: connections / THINK_SECONDS,
    phase: index / processes,
    pauseMs: PAUSE_MS * processes,
    warmUpSeconds: THINK_SECONDS,
    seconds,
    startAtMs,
  }))
}

function summarise(results: readonly UsernameLoadResult[], seconds: number) {
  const failure = results.find((result) => result.failure !== undefined)?.failure
  const counts = (of: (result: UsernameLoadResult) => readonly number[]): Percentiles => percentilesOf(together(results.map(of)))
  const all = counts((result) => result.all)
  const errors = sum(results, (result) => result.measuredErrors)
  return {
    opened: sum(results, (result) => result.opened),
    seconds,
    ...all,
    perSecond: Math.round(all.checks / seconds),
    firstErrors: sum(results, (result) => result.errors) - errors,
    errors,
    wrong: sum(results, (result) => result.wrong),
    sinceSent: threeOf(counts((result) => result.sinceSent)),
    sentLateP99Ms: counts((result) => result.late).p99Ms,
    unreadP99Ms: counts((result) => result.unread).p99Ms,
    bySecond: Array.from({ length: Math.ceil(seconds) }, (_, second) =>
      threeOf(counts((result) => result.bySecond[second] ?? [])),
    ),
    ...(failure !== undefined && { stoppedBy: failure }),
  }
}

function threeOf({ p50Ms, p95Ms, p99Ms }: Percentiles): Pick<Percentiles, 'p50Ms' | 'p95Ms' | 'p99Ms'> {
  return { p50Ms, p95Ms, p99Ms }
}

interface Span {
  /** As of Date.now(). */
  readonly fromMs: number
  readonly seconds: number
}

async function coresWhile(pids: readonly number[], { fromMs, seconds }: Span) {
  await sleep(fromMs - Date.now())
  const before = { gateway: sum(pids, cpuSeconds), all: busySeconds() }
  await sleep(fromMs + seconds * 1_000 - Date.now())
  const gateway = sum(pids, cpuSeconds) - before.gateway
  return {
    gatewayCore: round2(gateway / seconds),
    otherCores: round2((busySeconds() - before.all - gateway) / seconds),
  }
}

/** CPU time of everything since the machine started. */
function busySeconds(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
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

/** Counted by the system: to list those of a crowd takes longer than to serve it. */
function filesOf(pid: number): number {
  return statSync(`/proc/${pid}/fd`).size
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((all, item) => all + of(item), 0)
}
