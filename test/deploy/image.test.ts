/** The image as its Dockerfile makes it, without an engine: built in a folder, started by a user without rights on files that nobody can change. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { argumentsOf, below, build, IS_ROOT, readInstructions, type Stage } from '../support/dockerfile.ts'
import { freePort } from '../support/ports.ts'
import { startProgram, waitFor, type Program } from '../support/process.ts'

const ROOT = join(import.meta.dirname, '../..')
const UID = 1000
const MEGABYTE = 1024 * 1024

const root = mkdtempSync(join(tmpdir(), 'gatehouse-image-'))
const instructions = readInstructions(join(ROOT, 'Dockerfile'))
let image: Stage

beforeAll(() => {
  image = build(instructions, ROOT, root)
}, 180_000)
afterAll(() => {
  execFileSync('chmod', ['-R', 'u+w', root])
  rmSync(root, { recursive: true, force: true })
})

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>
}

describe('what is in it', () => {
  it('are the packages of production and no others', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock
    const wanted = Object.entries(packages).filter(([, one]) => one.dev !== true && one.optional !== true)
    const installed = Object.keys(
      (JSON.parse(readFileSync(join(image.folder, 'opt/gatehouse/node_modules/.package-lock.json'), 'utf8')) as Lock).packages,
    )
    expect(wanted.map(([name]) => name).filter((name) => name !== '' && !installed.includes(name))).toEqual([])
    expect(installed.filter((name) => packages[name] === undefined || packages[name].dev === true)).toEqual([])
  })

  it('is the program, the licence and the shipped configuration: no tests, keys or data', () => {
    expect(readdirSync(join(image.folder, 'opt/gatehouse')).toSorted()).toEqual([
      'LICENSE',
      'config',
      'gateway.yaml',
      'node_modules',
      'package-lock.json',
      'package.json',
      'src',
    ])
    expect(readdirSync(join(image.folder, 'opt/gatehouse/config')).toSorted()).toEqual(['reserved-usernames.txt'])
    expect(readFileSync(join(image.folder, 'etc/gatehouse/gateway.yaml'))).toEqual(readFileSync(join(ROOT, 'gateway.yaml')))
    expect(readdirSync(join(image.folder, 'data'))).toEqual([])
  })

  it('is small', () => {
    const bytes = filesBelow(image.folder).reduce((sum, file) => sum + lstatSync(file).size, 0)
    expect(bytes / MEGABYTE).toBeLessThan(120)
  })
})

describe('how it runs', () => {
  let program: Program
  let ports: { readonly clients: number; readonly operators: number }
  let before: readonly string[]

  const environment = (): Record<string, string> => ({
    NODE_ENV: 'production',
    GATEHOUSE_CONFIG: join(image.folder, 'etc/gatehouse/gateway.yaml'),
    TMPDIR: join(image.folder, 'tmp'),
    HOME: '/',
  })

  beforeAll(async () => {
    ports = { clients: await freePort(), operators: await freePort() }
    const file = join(image.folder, 'etc/gatehouse/gateway.yaml')
    const shipped = readFileSync(file, 'utf8')
    // As one who mounts another file: on a machine that is shared with other tests the ports are taken.
    writeFileSync(file, shipped.replace('0.0.0.0:8080', `127.0.0.1:${ports.clients}`).replace(':9901', `:${ports.operators}`))
    execFileSync('chmod', ['-R', 'a-w', image.folder])
    for (const writable of ['data', 'tmp'])
      chmodSync(join(image.folder, writable), IS_ROOT && writable === 'tmp' ? 0o1777 : 0o700)
    before = listing()
    const [node, ...args] = commandOf('ENTRYPOINT')
    expect(node).toBe('node')
    const asUser = IS_ROOT ? ['--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups', '--no-new-privs', '--'] : []
    const [file0 = '', ...all] = [...(IS_ROOT ? ['setpriv', ...asUser] : []), process.execPath, ...args, ...commandOf('CMD')]
    program = startProgram(file0, all, { cwd: join(image.folder, 'opt/gatehouse'), environment: environment() })
    await waitFor(() => program.stderr().includes('gatehouse is ready at'), program, 30_000)
  }, 60_000)

  it('answers clients as a user without rights, and its health check succeeds', async () => {
    const answer = await fetch(`http://127.0.0.1:${ports.clients}/health`)
    expect(await answer.json()).toMatchObject({ status: 'ok' })
    expect(readFileSync(`/proc/${program.pid}/status`, 'utf8')).toMatch(
      new RegExp(`^Uid:\\t${IS_ROOT ? UID : process.getuid?.()}\\t`, 'm'),
    )
    expect(healthCheck(ports.operators)).toBe(0)
  })

  it('logs someone in, and writes to its volume alone', async () => {
    const url = `http://127.0.0.1:${ports.clients}/auth/register`
    const body = JSON.stringify({ email: 'ann@example.com', password: 'correct horse battery staple' })
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    expect(answer.status).toBe(201)
    expect(readdirSync(join(image.folder, 'data'))).toContain('accounts.db')
    expect(listing()).toEqual(before)
  })

  it('runs every other command by its name', () => {
    const { status, stdout } = run(join(image.folder, 'usr/local/bin/gatehouse'), ['check'])
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('gateway.yaml: fine (') })
  })

  it('ends with 0 when it is told to, and then its health check fails', async () => {
    const [signal] = argumentsOf(image.instructions, 'STOPSIGNAL')
    expect(await program.end(signal === 'SIGTERM' ? signal : 'SIGKILL')).toEqual({ code: 0, signal: null })
    expect(healthCheck(ports.operators)).toBe(1)
  })

  function commandOf(name: string): readonly string[] {
    const text = argumentsOf(image.instructions, name).at(-1) ?? '[]'
    return (JSON.parse(text) as string[]).map((word) => below(image.folder, word))
  }

  function healthCheck(port: number): number | null {
    const [, command = '[]'] = / CMD (.*)$/.exec(argumentsOf(image.instructions, 'HEALTHCHECK')[0] ?? '') ?? []
    const [, ...args] = (JSON.parse(command) as string[]).map((word) => word.replace(':9901', `:${port}`))
    return spawnSync(process.execPath, args).status
  }

  function run(file: string, args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
    const who = IS_ROOT ? { uid: UID, gid: UID } : {}
    return spawnSync(process.execPath, [file, ...args], {
      env: environment(),
      encoding: 'utf8',
      cwd: join(image.folder, 'tmp'),
      ...who,
    })
  }

  /** All that is there but on the volume and in /tmp, and when it was changed. */
  function listing(): readonly string[] {
    const writable = ['data/', 'tmp/', 'etc/gatehouse/data/'].map((name) => join(image.folder, name))
    return filesBelow(image.folder)
      .filter((file) => !writable.some((folder) => file.startsWith(folder)))
      .map((file) => `${file} ${lstatSync(file).mtimeMs}`)
      .toSorted()
  }
})

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
}
