import { describe, expect, it } from 'vitest'
import { Problem } from '../../src/problem/problem.ts'
import { canonicalPath } from '../../src/router/canonical-path.ts'
import { codeIn, readPage, rowsOf } from './documents.ts'

const page = readPage('docs/paths.md')

describe('docs/paths.md', () => {
  it.each(rowsOf(page, 'Brought into the canonical form'))('is right that %s becomes %s', (sent, canonical) => {
    expect(canonicalPath(codeIn(sent))).toBe(codeIn(canonical))
  })

  it.each(rowsOf(page, 'Refused'))('is right that %s is refused', (sent) => {
    expect(() => canonicalPath(codeIn(sent))).toThrow(new Problem('ambiguous_path'))
  })
})
