import type { RevocationsNeeds, RevokedSlice } from './revocations.ts'

/** Reads on from a position, and waits for news where there are none. */
export interface Tail {
  /** Rejects when the log cannot be read. */
  read(asked: TailQuestion): Promise<RevokedSlice>
}

export interface TailQuestion {
  readonly tenant: string
  readonly after: string
  readonly waitMs: number
}

/** Who comes when so many wait is answered at once. */
const MOST_WAITING = 1_000

interface Reading {
  readonly startedMs: number
  readonly slice: Promise<RevokedSlice>
}

export function createTail({ source, nowMs, schedule }: Omit<RevocationsNeeds, 'clients'>): Tail {
  /** By position: all that ask for the same are one question to the storage. */
  const readings = new Map<string, Reading>()
  let waiting = 0
  return { read }

  async function read({ tenant, after, waitMs }: TailQuestion): Promise<RevokedSlice> {
    const untilMs = nowMs() + waitMs
    let position = after
    for (;;) {
      // Before the log is read: what is appended in between is news.
      const news = listen(tenant)
      try {
        const slice = await readOn(position)
        const own = slice.revocations.filter((one) => one.tenant === tenant)
        position = slice.position
        const leftMs = untilMs - nowMs()
        const isNews = own.length > 0 || !slice.complete || slice.isRestart === true
        if (isNews || leftMs <= 0 || waiting >= MOST_WAITING) {
          return { ...slice, revocations: own, position }
        }
        await news.within(leftMs)
      } finally {
        news.stop()
      }
    }
  }

  /** What this gateway has read to the end needs no question to the storage. */
  async function readOn(position: string): Promise<RevokedSlice> {
    if (position === source.position()) return { position, revocations: [], complete: true, lagMs: source.stalenessMs() }
    const joinedMs = nowMs()
    const reading = readings.get(position) ?? begin(position)
    const slice = await reading.slice
    // A reading that was under way already is older than this question.
    return { ...slice, lagMs: (slice.lagMs ?? 0) + joinedMs - reading.startedMs }
  }

  function begin(position: string): Reading {
    const reading = { startedMs: nowMs(), slice: source.readAfter(position) }
    readings.set(position, reading)
    const forget = (): void => void readings.delete(position)
    reading.slice.then(forget, forget)
    return reading
  }

  function listen(tenant: string) {
    let isTold = false
    let tell: (() => void) | undefined
    const stop = source.onRevoked((one) => {
      if (one.tenant !== tenant) return
      isTold = true
      tell?.()
    })
    return { stop, within }

    async function within(delayMs: number): Promise<void> {
      if (isTold) return
      waiting += 1
      await new Promise<void>((resolve) => {
        const cancel = schedule(delayMs, resolve)
        tell = () => {
          cancel()
          resolve()
        }
      })
      waiting -= 1
    }
  }
}
