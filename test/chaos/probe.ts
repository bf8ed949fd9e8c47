/** How long good requests take, seen from a process of its own, and what of that is told. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Measured for the document, or told in passing by a run of the tests. */
export const IS_MEASURED = process.env['GATEHOUSE_WRITE_MATRIX'] === '1'

/** What it is told. */
export type Order =
  /** These in turn from now on, all together so often a second. */
  | { readonly kind: 'ask'; readonly targets: readonly Target[]; readonly perSecond: number }
  /** Tells what was seen as a `Float64Array` of {@link COLUMNS}, and ends. */
  | { readonly kind: 'end' }

/** Requests of one kind to one gateway. */
export interface Target {
  /** Samples are told apart by it. */
  readonly group: number
  readonly port: number
  readonly path: string
  /** Sent in turn. */
  readonly tokens: readonly string[]
}

/** Of each request its group, when it was sent by the monotonic clock of the machine, how long it took, and the status: 0 for none. */
export const COLUMNS = 4

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
  /** Ends in any case. */
  close(): void
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
    close: () => void child.kill('SIGKILL'),
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

/** Without what each group answered in its first time: a process compiles what it does often. */
export function warm(samples: readonly Sample[], warmUpMs: number): readonly Sample[] {
  const first = new Map<number, number>()
  for (const { group, sentMs } of samples) first.set(group, Math.min(sentMs, first.get(group) ?? sentMs))
  return samples.filter(({ group, sentMs }) => sentMs >= (first.get(group) ?? 0) + warmUpMs)
}
