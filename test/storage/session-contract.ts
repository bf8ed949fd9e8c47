/** What every store of sessions does, whatever it is made of. */
import { describe, expect, test } from 'vitest'
import type { Revocation } from '../../src/revocation/revocation.ts'
import type { NewSession, RotationRequest, SessionRecord } from '../../src/services/sessions/sessions.ts'
import { aSession, sid, withBackend } from './contract.ts'
import type { Open } from './contract.ts'
import { snapshotOf } from '../support/log.ts'

const USER = { tenant: 'acme', user: 'usr_1' }
const NO_LIMIT = { sessionsPerUser: 1_000 }

export function sessionStoreContract(open: Open): void {
  const { clock, backend } = withBackend(open)

  function begin(changes: Partial<NewSession> = {}, limits = NO_LIMIT) {
    return backend().sessions.create(aSession(changes, clock.now), limits)
  }

  async function begun(changes: Partial<NewSession> = {}): Promise<RotationRequest> {
    const { bucket } = await begin(changes)
    return presented(changes.id ?? aSession().id, bucket, 0)
  }

  /** What a refresh token of this generation asks for. */
  function presented(id: string, bucket: number, generation: number): RotationRequest {
    return {
      tenant: 'acme',
      bucket,
      id,
      generation,
      graceSeconds: 10,
      rotation: 'on',
      now: clock.now,
      idleSeconds: 2_000,
      tokensUntil: clock.now + 902,
      reuseReason: 'reused',
    }
  }

  function record(changes: Partial<SessionRecord> = {}): SessionRecord {
    return { ...aSession({}, clock.now), epoch: 0, generation: 0, lastUsedAt: clock.now, ...changes }
  }

  function ending(reason = 'logout') {
    return { reason, tokensUntil: clock.now + 50 }
  }

  async function known(): Promise<readonly Revocation[]> {
    return (await snapshotOf(backend().log)).revocations
  }

  async function idsOf(user = USER): Promise<readonly string[]> {
    return (await backend().sessions.list(user)).map((session) => session.id)
  }

  describe('a session', () => {
    test('comes back as it was created: to its user, to its token and in the list', async () => {
      const { sessions } = backend()
      const { epoch, bucket, evicted } = await begin()
      expect({ epoch, evicted }).toEqual({ epoch: 0, evicted: [] })
      const { id } = aSession()
      expect(await sessions.find({ ...USER, id })).toEqual(record())
      expect(await sessions.findByToken({ tenant: 'acme', bucket, id })).toEqual(record())
      expect(await sessions.peek({ tenant: 'acme', bucket, id })).toEqual(record())
      expect(await sessions.list(USER)).toEqual([record()])
    })

    test.each([
      ['nothing in it', { scope: '', metadata: {}, device: '', ip: '' }],
      ['long texts', { scope: 'a:b '.repeat(200), device: 'é€😀'.repeat(64), metadata: { a: '😀'.repeat(300), b: 'x' } }],
      [
        'a browser',
        { device: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36' },
      ],
      ['a country', { country: 'NO' }],
      ['a country and nothing else', { country: 'NO', scope: '', metadata: {}, device: '' }],
      ['control characters for a device', { device: 'a\u0001b\u001f\u007f' }],
      ['a mark for a device', { device: '\u007f\u0002' }],
      ['a user of our own', { user: `usr_${'0123456789abcdef'.repeat(2)}`, clientId: 'billing' }],
      ['a user that begins like a mark', { user: '\u0001ASNFZ4mrze8BI0VniavN7w', clientId: '' }],
      ['a user of another store', { user: 'auth0|{7}:ü*?[]' }],
      ['a user whose id is a UUID', { user: '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d' }],
      ['a user whose id is a UUID in capitals', { user: '9B1DEB4D-3B7D-4BAD-9BDD-2B0D7B3DCB6D' }],
      ['a user of the longest kind', { user: '😀'.repeat(256), device: '😀'.repeat(256), scope: 'x '.repeat(511) + 'x' }],
      ['an IPv4 address', { ip: '203.0.113.7' }],
      ['an address that looks like one', { ip: '203.0.113.07' }],
      ['an address that begins like a mark', { ip: '\u0004abc' }],
      ['a client that begins like a mark', { clientId: '\u0000' }],
      ['words for a scope', { scope: 'openid profile email offline_access orders:read orders:write orders:readers' }],
      ['control characters for a scope', { scope: '\u0001\u0002' }],
    ])('with %s comes back as it was', async (_, changes) => {
      await begin(changes)
      const user = { ...USER, ...('user' in changes ? { user: changes.user } : {}) }
      expect(await backend().sessions.find({ ...user, id: aSession().id })).toEqual(record(changes))
      expect(await backend().sessions.list(user)).toEqual([record(changes)])
    })

    test('is of its user only, whatever forms ids are written in', async () => {
      const hex = '9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d'
      const short = Buffer.from(hex, 'hex').toString('base64url')
      const users = [
        `usr_${hex}`,
        '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d',
        ...['~u', '~g', '~~u', 'usr_', '\u0001', '\u0002', '\u000f', ''].map((before) => before + short),
        '~',
      ]
      for (const [index, user] of users.entries()) await begin({ user, id: index.toString(16).padStart(32, '0') })
      for (const [index, user] of users.entries()) {
        const id = index.toString(16).padStart(32, '0')
        expect(await backend().sessions.list({ ...USER, user })).toEqual([record({ user, id })])
        for (const other of users) {
          const found = await backend().sessions.find({ ...USER, user: other, id })
          expect(found).toEqual(other === user ? record({ user, id }) : undefined)
        }
      }
      expect(await backend().sessions.endAll({ ...USER, user: users[0] ?? '' }, ending())).toBe(1)
      expect((await idsOf({ ...USER, user: users[1] ?? '' })).length).toBe(1)
    })

    test('is not found in another tenant or for another user', async () => {
      const { sessions } = backend()
      const { bucket } = await begin()
      const { id } = aSession()
      expect(await sessions.find({ ...USER, tenant: 'beta', id })).toBeUndefined()
      expect(await sessions.find({ ...USER, user: 'usr_2', id })).toBeUndefined()
      expect(await sessions.findByToken({ tenant: 'beta', bucket, id })).toBeUndefined()
      expect(await sessions.list({ ...USER, tenant: 'beta' })).toEqual([])
      expect(await sessions.rotate({ ...presented(id, bucket, 0), tenant: 'beta' })).toEqual({ outcome: 'unknown' })
    })

    test.each(['expiresAt', 'idleExpiresAt'] as const)('is over at its %s to the second', async (end) => {
      const { sessions } = backend()
      const token = await begun({ [end]: clock.now + 2 })
      const { id } = aSession()
      clock.now += 1
      expect(await sessions.find({ ...USER, id })).toBeDefined()
      clock.now += 1
      expect(await sessions.find({ ...USER, id })).toBeUndefined()
      expect(await sessions.findByToken(token)).toBeUndefined()
      expect(await sessions.list(USER)).toEqual([])
      expect(await sessions.rotate({ ...token, now: clock.now })).toEqual({ outcome: 'unknown' })
      expect(await sessions.endAll(USER, ending())).toBe(0)
    })
  })

  describe('the limit of sessions', () => {
    test('ends the least recently used ones and revokes their tokens', async () => {
      const { sessions } = backend()
      const ages = { a: 40, b: 30, c: 20, d: 10 }
      const times = new Map(Object.entries(ages).map(([digit, age]) => [digit, clock.now - age]))
      let bucket = 0
      for (const [digit, createdAt] of times) ({ bucket } = await begin({ id: sid(digit), createdAt }))
      await sessions.rotate(presented(sid('a'), bucket, 0))
      const { evicted } = await begin({ id: sid('e') }, { sessionsPerUser: 3 })
      expect(evicted.toSorted()).toEqual([sid('b'), sid('c')])
      expect((await idsOf()).toSorted()).toEqual([sid('a'), sid('d'), sid('e')])
      const revoked = (await known()).toSorted((one, other) => idOf(one).localeCompare(idOf(other)))
      expect(revoked).toEqual(
        [sid('b'), sid('c')].map((id) => ({ kind: 'session', tenant: 'acme', id, expiresAt: clock.now + 902 })),
      )
    })

    test('counts neither sessions that are over nor those of others', async () => {
      await begin({ id: sid('a'), idleExpiresAt: clock.now + 1 })
      await begin({ id: sid('b'), user: 'usr_2' })
      await begin({ id: sid('c'), tenant: 'beta' })
      await begin({ id: sid('d') })
      clock.now += 1
      expect((await begin({ id: sid('e') }, { sessionsPerUser: 2 })).evicted).toEqual([])
    })

    test('holds when many begin at once', async () => {
      const ids = Array.from({ length: 60 }, (_, i) => i.toString(16).padStart(32, '0'))
      const created = await Promise.all(ids.map((id) => begin({ id }, { sessionsPerUser: 5 })))
      const alive = await idsOf()
      const evicted = created.flatMap((one) => one.evicted)
      expect(alive.length).toBe(5)
      expect([...alive, ...evicted].toSorted()).toEqual(ids)
      expect((await known()).map(idOf).toSorted()).toEqual(evicted.toSorted())
    })
  })

  describe('a refresh token', () => {
    test('is exchanged for its successor, which moves the last use and what follows from it', async () => {
      const token = await begun({ createdAt: clock.now - 100, idleExpiresAt: clock.now + 10, tokensUntil: clock.now + 5 })
      const moved = { generation: 1, lastUsedAt: clock.now, idleExpiresAt: clock.now + 2_000, tokensUntil: clock.now + 902 }
      const session = record({ createdAt: clock.now - 100, ...moved })
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'rotated', session })
      expect(await backend().sessions.findByToken(token)).toEqual(session)
      expect(await backend().sessions.list(USER)).toEqual([session])
      const second = await backend().sessions.rotate({ ...token, generation: 1 })
      expect(second).toEqual({ outcome: 'rotated', session: { ...session, generation: 2 } })
      expect(await known()).toEqual([])
    })

    test('never shortens how long the tokens of a session are remembered', async () => {
      const token = await begun({ tokensUntil: clock.now + 5_000 })
      await backend().sessions.rotate(token)
      await backend().sessions.end({ ...USER, id: token.id }, ending())
      expect(await known()).toEqual([{ kind: 'session', tenant: 'acme', id: token.id, expiresAt: clock.now + 5_000 }])
    })

    test('presented 200 times at once rotates once, and all get the same successor', async () => {
      const token = await begun()
      const rotations = await Promise.all(Array.from({ length: 200 }, () => backend().sessions.rotate(token)))
      const outcomes = rotations.map((rotation) => rotation.outcome)
      expect(outcomes.filter((outcome) => outcome === 'rotated').length).toBe(1)
      expect(outcomes.filter((outcome) => outcome === 'retried').length).toBe(199)
      expect(new Set(rotations.map((one) => ('session' in one ? one.session.generation : -1)))).toEqual(new Set([1]))
      expect((await backend().sessions.findByToken(token))?.generation).toBe(1)
    })

    test('of the parent is retried to the last second of the grace, and nothing moves', async () => {
      const token = { ...(await begun()), graceSeconds: 1 }
      const first = await backend().sessions.rotate(token)
      clock.now += 1
      expect(await backend().sessions.rotate({ ...token, now: clock.now })).toEqual({ ...first, outcome: 'retried' })
      clock.now += 1
      expect(await backend().sessions.rotate({ ...token, now: clock.now })).toEqual({ outcome: 'reused', user: 'usr_1' })
    })

    test('of the parent ends the session where there is no grace', async () => {
      const token = { ...(await begun()), graceSeconds: 0 }
      await backend().sessions.rotate(token)
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'reused', user: 'usr_1' })
    })

    test('of the grandparent ends the session and revokes its tokens', async () => {
      const token = await begun()
      await begin({ id: sid('b') })
      await backend().sessions.rotate(token)
      await backend().sessions.rotate({ ...token, generation: 1 })
      const { position } = await snapshotOf(backend().log)
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'reused', user: 'usr_1' })
      expect(await backend().sessions.rotate({ ...token, generation: 2 })).toEqual({ outcome: 'unknown' })
      expect(await backend().sessions.findByToken(token)).toBeUndefined()
      expect(await idsOf()).toEqual([sid('b')])
      const told = [{ kind: 'session', tenant: 'acme', id: token.id, expiresAt: clock.now + 902 }]
      expect((await backend().log.readAfter(position)).revocations).toEqual(told)
      expect(await known()).toEqual(told)
    })

    test.each([1, 2])('that is %i ahead of a store that lost writes rolls it forward', async (ahead) => {
      const token = await begun()
      const healed = await backend().sessions.rotate({ ...token, generation: ahead })
      expect(healed).toMatchObject({ outcome: 'healed', session: { generation: ahead + 1, lastUsedAt: clock.now } })
      expect(await backend().sessions.rotate({ ...token, generation: ahead })).toMatchObject({
        outcome: 'retried',
        session: { generation: ahead + 1 },
      })
    })

    test('that is 3 ahead ends the session', async () => {
      const token = await begun()
      expect(await backend().sessions.rotate({ ...token, generation: 3 })).toEqual({ outcome: 'reused', user: 'usr_1' })
      expect(await idsOf()).toEqual([])
    })

    test('stays good without rotation, and only the use is noted', async () => {
      const token = { ...(await begun({ createdAt: clock.now - 100 })), rotation: 'off' } as const
      for (let use = 0; use < 3; use += 1) {
        const rotation = await backend().sessions.rotate(token)
        expect(rotation).toMatchObject({ outcome: 'rotated', session: { generation: 0, lastUsedAt: clock.now } })
      }
    })

    test('is told that all sessions were ended, once', async () => {
      const token = await begun()
      await backend().sessions.endAll(USER, ending())
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'epoch', user: 'usr_1' })
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'unknown' })
    })

    test('of no session, or of a part of the store that there is not, is unknown', async () => {
      const token = await begun()
      expect(await backend().sessions.rotate({ ...token, id: sid('9') })).toEqual({ outcome: 'unknown' })
      expect(await backend().sessions.findByToken({ ...token, id: sid('9') })).toBeUndefined()
    })

    test('is judged by a clock that is at most 2 s off', async () => {
      const token = await begun()
      const rotation = await backend().sessions.rotate({ ...token, now: clock.now + 1_900 })
      const lastUsedAt = 'session' in rotation ? rotation.session.lastUsedAt : 0
      expect(lastUsedAt - clock.now).toBeGreaterThanOrEqual(2)
      expect(lastUsedAt - clock.now).toBeLessThanOrEqual(4)
    })
  })

  describe('ending', () => {
    test('ends a session once and revokes it until its last token has expired', async () => {
      const { id } = await begun()
      const { sessions } = backend()
      expect(await sessions.end({ ...USER, id }, ending())).toBe(true)
      expect(await sessions.end({ ...USER, id }, ending())).toBe(false)
      expect(await sessions.find({ ...USER, id })).toBeUndefined()
      expect(await sessions.list(USER)).toEqual([])
      expect(await known()).toEqual([{ kind: 'session', tenant: 'acme', id, expiresAt: clock.now + 902 }])
    })

    test('ends no session of another user or tenant and revokes nothing of it', async () => {
      const { id } = await begun()
      const { sessions } = backend()
      expect(await sessions.end({ ...USER, user: 'usr_2', id }, ending())).toBe(false)
      expect(await sessions.end({ ...USER, tenant: 'beta', id }, ending())).toBe(false)
      expect(await sessions.find({ ...USER, id })).toBeDefined()
      const token = { ...USER, session: id, epoch: 0, issuedAt: clock.now }
      expect(await backend().log.isRevoked(token)).toBe(false)
    })

    test('revokes the tokens of a session that is gone already', async () => {
      expect(await backend().sessions.end({ ...USER, id: sid('f') }, ending())).toBe(false)
      expect(await known()).toEqual([{ kind: 'session', tenant: 'acme', id: sid('f'), expiresAt: clock.now + 50 }])
    })

    test('revokes the tokens of a session that was lost, by what its refresh token says', async () => {
      const { bucket } = await begin()
      const { sessions, log } = backend()
      await sessions.revoke({ kind: 'session', tenant: 'acme', bucket, id: sid('f') }, ending())
      expect(await known()).toEqual([{ kind: 'session', tenant: 'acme', id: sid('f'), expiresAt: clock.now + 50 }])
      expect(await log.isRevoked({ ...USER, session: sid('f') })).toBe(true)
      expect(await log.isRevoked({ ...USER, tenant: 'beta', session: sid('f') })).toBe(false)
    })

    test('ends all live sessions of one user in one tenant by a new epoch and counts them exactly', async () => {
      const { sessions } = backend()
      for (const digit of 'abcd') await begin({ id: sid(digit) })
      await begin({ id: sid('e'), expiresAt: clock.now + 1 })
      await begin({ user: 'usr_2', id: sid('1') })
      await begin({ tenant: 'beta', id: sid('2') })
      clock.now += 1
      expect(await sessions.endAll(USER, ending())).toBe(4)
      expect(await sessions.endAll(USER, ending())).toBe(0)
      expect(await idsOf()).toEqual([])
      expect(await sessions.find({ ...USER, id: sid('a') })).toBeUndefined()
      expect(await idsOf({ ...USER, user: 'usr_2' })).toEqual([sid('1')])
      expect(await idsOf({ ...USER, tenant: 'beta' })).toEqual([sid('2')])
      const after = await begin({ id: sid('3') })
      const facts = (await known()).flatMap((one) => (one.kind === 'user' ? [one] : []))
      expect(facts.map(({ tenant, id }) => `${tenant} ${id}`)).toEqual(facts.map(() => 'acme usr_1'))
      expect(Math.max(...facts.map((fact) => fact.epoch))).toBe(after.epoch)
      expect(Math.max(...facts.map((fact) => fact.expiresAt))).toBe(clock.now - 1 + 902)
      expect(after.epoch).toBeGreaterThan(1)
      expect((await begin({ tenant: 'beta', id: sid('4') })).epoch).toBe(0)
      expect(await sessions.find({ ...USER, id: sid('3') })).toMatchObject({ epoch: after.epoch })
    })

    test('never gives the old epoch to a session that begins while all are ended', async () => {
      const begins: Promise<{ readonly epoch: number; readonly id: string }>[] = []
      const ends: Promise<number>[] = []
      for (let i = 0; i < 40; i += 1) {
        const id = i.toString(16).padStart(32, '0')
        begins.push(begin({ id }).then(({ epoch }) => ({ epoch, id })))
        if (i % 8 === 0) ends.push(backend().sessions.endAll(USER, ending()))
      }
      const counts = await Promise.all(ends)
      const created = await Promise.all(begins)
      const latest = Math.max(...(await known()).map((entry) => (entry.kind === 'user' ? entry.epoch : 0)))
      const alive = new Set(await idsOf())
      for (const { epoch, id } of created) expect(alive.has(id)).toBe(epoch === latest)
      expect(counts.reduce((sum, count) => sum + count, 0) + alive.size).toBe(40)
    })

    test('ends all but one session, each with a revocation of its own', async () => {
      const { sessions } = backend()
      for (const digit of 'abc') await begin({ id: sid(digit) })
      await begin({ id: sid('e'), expiresAt: clock.now + 1 })
      await begin({ user: 'usr_2', id: sid('1') })
      clock.now += 1
      expect(await sessions.endOthers({ ...USER, id: sid('b') }, ending())).toBe(2)
      expect(await sessions.endOthers({ ...USER, id: sid('b') }, ending())).toBe(0)
      expect(await idsOf()).toEqual([sid('b')])
      expect(await idsOf({ ...USER, user: 'usr_2' })).toEqual([sid('1')])
      expect((await known()).map((one) => `${one.kind} ${idOf(one)}`).toSorted()).toEqual(
        ['a', 'c'].map((digit) => `session ${sid(digit)}`),
      )
      expect((await begin({ id: sid('d') })).epoch).toBe(0)
    })

    test('ends the others exactly while sessions begin', async () => {
      const { sessions } = backend()
      const ids = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(32, '0'))
      await begin({ id: sid('b') })
      const begins = ids.map((id) => begin({ id }))
      const counts = await Promise.all([1, 2, 3].map(() => sessions.endOthers({ ...USER, id: sid('b') }, ending())))
      await Promise.all(begins)
      const alive = await idsOf()
      const ended = counts.reduce((sum, count) => sum + count, 0)
      expect(alive).toContain(sid('b'))
      expect(ended + alive.length).toBe(21)
      expect((await known()).length).toBe(ended)
    })
  })

  describe('ending a tenant', () => {
    function endTenant(tenant = 'acme'): Promise<void> {
      return backend().sessions.revoke({ kind: 'tenant', tenant }, ending())
    }

    test('ends every session of the tenant that there is, and no other', async () => {
      const { sessions } = backend()
      const users = ['usr_1', 'usr_2', 'usr_3', 'auth0|4', `usr_${sid('a')}`].map((user) => ({ tenant: 'acme', user }))
      const tokens: RotationRequest[] = []
      for (const [index, { user }] of users.entries()) tokens.push(await begun({ user, id: sid(String(index)) }))
      const { bucket } = await begin({ tenant: 'beta', id: sid('b') })
      await endTenant()
      for (const [index, user] of users.entries()) {
        expect(await sessions.list(user)).toEqual([])
        expect(await sessions.find({ ...user, id: sid(String(index)) })).toBeUndefined()
        expect(await sessions.endAll(user, ending())).toBe(0)
      }
      for (const token of tokens) expect(await sessions.findByToken(token)).toBeUndefined()
      expect(await idsOf({ ...USER, tenant: 'beta' })).toEqual([sid('b')])
      const other = { ...presented(sid('b'), bucket, 0), tenant: 'beta' }
      expect(await sessions.rotate(other)).toMatchObject({ outcome: 'rotated' })
    })

    test('is what a refresh token is told, once', async () => {
      const token = await begun()
      await endTenant()
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'epoch', user: 'usr_1' })
      expect(await backend().sessions.rotate(token)).toEqual({ outcome: 'unknown' })
    })

    test('leaves those that begin after it, in the same second too, also when it is done again for others', async () => {
      const { sessions } = backend()
      await begin({ id: sid('a') })
      await endTenant()
      const token = await begun({ id: sid('b') })
      expect(await idsOf()).toEqual([sid('b')])
      expect(await sessions.rotate(token)).toMatchObject({ outcome: 'rotated', session: { generation: 1 } })
      await endTenant('beta')
      expect(await sessions.find({ ...USER, id: sid('b') })).toMatchObject({ generation: 1 })
      await endTenant()
      expect(await idsOf()).toEqual([])
      const last = await begun({ id: sid('c') })
      await sessions.endAll(USER, ending())
      expect(await sessions.rotate(last)).toEqual({ outcome: 'epoch', user: 'usr_1' })
      await begin({ id: sid('d') })
      expect(await idsOf()).toEqual([sid('d')])
    })

    test('holds for those of a clock that is ahead of ours', async () => {
      await begin({ createdAt: clock.now + 1_000, expiresAt: clock.now + 5_000, idleExpiresAt: clock.now + 4_000 })
      await endTenant()
      expect(await idsOf()).toEqual([])
    })

    test('makes room: what ended counts neither as live nor for the limit', async () => {
      const { sessions } = backend()
      for (const digit of 'abc') await begin({ id: sid(digit) })
      await endTenant()
      expect((await begin({ id: sid('d') }, { sessionsPerUser: 2 })).evicted).toEqual([])
      expect((await begin({ id: sid('e') }, { sessionsPerUser: 2 })).evicted).toEqual([])
      expect(await sessions.end({ ...USER, id: sid('a') }, ending())).toBe(false)
      expect(await sessions.endOthers({ ...USER, id: sid('d') }, ending())).toBe(1)
      expect(await idsOf()).toEqual([sid('d')])
      await endTenant()
      await begin({ id: sid('f') })
      expect(await sessions.endAll(USER, ending())).toBe(1)
    })

    test('is in force again where it was lost and is put back, and not for those that began after it', async () => {
      const { sessions, log } = backend()
      await begin({ id: sid('a') })
      const fact = { kind: 'tenant', tenant: 'acme', at: clock.now, expiresAt: clock.now + 100 } as const
      expect(await log.restore([fact])).toBe(1)
      expect(await idsOf()).toEqual([])
      await begin({ id: sid('b') })
      expect(await log.restore([fact])).toBe(0)
      await endTenant('beta')
      expect(await idsOf()).toEqual([sid('b')])
      await sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ending())
      expect(await idsOf()).toEqual([])
    })

    test('never lets a session through that began before it, while sessions begin', async () => {
      const { sessions } = backend()
      const ids = Array.from({ length: 40 }, (_, i) => i.toString(16).padStart(32, '0'))
      const order: string[] = []
      const begins = ids.map((id) => begin({ id }).then(() => void order.push(id)))
      const early = Promise.all(begins.slice(0, 20)).then(() => [...order])
      const before = await early
      await endTenant()
      await Promise.all(begins)
      const alive = new Set(await idsOf())
      for (const id of before) expect(alive.has(id)).toBe(false)
      await endTenant()
      expect(await sessions.list(USER)).toEqual([])
    })
  })

  describe('the list', () => {
    test('shows the most recently used first', async () => {
      let bucket = 0
      for (const [age, digit] of [...'abc'].entries()) {
        ;({ bucket } = await begin({ id: sid(digit), createdAt: clock.now - 10 - age }))
      }
      expect(await idsOf()).toEqual([sid('a'), sid('b'), sid('c')])
      await backend().sessions.rotate(presented(sid('c'), bucket, 0))
      expect(await idsOf()).toEqual([sid('c'), sid('a'), sid('b')])
    })
  })
}

function idOf(revocation: Revocation): string {
  return 'id' in revocation ? revocation.id : ''
}
