import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openRedis } from '../../src/storage/redis/redis.ts'
import type { RedisStorage } from '../../src/storage/redis/redis.ts'
import { startRedisCluster } from '../support/redis.ts'
import type { RedisClusterServers } from '../support/redis.ts'
import { aSession } from './contract.ts'
import { flush, needsOf, realClock, redisContract } from './redis-suite.ts'
import { snapshotOf } from '../support/log.ts'

const NO_LIMIT = { sessionsPerUser: 1_000 }
const ROTATION = { graceSeconds: 600, rotation: 'on', idleSeconds: 900, reuseReason: 'reuse' } as const

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
  redisContract(() => ({ nodes: cluster.nodes, config: { kind: 'cluster', urls: cluster.urls }, sessionBytes: 390 }))

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
    expect((await snapshotOf(log)).revocations.length).toBe(1)
  })

  test('does what is tried again once, and misses no revocation, while slots move under load', async () => {
    const { sessions, log } = await open()
    const { now } = realClock()
    const { position } = await snapshotOf(log)
    const users = Array.from({ length: 24 }, (_, i) => ({
      tenant: 'acme',
      user: `usr_${i}`,
      id: i.toString(16).padStart(32, '0'),
    }))
    const buckets = await Promise.all(
      users.map(async (user) => (await sessions.create(aSession({ ...user }, now), NO_LIMIT)).bucket),
    )
    const moving = { isOver: false }
    const outcomes = new Map<string, number>()
    const revoked: string[] = []
    const load = users.map(async (user, i) => {
      const bucket = buckets[i] ?? 0
      for (let generation = 0; !moving.isOver || generation < 5; generation += 1) {
        const rotation = await insist(() =>
          sessions.rotate({ ...user, bucket, generation, ...ROTATION, now, tokensUntil: now + 900 }),
        )
        outcomes.set(rotation.outcome, (outcomes.get(rotation.outcome) ?? 0) + 1)
        const id = `${user.user}-${generation}`
        await insist(() => sessions.revoke({ kind: 'token', ...user, id }, { reason: 'test', tokensUntil: now + 100 }))
        revoked.push(id)
      }
    })
    try {
      for (const bucket of new Set(buckets.slice(0, 5))) await moveSlot(bucket, 5)
    } finally {
      moving.isOver = true
    }
    await Promise.all(load)
    // Where the answer was lost, on a machine that is too busy, the second time is told what the first one did.
    outcomes.delete('retried')
    expect([...outcomes.keys()]).toEqual(['rotated'])
    const told = new Set<string>()
    for (let at = position; ;) {
      const slice = await insist(() => log.readAfter(at))
      expect(slice.isRestart).toBeUndefined()
      for (const one of slice.revocations) if ('id' in one) told.add(one.id)
      at = slice.position
      if (slice.complete) break
    }
    expect([...told].toSorted()).toEqual(revoked.toSorted())
  }, 90_000)

  /** What a client does: a script of several keys is refused while some of them have moved and others have not. */
  async function insist<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        expect(error).toMatchObject({ kind: 'storage_unavailable' })
        if (attempt === 100) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Moves the slot of a bucket with all its keys to the next master, as an operator does. */
  async function moveSlot(bucket: number, together = 100): Promise<void> {
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
    for (;;) {
      const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, together)) as string[]
      if (keys.length === 0) break
      await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys)
    }
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
    expect(performance.now() - startedMs).toBeLessThan(8_000)
    const refused = outcomes.filter((outcome) => outcome !== 'made')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(40)
    for (const outcome of refused) expect(outcome).toMatchObject({ kind: 'storage_unavailable' })
    silent?.resume()
    await vi.waitFor(async () => {
      const again = await Promise.all(Array.from({ length: 40 }, (_, i) => attempt(100 + i)))
      expect(again.filter((outcome) => outcome !== 'made')).toEqual([])
    }, 20_000)
  })

  test('with the sessions of a single Redis in it is refused at the opening', async () => {
    await open()
    for (const node of cluster.nodes) await node.admin.set('storage:buckets', '1').catch(() => undefined)
    await expect(openRedis(needsOf(realClock()), { kind: 'cluster', urls: cluster.urls })).rejects.toThrow(
      'laid out in 1 buckets, and storage.sessions wants 16',
    )
  })
})
