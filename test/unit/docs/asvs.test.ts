import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const page = readFileSync(join(ROOT, 'docs', 'asvs.md'), 'utf8')
const rows = page.split('\n').flatMap((line) => {
  const [, number, level, , here, proof] = line.split('|').map((cell) => cell.trim())
  return number !== undefined && /^\d+\.\d+\.\d+$/.test(number) ? [{ number, level, here: here ?? '', proof: proof ?? '' }] : []
})

/** How many requirements each section of ASVS 5.0 has. */
const SECTIONS: Readonly<Record<string, number>> = {
  '7.1': 3,
  '7.2': 4,
  '7.3': 2,
  '7.4': 5,
  '7.5': 3,
  '7.6': 2,
  '9.1': 3,
  '9.2': 4,
  '10.1': 2,
  '10.2': 3,
  '10.3': 5,
  '10.4': 16,
  '10.5': 5,
  '10.6': 2,
  '10.7': 3,
}

describe('the table of ASVS', () => {
  it('has every requirement of the three chapters once, in order', () => {
    const expected = Object.entries(SECTIONS).flatMap(([section, count]) =>
      Array.from({ length: count }, (_, at) => `${section}.${at + 1}`),
    )
    expect(rows.map(({ number }) => number)).toEqual(expected)
  })

  it('says of each one of the words that it explains', () => {
    const words = new Set([...page.matchAll(/^- \*\*([a-z/]+)\*\*:/gm)].map(([, word]) => word))
    expect(rows.filter(({ here }) => !words.has(here)).map(({ number }) => number)).toEqual([])
  })

  it('names a test for all that is met, and only tests that are there', () => {
    const faults = rows.flatMap(({ number, here, proof }) => {
      const tests = testsIn(proof)
      if (here === 'met' && tests.length === 0) return [`${number}: is met and names no test`]
      return tests.filter(({ file, name }) => !isThere(file, name)).map(({ file, name }) => `${number}: ${file} has no “${name}”`)
    })
    expect(faults).toEqual([])
  })
})

/** `file` › “name”, and further names of the same file after it. */
function testsIn(proof: string): readonly { readonly file: string; readonly name: string }[] {
  let file = ''
  return [...proof.matchAll(/`([a-z/.-]+\.ts)`|“([^”]+)”/g)].flatMap(([, named, name]) => {
    if (named !== undefined) file = named
    return name === undefined ? [] : [{ file, name }]
  })
}

function isThere(file: string, name: string): boolean {
  const path = join(ROOT, 'test', file)
  return existsSync(path) && readFileSync(path, 'utf8').includes(name)
}
