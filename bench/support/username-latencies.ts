/** Latencies as counts in buckets that grow by two per cent, so that those of several processes can be put together. */

const SMALLEST_MS = 0.02
const GROWTH = Math.log(1.02)
/** The last one begins at more than a minute. */
export const BUCKETS = 770

const SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999] as const

export interface Percentiles {
  readonly checks: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export function bucketOf(ms: number): number {
  return Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log(ms / SMALLEST_MS) / GROWTH)))
}

/** The longest latency that a bucket takes: what is told is up to two per cent too long, never too short. */
export function topOf(bucket: number): number {
  return SMALLEST_MS * Math.exp(bucket * GROWTH)
}

export function percentilesOf(counts: readonly number[]): Percentiles {
  return {
    checks: counts.reduce((sum, count) => sum + count, 0),
    p50Ms: latencyAt(counts, 0.5),
    p95Ms: latencyAt(counts, 0.95),
    p99Ms: latencyAt(counts, 0.99),
    p999Ms: latencyAt(counts, 0.999),
    maxMs: latencyAt(counts, 1),
  }
}

/** Shares of checks, and the latency that they do not exceed; closer together where fewer are slower. Empty where nothing was counted. */
export function curveOf(counts: readonly number[]): readonly (readonly [share: number, ms: number])[] {
  return SHARES.map((share) => [share, latencyAt(counts, share)] as const).filter(([, ms]) => Number.isFinite(ms))
}

/** NaN where nothing was counted. */
export function latencyAt(counts: readonly number[], share: number): number {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * share
  let passed = 0
  for (const [bucket, count] of counts.entries()) {
    passed += count
    if (count > 0 && passed >= wanted) return Math.round(topOf(bucket) * 100) / 100
  }
  return Number.NaN
}

export function together(all: readonly (readonly number[])[]): readonly number[] {
  return Array.from({ length: BUCKETS }, (_, bucket) => all.reduce((sum, counts) => sum + (counts[bucket] ?? 0), 0))
}
