/** What commands say about themselves: help, suggestions, completions, the version. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CATALOGUE, GROUPS, inGroup, optionsOf, SHELLS } from '../../../src/commands/catalogue.ts'
import { runCommand } from '../../../src/commands/command-line.ts'
import { completions } from '../../../src/commands/completions.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-help-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: readonly string[]) {
  let [out, err] = ['', '']
  const code = await runCommand(args, {
    environment: {},
    write: (text) => void (out += text),
    say: (text) => void (err += text),
    onStop: () => expect.unreachable(),
    onFault: () => expect.unreachable(),
  })
  return { code, out, err }
}

describe('help', () => {
  it.each(CATALOGUE)('of $name tells all that it takes, with examples that it would take', async (facts) => {
    const words = facts.name.split(' ')
    const { code, out, err } = await run(...words, '--help')
    expect([code, err, out.split('\n')[0]?.startsWith(`gatehouse ${facts.name}`)]).toEqual([0, '', true])
    for (const { name, what } of optionsOf(facts)) expect([out.includes(`--${name}`), out.includes(what)]).toEqual([true, true])
    expect(facts.examples.length).toBeGreaterThan(0)
    for (const [line] of facts.examples) {
      expect(out).toContain(`  gatehouse ${line}`)
      expect(line.startsWith(facts.name)).toBe(true)
      const written = [...line.matchAll(/ --([a-z]+)/g)].map(([, option]) => option)
      expect(written.filter((option) => !optionsOf(facts).some((one) => one.name === option))).toEqual([])
    }
    expect(await run('help', ...words)).toEqual({ code, out, err })
    expect(out.split('\n').every((one) => one.length < 130)).toBe(true)
  })

  it.each([...GROUPS])('of the group %s lists its commands', async (group) => {
    const { code, out } = await run(group, '--help')
    expect([code, inGroup(group).every(({ name }) => out.includes(`  ${name} `))]).toEqual([0, true])
  })

  it('of nothing is that of all', async () => {
    const all = await run('--help')
    expect(all.code).toBe(0)
    for (const { name } of CATALOGUE) expect(all.out).toContain(`\n  ${name}`)
    expect(await run('help')).toEqual(all)
  })

  it('of what there is not is wrong usage', async () => {
    expect(await run('help', 'burn')).toMatchObject({ code: 2, out: '' })
    expect(await run('burn', '--help')).toMatchObject({ code: 2, out: '' })
  })
})

describe('a word that is nearly right', () => {
  it.each([
    [['chekc'], 'unknown command: chekc, did you mean check?'],
    [['key', 'list'], 'unknown command: key, did you mean keys?'],
    [['keys', 'rotat'], 'keys: write keys list, keys rotate, keys retire, did you mean rotate?'],
    [['check', '--strct'], "Unknown option '--strct', did you mean --strict?"],
    [['keys', 'list', '--tenent', 'a'], "Unknown option '--tenent', did you mean --tenant?"],
    [['completions', 'csh'], 'completions: write completions bash, completions zsh, completions fish'],
    [['completions'], 'completions: write completions bash, completions zsh, completions fish'],
    [['completions', 'bash', 'zsh'], 'completions: write completions bash, completions zsh, completions fish'],
    [['completions', 'bash', '--config', 'x'], 'completions takes no --config'],
    [['version', 'x'], 'version takes no argument: x'],
    [['audit', 'list', '--head', '1:a'], 'audit list takes no --head'],
  ])('%j', async (args, fault) => {
    const { code, out, err } = await run(...args)
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', `gatehouse: ${fault}`])
  })

  it('is followed by the help of the command where that is known', async () => {
    expect((await run('keys', 'retire', '--tenant', 'a')).err).toMatch(/needs --kid\n\ngatehouse keys retire --tenant T --kid K/)
    expect((await run('keys', 'burn')).err).toMatch(/\n\ngatehouse keys COMMAND\n/)
    expect((await run('burn')).err).toMatch(/\n\ngatehouse COMMAND /)
  })
})

describe('the version', () => {
  it('is a line, or JSON', async () => {
    const { out } = await run('version')
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(await run('--version')).toMatchObject({ code: 0, out })
    expect(JSON.parse((await run('version', '--json')).out)).toEqual({ version: out.trim() })
  })
})

describe('--json', () => {
  it('says on the output what failed, too', async () => {
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, 'storage: { directory: ./none }\nroutes: []\n')
    const { code, out, err } = await run('audit', 'verify', '--json', '--config', file)
    expect([code, JSON.parse(out)]).toEqual([
      1,
      { ok: false, error: expect.stringContaining('there is no audit record') as string },
    ])
    expect(err).toContain('gatehouse: there is no audit record')
  })

  it('says on the output what is wrong with the configuration, whatever the command is', async () => {
    const file = join(folder, 'bad.yaml')
    writeFileSync(file, 'workers: 0\nroutes: []\n')
    for (const command of [['check'], ['routes'], ['doctor'], ['migrate', 'status']]) {
      const { code, out } = await run(...command, '--json', '--config', file)
      expect([code, JSON.parse(out)]).toMatchObject([2, { ok: false, faults: [{ line: 1, path: 'workers' }] }])
    }
  })
})

describe('completions', () => {
  /** What bash offers at the end of a line. */
  function offered(...words: readonly string[]): readonly string[] {
    const script = `${completions('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_gatehouse
printf '%s\\n' "\${COMPREPLY[@]}"`
    const options = { cwd: folder, encoding: 'utf8' } as const
    return execFileSync('bash', ['--norc', '-uc', script, 'bash', 'gatehouse', ...words], options)
      .split('\n')
      .filter(Boolean)
      .toSorted()
  }

  it.each([
    [['che'], ['check']],
    [['k'], ['keys']],
    [
      ['keys', ''],
      ['list', 'retire', 'rotate'],
    ],
    [['keys', 'ret'], ['retire']],
    [
      ['keys', 'rotate', '--'],
      ['--config', '--help', '--json', '--reason', '--tenant'],
    ],
    [['keys', 'rotate', '--tenant', 'acme', '--r'], ['--reason']],
    [['--config', 'x.yaml', 'audit', 'l'], ['list']],
    [['keys', 'list', '--tenant', ''], []],
    [['completions', ''], [...SHELLS, '--help'].toSorted()],
    [['start', '--j'], []],
    [['burn', ''], []],
  ])('of bash: %j', (words, expected) => {
    expect(offered(...words)).toEqual(expected)
  })

  it('of bash are files where a file is meant', () => {
    writeFileSync(join(folder, 'some file.yaml'), '')
    writeFileSync(join(folder, 'somewhere.yaml'), '')
    expect(offered('check', '--config', 'somew')).toEqual(['somewhere.yaml'])
    expect(offered('diff', 'somew')).toEqual(['somewhere.yaml'])
    expect(offered('diff', 'a.yaml', 'somew')).toEqual(['somewhere.yaml'])
    expect(offered('diff', '--')).toEqual(['--help', '--json'])
  })

  it('of bash are there once they are read', () => {
    const script = `eval "$1"; complete -p gatehouse`
    expect(execFileSync('bash', ['--norc', '-c', script, 'bash', completions('bash')], { encoding: 'utf8' })).toBe(
      'complete -F _gatehouse gatehouse\n',
    )
  })

  it.each(SHELLS)('of %s know every command and every option', (shell) => {
    const text = completions(shell)
    const optionIn = (name: string) => (shell === 'fish' ? `-l ${name} ` : `--${name}`)
    for (const facts of CATALOGUE) {
      for (const word of facts.name.split(' ')) expect(text).toContain(word)
      for (const { name } of optionsOf(facts)) expect(text).toContain(optionIn(name))
    }
    // One that stood alone would end the text that a shell reads.
    expect(text.split('\n').filter((line) => (line.match(/'/g) ?? []).length % 2 !== 0)).toEqual([])
  })
})
