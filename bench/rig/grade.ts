import type { Ratio } from './figures.ts'

export interface Grade {
  readonly of: string
  readonly to: string
  readonly before?: number
  readonly now?: number
  /** Of `before`, percent; below zero it is slower. */
  readonly changePercent?: number
  readonly verdict: 'fine' | 'slower' | 'not measured' | 'new'
}

/** Worse by more than this fails. */
const LIMIT_PERCENT = 10

/** Ratios of the base line, then those that it does not have. What could not be measured, for lack of a peer, is said and does not fail. */
export function gradeRatios(baseline: readonly Ratio[], now: readonly Ratio[]): readonly Grade[] {
  const found = (all: readonly Ratio[], { of, to }: Ratio): Ratio | undefined => all.find((one) => one.of === of && one.to === to)
  const known = baseline.map((before): Grade => {
    const { of, to } = before
    const measured = found(now, before)
    if (measured === undefined) return { of, to, before: before.ratio, verdict: 'not measured' }
    const changePercent = Math.round((measured.ratio / before.ratio - 1) * 1000) / 10
    const verdict = changePercent < -LIMIT_PERCENT ? 'slower' : 'fine'
    return { of, to, before: before.ratio, now: measured.ratio, changePercent, verdict }
  })
  const added = now.filter((one) => found(baseline, one) === undefined)
  return [...known, ...added.map(({ of, to, ratio }): Grade => ({ of, to, now: ratio, verdict: 'new' }))]
}

/** What was measured a second time counts in place of the first. */
export function regraded(grades: readonly Grade[], again: readonly Grade[]): readonly Grade[] {
  const measured = again.filter(({ verdict }) => verdict !== 'not measured')
  return grades.map((grade) => measured.find(({ of, to }) => of === grade.of && to === grade.to) ?? grade)
}
