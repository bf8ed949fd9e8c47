import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCommand } from '../../src/commands/command-line.ts'
import { gatehouse, MAIN, run, temporaryFolder, type Output } from '../support/process.ts'

const GOOD = `
listeners: { public: { address: 127.0.0.1:8080 }, admin: { address: 127.0.0.1:9901 } }
upstreams: { orders: { targets: ['http://127.0.0.1:9001'] } }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: orders, match: { path: /orders/*, methods: [GET] }, auth: required, scopes: [orders:read], upstream: orders }
`
const BAD = `
listeners:
  public: { address: 127.0.0.1:99999 }
upstream: {}
routes:
  - { name: orders, match: { path: /orders/* }, auth: sometimes, upstream: orders }
`

describe('check', () => {
  it('says that a configuration is fine and what of it is public', async () => {
    const file = configFile(GOOD)
    expect(await gatehouse(['check', '--config', file])).toEqual(
      printed(`${file}: fine (2 routes, 1 of them public: health.health)\n`),
    )
    const { stdout, ...rest } = await gatehouse(['check', '--json', '--config', file])
    expect(rest).toEqual({ code: 0, signal: null, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      version: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      routes: 2,
      public: ['health.health'],
      insecure: [],
      warnings: [],
    })
  })

  it('tells every fault at once, each by its place, and ends with 2', async () => {
    const file = configFile(BAD)
    const { stderr, ...rest } = await gatehouse(['check', '--config', file])
    expect(rest).toEqual({ code: 2, signal: null, stdout: '' })
    const lines = stderr.trimEnd().split('\n')
    expect(lines.map((line) => line.slice(file.length).split(' ', 2).join(' '))).toEqual([
      ':3:22 listeners.public.address:',
      ':4:1 upstream:',
      ':6:55 routes.orders.auth:',
      ':6:76 routes.orders.upstream:',
    ])
    expect(stderr).toContain('did you mean upstreams?')
  })

  it('ends with 1 where the file of breached passwords is missing or none, as start does', async () => {
    const file = configFile(`${GOOD}accounts: { breachedPasswords: { file: breached.txt } }\n`)
    const said = 'accounts.breachedPasswords.file cannot be used'
    for (const command of ['check', 'start']) {
      expect(await gatehouse([command, '--config', file])).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining(said),
      })
    }
    writeFileSync(join(dirname(file), 'breached.txt'), 'password\n')
    expect(await gatehouse(['check', '--config', file])).toMatchObject({ code: 1, stderr: expect.stringContaining(said) })
    writeFileSync(join(dirname(file), 'breached.txt'), `${'0'.repeat(40)}:1\n`)
    expect(await gatehouse(['check', '--config', file])).toMatchObject({ code: 0, stderr: '' })
  })

  it('is what start does first', async () => {
    const file = configFile(BAD)
    expect(await gatehouse(['start', '--config', file])).toEqual(await gatehouse(['check', '--config', file]))
  })
})

describe('routes', () => {
  it('lists each route with its authentication in words, public ones marked', async () => {
    const { stdout, ...rest } = await gatehouse(['routes', '--config', configFile(GOOD)])
    expect(rest).toEqual({ code: 0, signal: null, stderr: '' })
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['', 'ROUTE', 'MATCHES', 'AUTHENTICATION', 'TARGET'],
      ['PUBLIC', 'health.health', 'GET /health', 'none: anyone', 'service health'],
      ['', 'orders', 'GET /orders/*', 'a token with scope orders:read', 'upstream orders'],
    ])
  })

  it('says the same as JSON', async () => {
    const { stdout } = await gatehouse(['routes', '--json', '--config', configFile(GOOD)])
    expect(JSON.parse(stdout)).toEqual([
      { mark: 'PUBLIC', name: 'health.health', match: 'GET /health', authentication: 'none: anyone', target: 'service health' },
      {
        mark: '',
        name: 'orders',
        match: 'GET /orders/*',
        authentication: 'a token with scope orders:read',
        target: 'upstream orders',
      },
    ])
  })
})

describe('the command line', () => {
  it('explains itself', async () => {
    const long = await gatehouse(['--help'])
    expect([long.code, long.stderr]).toEqual([0, ''])
    for (const word of ['start', 'check', 'routes', '--config', '--json', '--version', 'GATEHOUSE_CONFIG', 'Exit codes']) {
      expect(long.stdout).toContain(word)
    }
    expect(await gatehouse(['-h'])).toEqual(long)
  })

  it('tells its version', async () => {
    const manifest = JSON.parse(readFileSync(join(MAIN, '../../package.json'), 'utf8')) as { version: string }
    expect(await gatehouse(['--version'])).toEqual(printed(`${manifest.version}\n`))
  })

  it('ends with 2 on wrong usage', async () => {
    const { stderr, ...rest } = await gatehouse(['bogus'])
    expect(rest).toEqual({ code: 2, signal: null, stdout: '' })
    expect(stderr).toMatch(/^gatehouse: unknown command: bogus\n\ngatehouse COMMAND/)
  })

  it.each([
    [['bogus'], 'unknown command: bogus'],
    [['check', 'gateway.yaml'], 'check takes no argument: gateway.yaml'],
    [['start', '--json'], 'start takes no --json'],
    [['--confg', 'x'], "Unknown option '--confg', did you mean --config?"],
    [['check', '--config'], "Option '--config <value>' argument missing"],
    [['check', '--config='], '--config needs the name of a file'],
    [['check', '--json=yes'], "Option '--json' does not take an argument"],
    [['explain', 'GET'], 'explain needs a method and a URL: write explain GET URL'],
    [['explain', 'GET', '/', '--strict'], 'explain takes no --strict'],
    [['routes', '--token', 'x'], 'routes takes no --token'],
    [['diff'], 'diff needs two configurations: write diff OLD NEW'],
    [['diff', 'a'], 'diff needs two configurations: write diff OLD NEW'],
    [['diff', 'a', 'b', 'c'], 'diff needs two configurations: write diff OLD NEW'],
    [['diff', 'a', 'b', '--config', 'c'], 'diff takes no --config'],
    [['diff', 'a', 'b', '--strict'], 'diff takes no --strict'],
    [['routes', '--strict'], 'routes takes no --strict'],
    [['migrate'], 'migrate: write migrate status, migrate up, migrate down'],
    [['migrate', 'up', 'x'], 'migrate up takes no argument: x'],
    [['migrate', 'status', '--to', '1'], 'migrate status takes no --to'],
  ])('refuses %j as wrong usage', async (args, fault) => {
    let said = ''
    const around = {
      environment: {},
      write: () => expect.unreachable(),
      say: (text: string) => void (said += text),
      onStop: () => expect.unreachable(),
      onFault: () => expect.unreachable(),
    }
    expect(await runCommand(args, around)).toBe(2)
    expect(said.split('\n')[0]).toBe(`gatehouse: ${fault}`)
  })

  it('takes the configuration from --config, else from GATEHOUSE_CONFIG, else from the folder it is in', async () => {
    const [cwd, named] = [temporaryFolder(), configFile(GOOD)]
    writeFileSync(join(cwd, 'gateway.yaml'), 'routes: []\n')
    const none = `${join(cwd, 'gateway.yaml')}: fine (0 routes, 0 of them public: none)\n`
    const good = `${named}: fine (2 routes, 1 of them public: health.health)\n`
    const environment = { GATEHOUSE_CONFIG: named }

    expect((await gatehouse(['check'], { cwd })).stdout).toBe(none)
    expect((await gatehouse(['check'], { cwd, environment })).stdout).toBe(good)
    expect((await gatehouse(['check', '--config', 'gateway.yaml'], { cwd, environment })).stdout).toBe(none)
  })

  it('ends with 2 when there is no such file', async () => {
    const cwd = temporaryFolder()
    expect(await gatehouse(['check', '--config', 'missing.yaml'], { cwd })).toEqual(
      refused(2, 'missing.yaml:1:1 cannot be read: no such file\n'),
    )
    expect(await gatehouse([], { cwd })).toEqual(refused(2, './gateway.yaml:1:1 cannot be read: no such file\n'))
  })

  it('runs by ./gatehouse with the Node of its packages, whatever that of the machine is, also through a link', async () => {
    const folder = temporaryFolder()
    const old = join(folder, 'node')
    writeFileSync(old, '#!/bin/sh\nexit 9\n', { mode: 0o755 })
    symlinkSync(join(dirname(MAIN), '..', 'gatehouse'), join(folder, 'gatehouse'))
    const environment = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
    expect(await run(join(folder, 'gatehouse'), ['--version'], { environment, cwd: folder })).toEqual(
      await gatehouse(['--version']),
    )
  })

  it('runs through the link that a package manager makes for it', async () => {
    const folder = join(temporaryFolder(), 'node_modules', '.bin')
    mkdirSync(folder, { recursive: true })
    symlinkSync(MAIN, join(folder, 'gatehouse'))
    const direct = await gatehouse(['--version'])
    const path = `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`
    expect(await run(join(folder, 'gatehouse'), ['--version'], { environment: { PATH: path } })).toEqual(direct)
  })
})

function configFile(yaml: string): string {
  const file = join(temporaryFolder(), 'gateway.yaml')
  writeFileSync(file, yaml.trimStart().replace(/^/, '# first line\n'))
  return file
}

function printed(stdout: string): Output {
  return { code: 0, signal: null, stdout, stderr: '' }
}

function refused(code: number, stderr: string): Output {
  return { code, signal: null, stdout: '', stderr }
}
