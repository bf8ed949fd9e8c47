/** What the rounds of a measurement come to: medians, the least and the most, and how subjects compare. */
import { median, round2 } from '../support/results.ts'
import type { Measured } from './load.ts'

export interface Row {
  readonly name: string
  readonly title: string
  readonly perSecond: number
  readonly least: number
  readonly most: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU time of all its processes for a request, µs. */
  readonly cpuMicros: number
  /** Of its core. */
  readonly cpuShare: number
  readonly residentMiB: number
  readonly errors: number
  readonly accessLog: boolean
  readonly verifies: boolean
  readonly version?: string
}

export interface Ratio {
  readonly of: string
  readonly to: string
  /** The median of the ratios within each round, in requests a second. */
  readonly ratio: number
  readonly least: number
  readonly most: number
  /** CPU time for a request of `to` by that of `of`. */
  readonly cpuRatio: number
}

interface Measurement {
  readonly subject: { readonly name: string; readonly title: string; readonly accessLog: boolean; readonly verifies: boolean }
  readonly rounds: readonly Measured[]
  readonly residentMiB: number
  readonly version?: string
}

export function rowOf({ subject, rounds, residentMiB, version }: Measurement): Row {
  const of = (read: (round: Measured) => number): number => median(rounds.map(read))
  const rates = rounds.map((round) => round.perSecond)
  return {
    name: subject.name,
    title: subject.title,
    perSecond: Math.round(median(rates)),
    least: Math.round(Math.min(...rates)),
    most: Math.round(Math.max(...rates)),
    p50Ms: round2(of((round) => round.p50Ms)),
    p99Ms: round2(of((round) => round.p99Ms)),
    cpuMicros: round2(of((round) => round.cpuMicros)),
    cpuShare: round2(of((round) => round.cpuShare)),
    residentMiB: Math.round(residentMiB),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    accessLog: subject.accessLog,
    verifies: subject.verifies,
    ...(version === undefined ? {} : { version }),
  }
}

/** Of the pairs whose both sides were measured. Rounds are compared with themselves: the machine's speed drifts. */
export function ratiosOf(
  measured: readonly Measurement[],
  pairs: readonly (readonly [of: string, to: string])[],
): readonly Ratio[] {
  return pairs.flatMap(([of, to]) => {
    const [one, other] = [of, to].map((name) => measured.find(({ subject }) => subject.name === name)?.rounds)
    if (one === undefined || other === undefined) return []
    const between = (read: (round: Measured) => number): readonly number[] =>
      one.flatMap((round, index) => {
        const beside = other[index]
        return beside === undefined ? [] : [read(round) / read(beside)]
      })
    const ratios = between((round) => round.perSecond)
    return [
      {
        of,
        to,
        ratio: round2(median(ratios)),
        least: round2(Math.min(...ratios)),
        most: round2(Math.max(...ratios)),
        cpuRatio: round2(1 / median(between((round) => round.cpuMicros))),
      },
    ]
  })
}
