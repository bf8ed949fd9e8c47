/** Octets that come between the answers of Redis: no command may get the answer of another for long, and none may wait for ever. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openRedis, type RedisStorage } from '../../src/storage/redis/redis.ts'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

let redis: RedisServer
let proxy: FaultProxy
let storage: RedisStorage
beforeAll(async () => {
  redis = await startRedis()
  proxy = await startFaultProxy(redis.port)
})
beforeEach(async () => {
  storage = await openRedis(
    {
      nowSeconds: () => Math.floor(Date.now() / 1000),
      nowMs: () => performance.now(),
      random: Math.random,
      schedule(delayMs, run) {
        const timer = setTimeout(run, delayMs)
        return () => clearTimeout(timer)
      },
    },
    { kind: 'redis', url: `redis://127.0.0.1:${proxy.port}` },
  )
  await redis.admin.set('tenant:a:keys:private', 'set of a')
  await redis.admin.set('tenant:b:keys:private', 'set of b')
})
afterAll(async () => {
  await proxy.close()
  await redis.stop()
})

const load = (tenant: string): Promise<string> =>
  storage.keys.load(`tenant:${tenant}`).then(String, (error: Error) => error.message.split(':')[0] ?? '')

/** While answers are on their way, these octets come before them. */
async function disturb(octets: string): Promise<void> {
  proxy.disturb({ kind: 'slow', delayMs: 100 })
  const asked = load('a')
  await new Promise((resolve) => setTimeout(resolve, 50))
  proxy.inject(Buffer.from(octets))
  await asked
  proxy.disturb({ kind: 'none' })
}

describe.each([
  ['an answer too many', '$6\r\nset of\r\n'],
  ['the begin of an answer that never ends', '$900000000\r\n'],
  ['a list of more than ever comes', '*900000\r\n'],
  ['noise', '\u0001\u0002\u0003'],
])('%s', (_, octets) => {
  it('is left behind with its connection', async () => {
    try {
      await disturb(octets)
      await expect
        .poll(async () => [await load('a'), await load('b'), await load('a')], { timeout: 15_000 })
        .toEqual(['set of a', 'set of b', 'set of a'])
      const all = await Promise.all(Array.from({ length: 50 }, (_unused, number) => load(number % 2 === 0 ? 'a' : 'b')))
      expect(new Set(all)).toEqual(new Set(['set of a', 'set of b']))
    } finally {
      storage.close()
    }
  })
})
