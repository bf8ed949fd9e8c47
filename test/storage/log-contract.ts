/** What every log of revocations does, whatever it is made of. */
import { describe, expect, test, vi } from 'vitest'
import type { Revocation } from '../../src/revocation/revocation.ts'
import type { Revocable } from '../../src/services/sessions/sessions.ts'
import { sid, withBackend } from './contract.ts'
import type { Open } from './contract.ts'
import { snapshotOf } from '../support/log.ts'

const USER = { tenant: 'acme', user: 'usr_1' }

export function revocationLogContract(open: Open): void {
  describe('revocation log', () => {
    const { clock, backend } = withBackend(open)

    function ending(seconds = 100) {
      return { reason: 'test', tokensUntil: clock.now + seconds }
    }

    function revoke(id: string, seconds = 100, user = 'usr_1'): Promise<void> {
      return backend().sessions.revoke({ kind: 'token', tenant: 'acme', user, id }, ending(seconds))
    }

    /** Reads to the end, as its reader does. */
    async function readFrom(position: string): Promise<{ readonly position: string; readonly told: readonly Revocation[] }> {
      const told: Revocation[] = []
      for (let at = position; ;) {
        const slice = await backend().log.readAfter(at)
        expect(slice.revocations.length).toBeLessThanOrEqual(1_000)
        told.push(...slice.revocations)
        at = slice.position
        if (slice.complete) return { position: at, told }
      }
    }

    test('is empty at first', async () => {
      const { position, revocations, complete } = await snapshotOf(backend().log)
      expect({ revocations, complete }).toEqual({ revocations: [], complete: true })
      expect(await backend().log.readAfter(position)).toEqual({ position, revocations: [], complete: true })
    })

    test('reads on in order after a snapshot, each entry once', async () => {
      await revoke('before')
      const { position } = await snapshotOf(backend().log)
      for (const id of ['one', 'two', 'three']) await revoke(id)
      const next = await readFrom(position)
      expect(next.told.map(idOf)).toEqual(['one', 'two', 'three'])
      expect(await backend().log.readAfter(next.position)).toEqual({ position: next.position, revocations: [], complete: true })
    })

    test('reads on from the very beginning', async () => {
      const { position } = await snapshotOf(backend().log)
      for (const id of ['one', 'two']) await revoke(id)
      expect((await readFrom(position)).told.map(idOf)).toEqual(['one', 'two'])
    })

    test('reads a long stretch of one user in bounded batches, in order', async () => {
      const { position } = await snapshotOf(backend().log)
      const ids = Array.from({ length: 1_050 }, (_, i) => `t${i}`)
      for (const id of ids) await revoke(id)
      expect((await readFrom(position)).told.map(idOf)).toEqual(ids)
    })

    test('misses none of many users', async () => {
      const { position } = await snapshotOf(backend().log)
      const ids = Array.from({ length: 300 }, (_, i) => `t${i}`)
      await Promise.all(ids.map((id, i) => revoke(id, 100, `usr_${i}`)))
      expect((await readFrom(position)).told.map(idOf).toSorted()).toEqual(ids.toSorted())
      expect((await snapshotOf(backend().log)).revocations.map(idOf).toSorted()).toEqual(ids.toSorted())
    })

    test('leaves what has expired out of a snapshot', async () => {
      await revoke('short', 1)
      await revoke('long')
      clock.now += 2
      expect((await snapshotOf(backend().log)).revocations).toEqual([
        { kind: 'token', tenant: 'acme', id: 'long', expiresAt: clock.now + 98 },
      ])
    })

    test('tells the same revocation once, and again only to make it longer', async () => {
      const { position } = await snapshotOf(backend().log)
      for (const seconds of [100, 100, 50, 200]) await revoke('one', seconds)
      const lives = (await readFrom(position)).told.map((one) => one.expiresAt - clock.now)
      expect(lives).toEqual([100, 200])
      expect(await backend().log.isRevoked({ ...USER, tokenId: 'one' })).toBe(true)
    })

    test.each(['', 'nonsense', '-1', '999999999999', '["0-0",', '["9999999999999-0"]'])(
      'says of the position %j, which is not of this log, that it begins anew',
      async (position) => {
        await revoke('one')
        expect(await backend().log.readAfter(position)).toEqual({ position, revocations: [], complete: false, isRestart: true })
      },
    )

    test('puts back facts of every kind that it lacks, once, and tells its readers', async () => {
      const { log } = backend()
      const { position } = await snapshotOf(log)
      const facts = factsOf(clock.now + 100)
      expect(await log.restore(facts)).toBe(facts.length)
      expect(await log.restore(facts)).toBe(0)
      expect(distinct((await snapshotOf(log)).revocations)).toEqual(distinct(facts))
      expect(distinct((await readFrom(position)).told)).toEqual(distinct(facts))
      for (const token of [{ tokenId: 't1' }, { session: sid('d') }, { keyId: 'k1' }, { user: 'usr_9', epoch: 6 }]) {
        expect(await log.isRevoked({ ...USER, epoch: 9, issuedAt: clock.now + 9, ...token })).toBe(true)
      }
      expect(await log.isRevoked({ tenant: 'beta', user: 'usr_1', issuedAt: clock.now - 5 })).toBe(true)
      expect(await log.isRevoked({ ...USER, user: 'usr_9', epoch: 7, issuedAt: clock.now + 9 })).toBe(false)
    })

    test('puts nothing back that it knows better, or that is over', async () => {
      const { log } = backend()
      await revoke('one', 200)
      await backend().sessions.end({ ...USER, id: sid('d') }, ending(200))
      await backend().sessions.endAll(USER, ending(200))
      await backend().sessions.revoke({ kind: 'tenant', tenant: 'beta' }, ending(200))
      await backend().sessions.revoke({ kind: 'key', tenant: 'acme', id: 'k1' }, ending(200))
      const { position, revocations } = await snapshotOf(log)
      expect(await log.restore(revocations)).toBe(0)
      expect(await log.restore(revocations.map((one) => ({ ...one, expiresAt: one.expiresAt - 50 })))).toBe(0)
      expect(await log.restore([{ kind: 'token', tenant: 'acme', id: 'over', expiresAt: clock.now - 10 }])).toBe(0)
      expect(await log.readAfter(position)).toEqual({ position, revocations: [], complete: true })
    })

    test('keeps the higher epoch and the later times of two', async () => {
      const { log, sessions } = backend()
      await sessions.endAll(USER, ending(200))
      const [known] = (await snapshotOf(log)).revocations
      if (known?.kind !== 'user') throw new Error('no fact')
      const higher = { ...known, epoch: known.epoch + 5, at: known.at - 5, expiresAt: known.expiresAt - 50 }
      expect(await log.restore([higher])).toBe(1)
      expect((await snapshotOf(log)).revocations).toContainEqual({ ...known, epoch: known.epoch + 5 })
      const { epoch } = await sessions.create({ ...newSession(clock.now), id: sid('a') }, { sessionsPerUser: 10 })
      expect(epoch).toBe(known.epoch + 5)
      expect(await log.isRevoked({ ...USER, epoch: epoch - 1 })).toBe(true)
      expect(await log.isRevoked({ ...USER, epoch })).toBe(false)
    })

    test('ends a session again whose end was lost, all of a user below the epoch, and all of a tenant', async () => {
      const { log, sessions } = backend()
      for (const id of [sid('a'), sid('b')]) await sessions.create({ ...newSession(clock.now), id }, { sessionsPerUser: 10 })
      expect(await log.restore([{ kind: 'session', tenant: 'acme', id: sid('a'), expiresAt: clock.now + 100 }])).toBe(1)
      expect(await sessions.find({ ...USER, id: sid('a') })).toBeUndefined()
      expect((await sessions.list(USER)).map((session) => session.id)).toEqual([sid('b')])
      const all = { kind: 'user', tenant: 'acme', id: 'usr_1', epoch: 5, at: clock.now, expiresAt: clock.now + 100 } as const
      expect(await log.restore([all])).toBe(1)
      expect(await sessions.find({ ...USER, id: sid('b') })).toBeUndefined()
      expect(await sessions.list(USER)).toEqual([])
      const other = { tenant: 'acme', user: 'usr_2', id: sid('c') }
      await sessions.create({ ...newSession(clock.now), ...other }, { sessionsPerUser: 10 })
      expect(await log.restore([{ kind: 'tenant', tenant: 'acme', at: clock.now, expiresAt: clock.now + 100 }])).toBe(1)
      expect(await sessions.find(other)).toBeUndefined()
    })

    test('puts more than a thousand back in one call', async () => {
      const facts = Array.from({ length: 1_200 }, (_, i): Revocation => {
        return { kind: 'session', tenant: 'acme', id: i.toString(16).padStart(32, '0'), expiresAt: clock.now + 100 }
      })
      expect(await backend().log.restore(facts)).toBe(1_200)
      expect(distinct((await snapshotOf(backend().log)).revocations).length).toBe(1_200)
    }, 60_000)

    test('wakes its readers after an append, until they stop', async () => {
      let woken = 0
      const stop = backend().log.onAppend(() => {
        woken += 1
      })
      await revoke('warm')
      await vi.waitFor(() => expect(woken).toBeGreaterThan(0), 20_000)
      await settled(() => woken)
      const before = woken
      await revoke('one')
      await vi.waitFor(() => expect(woken).toBeGreaterThan(before), 20_000)
      await settled(() => woken)
      stop()
      const after = woken
      await revoke('two')
      await settled(() => woken)
      expect(woken).toBe(after)
    })

    test.each<[string, Revocable, Partial<Revocation>]>([
      ['tenant', { kind: 'tenant', tenant: 'acme' }, { kind: 'tenant', tenant: 'acme' }],
      ['key', { kind: 'key', tenant: 'acme', id: 'kid_1' }, { kind: 'key', tenant: 'acme', id: 'kid_1' }],
    ])('tells of a whole %s, also to those who start later', async (_, what, fact) => {
      const { position } = await snapshotOf(backend().log)
      await backend().sessions.revoke(what, ending())
      await backend().sessions.revoke(what, ending())
      const told = (await readFrom(position)).told
      expect(told.length).toBeGreaterThan(0)
      for (const one of [...told, ...(await snapshotOf(backend().log)).revocations]) {
        expect(one).toMatchObject({ ...fact, expiresAt: clock.now + 100 })
      }
    })

    test('tells of one token whether it was revoked: by itself, its session, its epoch or its time', async () => {
      const { log, sessions } = backend()
      const token = { ...USER, session: 's1', tokenId: 't1', epoch: 0, issuedAt: clock.now }
      expect(await log.isRevoked(token)).toBe(false)
      await revoke('t1')
      await sessions.end({ ...USER, id: 's2' }, ending())
      expect(await log.isRevoked(token)).toBe(true)
      expect(await log.isRevoked({ ...token, tokenId: 't2' })).toBe(false)
      expect(await log.isRevoked({ ...token, tokenId: 't2', session: 's2' })).toBe(true)
      // An id of one kind says nothing of another kind.
      expect(await log.isRevoked({ ...token, tokenId: 's2', session: 't1', keyId: 't1' })).toBe(false)
      expect(await log.isRevoked({ ...token, tenant: 'beta' })).toBe(false)
      await sessions.endAll(USER, ending())
      const { epoch } = await sessions.create({ ...newSession(clock.now), id: sid('a') }, { sessionsPerUser: 10 })
      expect(await log.isRevoked({ ...USER, epoch: epoch - 1 })).toBe(true)
      expect(await log.isRevoked({ ...USER, epoch })).toBe(false)
      expect(await log.isRevoked({ ...USER, issuedAt: clock.now })).toBe(true)
      expect(await log.isRevoked({ ...USER, issuedAt: clock.now + 10 })).toBe(false)
      expect(await log.isRevoked(USER)).toBe(true)
      expect(await log.isRevoked({ ...USER, user: 'usr_2', epoch: 0 })).toBe(false)
      expect(await log.isRevoked({ ...USER, tenant: 'beta', epoch: 0 })).toBe(false)
    })

    test('tells of tokens of a tenant and of a key, of every user', async () => {
      const { log, sessions } = backend()
      const users = Array.from({ length: 20 }, (_, i) => ({ tenant: 'acme', user: `usr_${i}`, keyId: 'kid_1', epoch: 5 }))
      await sessions.revoke({ kind: 'key', tenant: 'acme', id: 'kid_1' }, ending())
      for (const user of users) {
        expect(await log.isRevoked({ ...user, issuedAt: clock.now })).toBe(true)
        expect(await log.isRevoked({ ...user, issuedAt: clock.now, keyId: 'kid_2' })).toBe(false)
        expect(await log.isRevoked({ ...user, issuedAt: clock.now, tenant: 'beta' })).toBe(false)
      }
      await sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ending())
      for (const user of users) {
        expect(await log.isRevoked({ ...user, keyId: 'kid_2', issuedAt: clock.now })).toBe(true)
        expect(await log.isRevoked({ ...user, keyId: 'kid_2', issuedAt: clock.now + 10 })).toBe(false)
        expect(await log.isRevoked({ ...user, keyId: 'kid_2', issuedAt: clock.now, tenant: 'beta' })).toBe(false)
      }
    })
  })
}

/** One of each kind. */
function factsOf(expiresAt: number): readonly Revocation[] {
  return [
    { kind: 'token', tenant: 'acme', id: 't1', expiresAt },
    { kind: 'session', tenant: 'acme', id: sid('d'), expiresAt },
    { kind: 'user', tenant: 'acme', id: 'usr_9', epoch: 7, at: expiresAt - 100, expiresAt },
    { kind: 'tenant', tenant: 'beta', at: expiresAt - 100, expiresAt },
    { kind: 'key', tenant: 'acme', id: 'k1', expiresAt },
  ]
}

/** As text, in order; what is in several buckets once. */
function distinct(revocations: readonly Revocation[]): readonly string[] {
  return [
    ...new Set(revocations.map((one) => JSON.stringify(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1))))),
  ].toSorted()
}

function newSession(now: number) {
  const times = { createdAt: now, expiresAt: now + 3_000, idleExpiresAt: now + 2_000, tokensUntil: now + 902 }
  return { ...USER, scope: '', metadata: {}, device: '', ip: '::1', clientId: 'c', ...times }
}

/** Waits until nothing has come for a while: what was under way has arrived. */
async function settled(count: () => number): Promise<void> {
  for (let before = -1; before !== count();) {
    before = count()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

function idOf(revocation: Revocation): string {
  return 'id' in revocation ? revocation.id : ''
}
