import { Problem } from '../problem/problem.ts'
import type { LogSlice, Revocation, RevocationNeeds } from './revocation.ts'

/** Follows the log: a snapshot first, then what comes after it, for ever. One read at a time. */
export interface Feed {
  /** Resolves when the first snapshot is applied, or when the feed was stopped before. */
  start(): Promise<void>
  stop(): void
  isLoaded(): boolean
  /** Since the beginning of the last read that reached the end of the log. */
  stalenessMs(): number
  /** Resolves after a read that began after the call and reached the end; rejects when a read fails meanwhile. */
  synced(): Promise<void>
}

/** A wake from the log only saves waiting for the next look. */
const POLL_MS = 250
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 2000
/** A read that does not end by then has failed; its answer is not taken any more. */
const READ_MS = 5000
/** Slices in a row before other work gets its turn. */
const SLICES = 16
/** A log that was put back or cut may refuse the old position for ever: after so many failures the whole is loaded. */
const FAILURES_BEFORE_SNAPSHOT = 3

interface Waiter {
  resolve(): void
  reject(cause: unknown): void
}

type FeedNeeds = Pick<RevocationNeeds, 'log' | 'monotonicMs' | 'random' | 'schedule' | 'events'>

export function createFeed(needs: FeedNeeds, apply: (revocation: Revocation) => void): Feed {
  let state: 'idle' | 'reading' | 'stopped' = 'idle'
  /** Where the next read goes on; absent: with a snapshot. */
  let position: string | undefined
  let confirmedMs = Number.NEGATIVE_INFINITY
  let failures = 0
  let wokenMs: number | undefined
  let wantsMore = false
  let loaded: Waiter | undefined
  let waiters: Waiter[] = []
  let cancelNext: (() => void) | undefined
  let cancelWake: (() => void) | undefined
  return { start, stop, isLoaded: () => confirmedMs !== Number.NEGATIVE_INFINITY, stalenessMs, synced }

  function start(): Promise<void> {
    cancelWake = needs.log.onAppend(wake)
    return new Promise((resolve, reject) => {
      loaded = { resolve, reject }
      read()
    })
  }

  function stop(): void {
    state = 'stopped'
    cancelNext?.()
    cancelWake?.()
    loaded?.resolve()
    refuse(waiters, new Error('the feed was stopped'))
  }

  function stalenessMs(): number {
    return needs.monotonicMs() - confirmedMs
  }

  function synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (state === 'stopped') {
        refuse([{ resolve, reject }], new Error('the feed was stopped'))
        return
      }
      waiters.push({ resolve, reject })
      read()
    })
  }

  function wake(): void {
    wokenMs ??= needs.monotonicMs()
    read()
  }

  /** Begins to read, or sees to it that the reading at work goes round once more. */
  function read(): void {
    wantsMore = true
    if (state !== 'idle') return
    cancelNext?.()
    state = 'reading'
    void readToEnd()
  }

  /** Never rejects: what goes wrong ends in `failed`. */
  async function readToEnd(): Promise<void> {
    let delayMs = POLL_MS
    try {
      for (let slices = 0; wantsMore; slices += 1) {
        if (slices === SLICES) {
          delayMs = 0
          break
        }
        await readOnce()
      }
    } catch (cause) {
      delayMs = failed(cause)
    }
    if (state === 'stopped') return
    state = 'idle'
    cancelNext = needs.schedule(delayMs, read)
  }

  /** One slice. Asks for another round unless it ends at the end of the log. */
  async function readOnce(): Promise<void> {
    const startedMs = needs.monotonicMs()
    const noticedMs = wokenMs
    const from = failures >= FAILURES_BEFORE_SNAPSHOT ? undefined : position
    const concerned = waiters.length
    wantsMore = false
    const slice = await within(from === undefined ? needs.log.snapshot() : needs.log.readAfter(from))
    if (isStopped()) return
    for (const revocation of slice.revocations) apply(revocation)
    if (noticedMs !== undefined && slice.revocations.length > 0) noteLag(noticedMs)
    if (failures > 0) needs.events.feed('up')
    failures = 0
    position = slice.position
    if (!slice.complete) {
      wantsMore = true
      return
    }
    confirmedMs = startedMs
    wokenMs = wokenMs === noticedMs ? undefined : wokenMs
    loaded?.resolve()
    loaded = undefined
    for (const waiter of waiters.splice(0, concerned)) waiter.resolve()
  }

  function isStopped(): boolean {
    return state === 'stopped'
  }

  function noteLag(noticedMs: number): void {
    needs.events.lag((needs.monotonicMs() - noticedMs) / 1000)
    if (wokenMs === noticedMs) wokenMs = undefined
  }

  /** Keeps what is known and answers how long to wait: doubled each time, and anywhere in its upper half. */
  function failed(cause: unknown): number {
    failures += 1
    if (failures === 1 && !isStopped()) needs.events.feed('down', cause)
    const concerned = waiters
    waiters = []
    refuse(concerned, cause)
    const fullMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10))
    return (fullMs / 2) * (1 + needs.random())
  }

  function within(reading: Promise<LogSlice>): Promise<LogSlice> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(READ_MS, () => reject(new Error(`the log did not answer within ${READ_MS} ms`)))
      reading.then(resolve, reject).finally(cancel)
    })
  }
}

function refuse(waiters: readonly Waiter[], cause: unknown): void {
  for (const waiter of waiters) {
    waiter.reject(new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause }))
  }
}
