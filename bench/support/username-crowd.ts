/** People who keep their connections and ask now and then: in steps, until all of them are there or something runs out. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from './processes.ts'
import { percentilesOf, together, type Percentiles } from './username-latencies.ts'
import type { UsernameLoad, UsernameLoadResult } from './username-load.ts'
import { residentMiB, type UsernameGateway, type UsernameWorld } from './username-world.ts'

export interface CrowdStep extends Percentiles {
  readonly clients: number
  /** Connections that were open. */
  readonly opened: number
  readonly gateways: number
  readonly perSecond: number
  readonly errors: number
  readonly wrong: number
  /** What a connection in use takes of a gateway's memory. */
  readonly kibEach: number
  readonly gatewayMiB: number
  /** What stopped it, where not all were there. */
  readonly stoppedBy?: string
}

const STEPS = [1_000, 10_000, 25_000, 50_000, 100_000] as const
/** Each client checks a name once in so many seconds. */
const THINK_SECONDS = 10
/** Files that a process has besides connections. */
const OTHER_FILES = 500
const OPENED_PER_SECOND = 5_000
const SAMPLE_MS = 500
const PAUSE_MS = 0.1
const SOURCES_EACH = 4

/** Most connections of one process here. */
export function roomOfProcess(): number {
  const [, hard = '0'] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return hard === 'unlimited' ? Math.max(...STEPS) : Number(hard) - OTHER_FILES
}

/** A step has as many gateways as the limit of open files asks for, all on the first core, each with a process of clients. */
export async function measureCrowd(world: UsernameWorld, first: UsernameGateway, seconds: number): Promise<readonly CrowdStep[]> {
  const room = roomOfProcess()
  const gateways = [first]
  const steps: CrowdStep[] = []
  for (const clients of STEPS) {
    const wanted = Math.ceil(clients / room)
    while (gateways.length < wanted) gateways.push(await world.add())
    const step = await crowd(gateways, clients, seconds)
    steps.push(step)
    console.error(`${step.opened} of ${clients} clients over ${gateways.length} gateways`)
    if (step.stoppedBy !== undefined) break
    // What was closed is gone before the next ones come.
    await sleep(1_000)
  }
  return steps
}

async function crowd(gateways: readonly UsernameGateway[], clients: number, seconds: number): Promise<CrowdStep> {
  const each = Math.ceil(clients / gateways.length)
  const before = total(gateways)
  const startAtMs = Date.now() + 3_000 + (clients / OPENED_PER_SECOND) * 1_000
  const loads = gateways.map((gateway, index): UsernameLoad => {
    const sources = Array.from({ length: SOURCES_EACH }, (_, at) => `127.0.${index + 1}.${at + 1}`)
    const pace = { perSecond: each / THINK_SECONDS, seconds, warmUpSeconds: THINK_SECONDS, pick: 'turn', startAtMs } as const
    const pauseMs = PAUSE_MS * gateways.length
    return { ...pace, pauseMs, origin: gateway.url, seed: index, connections: each, sources }
  })
  const running = Promise.all(loads.map((load) => ask<UsernameLoadResult>(1, 'username-load.ts', load)))
  const most = await mostWhile(running, () => total(gateways))
  const results = await running
  const failure = results.find((result) => result.failure !== undefined)?.failure
  return {
    clients,
    opened: sum(results, (result) => result.opened),
    gateways: gateways.length,
    ...percentilesOf(together(results.map((result) => result.all))),
    perSecond: Math.round(sum(results, (result) => result.served) / (seconds + THINK_SECONDS)),
    errors: sum(results, (result) => result.errors),
    wrong: sum(results, (result) => result.wrong),
    kibEach: Math.round(((most - before) * 1024 * 10) / clients) / 10,
    gatewayMiB: Math.round(most / gateways.length),
    ...(failure !== undefined && { stoppedBy: failure }),
  }
}

async function mostWhile(work: Promise<unknown>, read: () => number): Promise<number> {
  const over = work.then(
    () => true,
    () => true,
  )
  let most = read()
  while (!(await Promise.race([over, sleep(SAMPLE_MS, false)]))) most = Math.max(most, read())
  return most
}

function total(gateways: readonly UsernameGateway[]): number {
  return sum(gateways, (gateway) => residentMiB(gateway.pid))
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((all, item) => all + of(item), 0)
}
