import { Problem } from '../problem/problem.ts'

/** Those that wait until what was appended before they came is in force here. */
export interface Sync {
  /** Resolves when the log was read to its end as of now or later. */
  wait(): Promise<void>
  count(): number
  /** The log was read as of that moment, for the first so many: the others came after the reading began. */
  reached(count: number, asOfMs: number): void
  /** A read failed: those that came lately wait for the next one. */
  failed(cause: unknown): void
  refuseAll(cause: unknown): void
}

/** Nobody waits longer for a log that lags. */
const LAG_MS = 2000
/** Nor for one that cannot be read: a connection that broke is there again by then. */
const FAILING_MS = 1000

interface Waiter {
  readonly sinceMs: number
  resolve(): void
  reject(cause: unknown): void
}

export function createSync(monotonicMs: () => number): Sync {
  let waiters: Waiter[] = []
  return { wait, count: () => waiters.length, reached, failed, refuseAll }

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      waiters.push({ sinceMs: monotonicMs(), resolve, reject })
    })
  }

  function reached(count: number, asOfMs: number): void {
    const lateMs = monotonicMs() - LAG_MS
    for (const waiter of waiters.splice(0, count)) {
      if (waiter.sinceMs <= asOfMs) waiter.resolve()
      else if (waiter.sinceMs <= lateMs) refuse(waiter, new Error(`the log lags by more than ${LAG_MS} ms`))
      else waiters.push(waiter)
    }
  }

  function failed(cause: unknown): void {
    const lateMs = monotonicMs() - FAILING_MS
    const patient = waiters.filter((waiter) => waiter.sinceMs > lateMs)
    for (const waiter of waiters) if (waiter.sinceMs <= lateMs) refuse(waiter, cause)
    waiters = patient
  }

  function refuseAll(cause: unknown): void {
    const concerned = waiters
    waiters = []
    for (const waiter of concerned) refuse(waiter, cause)
  }
}

function refuse(waiter: Waiter, cause: unknown): void {
  waiter.reject(new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause }))
}
