/** How many were served, and how long they waited. */
export interface Timing {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** @param latencies - one for each that was served, milliseconds */
export function timingOf(latencies: ArrayLike<number>, seconds: number): Timing {
  const sorted = Float64Array.from(latencies).toSorted()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  const requests = sorted.length
  return { requests, requestsPerSecond: requests / seconds, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

export interface Turns {
  /** Resolves to the number of the turn and the moment from which its latency counts; undefined when it is over. */
  next(): Promise<{ readonly index: number; readonly fromMs: number } | undefined>
  elapsedSeconds(): number
}

/** Ends after a time, or after a number of turns; with a rate, each turn is due at a moment of its own. */
export interface TurnLimits {
  readonly seconds?: number
  readonly requests?: number
  readonly perSecond?: number
}

/** Gives out turns to whoever is free. */
export function createTurns(limit: TurnLimits): Turns {
  const startedMs = performance.now()
  const endMs = startedMs + (limit.seconds ?? Number.POSITIVE_INFINITY) * 1000
  const most = limit.requests ?? Number.POSITIVE_INFINITY
  const intervalMs = limit.perSecond === undefined ? 0 : 1000 / limit.perSecond
  let given = 0
  return { next, elapsedSeconds: () => (performance.now() - startedMs) / 1000 }

  async function next() {
    const index = given
    const dueMs = intervalMs === 0 ? performance.now() : startedMs + index * intervalMs
    if (index >= most || dueMs >= endMs) return undefined
    given += 1
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.round(waitMs)))
    // Timers of Node are whole milliseconds: what came early is as early as it is; what came late waited.
    return { index, fromMs: Math.min(dueMs, performance.now()) }
  }
}
