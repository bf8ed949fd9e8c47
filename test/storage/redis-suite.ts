/** What Redis storage does beyond the contract, on whatever kind of Redis. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import type { Redis } from 'ioredis'
import { createRevocation } from '../../src/revocation/revocation.ts'
import type { RevocationEvents } from '../../src/revocation/revocation.ts'
import { openRedis } from '../../src/storage/redis/redis.ts'
import type { RedisConfig, RedisNeeds, RedisStorage } from '../../src/storage/redis/redis.ts'
import { endOfTurn, schedule } from '../../src/world.ts'
import type { RedisServer } from '../support/redis.ts'
import { aSession, keyStoreContract, sid, withBackend } from './contract.ts'
import type { Clock } from './contract.ts'
import { revocationLogContract } from './log-contract.ts'
import { rateCountsContract } from './rate-counts-contract.ts'
import { sessionStoreContract } from './session-contract.ts'
import { deviceContract } from './device-contract.ts'
import { tenantContract } from './tenant-contract.ts'
import { usedTokensContract } from './used-contract.ts'
import { snapshotOf } from '../support/log.ts'

const USER = { tenant: 'acme', user: 'usr_1' }
const NO_LIMIT = { sessionsPerUser: 1_000 }

export interface Servers {
  readonly nodes: readonly RedisServer[]
  readonly config: RedisConfig
  /** What a user's only session may take, with the user's index. */
  readonly sessionBytes: number
}

/** Needs of the store with a clock that the test moves, and the real world for the rest. */
export function needsOf(clock: Clock, more: Partial<RedisNeeds> = {}): RedisNeeds {
  return { nowSeconds: () => clock.now, nowMs: () => performance.now(), random: Math.random, schedule, endOfTurn, ...more }
}

export function realClock(): Clock {
  return { now: Math.floor(Date.now() / 1000) }
}

export async function flush(nodes: readonly RedisServer[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.admin.flushall()))
}

/** Every key of every server with the server that has it. */
async function keysIn(nodes: readonly RedisServer[]): Promise<Map<string, Redis>> {
  const found = new Map<string, Redis>()
  for (const { admin } of nodes) for (const key of await admin.keys('*')) found.set(key, admin)
  return found
}

export function redisContract(servers: () => Servers): void {
  const open = async (clock: Clock): Promise<RedisStorage> => {
    await flush(servers().nodes)
    return openRedis(needsOf(clock), servers().config)
  }
  describe('keeps the contract', () => {
    sessionStoreContract(open)
    revocationLogContract(open)
    keyStoreContract(open)
    usedTokensContract(open)
    deviceContract(open)
    tenantContract(open)
    rateCountsContract(open)
  })

  describe('in Redis', () => {
    const { clock, backend } = withBackend(open)

    function ending(seconds = 100) {
      return { reason: 'because', tokensUntil: clock.now + seconds }
    }

    function revoke(id: string, user = 'usr_1'): Promise<void> {
      return backend().sessions.revoke({ kind: 'token', tenant: 'acme', user, id }, ending())
    }

    function begin(id: string, changes: Parameters<typeof aSession>[0] = {}) {
      return backend().sessions.create(aSession({ id, ...changes }, clock.now), NO_LIMIT)
    }

    /** Milliseconds that a key still has, and how many it may have: until a time of this test. */
    async function expectLife(key: string, untilSeconds: number): Promise<void> {
      const redis = (await keysIn(servers().nodes)).get(key)
      const life = await redis?.pttl(key)
      expect({ key, life }).toEqual({ key, life: expect.any(Number) })
      expect(life).toBeGreaterThan((untilSeconds - clock.now) * 1000 - 5_000)
      expect(life).toBeLessThanOrEqual((untilSeconds - clock.now) * 1000)
    }

    test('every key has its name, one bucket for its only hash tag, and a life that ends by itself', async () => {
      const { bucket: b } = await begin(sid('a'))
      await begin(sid('b'))
      await backend().sessions.end({ ...USER, id: sid('b') }, ending())
      await revoke('jti_1')
      await backend().used.use({ ...USER, issuer: 'gateway', id: 'jti_2', forSeconds: 70 })
      const keys = [...(await keysIn(servers().nodes)).keys()].filter((key) => !key.startsWith('storage:')).toSorted()
      expect(keys).toEqual([
        `revocations:live:{${b}}`,
        `revocations:{${b}}`,
        `tenant:acme:refresh:{${b}}:${sid('a')}`,
        `tenant:acme:revoked:{${b}}:${sid('b')}`,
        `tenant:acme:revoked:{${b}}:jti_1`,
        `tenant:acme:sessions:{${b}}:usr_1`,
        `tenant:acme:used:{${b}}:gateway:jti_2`,
      ])
      await expectLife(`tenant:acme:refresh:{${b}}:${sid('a')}`, clock.now + 2_000)
      await expectLife(`tenant:acme:sessions:{${b}}:usr_1`, clock.now + 3_000)
      await expectLife(`tenant:acme:revoked:{${b}}:${sid('b')}`, clock.now + 902)
      await expectLife(`tenant:acme:revoked:{${b}}:jti_1`, clock.now + 100)
      await expectLife(`tenant:acme:used:{${b}}:gateway:jti_2`, clock.now + 70)
      await expectLife(`revocations:live:{${b}}`, clock.now + 902 + 120)
      const redis = (await keysIn(servers().nodes)).get(`revocations:{${b}}`)
      expect(await redis?.get(`tenant:acme:revoked:{${b}}:jti_1`)).toBe('because')
      const member = Buffer.from(sid('a'), 'hex')
      expect(await redis?.zscore(`tenant:acme:sessions:{${b}}:usr_1`, member)).toBe(String(clock.now + 2_000))
      await backend().sessions.endAll(USER, ending(5_000))
      await expectLife(`tenant:acme:epoch:{${b}}:usr_1`, clock.now + 5_000)
      await expectLife(`tenant:acme:ended:{${b}}:usr_1`, clock.now + 5_000)
      await begin(sid('c'), { expiresAt: clock.now + 9_000 })
      await expectLife(`tenant:acme:epoch:{${b}}:usr_1`, clock.now + 9_902)
    })

    test('the record of a session that was ended with all others goes with its last token', async () => {
      const { bucket: b } = await begin(sid('a'))
      await backend().sessions.endAll(USER, ending())
      await expectLife(`tenant:acme:refresh:{${b}}:${sid('a')}`, clock.now + 902)
    })

    test('the end of a tenant takes in tokens of a gateway whose clock is ahead by the two seconds that are let pass', async () => {
      await backend().sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ending())
      const facts = [...(await keysIn(servers().nodes))].filter(([key]) => key.startsWith('tenant:acme:ended:'))
      expect(facts).not.toEqual([])
      for (const [key, redis] of facts) {
        const fact: unknown = JSON.parse((await redis.get(key)) ?? '')
        expect(fact).toEqual([expect.any(String), 'acme', expect.any(Number)])
        if (!Array.isArray(fact)) throw new Error('no fact')
        expect(fact[2] - clock.now).toBeGreaterThanOrEqual(2)
        expect(fact[2] - clock.now).toBeLessThanOrEqual(2 + 60)
      }
    })

    test('revocations that expired leave the set of live ones', async () => {
      await revoke('old')
      const redis = [...(await keysIn(servers().nodes))].find(([key]) => key.startsWith('revocations:live:'))
      if (redis === undefined) throw new Error('no set')
      const [key, admin] = redis
      for (let i = 0; i < 250; i += 1) await admin.zadd(key, clock.now - 100, `["t","acme","gone ${i}"]`)
      for (const id of ['one', 'two', 'three']) await revoke(id)
      expect(await admin.zcard(key)).toBe(4)
    })

    test('no dump holds a refresh token, a signing key or a device in parts that could be used', async () => {
      await begin(sid('a'))
      for (const [key, admin] of await keysIn(servers().nodes)) {
        expect(`${key} ${String(await admin.dumpBuffer(key))}`).not.toMatch(/gwr_|eyJ|PRIVATE/)
      }
    })

    test('keys are under the names of their owners, the public half beside the sealed one', async () => {
      await backend().keys.save('tenant:acme', 'sealed', undefined)
      await backend().keys.publish('tenant:acme', '{"keys":[]}')
      await backend().keys.save('gateway', 'sealed too', undefined)
      const keys = await keysIn(servers().nodes)
      expect(await keys.get('tenant:acme:keys:private')?.get('tenant:acme:keys:private')).toBe('sealed')
      expect(await keys.get('tenant:acme:keys:public')?.get('tenant:acme:keys:public')).toBe('{"keys":[]}')
      expect(await keys.get('gateway:keys:private')?.get('gateway:keys:private')).toBe('sealed too')
    })

    test('scripts are sent again to a server that forgot them', async () => {
      await begin(sid('a'))
      await Promise.all(servers().nodes.map((node) => node.admin.script('FLUSH')))
      expect((await begin(sid('b'))).evicted).toEqual([])
      expect(await backend().sessions.endAll(USER, ending())).toBe(2)
    })

    test('a position that was cut off begins anew, and so does a feed that is gone', async () => {
      const { log } = backend()
      const start = (await snapshotOf(log)).position
      await revoke('one')
      const { position } = await log.readAfter(start)
      for (const id of ['two', 'three', 'four']) await revoke(id)
      for (const [key, admin] of await keysIn(servers().nodes)) {
        if (key.startsWith('revocations:{')) await admin.call('XTRIM', key, 'MAXLEN', 1)
      }
      const all = ['four', 'one', 'three', 'two']
      const anew = (from: string) => ({ position: from, revocations: [], complete: false, isRestart: true })
      expect(await log.readAfter(position)).toEqual(anew(position))
      expect(await log.readAfter(start)).toEqual(anew(start))
      expect((await snapshotOf(log)).revocations.map((one) => ('id' in one ? one.id : '')).toSorted()).toEqual(all)
      const end = (await snapshotOf(log)).position
      for (const [key, admin] of await keysIn(servers().nodes)) {
        if (key.startsWith('revocations:{')) await admin.call('XTRIM', key, 'MAXLEN', 0)
      }
      expect(await log.readAfter(end)).toEqual({ position: end, revocations: [], complete: true })
      await flush(servers().nodes)
      expect(await log.readAfter(end)).toEqual(anew(end))
      await revoke('five')
      expect(await log.readAfter(end)).toEqual(anew(end))
    })

    test('a feed that was put back from a copy begins anew, and what it lacks can be put back', async () => {
      const { log } = backend()
      await revoke('one')
      await revoke('two')
      const { position } = await snapshotOf(log)
      for (const [key, admin] of await keysIn(servers().nodes)) {
        if (!key.startsWith('revocations:{')) continue
        const [[id, fields] = ['', []]] = await admin.xrange(key, '-', '+', 'COUNT', 1)
        await admin.del(key)
        await admin.xadd(key, id, ...fields)
      }
      expect(await log.readAfter(position)).toMatchObject({ complete: false, isRestart: true })
      const { revocations } = await snapshotOf(log)
      expect(revocations.length).toBe(2)
      expect(await log.restore(revocations)).toBe(0)
    })

    test('2,000 revocations reach a reader whose connections are cut 13 times', async () => {
      const writer = await openRedis(needsOf(clock), servers().config)
      const seen = new Set<string>()
      const room = createRevocation(
        { log: backend().log, lookup: backend().log, nowMs: Date.now, monotonicMs: () => performance.now(), ...WORLD },
        { maxStalenessMs: 10_000, whenStale: 'deny', breaker: { timeoutMs: 50, errorThreshold: 0.5, resetAfterMs: 1_000 } },
      )
      room.onRevoked((one) => void ('id' in one && seen.add(one.id)))
      await room.start()
      const refused: string[] = []
      for (let round = 0; round < 20; round += 1) {
        const ids = Array.from({ length: 100 }, (_, i) => `${round}-${i}`)
        const cut =
          round < 13
            ? Promise.all(servers().nodes.map((node) => node.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')))
            : undefined
        await Promise.all(
          ids.map(async (id, i) => {
            const what = { kind: 'token', tenant: 'acme', user: `usr_${i}`, id } as const
            // A writer that was cut does not know whether it happened: it says so, and doing it again changes nothing.
            for (let attempt = 0; attempt < 50; attempt += 1) {
              try {
                return await writer.sessions.revoke(what, ending())
              } catch (error) {
                expect(error).toMatchObject({ kind: 'storage_unavailable' })
                refused.push(id)
                await new Promise((resolve) => setTimeout(resolve, 20))
              }
            }
            throw new Error('never revoked')
          }),
        )
        await cut
      }
      await vi.waitFor(() => expect(seen.size).toBe(2_000), 20_000)
      await room.synced()
      expect(room.entries()).toBe(2_000)
      expect(refused.length).toBeGreaterThan(0)
      await room.stop()
      writer.close()
    })

    test('an append of another process wakes the readers of this one, mostly in less than 250 ms', async () => {
      const other = await openRedis(needsOf(clock), servers().config)
      let wokenMs = 0
      backend().log.onAppend(() => {
        wokenMs = performance.now()
      })
      await vi.waitFor(() => expect(wokenMs).toBeGreaterThan(0), 20_000)
      await new Promise((resolve) => setTimeout(resolve, 100))
      const latencies: number[] = []
      for (let i = 0; i < 9; i += 1) {
        const startedMs = performance.now()
        await other.sessions.revoke({ kind: 'token', tenant: 'acme', user: `usr_${i}`, id: `t${i}` }, ending())
        await vi.waitFor(() => expect(wokenMs).toBeGreaterThan(startedMs), { timeout: 20_000, interval: 5 })
        latencies.push(wokenMs - startedMs)
      }
      // Half of them: the machine has other work too.
      expect(latencies.toSorted((a, b) => a - b)[4]).toBeLessThan(250)
      other.close()
    })

    test('the epoch of a tenant that was ended has no end: no life of a session outlasts it', async () => {
      const { bucket: b } = await begin(sid('a'))
      await backend().sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ending())
      const keys = await keysIn(servers().nodes)
      const epochs = [...keys.keys()].filter((key) => key.startsWith('tenant:acme:epoch:')).toSorted()
      expect(epochs.length).toBe(new Set([...keys.keys()].filter((key) => key.startsWith('revocations:{'))).size)
      const key = `tenant:acme:epoch:{${b}}`
      expect(await keys.get(key)?.ttl(key)).toBe(-1)
      await expectLife(`tenant:acme:ended:{${b}}`, clock.now + 100)
    })

    test.each([
      ['of a login', { scope: '', clientId: 'gatehouse' }, (hex: string) => `usr_${hex}`],
      ['of a client, with scopes', { scope: 'orders:read orders:write', clientId: 'billing' }, uuidOf],
    ])('a session %s takes as many bytes as it may, used or not', async (_, changes, userOf) => {
      const device =
        'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36'
      const times = { expiresAt: clock.now + 2_592_000, idleExpiresAt: clock.now + 1_209_600 }
      const begun: { readonly id: string; readonly bucket: number }[] = []
      for (let i = 0; i < 100; i += 1) {
        const id = randomBytes(16).toString('hex')
        const user = userOf(randomBytes(16).toString('hex'))
        const rest = { tenant: 'default', user, device, metadata: {}, ip: '203.0.113.77', ...times, ...changes }
        begun.push({ id, bucket: (await begin(id, rest)).bucket })
      }
      const before = await bytesOf('tenant:default:')
      expect(before / 100).toBeLessThanOrEqual(servers().sessionBytes)
      for (const { id, bucket } of begun) {
        const used = { generation: 0, graceSeconds: 10, rotation: 'on', now: clock.now, idleSeconds: 1_209_600 } as const
        const rest = { tokensUntil: clock.now + 902, reuseReason: 'reused' }
        expect(await backend().sessions.rotate({ tenant: 'default', bucket, id, ...used, ...rest })).toMatchObject({
          outcome: 'rotated',
        })
      }
      expect(await bytesOf('tenant:default:')).toBe(before)
    })

    async function bytesOf(prefix: string): Promise<number> {
      let bytes = 0
      for (const [key, admin] of await keysIn(servers().nodes)) {
        if (key.startsWith(prefix)) bytes += (await admin.memory('USAGE', key)) ?? 0
      }
      return bytes
    }
  })
}

function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

const SILENT: RevocationEvents = {
  checked: () => undefined,
  lag: () => undefined,
  breaker: () => undefined,
  feed: () => undefined,
  restored: () => undefined,
  copyLoaded: () => undefined,
  copyRefused: () => undefined,
  copyKept: () => undefined,
  listenerFailed(cause) {
    throw cause
  },
}
const WORLD = { random: Math.random, schedule, events: SILENT } as const
