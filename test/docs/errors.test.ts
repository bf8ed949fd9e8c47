import { describe, expect, it } from 'vitest'
import { REFUSALS } from '../../src/authenticator/refusals.ts'
import { PROBLEMS } from '../../src/problem/problem.ts'
import { codeIn, readPage, rowsOf } from './documents.ts'

describe('docs/errors.md', () => {
  const rows = rowsOf(readPage('docs/errors.md'), 'Every row')

  it('has each row of PROBLEMS with its status, code and title, in the same order, and no other', () => {
    const documented = rows.map(([row, status, error, title]) => [codeIn(row), Number(status), codeIn(error), title])
    expect(documented).toEqual(Object.entries(PROBLEMS).map(([kind, { status, error, title }]) => [kind, status, error, title]))
  })

  it('says of each what to do', () => {
    expect(rows.filter((cells) => (cells[4] ?? '').length < 10)).toEqual([])
  })
})

describe('docs/metrics.md', () => {
  it('has each reason for which a token is refused, with its code, and no other', () => {
    const documented = rowsOf(readPage('docs/metrics.md'), 'Reasons').map(([reason, code]) => [codeIn(reason), codeIn(code)])
    const known = Object.entries(REFUSALS).map(([reason, kind]) => [reason, PROBLEMS[kind].error])
    expect(new Map(documented.map(([reason, code]) => [reason, code]))).toEqual(
      new Map(known.map(([reason, code]) => [reason, code])),
    )
  })
})
