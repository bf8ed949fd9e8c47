import type { Span } from './span.ts'

export interface QueueNeeds {
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Hands spans to whoever stores them. Rejects when they are not taken. */
  send(spans: readonly Span[]): Promise<void>
  told: Told
}

/** What became of spans. */
export interface Told {
  /** `dropped`: there was no room for them; `failed`: they were not taken. */
  spans(result: 'exported' | 'dropped' | 'failed', count: number): void
  /** Spans are taken again, or not any more. */
  reachable(state: 'up' | 'down', cause?: unknown): void
}

export interface Queue {
  /** Takes them all, or none where there is no room: half a trace is worse than none. */
  add(spans: readonly Span[]): void
  /** Sends what there is, as long as it may take; the rest is dropped, and whatever comes later. */
  close(longestMs: number): Promise<void>
}

/** Most spans that wait; a few megabytes. */
const MOST_WAITING = 4096
const BATCH = 256
const LONGEST_WAIT_MS = 1000

/** Sends in batches, one after the other: whoever stores spans is never in the way of a request. */
export function createQueue({ schedule, send, told }: QueueNeeds): Queue {
  let waiting: Span[] = []
  let cancel: (() => void) | undefined
  let sending: Promise<void> | undefined
  let isClosed = false
  let state: 'up' | 'down' = 'up'
  return { add, close }

  function add(spans: readonly Span[]): void {
    if (isClosed || waiting.length + spans.length > MOST_WAITING) {
      told.spans('dropped', spans.length)
      return
    }
    for (const span of spans) waiting.push(span)
    if (sending !== undefined) return
    if (waiting.length >= BATCH) sendOn()
    else cancel ??= schedule(LONGEST_WAIT_MS, sendOn)
  }

  function sendOn(): void {
    cancel?.()
    cancel = undefined
    if (sending !== undefined || waiting.length === 0) return
    const batch = waiting.slice(0, BATCH)
    waiting = waiting.slice(BATCH)
    sending = deliver(batch).finally(goOn)
  }

  function goOn(): void {
    sending = undefined
    if (waiting.length === 0) return
    if (isClosed || waiting.length >= BATCH) sendOn()
    else cancel ??= schedule(LONGEST_WAIT_MS, sendOn)
  }

  async function deliver(batch: readonly Span[]): Promise<void> {
    try {
      await send(batch)
      told.spans('exported', batch.length)
      note('up')
    } catch (cause) {
      told.spans('failed', batch.length)
      note('down', cause)
    }
  }

  function note(now: 'up' | 'down', cause?: unknown): void {
    if (state === now) return
    state = now
    told.reachable(now, cause)
  }

  async function close(longestMs: number): Promise<void> {
    isClosed = true
    let stopWaiting: (() => void) | undefined
    const tooLong = new Promise<void>((resolve) => {
      stopWaiting = schedule(longestMs, resolve)
    })
    await Promise.race([emptied(), tooLong])
    stopWaiting?.()
    cancel?.()
    if (waiting.length > 0) told.spans('dropped', waiting.length)
    waiting = []
  }

  async function emptied(): Promise<void> {
    sendOn()
    if (sending === undefined) return
    await sending
    await emptied()
  }
}
