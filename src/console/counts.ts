/** What was counted of the requests of a route. */
export interface Counts {
  readonly requests: number
  /** Answered with 4xx. */
  readonly refused: number
  /** Answered with 5xx. */
  readonly failed: number
  /** Upper bound in seconds → how many took no longer; of any length under Infinity. */
  readonly durations: ReadonlyMap<number, number>
}

/** Requests, 4xx, 5xx, and what half and 99 of 100 did not exceed, milliseconds; null where there was none. */
export type Row = readonly [requests: number, refused: number, failed: number, p50: number | null, p99: number | null]

export const NO_COUNTS: Counts = { requests: 0, refused: 0, failed: 0, durations: new Map() }

export function sum(one: Counts, other: Counts): Counts {
  return combined(one, other, (a, b) => a + b)
}

/** What came to `before`. A counter that was set back has none. */
export function difference(now: Counts, before: Counts): Counts {
  return combined(now, before, (a, b) => Math.max(a - b, 0))
}

export function rowOf({ requests, refused, failed, durations }: Counts): Row {
  return [requests, refused, failed, quantileMs(durations, 0.5), quantileMs(durations, 0.99)]
}

/**
 * As Prometheus reads a histogram: even within a bucket; of the last one its lower bound, since it has no upper.
 *
 * @returns milliseconds with two decimals; null where nothing was measured
 */
export function quantileMs(durations: Counts['durations'], share: number): number | null {
  const wanted = (durations.get(Number.POSITIVE_INFINITY) ?? 0) * share
  if (wanted === 0) return null
  let [lower, below] = [0, 0]
  for (const [bound, count] of [...durations].toSorted(([a], [b]) => a - b)) {
    if (count >= wanted) {
      const seconds = Number.isFinite(bound) ? lower + ((bound - lower) * (wanted - below)) / (count - below) : lower
      return Math.round(seconds * 100_000) / 100
    }
    lower = bound
    below = count
  }
  return null
}

function combined(one: Counts, other: Counts, by: (a: number, b: number) => number): Counts {
  const bounds = new Set([...one.durations.keys(), ...other.durations.keys()])
  return {
    requests: by(one.requests, other.requests),
    refused: by(one.refused, other.refused),
    failed: by(one.failed, other.failed),
    durations: new Map([...bounds].map((le) => [le, by(one.durations.get(le) ?? 0, other.durations.get(le) ?? 0)])),
  }
}
