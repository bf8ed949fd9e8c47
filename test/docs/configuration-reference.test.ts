import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { referenceText } from '../../config/reference.ts'
import { codeIn, readPage, ROOT, rowsOf } from './documents.ts'

const PAGE = 'docs/configuration-reference.md'

describe(PAGE, () => {
  it('is what the grammar says; if not, run node config/write-schema.ts', () => {
    expect(readFileSync(join(ROOT, PAGE), 'utf8')).toBe(referenceText())
  })

  it('has every key that docs/configuration.md explains', () => {
    const written = new Set(rowsOf(readPage(PAGE)).map(([key]) => named(key)))
    const explained = rowsOf(readPage('docs/configuration.md')).map(([key]) => named(key))
    // A secret is one key here, whether it comes from the environment or a file.
    const keys = explained.filter((key) => key.includes('.') && !/\.(?:env|file)$/.test(key))
    expect(keys.filter((key) => !written.has(key))).toEqual([])
    expect(written.size).toBeGreaterThan(200)
  })
})

/** Both pages write names that an operator chooses in a way of their own. */
function named(cell: string | undefined): string {
  return codeIn(cell).replaceAll(/<\w+>/g, '*')
}
