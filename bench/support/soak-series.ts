/** What a process has over time, in pieces of equal length, and whether it becomes more. */
import type { Collection } from './soak-inside.ts'
import type { Outside } from './soak-world.ts'
import { median, round2 } from './results.ts'

export interface Sample extends Outside {
  /** Wall clock, milliseconds. */
  readonly atMs: number
  /** Changes of the file so far. */
  readonly reloads: number
}

export interface Piece {
  /** Its end. */
  readonly seconds: number
  readonly reloads: number
  /** Medians. */
  readonly rssMiB: number
  readonly ownMiB: number
  readonly descriptors: number
  readonly sockets: number
  /** The least that was left by a collection of V8's own, where there was one. */
  readonly heapMiB?: number
}

export interface Trend {
  /** Median of the last half. */
  readonly level: number
  /** Over all of the last half, by the line through it. */
  readonly rise: number
  readonly perHundredReloads: number
  /** How far values are from that line, in the middle. */
  readonly spread: number
  /** `too short`: V8 has hardly ever looked through its heap meanwhile, and what piles up in between says nothing. */
  readonly verdict: 'flat' | 'grows' | 'falls' | 'too short'
}

export type Series = readonly Piece[]

const PIECES = 20
/** Of the level: less than that is no growth. */
const TOLERANCE = 0.02
const TRACED = ['rssMiB', 'ownMiB', 'heapMiB', 'descriptors', 'sockets'] as const
/** In the last half, at least, for a word about memory. */
const COLLECTIONS = 4

export function seriesOf(samples: readonly Sample[], collections: readonly Collection[], seconds: number): Series {
  const startMs = samples[0]?.atMs ?? 0
  const width = seconds / PIECES
  const pieceOf = (atMs: number): number => Math.min(PIECES - 1, Math.floor((atMs - startMs) / 1000 / width))
  return Array.from({ length: PIECES }, (_, nth) => {
    const own = samples.filter(({ atMs }) => pieceOf(atMs) === nth)
    const heaps = collections.filter(({ atMs }) => atMs >= startMs && pieceOf(atMs) === nth).map(({ heapMiB }) => heapMiB)
    const of = (read: (sample: Sample) => number): number => round2(median(own.map(read)))
    return {
      seconds: round2((nth + 1) * width),
      reloads: own.at(-1)?.reloads ?? 0,
      rssMiB: of((sample) => sample.rssMiB),
      ownMiB: of((sample) => sample.ownMiB),
      descriptors: of((sample) => sample.descriptors),
      sockets: of((sample) => sample.sockets),
      ...(heaps.length > 0 && { heapMiB: round2(Math.min(...heaps)) }),
    }
  }).filter(({ rssMiB }) => !Number.isNaN(rssMiB))
}

/** Of each kind of thing. */
export function trendsOf(series: Series): Readonly<Record<string, Trend>> {
  const collected = series.slice(Math.floor(series.length / 2)).filter(({ heapMiB }) => heapMiB !== undefined)
  return Object.fromEntries(
    TRACED.map((name) => {
      const points = series.flatMap((piece) => {
        const value = piece[name]
        return value === undefined ? [] : [[piece.reloads, value] as const]
      })
      const trend = trendOf(points)
      const isTooShort = name.endsWith('MiB') && collected.length < COLLECTIONS
      return [name, isTooShort ? { ...trend, verdict: 'too short' } : trend]
    }),
  )
}

/**
 * The line through the last half: the median of the slopes between every two points of it, which a few odd ones do not turn.
 *
 * @param points - reloads so far, and how much there is
 */
export function trendOf(points: readonly (readonly [reloads: number, value: number])[]): Trend {
  const half = points.slice(Math.floor(points.length / 2))
  const slopes = half.flatMap(([x, y], at) => half.slice(at + 1).flatMap(([x2, y2]) => (x2 === x ? [] : [(y2 - y) / (x2 - x)])))
  const slope = slopes.length === 0 ? 0 : median(slopes)
  const level = median(half.map(([, y]) => y))
  const heights = half.map(([x, y]) => y - slope * x)
  const spread = median(heights.map((height) => Math.abs(height - median(heights))))
  const rise = slope * ((half.at(-1)?.[0] ?? 0) - (half[0]?.[0] ?? 0))
  const least = Math.max(level * TOLERANCE, spread)
  return {
    level: round2(level),
    rise: round2(rise),
    perHundredReloads: round2(slope * 100),
    spread: round2(spread),
    verdict: Math.abs(rise) <= least ? 'flat' : rise > 0 ? 'grows' : 'falls',
  }
}
