import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openRedis } from '../../src/storage/redis/redis.ts'
import type { RedisStorage } from '../../src/storage/redis/redis.ts'
import { startRedisCluster } from '../support/redis.ts'
import type { RedisClusterServers } from '../support/redis.ts'
import { aSession } from './contract.ts'
import { flush, needsOf, realClock, redisContract } from './redis-suite.ts'

const NO_LIMIT = { sessionsPerUser: 1_000 }

describe('a cluster of three masters', () => {
  let cluster: RedisClusterServers
  let storage: RedisStorage | undefined
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster.stop())
  afterEach(() => {
    storage?.close()
    storage = undefined
  })

  // An entry of a key takes 16 bytes more in a cluster.
  redisContract(() => ({ nodes: cluster.nodes, config: { kind: 'cluster', urls: cluster.urls }, sessionsOfEach: 3 }))

  async function open(more: Parameters<typeof needsOf>[1] = {}): Promise<RedisStorage> {
    await flush(cluster.nodes)
    storage = await openRedis(needsOf(realClock(), more), { kind: 'cluster', urls: cluster.urls })
    return storage
  }

  test('spreads users over all of its masters', async () => {
    const { sessions } = await open()
    const { now } = realClock()
    const buckets = new Set<number>()
    for (let i = 0; i < 200; i += 1) {
      const id = i.toString(16).padStart(32, '0')
      buckets.add((await sessions.create(aSession({ id, user: `usr_${i}` }, now), NO_LIMIT)).bucket)
    }
    expect([...buckets].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, bucket) => bucket))
    for (const node of cluster.nodes) expect((await node.admin.keys('tenant:acme:refresh:*')).length).toBeGreaterThan(10)
  })

  test('goes on where a slot was moved to', async () => {
    const { sessions, log } = await open()
    const { now } = realClock()
    const { bucket } = await sessions.create(aSession({}, now), NO_LIMIT)
    await moveSlot(bucket)
    expect(
      await sessions.end({ tenant: 'acme', user: 'usr_1', id: aSession().id }, { reason: 'test', tokensUntil: now + 9 }),
    ).toBe(true)
    expect((await log.snapshot()).revocations.length).toBe(1)
  })

  /** Moves the slot of a bucket with all its keys to the next master, as an operator does. */
  async function moveSlot(bucket: number): Promise<void> {
    const { nodes } = cluster
    const slot = Number(await nodes[0]?.admin.call('CLUSTER', 'KEYSLOT', `{${bucket}}`))
    const ids = await Promise.all(nodes.map(async (node) => String(await node.admin.call('CLUSTER', 'MYID'))))
    const counts = await Promise.all(nodes.map((node) => node.admin.call('CLUSTER', 'COUNTKEYSINSLOT', slot)))
    const source = counts.findIndex((count) => Number(count) > 0)
    const target = (source + 1) % nodes.length
    const [from, to] = [nodes[source], nodes[target]]
    if (from === undefined || to === undefined) throw new Error('no master has the slot')
    await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[source] ?? '')
    await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[target] ?? '')
    const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys)
    for (const node of nodes) await node.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', ids[target] ?? '')
  }

  test('refuses what belongs to a master that says nothing, serves the rest, and recovers', async () => {
    const { sessions } = await open()
    const { now } = realClock()
    const attempt = (i: number) =>
      sessions.create(aSession({ id: i.toString(16).padStart(32, '0'), user: `usr_${i}` }, now), NO_LIMIT).then(
        () => 'made',
        (error: unknown) => error,
      )
    const silent = cluster.nodes[1]
    silent?.pause()
    const startedMs = performance.now()
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => attempt(i)))
    expect(performance.now() - startedMs).toBeLessThan(3_000)
    const refused = outcomes.filter((outcome) => outcome !== 'made')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(40)
    for (const outcome of refused) expect(outcome).toMatchObject({ kind: 'storage_unavailable' })
    silent?.resume()
    await vi.waitFor(async () => {
      const again = await Promise.all(Array.from({ length: 40 }, (_, i) => attempt(100 + i)))
      expect(again.filter((outcome) => outcome !== 'made')).toEqual([])
    }, 10_000)
  })

  test('with the sessions of a single Redis in it is refused at the opening', async () => {
    await open()
    for (const node of cluster.nodes) await node.admin.set('storage:buckets', '1').catch(() => undefined)
    await expect(openRedis(needsOf(realClock()), { kind: 'cluster', urls: cluster.urls })).rejects.toThrow(
      'laid out in 1 buckets, and storage.sessions wants 16',
    )
  })
})
