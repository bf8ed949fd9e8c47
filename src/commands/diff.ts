import { compareAccess, type Change } from '../access-diff/access-diff.ts'
import type { Config } from '../config/config.ts'
import { table } from './table.ts'

export interface DiffAnswer {
  readonly text: string
  /** 1 where access is wider somewhere, so that a pipeline stops. */
  readonly code: 0 | 1
}

/** What changes in access from one configuration to the other, the most dangerous first. */
export function diff(before: Config, after: Config, json: boolean): DiffAnswer {
  const changes = compareAccess(before, after)
  const wider = changes.filter(({ effect }) => effect === 'wider').length
  const code = wider > 0 ? 1 : 0
  if (json) return { text: `${JSON.stringify({ wider: wider > 0, changes: changes.map(describe) }, null, 2)}\n`, code }
  if (changes.length === 0) return { text: 'access is the same\n', code }
  const rows = changes.map(({ effect, where, what, before: old, after: now }) => [MARKS[effect], where, what, `${old} → ${now}`])
  return {
    text: `${table(['', 'WHERE', 'WHAT', 'CHANGE'], rows)}${count(changes.length, 'change')}, ${wider} of them wider\n`,
    code,
  }
}

const MARKS = { wider: 'WIDER', other: 'other', narrower: 'narrower' } as const

function describe({ effect, where, what, before, after }: Change) {
  return { effect, where, what, before, after }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
