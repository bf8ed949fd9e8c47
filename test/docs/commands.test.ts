import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeIn, codesIn, readPage, readPages, ROOT, rowsOf } from './documents.ts'

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly scripts: Record<string, string> }
const PAGES = readPages()

/** What a reader could paste: code in a line, and blocks of shell. */
const pasted = PAGES.flatMap(({ name, prose, blocks }) =>
  [...codesIn(prose), ...blocks.flatMap(({ info, text }) => (info === 'sh' ? text.split('\n') : []))].map((line) => ({
    name,
    line,
  })),
)

describe('a command in a document', () => {
  it('of npm is a script of package.json', () => {
    const named = pasted.flatMap(({ name, line }) => {
      const [, script] = /^npm (?:run )?(start|test|[\w:-]+)(?=$| )/.exec(line) ?? []
      return script === undefined || ['install', 'ci', 'audit'].includes(script) ? [] : [{ name, script }]
    })
    expect(named.map(({ script }) => script)).toEqual(expect.arrayContaining(['start', 'test', 'demo', 'check', 'bench']))
    expect(named.filter(({ script }) => scripts[script] === undefined)).toEqual([])
  })

  it('of node runs a file that exists', () => {
    const named = pasted.flatMap(({ name, line }) => {
      const [, file] = /^node ([\w./-]+\.m?[jt]s)/.exec(line) ?? []
      return file === undefined ? [] : [{ name, file }]
    })
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter(({ file }) => !existsSync(join(ROOT, file)))).toEqual([])
  })
})

describe('the commands in README.md', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'src/main.ts'), '--help'], { encoding: 'utf8' })
  const known = [...help.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)(?: --\w+ [A-Z])* {1,}(?=\S)[^\n]*$/gm)].map(([, command]) => command)

  it('are those of the command line', () => {
    const documented = rowsOf(readPage('README.md'), 'Commands').map(([cell]) => codeIn(cell))
    expect(known.length).toBeGreaterThan(2)
    expect(documented).toEqual(known)
  })

  it('are the only ones that any document gives to the command line', () => {
    const given = pasted.flatMap(
      ({ line }) => /^(?:node src\/main\.ts|(?:\.\/)?gatehouse) ([a-z]+(?: [a-z]+)?)/.exec(line)?.[1] ?? [],
    )
    expect(given).toContain('keys rotate')
    // What follows a command of one word may be a word of its own: `completions bash`.
    const isKnown = (command: string) => known.includes(command) || known.includes(command.split(' ')[0])
    expect(given.filter((command) => !isKnown(command))).toEqual([])
  })
})
