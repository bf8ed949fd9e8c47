/** Redis and PostgreSQL are lost and put back from a backup by the scripts of deploy/backup: what was ended after the backup stays ended. */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DatabaseServer } from '../support/database.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startPostgres } from '../support/postgres.ts'
import { freePort } from '../support/ports.ts'
import { MAIN, run, temporaryFolder, type Output } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const SCRIPTS = resolve(import.meta.dirname, '../../deploy/backup')
const WHOLE = { timeout: 30_000, interval: 50 } as const
const PASSWORD = 'correct horse battery staple'
const KEY = 'ab'.repeat(32)
/** Of our own, so that nothing is given to the system's user of Redis. */
const NOBODY = 'nobody-of-this-name'

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
}

let redis: RedisServer
let postgres: DatabaseServer
let database: string
let folder: string
const gateways: TestGateway[] = []

beforeEach(async () => {
  ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
  database = await postgres.newDatabase()
  folder = temporaryFolder()
  writeFileSync(join(folder, 'master-key'), `${KEY}\n`, { mode: 0o600 })
}, 60_000)

afterEach(async () => {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.close()))
  await Promise.all([redis.stop(), postgres.stop()])
}, 60_000)

/** On the disk that it has had before. */
async function startMember(name: string): Promise<TestGateway> {
  const directory = join(folder, name)
  execFileSync('mkdir', ['-p', directory])
  const gateway = await startGateway(
    `storage: { sessions: '${redis.url}', accounts: '\${DATABASE}', directory: ./data }
masterKey: { env: MASTER_KEY }
revocation: { maxStaleness: 1h }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    { environment: { MASTER_KEY: KEY, DATABASE: database }, directory },
  )
  gateways.push(gateway)
  return gateway
}

async function stopMember(gateway: TestGateway): Promise<void> {
  gateways.splice(gateways.indexOf(gateway), 1)
  await gateway.close()
}

function script(name: string, words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Output> {
  return run(join(SCRIPTS, name), words, {
    environment: {
      REDIS_PORT: String(redis.port),
      DATABASE_URL: database,
      MASTER_KEY_FILE: join(folder, 'master-key'),
      REDIS_USER: NOBODY,
      ...more,
    },
  })
}

async function restored(backup: string): Promise<void> {
  const { dir } = Object.fromEntries([(await redis.admin.config('GET', 'dir')) as [string, string]])
  await redis.kill()
  for (const file of ['appendonlydir', 'dump.rdb']) rmSync(join(dir ?? '', file), { recursive: true, force: true })
  await postgres.admin(database, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  expect(await script('restore.sh', [backup, dir ?? ''])).toMatchObject({ code: 0, stderr: '' })
  await redis.restart()
}

async function backUp(): Promise<string> {
  const backup = join(folder, 'backup')
  expect(await script('backup.sh', [backup])).toMatchObject({ code: 0, stdout: `backup: ${backup}\n` })
  return backup
}

const register = (gateway: TestGateway, email: string) => postJson(`${gateway.url}/auth/register`, { email, password: PASSWORD })

async function logIn(gateway: TestGateway, email = 'ann@example.com'): Promise<Pair> {
  const response = await postJson(`${gateway.url}/auth/login`, { email, password: PASSWORD })
  expect(response.status).toBe(200)
  return (await response.json()) as Pair
}

const end = (gateway: TestGateway, token: string) => postJson(`${gateway.url}/sessions/revoke`, { token })

async function callApi(gateway: TestGateway, { access_token: token }: Pair): Promise<string> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  const { error } = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${error}`
}

async function refresh(gateway: TestGateway, { refresh_token }: Pair): Promise<string> {
  const response = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token })
  const { error } = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${error}`
}

/** Three sessions that a backup knows as they are here: one goes on, two end, one of them after the backup; and a token that ends after it. */
async function lifeBefore(gateway: TestGateway) {
  expect((await register(gateway, 'ann@example.com')).status).toBe(201)
  const [live, endedBefore, endedAfter, tokenAfter] = [
    await logIn(gateway),
    await logIn(gateway),
    await logIn(gateway),
    await logIn(gateway),
  ]
  expect((await end(gateway, endedBefore.refresh_token)).status).toBe(200)
  const backup = await backUp()
  expect((await end(gateway, endedAfter.refresh_token)).status).toBe(200)
  expect((await end(gateway, tokenAfter.access_token)).status).toBe(200)
  expect((await register(gateway, 'late@example.com')).status).toBe(201)
  for (const pair of [endedBefore, endedAfter, tokenAfter]) expect(await callApi(gateway, pair)).toBe('401 token_revoked')
  return { live, endedBefore, endedAfter, tokenAfter, backup }
}

type Before = Awaited<ReturnType<typeof lifeBefore>>

async function expectAsBefore(gateway: TestGateway, { live, endedBefore, endedAfter, tokenAfter }: Before): Promise<void> {
  for (const pair of [endedBefore, endedAfter, tokenAfter]) expect(await callApi(gateway, pair)).toBe('401 token_revoked')
  expect(await callApi(gateway, live)).toBe('200')
  for (const pair of [endedBefore, endedAfter]) {
    await vi.waitFor(async () => expect(await refresh(gateway, pair)).toBe('401 invalid_token'), WHOLE)
  }
}

describe('after a loss of Redis and PostgreSQL', () => {
  it('a gateway that ran on puts back what the backup does not know, and one that starts later has it from there', async () => {
    const running = await startMember('running')
    const before = await lifeBefore(running)
    await restored(before.backup)
    await vi.waitFor(async () => expect(await redis.admin.zcard('revocations:live:{0}')).toBe(3), WHOLE)
    const later = await startMember('later')
    for (const gateway of [running, later]) await expectAsBefore(gateway, before)
    // Of the database there is what was in the backup, and no more.
    expect(await refresh(later, before.live)).toBe('200')
    expect(await callApi(later, await logIn(later))).toBe('200')
    const late = await postJson(`${later.url}/auth/login`, { email: 'late@example.com', password: PASSWORD })
    expect(late.status).toBe(401)
  }, 90_000)

  it('one that starts before Redis, from the copy on its disk, does the same', async () => {
    const first = await startMember('same-disk')
    const before = await lifeBefore(first)
    await stopMember(first)
    await redis.kill()
    const second = await startMember('same-disk')
    for (const pair of [before.endedBefore, before.endedAfter, before.tokenAfter]) {
      expect(await callApi(second, pair)).toBe('401 token_revoked')
    }
    await redis.restart()
    await restored(before.backup)
    await vi.waitFor(async () => expect(await redis.admin.zcard('revocations:live:{0}')).toBe(3), WHOLE)
    const third = await startMember('another-disk')
    for (const gateway of [second, third]) await expectAsBefore(gateway, before)
  }, 90_000)

  it('a drill proves that the backup can be restored, beside what is in use', async () => {
    const gateway = await startMember('running')
    const { backup, live } = await lifeBefore(gateway)
    const bin = execFileSync('sh', ['-c', 'ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1'], { encoding: 'utf8' }).trim()
    const program = join(folder, 'gatehouse')
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, { mode: 0o755 })
    const ports = { DRILL_REDIS_PORT: String(await freePort()), DRILL_POSTGRES_PORT: String(await freePort()) }
    const drill = await script('drill.sh', [backup], {
      GATEHOUSE: program,
      POSTGRES_BIN: bin || dirname('/usr/bin/postgres'),
      ...ports,
    })
    expect(drill, drill.stdout).toMatchObject({ code: 0, stderr: '' })
    expect(drill.stdout).toContain('drill: 3 sessions, 1 revocations, 1 accounts\n')
    expect(drill.stdout).toMatch(/^ok +keys default/m)
    expect(drill.stdout).toMatch(/^ok +revocation drill/m)
    expect(drill.stdout).toMatch(/^drill: the backup was good, after \d+ s$/m)
    expect(await callApi(gateway, live)).toBe('200')
  }, 120_000)
})

describe('a backup', () => {
  it('holds no master key, and is restored with the one that it belongs to alone, into nothing, and only whole', async () => {
    const gateway = await startMember('running')
    expect((await register(gateway, 'ann@example.com')).status).toBe(201)
    const backup = await backUp()
    const empty = join(folder, 'empty')
    execFileSync('mkdir', [empty])
    for (const file of ['redis.rdb', 'accounts.dump', 'master-key.fingerprint']) {
      expect(readFileSync(join(backup, file)).includes(KEY)).toBe(false)
    }
    expect(await script('backup.sh', [backup])).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') })

    const other = join(folder, 'other-key')
    writeFileSync(other, 'cd'.repeat(32))
    expect(await script('restore.sh', [backup, empty], { MASTER_KEY_FILE: other })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the master key is not the one of this backup'),
    })
    execFileSync('mkdir', [join(empty, 'appendonlydir')])
    expect(await script('restore.sh', [backup, empty])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not empty'),
    })
    writeFileSync(join(backup, 'redis.rdb'), 'REDIS and no more')
    expect(await script('restore.sh', [backup, empty])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not what it was'),
    })
    // None of it touched what is in use.
    expect(await callApi(gateway, await logIn(gateway))).toBe('200')
  }, 60_000)
})
