/**
 * Whether the gateway has become slower, by ratios that were measured in the same rounds, so that a slower machine does not count.
 *
 *     npm run bench -- guard           compares with bench/results/baseline.json; ends with 1 past 10 %
 *     npm run bench -- guard --save    writes that file
 *
 * By hand and before releases: a machine that others use says nothing. A ratio that looks worse is measured once more.
 */
import { compare, machine, subjectsOf } from './requests.ts'
import { gradeRatios, regraded, type Grade } from './rig/grade.ts'
import type { Ratio } from './rig/figures.ts'
import type { Turns } from './rig/rounds.ts'
import { readResults, saveResults } from './support/results.ts'

export const GUARD_NAME = 'guard'

const BASELINE_FILE = 'baseline.json'
const GUARDED: readonly (readonly [of: string, to: string])[] = [
  ['jwt-warm', 'haproxy-jwt'],
  ['jwt-warm', 'nginx'],
  ['pass-through', 'haproxy'],
  ['pass-through', 'nginx'],
  ['jwt-cold', 'haproxy-cold'],
  ['jwt-policy', 'jwt-warm'],
  ['revocations-1m', 'redis'],
]

interface Baseline {
  readonly ratios: readonly Ratio[]
}

/** @returns whether all is well */
export async function benchGuard(turns: Turns, { save }: { readonly save: boolean }): Promise<boolean> {
  const before = readResults(BASELINE_FILE) as Baseline | undefined
  if (before === undefined && !save) {
    console.error('there is no base line yet: npm run bench -- guard --save')
    return false
  }
  const now = await measure(GUARDED, turns)
  if (before === undefined || save) {
    saveResults(BASELINE_FILE, { setting: { ...machine(), ...turns }, ratios: now } satisfies Baseline & { setting: object })
    return true
  }
  const grades = gradeRatios(before.ratios, now)
  const suspects = GUARDED.filter(([of, to]) => grades.some((one) => one.verdict === 'slower' && one.of === of && one.to === to))
  const again = suspects.length === 0 ? [] : gradeRatios(before.ratios, await measure(suspects, turns))
  const judged = regraded(grades, again)
  console.table(Object.fromEntries(judged.map(({ of, to, ...grade }) => [`${of} / ${to}`, grade])))
  const slower = judged.filter(({ verdict }) => verdict === 'slower')
  for (const grade of slower) console.error(sentenceOf(grade))
  return slower.length === 0
}

async function measure(pairs: typeof GUARDED, turns: Turns): Promise<readonly Ratio[]> {
  const { ratios } = await compare(subjectsOf(pairs.flat()), turns)
  return ratios.filter(({ of, to }) => pairs.some(([one, other]) => one === of && other === to))
}

function sentenceOf({ of, to, before, now }: Grade): string {
  return `${of} is slower than it was beside ${to}: ${now ?? '–'} times as fast, before ${before ?? '–'}`
}
