import { Problem } from '../problem/problem.ts'
import type { LogSlice, Revocation } from './log.ts'
import type { RevocationNeeds } from './revocation.ts'
import { createSync } from './sync.ts'

/** Follows the log: a snapshot first, then what comes after it, for ever. One read at a time. */
export interface Feed {
  /**
   * Resolves when the first snapshot is applied, or when the feed was stopped before. With a copy, goes on from its position,
   * and resolves also when the log cannot be read: the copy's age is that of the set then.
   */
  start(copy?: CopyPlace): Promise<void>
  stop(): void
  isLoaded(): boolean
  /** Since the beginning of the last read that reached the end of the log. */
  stalenessMs(): number
  /** Where the log would be read on from; absent before anything was loaded. */
  position(): string | undefined
  /** Resolves after a read that began after the call and reached the end; rejects when none could for a second. */
  synced(): Promise<void>
}

/** Where a copy left off, and how old it is. */
export interface CopyPlace {
  readonly position: string
  /** Infinite where that cannot be said. */
  readonly ageMs: number
}

/** Whom the feed tells. */
export interface FeedSet {
  apply(revocation: Revocation): void
  /** The whole is loaded from here on: what the log does not tell again it lacks. */
  wholeBegins(): void
  wholeEnds(): void
}

/** A wake from the log only saves waiting for the next look. */
const POLL_MS = 250
/** While somebody waits for what could not be read, or what a log that lags has not got yet. */
const IMPATIENT_MS = 50
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 2000
/** A read that does not end by then has failed; its answer is not taken any more. */
const READ_MS = 5000
/** Slices in a row before other work gets its turn. */
const SLICES = 16
/** After so long a page of the whole waits for other work to have its turn. */
const TURN_MS = 10
/** A log that is broken may refuse the old position for ever: after so many refusals the whole is loaded. One that is away refuses nothing. */
const REFUSALS_BEFORE_SNAPSHOT = 3

type FeedNeeds = Pick<RevocationNeeds, 'log' | 'monotonicMs' | 'random' | 'schedule' | 'events'>

export function createFeed(needs: FeedNeeds, set: FeedSet): Feed {
  let state: 'idle' | 'reading' | 'stopped' = 'idle'
  /** Where the next read goes on; absent: with a snapshot. */
  let position: string | undefined
  let isLoaded = false
  let confirmedMs = Number.NEGATIVE_INFINITY
  let failures = 0
  let refusals = 0
  let wokenMs: number | undefined
  let wantsMore = false
  let loaded: { resolve(): void; reject(cause: unknown): void } | undefined
  const sync = createSync(needs.monotonicMs)
  let cancelNext: (() => void) | undefined
  let cancelWake: (() => void) | undefined
  return { start, stop, isLoaded: () => isLoaded, stalenessMs, position: () => position, synced }

  function start(copy?: CopyPlace): Promise<void> {
    if (isStopped()) return Promise.resolve()
    if (copy !== undefined) {
      position = copy.position
      confirmedMs = needs.monotonicMs() - copy.ageMs
      isLoaded = true
    }
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
    sync.refuseAll(new Error('the feed was stopped'))
  }

  function stalenessMs(): number {
    return needs.monotonicMs() - confirmedMs
  }

  function synced(): Promise<void> {
    const waiting = sync.wait()
    if (state === 'stopped') sync.refuseAll(new Error('the feed was stopped'))
    else read()
    return waiting
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
    if (sync.count() > 0) delayMs = Math.min(delayMs, IMPATIENT_MS)
    if (state === 'stopped') return
    state = 'idle'
    cancelNext = needs.schedule(delayMs, read)
  }

  /** One slice, or the whole. Asks for another round unless it ends at the end of the log. */
  async function readOnce(): Promise<void> {
    const startedMs = needs.monotonicMs()
    const noticedMs = wokenMs
    const from = refusals >= REFUSALS_BEFORE_SNAPSHOT ? undefined : position
    const concerned = sync.count()
    wantsMore = false
    const slice = from === undefined ? await readWhole() : await within(needs.log.readAfter(from))
    if (slice === undefined || isStopped()) return
    if (from !== undefined) for (const revocation of slice.revocations) set.apply(revocation)
    if (noticedMs !== undefined && slice.revocations.length > 0) noteLag(noticedMs)
    if (failures > 0) needs.events.feed('up')
    failures = 0
    refusals = 0
    position = slice.isRestart === true ? undefined : slice.position
    if (!slice.complete || slice.isRestart === true) {
      wantsMore = true
      return
    }
    // What was confirmed once stays so: facts only grow.
    const asOfMs = startedMs - (slice.lagMs ?? 0)
    confirmedMs = Math.max(confirmedMs, asOfMs)
    isLoaded = true
    wokenMs = wokenMs === noticedMs ? undefined : wokenMs
    loaded?.resolve()
    loaded = undefined
    sync.reached(concerned, asOfMs)
  }

  /** The last page, with all of them applied; undefined when the feed was stopped meanwhile. */
  async function readWhole(): Promise<LogSlice | undefined> {
    let isFirst = true
    const pages = needs.log.snapshot()[Symbol.asyncIterator]()
    let turnMs = needs.monotonicMs()
    for (;;) {
      const { value: page, done } = await within(pages.next())
      if (isStopped()) return undefined
      if (done === true) throw new Error('the snapshot of the log ended without its last page')
      if (isFirst) set.wholeBegins()
      isFirst = false
      for (const revocation of page.revocations) set.apply(revocation)
      if (page.complete) {
        set.wholeEnds()
        return page
      }
      if (needs.monotonicMs() - turnMs < TURN_MS) continue
      await new Promise<void>((resolve) => void needs.schedule(0, resolve))
      turnMs = needs.monotonicMs()
    }
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
    if (!isAway(cause)) refusals += 1
    if (failures === 1 && !isStopped()) needs.events.feed('down', cause)
    // A copy was loaded: its age counts, and the routes say what is done about that.
    if (isLoaded) loaded?.resolve()
    sync.failed(cause)
    const fullMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10))
    return (fullMs / 2) * (1 + needs.random())
  }

  function within<T>(reading: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(READ_MS, () => reject(late()))
      reading.then(resolve, reject).finally(cancel)
    })
  }
}

function late(): Problem {
  return new Problem('storage_unavailable', { cause: new Error(`the log did not answer within ${READ_MS} ms`) })
}

function isAway(cause: unknown): boolean {
  return cause instanceof Problem && cause.kind === 'storage_unavailable'
}
