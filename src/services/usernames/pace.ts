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

export function createPace(needs: { monotonicMs(): number; schedule(delayMs: number, run: () => void): () => void }): Pace {
  const beats = new Map<number, (() => void)[]>()
  let paceMs = SHORTEST_MS + 1
  return { until, took }

  function until(startedMs: number): Promise<void> {
    const nowMs = needs.monotonicMs()
    const beat = Math.ceil(startedMs + paceMs)
    if (beat <= nowMs) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = beats.get(beat)
    if (waiting !== undefined) {
      waiting.push(resolve)
      return promise
    }
    beats.set(beat, [resolve])
    // Whole milliseconds: timers of equal length are one list to Node.
    needs.schedule(Math.ceil(beat - nowMs), () => {
      const released = beats.get(beat) ?? []
      beats.delete(beat)
      for (const release of released) release()
    })
    return promise
  }

  /** Follows a quantile: as many steps up as down when `SHARE` of all is below it. */
  function took(ms: number): void {
    const moved = ms > paceMs ? paceMs + STEP_MS * SHARE : paceMs - STEP_MS * (1 - SHARE)
    paceMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, moved))
  }
}
