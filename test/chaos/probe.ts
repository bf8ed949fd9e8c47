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

/** What was let in within a span, and how long it took. */
export interface Timing {
  /** The slowest percent of each of its seconds, ms: what else went on in one of them changes no other. */
  readonly seconds: readonly number[]
  /** How long each took, ms. */
  readonly took: readonly number[]
}

const SECOND_MS = 1_000
/** A second with fewer than this share of the fullest one says too little: most was refused in it. */
const LEAST_FULL = 0.5

/** Of whole seconds only. */
export function timingOf(samples: readonly Sample[], { fromMs, toMs }: Span): Timing {
  const seconds = Array.from({ length: Math.floor((toMs - fromMs) / SECOND_MS) }, (): number[] => [])
  for (const { sentMs, status, tookMs } of samples) {
    if (status === 200) seconds[Math.floor((sentMs - fromMs) / SECOND_MS)]?.push(tookMs)
  }
  const fullest = Math.max(0, ...seconds.map(({ length }) => length))
  const full = seconds.filter(({ length }) => length > 0 && length >= fullest * LEAST_FULL)
  return { seconds: full.map(p99Of), took: full.flat() }
}

/** Several runs, as if they were one. */
export function together(timings: readonly Timing[]): Timing {
  return { seconds: timings.flatMap(({ seconds }) => seconds), took: timings.flatMap(({ took }) => took) }
}

/** The slowest percent. */
export function p99Of(took: readonly number[]): number {
  return share(took, 0.99)
}

/** The one in the middle. */
export function middleOf(values: readonly number[]): number {
  return share(values, 0.5)
}

function share(values: readonly number[], part: number): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length * part)] ?? Number.NaN
}

/** Without what each group answered in its first time: a process compiles what it does often. */
export function warm(samples: readonly Sample[], warmUpMs: number): readonly Sample[] {
  const first = new Map<number, number>()
  for (const { group, sentMs } of samples) first.set(group, Math.min(sentMs, first.get(group) ?? sentMs))
  return samples.filter(({ group, sentMs }) => sentMs >= (first.get(group) ?? 0) + warmUpMs)
}
