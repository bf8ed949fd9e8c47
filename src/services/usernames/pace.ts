/** Between these the pace finds its place by itself. */
const SHORTEST_MS = 2
const LONGEST_MS = 6
const STEP_MS = 0.2
/** The share of look-ups that are done within the pace. */
const SHARE = 0.9

/**
 * Lets answers go in step, so that the time of an answer does not tell which layer it came from: a name that somebody asked for a
 * moment ago, one that the database was asked for and a reserved one take equally long. Only what takes longer than nine in
 * ten look-ups in the database is seen to.
 */
export interface Pace {
  /** Resolves at the next beat that is a pace or more after `startedMs`; at once where that is past. */
  until(startedMs: number): Promise<void>
  /** A look-up in the database took so long. */
  took(ms: number): void
}

interface Beat {
  readonly atMs: number
  readonly waiting: (() => void)[]
}

export function createPace(needs: { monotonicMs(): number; schedule(delayMs: number, run: () => void): () => void }): Pace {
  /** A few, in the order in which they were planned. A Map of them would keep much of what waited from being collected. */
  const beats: Beat[] = []
  let paceMs = SHORTEST_MS + 1
  return { until, took }

  function until(startedMs: number): Promise<void> {
    const nowMs = needs.monotonicMs()
    const beat = Math.ceil(startedMs + paceMs)
    if (beat <= nowMs) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const planned = beats.find((one) => one.atMs === beat)
    if (planned !== undefined) {
      planned.waiting.push(resolve)
      return promise
    }
    const made = { atMs: beat, waiting: [resolve] }
    beats.push(made)
    // Whole milliseconds: timers of equal length are one list to Node.
    needs.schedule(Math.ceil(beat - nowMs), () => {
      beats.splice(beats.indexOf(made), 1)
      for (const release of made.waiting) release()
    })
    return promise
  }

  /** Follows a quantile: as many steps up as down when `SHARE` of all is below it. */
  function took(ms: number): void {
    const moved = ms > paceMs ? paceMs + STEP_MS * SHARE : paceMs - STEP_MS * (1 - SHARE)
    paceMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, moved))
  }
}
