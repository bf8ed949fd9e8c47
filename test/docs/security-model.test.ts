import { describe, expect, it } from 'vitest'
import { codesIn, readPage, rowsOf } from './documents.ts'

describe('docs/security-model.md', () => {
  const threats = rowsOf(readPage('docs/security-model.md'), 'Threats')

  it('names for each threat what stops it, and the test that proves it', () => {
    expect(threats.length).toBeGreaterThan(25)
    const proven = threats.filter(
      ([threat = '', defence = '', proof = '']) =>
        threat.length > 10 && defence.length > 10 && codesIn(proof).some((file) => /^test\/.*\.ts$/.test(file)),
    )
    expect(proven).toEqual(threats)
  })
})

describe('docs/comparison.md', () => {
  const page = readPage('docs/comparison.md')

  it.each(['Gateways and proxies', 'Session and identity services'])('has a source for each of the %s', (heading) => {
    const others = rowsOf(page, heading).filter(([name]) => name !== '**Gatehouse**')
    expect(others.length).toBeGreaterThan(2)
    expect(others.filter((cells) => !cells.some((cell) => cell.includes('](https://')))).toEqual([])
  })

  it('says when it was read', () => {
    expect(page.prose).toMatch(/read in \w+ 20\d\d/)
  })
})
