/** Where Redis may live: behind TLS and a password, and with a replica nearby that the feed is read from. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openRedis } from '../../src/storage/redis/redis.ts'
import type { RedisConfig, RedisNeeds, RedisStorage } from '../../src/storage/redis/redis.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { snapshotOf } from '../support/log.ts'
import { freePort } from '../support/ports.ts'
import { startRedis, startReplicaOf } from '../support/redis.ts'
import type { RedisServer } from '../support/redis.ts'
import { aSession, sid } from './contract.ts'
import { needsOf, realClock } from './redis-suite.ts'

const USER = { tenant: 'acme', user: 'usr_1' }
const NO_LIMIT = { sessionsPerUser: 1_000 }
const REFUSED = { kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } }
const WHOLE = { timeout: 20_000, interval: 50 } as const

const open: { close?(): unknown; stop?(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await (one.close ?? one.stop)?.()
})

function keep<T extends { close(): unknown } | { stop(): unknown }>(one: T): T {
  open.push(one)
  return one
}

async function start(config: RedisConfig, more: Partial<RedisNeeds> = {}): Promise<RedisStorage> {
  return keep(await openRedis(needsOf(realClock(), more), config))
}

function create(storage: RedisStorage, digit: string): Promise<unknown> {
  return storage.sessions.create(aSession({ id: sid(digit) }, realClock().now), NO_LIMIT)
}

function revoke(storage: RedisStorage, id: string): Promise<void> {
  return storage.sessions.revoke({ kind: 'token', ...USER, id }, { reason: 'test', tokensUntil: realClock().now + 100 })
}

describe('Redis behind TLS and a password', () => {
  let directory: string
  let ca: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'))
    makeCertificates(directory)
    ca = readFileSync(join(directory, 'ca.pem'), 'utf8')
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  async function startTls(): Promise<{ readonly server: RedisServer; readonly port: number }> {
    const port = await freePort()
    const file = (name: string): string => join(directory, name)
    const tls = ['--tls-port', String(port), '--tls-cert-file', file('redis.pem'), '--tls-key-file', file('redis.key')]
    const server = await startRedis([
      ...tls,
      '--tls-auth-clients',
      'no',
      '--tls-ca-cert-file',
      file('ca.pem'),
      '--requirepass',
      'p@ss',
    ])
    return { server: keep(server), port }
  }

  test('is used where its certificate is of the authority that the configuration trusts', async () => {
    const { server, port } = await startTls()
    for (const host of ['localhost', '127.0.0.1']) {
      const storage = await start({ kind: 'redis', url: `rediss://:p%40ss@${host}:${port}/2`, ca })
      await server.admin.flushall()
      await create(storage, 'a')
      await revoke(storage, 'one')
      expect((await snapshotOf(storage.log)).revocations).toEqual([expect.objectContaining({ kind: 'token', id: 'one' })])
      let isWoken = false
      storage.log.onAppend(() => {
        isWoken = true
      })
      await vi.waitFor(() => expect(isWoken).toBe(true), WHOLE)
    }
  }, 60_000)

  test('is refused where its certificate is of another authority, or for another name, and so is plain text', async () => {
    const { port } = await startTls()
    const url = `rediss://:p%40ss@127.0.0.1:${port}`
    await expect(start({ kind: 'redis', url })).rejects.toMatchObject(REFUSED)
    await expect(start({ kind: 'redis', url: url.replace('127.0.0.1', 'ip6-localhost.invalid'), ca })).rejects.toMatchObject(
      REFUSED,
    )
    await expect(start({ kind: 'redis', url: url.replace('127.0.0.1', '127.0.0.2'), ca })).rejects.toMatchObject(REFUSED)
    await expect(start({ kind: 'redis', url: url.replace('rediss:', 'redis:') })).rejects.toMatchObject(REFUSED)
    await expect(start({ kind: 'redis', url: url.replace('p%40ss', 'wrong'), ca })).rejects.toMatchObject(REFUSED)
  }, 60_000)
})

describe('a replica nearby', () => {
  async function pair() {
    const master = keep(await startRedis())
    const link = keep(await startFaultProxy(master.port))
    const replica = keep(await startReplicaOf(master, link.port))
    const config = { kind: 'redis', url: master.url, replica: replica.url } as const
    return { master, link, replica, config }
  }

  test('is where the feed is read, also when the master is silent, while writes and questions go to the master', async () => {
    const { master, replica, config } = await pair()
    const [there, here] = [await start({ kind: 'redis', url: master.url }), await start(config)]
    await revoke(there, 'one')
    await vi.waitFor(async () => expect((await snapshotOf(here.log)).revocations.length).toBe(1), WHOLE)
    const { position } = await snapshotOf(here.log)
    await revoke(there, 'two')
    const told = await vi.waitFor(async () => {
      const slice = await here.log.readAfter(position)
      expect(slice.revocations).toEqual([expect.objectContaining({ id: 'two' })])
      return slice
    }, WHOLE)
    expect(await here.log.isRevoked({ ...USER, tokenId: 'two' })).toBe(true)
    master.pause()
    expect(await here.log.readAfter(told.position)).toMatchObject({ revocations: [], complete: true })
    master.resume()
    expect(await replica.admin.keys('storage:beat:*')).toEqual([expect.stringMatching(/^storage:beat:\{0\}:[0-9a-z]{10,}$/)])
  }, 60_000)

  test('is as old as the last beat that came through it: cut off it answers, and its age grows', async () => {
    const { link, replica, master } = await pair()
    const here = await start({ kind: 'redis', url: `redis://127.0.0.1:${link.port}`, replica: replica.url })
    const { position, lagMs } = await firstPage(here)
    expect(lagMs).toBeGreaterThanOrEqual(0)
    const age = async (): Promise<number> => (await here.log.readAfter(position)).lagMs ?? Number.NaN
    await vi.waitFor(async () => expect(await age()).toBeLessThan(1_500), WHOLE)
    link.disturb({ kind: 'hole' })
    await vi.waitFor(async () => expect(await age()).toBeGreaterThan(4_500), WHOLE)
    await revoke(await start({ kind: 'redis', url: master.url }), 'one')
    expect((await here.log.readAfter(position)).revocations).toEqual([])
    link.disturb({ kind: 'none' })
    await vi.waitFor(async () => {
      const slice = await here.log.readAfter(position)
      expect(slice.revocations.length).toBe(1)
      expect(slice.lagMs).toBeLessThan(1_500)
    }, WHOLE)
  }, 60_000)

  test('that is far behind is passed over while the master can be asked', async () => {
    const { link, config } = await pair()
    const here = await start(config)
    const { position } = await firstPage(here)
    link.disturb({ kind: 'hole' })
    const read = () => here.log.readAfter(position)
    await vi.waitFor(async () => expect(await read()).toEqual({ position, revocations: [], complete: true }), WHOLE)
    link.disturb({ kind: 'none' })
    await vi.waitFor(async () => expect((await read()).lagMs).toBeLessThan(1_500), WHOLE)
  }, 60_000)

  test('keeps nobody from seeing at once what was ended here, and is ahead of by nobody without its knowing', async () => {
    const { link, config } = await pair()
    const here = await start(config)
    const { position } = await firstPage(here)
    link.disturb({ kind: 'hole' })
    await revoke(here, 'one')
    const own = await here.log.readAfter(position)
    expect(own).toEqual({ position: own.position, revocations: [expect.objectContaining({ id: 'one' })], complete: true })
    // The replica knows less than this reader now, which is no loss.
    await vi.waitFor(async () => {
      const slice = await here.log.readAfter(own.position)
      expect(slice).toEqual({ position: own.position, revocations: [], complete: true, lagMs: expect.any(Number) })
    }, WHOLE)
    link.disturb({ kind: 'none' })
    await vi.waitFor(async () => expect((await snapshotOf(here.log)).revocations.length).toBe(1), WHOLE)
    expect((await here.log.readAfter(own.position)).isRestart).toBeUndefined()
  }, 60_000)

  test('that lost what was read begins anew', async () => {
    const { config, master } = await pair()
    const here = await start(config)
    await revoke(here, 'one')
    const { position } = await snapshotOf(here.log)
    const { position: after } = await here.log.readAfter(position)
    await master.admin.flushall()
    await vi.waitFor(async () => expect(await here.log.readAfter(after)).toMatchObject({ isRestart: true }), WHOLE)
    expect(await here.log.restore([{ kind: 'token', tenant: 'acme', id: 'one', expiresAt: realClock().now + 50 }])).toBe(1)
    await vi.waitFor(async () => expect((await snapshotOf(here.log)).revocations.length).toBe(1), WHOLE)
  }, 60_000)

  test('is left alone while it is away, or has never heard of the master: the master is read', async () => {
    const { link, config, master, replica } = await pair()
    link.disturb({ kind: 'hole' })
    const here = await start(config)
    await revoke(here, 'one')
    expect((await snapshotOf(here.log)).revocations.length).toBe(1)
    const page = await firstPage(here)
    expect(page.lagMs).toBeUndefined()
    expect(await here.log.readAfter(page.position)).toEqual({ position: page.position, revocations: [], complete: true })
    link.disturb({ kind: 'none' })
    await vi.waitFor(async () => expect((await firstPage(here)).lagMs).toBeLessThan(1_500), WHOLE)
    await replica.kill()
    const { position } = await snapshotOf(here.log)
    await revoke(await start({ kind: 'redis', url: master.url }), 'two')
    expect((await here.log.readAfter(position)).revocations).toEqual([expect.objectContaining({ id: 'two' })])
    const another = await start(config)
    expect((await snapshotOf(another.log)).revocations.length).toBe(2)
  }, 60_000)
})

describe('a replica that lags', () => {
  test('is asked again until it has what was written', async () => {
    const master = keep(await startRedis())
    const replica = keep(await startReplicaOf(master))
    const storage = await start({ kind: 'redis', url: master.url })
    await vi.waitFor(async () => {
      await create(storage, 'a')
      expect(storage.unconfirmed()).toBe(0)
    }, WHOLE)
    replica.pause()
    await Promise.all([create(storage, 'b'), create(storage, 'c'), revoke(storage, 'one')])
    expect(storage.unconfirmed()).toBe(3)
    replica.resume()
    await vi.waitFor(() => expect(storage.unconfirmed()).toBe(0), WHOLE)
    expect(await replica.admin.exists(`revocations:live:{0}`)).toBe(1)
  }, 60_000)

  test('is missed when it is gone, without a wait', async () => {
    const master = keep(await startRedis())
    const replica = keep(await startReplicaOf(master))
    const clock = { aheadMs: 0 }
    const storage = await start({ kind: 'redis', url: master.url }, { nowMs: () => performance.now() + clock.aheadMs })
    await create(storage, 'a')
    await replica.kill()
    await vi.waitFor(async () => expect(await master.admin.info('replication')).toContain('connected_slaves:0'), WHOLE)
    clock.aheadMs = 11_000
    await revoke(storage, 'one')
    expect(storage.unconfirmed()).toBeGreaterThan(0)
    await replica.restart()
    await replica.admin.replicaof('127.0.0.1', master.port)
    await vi.waitFor(() => expect(storage.unconfirmed()).toBe(0), WHOLE)
  }, 60_000)

  test('where there never was one, nothing is unconfirmed', async () => {
    const storage = await start({ kind: 'redis', url: keep(await startRedis()).url })
    await create(storage, 'a')
    await revoke(storage, 'one')
    expect(storage.unconfirmed()).toBe(0)
  })
})

async function firstPage(storage: RedisStorage) {
  for await (const page of storage.log.snapshot()) return page
  throw new Error('no page')
}

/** An authority, and a certificate of it for `localhost` and `127.0.0.1`. */
function makeCertificates(directory: string): void {
  const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test authority')
  const names = ['-subj', '/CN=redis', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  run('req', '-x509', ...key, '-keyout', 'redis.key', '-out', 'redis.pem', ...names, '-CA', 'ca.pem', '-CAkey', 'ca.key')
}
