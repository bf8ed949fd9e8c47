/** Redis that is away, silent or slow: what waits, what is refused at once, and what happens when it is back. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openRedis } from '../../src/storage/redis/redis.ts'
import type { RedisConfig, RedisStorage } from '../../src/storage/redis/redis.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { startRedis, startRedisCluster } from '../support/redis.ts'
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

interface Told {
  readonly up: boolean[]
  readonly breaker: string[]
  readonly unfit: unknown[]
}

async function start(config: RedisConfig, away: 'refuse' | 'wait' = 'refuse'): Promise<{ storage: RedisStorage; told: Told }> {
  const told: Told = { up: [], breaker: [], unfit: [] }
  const needs = needsOf(realClock(), {
    up: (isUp) => void told.up.push(isUp),
    breaker: (state) => void told.breaker.push(state),
    unfit: (cause) => void told.unfit.push(cause),
  })
  return { storage: keep(await openRedis(needs, config, { away })), told }
}

function create(storage: RedisStorage, digit: string, user = 'usr_1'): Promise<unknown> {
  return storage.sessions.create(aSession({ id: sid(digit), user }, realClock().now), NO_LIMIT)
}

/** Refused without a wait: in a time that no answer limit of the connection explains, however busy the machine. */
async function expectAtOnce(call: () => Promise<unknown>): Promise<void> {
  const startedMs = performance.now()
  await expect(call()).rejects.toMatchObject(REFUSED)
  expect(performance.now() - startedMs).toBeLessThan(1_800)
}

async function killed(): Promise<RedisServer> {
  const server = keep(await startRedis())
  await server.kill()
  return server
}

describe('storage that waits for its Redis', () => {
  test('is there at once, refuses at once, and works when Redis comes', async () => {
    const server = await killed()
    const { storage, told } = await start({ kind: 'redis', url: server.url }, 'wait')
    expect(told.up).toEqual([false])
    await expectAtOnce(() => create(storage, 'a'))
    await expectAtOnce(() => storage.log.readAfter('["0-0"]'))
    await server.restart()
    await vi.waitFor(() => create(storage, 'a'), WHOLE)
    expect(await storage.sessions.find({ ...USER, id: sid('a') })).toBeDefined()
    expect(await server.admin.get('storage:buckets')).toBe('1')
    expect(told.up).toEqual([false, true])
    expect(told.unfit).toEqual([])
  }, 60_000)

  test('finds a cluster that comes later', async () => {
    const cluster = keep(await startRedisCluster())
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    const { storage } = await start({ kind: 'cluster', urls: cluster.urls }, 'wait')
    await expect(create(storage, 'a')).rejects.toMatchObject(REFUSED)
    await Promise.all(cluster.nodes.map((node) => node.restart()))
    await vi.waitFor(() => create(storage, 'a'), WHOLE)
    expect(await storage.sessions.find({ ...USER, id: sid('a') })).toBeDefined()
  }, 90_000)

  test('refuses one that is laid out otherwise for ever, and says so once', async () => {
    const server = keep(await startRedis(['--appendfsync', 'always']))
    await server.admin.set('storage:buckets', '16')
    await server.kill()
    const { storage, told } = await start({ kind: 'redis', url: server.url }, 'wait')
    await server.restart()
    await vi.waitFor(() => {
      expect(told.up.at(-1)).toBe(true)
    }, WHOLE)
    await vi.waitFor(async () => {
      await expect(create(storage, 'a')).rejects.toMatchObject(REFUSED)
      expect(told.unfit.length).toBe(1)
    }, WHOLE)
    await expectAtOnce(() => storage.keys.load('gateway'))
    expect(told.unfit).toEqual([
      expect.objectContaining({ message: expect.stringContaining('laid out in 16 buckets, and storage.sessions wants 1') }),
    ])
    expect(await server.admin.keys('*')).toEqual(['storage:buckets'])
  }, 60_000)
})

describe('commands to a Redis that does not answer', () => {
  test('are refused at once after a moment in which nobody asked, and sent again when it answers', async () => {
    const server = keep(await startRedis())
    const { storage, told } = await start({ kind: 'redis', url: server.url })
    await create(storage, 'a')
    expect(told.breaker).toEqual(['closed'])
    server.pause()
    await vi.waitFor(
      () => expect({ breaker: told.breaker.at(-1), up: told.up.at(-1) }).toEqual({ breaker: 'open', up: false }),
      WHOLE,
    )
    for (let i = 0; i < 20; i += 1) await expectAtOnce(() => create(storage, 'b'))
    await expectAtOnce(() => storage.log.isRevoked({ ...USER, tokenId: 't' }))
    server.resume()
    await vi.waitFor(
      () => expect({ breaker: told.breaker.at(-1), up: told.up.at(-1) }).toEqual({ breaker: 'closed', up: true }),
      WHOLE,
    )
    await create(storage, 'c')
    expect((await storage.sessions.list(USER)).map((session) => session.id).toSorted()).toEqual([sid('a'), sid('c')])
  }, 60_000)

  test('are refused at once where each answer takes longer than a second, and through a black hole', async () => {
    const server = keep(await startRedis())
    const proxy = keep(await startFaultProxy(server.port))
    const { storage, told } = await start({ kind: 'redis', url: `redis://127.0.0.1:${proxy.port}` })
    for (const fault of [{ kind: 'slow', delayMs: 1_700 }, { kind: 'hole' }] as const) {
      proxy.disturb(fault)
      await vi.waitFor(() => expect(told.breaker.at(-1)).toBe('open'), WHOLE)
      await expectAtOnce(() => create(storage, 'b'))
      proxy.disturb({ kind: 'none' })
      await vi.waitFor(() => expect(told.breaker.at(-1)).toBe('closed'), WHOLE)
      await vi.waitFor(() => create(storage, 'c'), WHOLE)
    }
  }, 90_000)

  test('are sent on to one that only says no: ending works where there is no memory left to begin', async () => {
    const server = keep(await startRedis())
    const { storage, told } = await start({ kind: 'redis', url: server.url })
    await create(storage, 'a')
    await server.admin.config('SET', 'maxmemory', '1')
    for (let i = 0; i < 30; i += 1) await expect(create(storage, 'b')).rejects.toMatchObject(REFUSED)
    expect(await storage.sessions.end({ ...USER, id: sid('a') }, { reason: 'test', tokensUntil: realClock().now + 9 })).toBe(true)
    expect(told.breaker).toEqual(['closed'])
  }, 60_000)

  test('concern the users of one master of a cluster only, where it alone is silent', async () => {
    const cluster = keep(await startRedisCluster())
    // Otherwise the others refuse everything as soon as they miss it, which is another failure.
    for (const { admin } of cluster.nodes) await admin.config('SET', 'cluster-require-full-coverage', 'no')
    const { storage, told } = await start({ kind: 'cluster', urls: cluster.urls })
    const users = Array.from({ length: 40 }, (_, i) => `usr_${i}`)
    const served = async (): Promise<number> => {
      const outcomes = await Promise.allSettled(users.map((user) => create(storage, 'a', user)))
      return outcomes.filter((outcome) => outcome.status === 'fulfilled').length
    }
    expect(await served()).toBe(40)
    cluster.nodes[1]?.pause()
    await vi.waitFor(() => expect(told.breaker.at(-1)).toBe('open'), WHOLE)
    await vi.waitFor(async () => {
      const startedMs = performance.now()
      const count = await served()
      expect(count).toBeGreaterThan(0)
      expect(count).toBeLessThan(40)
      expect(performance.now() - startedMs).toBeLessThan(1_800)
    }, WHOLE)
    cluster.nodes[1]?.resume()
    await vi.waitFor(async () => expect(await served()).toBe(40), WHOLE)
    await vi.waitFor(() => expect(told.breaker.at(-1)).toBe('closed'), WHOLE)
  }, 90_000)
})

describe('Redis that is out of memory', () => {
  test('is away, however many reads it answers meanwhile, and is back when it takes writes', async () => {
    const server = keep(await startRedis())
    const { storage, told } = await start({ kind: 'redis', url: server.url })
    await create(storage, 'a')
    const before = told.up.length
    await server.admin.config('SET', 'maxmemory', '1')
    for (let round = 0; round < 300; round += 1) {
      await expect(create(storage, 'b')).rejects.toMatchObject(REFUSED)
      expect(await storage.sessions.find({ ...USER, id: sid('a') })).toBeDefined()
    }
    // Once, and once more for each second that nothing was refused in, on a machine that is that busy.
    expect(told.up[before]).toBe(false)
    expect(told.up.length - before).toBeLessThan(30)
    await server.admin.config('SET', 'maxmemory', '0')
    await create(storage, 'b')
    await vi.waitFor(() => expect(told.up.at(-1)).toBe(true), WHOLE)
    expect(told.breaker).toEqual(['closed'])
  }, 60_000)
})

describe('Redis that is back', () => {
  test('has its readers woken at once, and the number of its buckets recorded again', async () => {
    const server = keep(await startRedis())
    const { storage, told } = await start({ kind: 'redis', url: server.url })
    let wakes = 0
    const stop = storage.log.onAppend(() => void (wakes += 1))
    await create(storage, 'a')
    await server.kill()
    await vi.waitFor(() => expect(told.up.at(-1)).toBe(false), WHOLE)
    const before = wakes
    await server.restart()
    await server.admin.del('storage:buckets')
    await vi.waitFor(() => expect(told.up.at(-1)).toBe(true), WHOLE)
    expect(wakes).toBeGreaterThan(before)
    stop()
    await server.admin.del('storage:buckets')
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await vi.waitFor(async () => expect(await server.admin.get('storage:buckets')).toBe('1'), WHOLE)
  }, 60_000)

  test('after a connection that broke refuses nobody who comes while it is made again', async () => {
    const server = keep(await startRedis())
    const { storage, told } = await start({ kind: 'redis', url: server.url })
    await create(storage, 'a')
    for (let round = 0; round < 5; round += 1) {
      const dropped = told.up.length
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await vi.waitFor(() => expect(told.up.length).toBeGreaterThan(dropped), { timeout: 20_000, interval: 1 })
      const found = await Promise.all(Array.from({ length: 50 }, () => storage.sessions.find({ ...USER, id: sid('a') })))
      expect(found.every((session) => session?.id === sid('a'))).toBe(true)
    }
    expect(told.breaker).toEqual(['closed'])
  }, 60_000)
})
