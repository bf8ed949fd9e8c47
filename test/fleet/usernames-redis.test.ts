/** What gateways tell each other of usernames in Redis, on one server and on a cluster. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NameCache } from '../../src/services/usernames/usernames.ts'
import { openRedis, type RedisStorage } from '../../src/storage/redis/redis.ts'
import { monotonicMs, nowSeconds, random, schedule } from '../../src/world.ts'
import { startRedis, startRedisCluster } from '../support/redis.ts'

const SECONDS = 300
const needs = { nowSeconds, nowMs: monotonicMs, random, schedule }

interface Place {
  readonly storage: RedisStorage
  stop(): Promise<void>
}

describe.each<readonly [string, () => Promise<Place>]>([
  [
    'one server',
    async () => {
      const server = await startRedis()
      return { storage: await openRedis(needs, { kind: 'redis', url: server.url }), stop: () => server.stop() }
    },
  ],
  [
    'a cluster',
    async () => {
      const servers = await startRedisCluster()
      return { storage: await openRedis(needs, { kind: 'cluster', urls: servers.urls }), stop: () => servers.stop() }
    },
  ],
])('usernames in %s', (_where, open) => {
  let place: Place
  let names: NameCache
  beforeAll(async () => {
    place = await open()
    names = place.storage.names(SECONDS)
  }, 60_000)
  afterAll(async () => {
    place?.storage.close()
    await place?.stop()
  })

  test('are read many at once, those that nobody told are unknown', async () => {
    await names.fill('default', [
      ['ann', true],
      ['bob', false],
    ])
    expect(await names.read('default', ['bob', 'cyd', 'ann'])).toEqual([false, undefined, true])
  })

  test('are of a tenant', async () => {
    await names.write('acme', 'ann_of_acme', true)
    expect(await names.read('default', ['ann_of_acme', 'acme:ann_of_acme'])).toEqual([undefined, true])
    expect(await names.read('acme', ['ann_of_acme'])).toEqual([true])
  })

  test('that a writer told are not changed by a reader who was slow', async () => {
    await names.write('default', 'claimed', true)
    await names.fill('default', [['claimed', false]])
    expect(await names.read('default', ['claimed'])).toEqual([true])
    await names.fill('default', [['free', false]])
    await names.write('default', 'free', true)
    expect(await names.read('default', ['free'])).toEqual([true])
  })

  test('last five minutes give or take a tenth, or as long as a hold', async () => {
    const storage = place.storage
    const all = Array.from({ length: 50 }, (_, index) => [`name${index}`, true] as const)
    await storage.names(10).fill('default', all)
    await storage.names(SECONDS).write('default', 'longer', true)
    expect(await names.read('default', ['name0', 'longer'])).toEqual([true, true])
    await storage.names(SECONDS).write('default', 'short', true, 1)
    await expect.poll(() => names.read('default', ['short']), { timeout: 15_000 }).toEqual([undefined])
  })
})

test('an entry takes about a hundred bytes', async () => {
  const server = await startRedis()
  const storage = await openRedis(needs, { kind: 'redis', url: server.url })
  try {
    await storage.names(SECONDS).write('default', 'an_ordinary_name', true)
    const bytes = Number(await server.admin.memory('USAGE', 'username_exists:an_ordinary_name'))
    expect(bytes).toBeLessThan(140)
    const seconds = await server.admin.ttl('username_exists:an_ordinary_name')
    expect([seconds >= 269, seconds <= 330]).toEqual([true, true])
  } finally {
    storage.close()
    await server.stop()
  }
})
