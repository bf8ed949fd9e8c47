/** Octets that come between the answers of Redis: no command may get the answer of another for long, and none may wait for ever. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { NewSession, SessionRecord } from '../../src/services/sessions/sessions.ts'
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
  ['a list with room for millions, by a length that is noise', '*\u007f\u0079\u0070\u0061\u0062-1\r\n'],
  ['a text that begins before itself', '$*\r\n+'],
  ['half an answer', '$6\r\nse'],
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

const now = (): number => Math.floor(Date.now() / 1000)

function sessionOf(user: string, id: string): NewSession {
  const times = { createdAt: now(), expiresAt: now() + 900, idleExpiresAt: now() + 900, tokensUntil: now() + 900 }
  const texts = { ip: '192.0.2.1', clientId: 'gatehouse', device: 'a browser', scope: '', metadata: {} }
  return { tenant: 'acme', user, id: id.repeat(32), ...texts, ...times }
}

const ANN = sessionOf('ann', 'a')
const BOB = sessionOf('bob', 'b')

/** Faults outside of everything, while `work` runs: a gateway would only note them. */
async function faultsOf(work: () => Promise<void>): Promise<readonly unknown[]> {
  const faults: unknown[] = []
  const before = process.listeners('uncaughtException')
  const note = (fault: unknown): void => void faults.push(fault)
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', note)
  try {
    await work()
  } finally {
    process.off('uncaughtException', note)
    for (const listener of before) process.on('uncaughtException', listener)
  }
  return faults
}

it('a script takes no answer but its own: nobody is given the session of another', async () => {
  try {
    for (const one of [ANN, BOB]) await storage.sessions.create(one, { sessionsPerUser: 10 })
    proxy.disturb({ kind: 'slow', delayMs: 100 })
    const asked = [BOB, ANN, BOB].map((one) =>
      storage.sessions.findByToken({ tenant: 'acme', bucket: 0, id: one.id }).then(
        (found: SessionRecord | undefined) => found?.user,
        (error: Error & { kind?: string }) => error.kind,
      ),
    )
    await new Promise((resolve) => setTimeout(resolve, 50))
    // What Redis would say to a look at the session of somebody else, one answer too early.
    const fields = await redis.admin.hgetallBuffer(`tenant:acme:refresh:{0}:${ANN.id}`)
    const flat = Object.entries(fields).flatMap(([name, value]) => [Buffer.from(name), value])
    const bulks = flat.map((value) => Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]))
    const record = Buffer.concat([Buffer.from(`*${flat.length}\r\n`), ...bulks])
    proxy.inject(Buffer.concat([Buffer.from('*2\r\n$1\r\n1\r\n'), record]))
    const found = await Promise.all(asked)
    expect([found[0], found[2]]).not.toContain('ann')
    expect(found[1]).not.toBe('bob')
    expect(found).toContain('storage_unavailable')
  } finally {
    proxy.disturb({ kind: 'none' })
    storage.close()
  }
})

it('a record that is not in the form in which it was written is no record, and no fault of ours', async () => {
  try {
    const unavailable = { kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } }
    const look = (): Promise<unknown> => storage.sessions.findByToken({ tenant: 'acme', bucket: 0, id: 'c'.repeat(32) })
    const key = `tenant:acme:refresh:{0}:${'c'.repeat(32)}`
    for (const spoilt of ['\u00ff\u00ff', 'x', '\u0000']) {
      await redis.admin.del(key)
      await redis.admin.hset(key, 't', Buffer.alloc(24, 1), 'b', Buffer.from(`${spoilt}\u0010{"`, 'latin1'))
      await expect(look()).rejects.toMatchObject(unavailable)
      await redis.admin.hset(key, 't', Buffer.alloc(3))
      await expect(look()).rejects.toMatchObject(unavailable)
    }
    for (const fact of ['[', '["t"]', '["u","acme","ann",1]', '"t"', '["z","acme","x"]']) {
      await redis.admin.set('tenant:acme:ended:{0}', fact)
      await expect(storage.log.isRevoked({ tenant: 'acme', user: 'ann' })).rejects.toMatchObject(unavailable)
    }
  } finally {
    await redis.admin.del('tenant:acme:ended:{0}')
    storage.close()
  }
})

it.each([
  ['nothing', '$-1\r\n'],
  ['no list', '*-1\r\n'],
  ['a null of another protocol', '_\r\n'],
  ['a refusal', '-ERR no\r\n'],
  ['many numbers', ':1\r\n'.repeat(20)],
])('an answer that nobody asked for, %s, ends its connection and nothing else', async (_, octets) => {
  try {
    const faults = await faultsOf(async () => {
      for (let round = 0; round < 5; round += 1) {
        const connections = await redis.admin.info('stats').then((text) => /total_connections_received:(\d+)/.exec(text)?.[1])
        proxy.inject(Buffer.from(octets))
        await expect
          .poll(async () => [await load('a'), await load('b')], { timeout: 15_000, interval: 10 })
          .toEqual(['set of a', 'set of b'])
        const after = await redis.admin.info('stats').then((text) => /total_connections_received:(\d+)/.exec(text)?.[1])
        expect(Number(after)).toBeGreaterThan(Number(connections))
      }
    })
    expect(faults).toEqual([])
  } finally {
    storage.close()
  }
})
