/** How long good requests take, seen from a process of its own, and what of that is told. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { COLUMNS, type Order, type Target } from './probe-process.ts'

/** Measured for the document, or told in passing by a run of the tests. */
export const IS_MEASURED = process.env['GATEHOUSE_WRITE_MATRIX'] === '1'

/** A request that was answered, or not: its status is 0 then. */
export interface Sample {
  readonly group: number
  /** By `performance.now()` of this process. */
  readonly sentMs: number
  readonly tookMs: number
  readonly status: number
}

export interface Probe {
  /** Asks these from now on, and those of before no more. */
  ask(targets: readonly Target[]): void
  /** Ends, and tells what it saw. */
  end(): Promise<readonly Sample[]>
}

/** From `fromMs` on, before `toMs`. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Few collections of garbage, and short ones. */
const FLAGS = ['--max-semi-space-size=64']

/** @param perSecond - requests to all targets together */
export function startProbe(perSecond: number): Probe {
  const child = fork(join(import.meta.dirname, 'probe-process.ts'), { serialization: 'advanced', execArgv: FLAGS })
  const tell = (order: Order): void => void child.send(order)
  return {
    ask: (targets) => tell({ kind: 'ask', targets, perSecond }),
    async end() {
      const answered = once(child, 'message')
      tell({ kind: 'end' })
      const [columns] = (await answered) as [Float64Array]
      const aheadMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()
      return Array.from({ length: columns.length / COLUMNS }, (_, number): Sample => {
        const [group = 0, sentMs = 0, tookMs = 0, status = 0] = columns.subarray(number * COLUMNS)
        return { group, sentMs: sentMs - aheadMs, tookMs, status }
      })
    },
  }
}

/** The slowest percent of those that were let in. */
export function p99Of(samples: readonly Sample[], spans: readonly Span[]): number {
  const taken = samples
    .filter(({ sentMs, status }) => status === 200 && spans.some(({ fromMs, toMs }) => sentMs >= fromMs && sentMs < toMs))
    .map(({ tookMs }) => tookMs)
    .toSorted((one, other) => one - other)
  return taken[Math.floor(taken.length * 0.99)] ?? Number.NaN
}
