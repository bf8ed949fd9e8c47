/** What every backend must do, whatever it is made of: each suite runs against a store that `open` makes empty. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RevocationLog, RevocationLookup } from '../../src/revocation/revocation.ts'
import type { Account, AccountStore } from '../../src/services/accounts/accounts.ts'
import type { NewSession, SessionStore } from '../../src/services/sessions/sessions.ts'
import type { KeyStore } from '../../src/tenants/tenants.ts'

export interface Backend {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly accounts: AccountStore
  readonly log: RevocationLog & RevocationLookup
  close(): void | Promise<void>
}

export interface Clock {
  /** Whole seconds since 1970. */
  now: number
}

export type Open = (clock: Clock) => Promise<Backend>

export const NOW = 1_800_000_000

export function aSession(changes: Partial<NewSession> = {}): NewSession {
  return {
    tenant: 'acme',
    id: '00112233445566778899aabbccddeeff',
    user: 'usr_1',
    scope: 'orders:read orders:write',
    metadata: { plan: 'pro', Straße: '"\u0000\n' },
    device: 'curl/8',
    ip: '2001:db8::1',
    createdAt: NOW,
    expiresAt: NOW + 3_000,
    idleExpiresAt: NOW + 2_000,
    tokensUntil: NOW + 902,
    ...changes,
  }
}

export function anAccount(changes: Partial<Account> = {}): Account {
  return {
    id: 'usr_1',
    tenant: 'acme',
    email: 'Ann@Example.com',
    emailFolded: 'ann@example.com',
    username: { shown: 'Ann', folded: 'ann' },
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g',
    createdAt: NOW,
    ...changes,
  }
}

function withBackend(open: Open): { readonly clock: Clock; readonly backend: () => Backend } {
  const clock = { now: NOW }
  let backend: Backend | undefined
  beforeEach(async () => {
    clock.now = NOW
    backend = await open(clock)
  })
  afterEach(async () => {
    await backend?.close()
  })
  return {
    clock,
    backend() {
      if (backend === undefined) throw new Error('not open')
      return backend
    },
  }
}

export function sessionStoreContract(open: Open): void {
  describe('session store', () => {
    const { clock, backend } = withBackend(open)

    test('gives back a session as it was created', async () => {
      expect(await backend().sessions.create(aSession())).toEqual({ epoch: 0 })
      expect(await backend().sessions.find('acme', aSession().id)).toEqual({
        ...aSession(),
        epoch: 0,
        generation: 0,
        lastUsedAt: NOW,
      })
    })

    test('finds no session of another tenant', async () => {
      await backend().sessions.create(aSession())
      expect(await backend().sessions.find('beta', aSession().id)).toBeUndefined()
    })

    test('finds no session past its absolute or idle expiry', async () => {
      await backend().sessions.create(aSession())
      clock.now = NOW + 1_999
      expect(await backend().sessions.find('acme', aSession().id)).toBeDefined()
      clock.now = NOW + 2_000
      expect(await backend().sessions.find('acme', aSession().id)).toBeUndefined()
    })

    test('ends a session once and revokes it until its last token has expired', async () => {
      await backend().sessions.create(aSession())
      const ref = { tenant: 'acme', user: 'usr_1', id: aSession().id }
      expect(await backend().sessions.end(ref, { reason: 'logout', tokensUntil: NOW + 10 })).toBe(true)
      expect(await backend().sessions.end(ref, { reason: 'logout', tokensUntil: NOW + 10 })).toBe(false)
      expect(await backend().sessions.find('acme', ref.id)).toBeUndefined()
      const { revocations } = await backend().log.snapshot()
      expect(revocations[0]).toEqual({ kind: 'session', tenant: 'acme', id: ref.id, expiresAt: NOW + 902 })
      expect(revocations.length).toBe(1)
    })

    test('ends no session of another user and revokes nothing then', async () => {
      await backend().sessions.create(aSession())
      const ref = { tenant: 'acme', user: 'usr_2', id: aSession().id }
      expect(await backend().sessions.end(ref, { reason: 'logout', tokensUntil: NOW + 10 })).toBe(false)
      expect(await backend().sessions.find('acme', ref.id)).toBeDefined()
      expect((await backend().log.snapshot()).revocations).toEqual([])
    })

    test('revokes the tokens of a session that is gone already', async () => {
      const ref = { tenant: 'acme', user: 'usr_1', id: 'ffffffffffffffffffffffffffffffff' }
      expect(await backend().sessions.end(ref, { reason: 'logout', tokensUntil: NOW + 10 })).toBe(false)
      expect((await backend().log.snapshot()).revocations).toEqual([
        { kind: 'session', tenant: 'acme', id: ref.id, expiresAt: NOW + 10 },
      ])
    })

    test('ends all live sessions of one user in one tenant by a new epoch and counts them exactly', async () => {
      const ids = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(32))
      for (const id of ids) await backend().sessions.create(aSession({ id }))
      await backend().sessions.create(aSession({ id: 'e'.repeat(32), expiresAt: NOW + 5 }))
      await backend().sessions.create(aSession({ user: 'usr_2', id: '1'.repeat(32) }))
      await backend().sessions.create(aSession({ tenant: 'beta', id: '2'.repeat(32) }))
      clock.now = NOW + 6
      const user = { tenant: 'acme', user: 'usr_1' }
      expect(await backend().sessions.endAll(user, { reason: 'logout-all', tokensUntil: NOW + 50 })).toBe(4)
      expect(await backend().sessions.endAll(user, { reason: 'logout-all', tokensUntil: NOW + 50 })).toBe(0)
      for (const id of ids) expect(await backend().sessions.find('acme', id)).toBeUndefined()
      expect(await backend().sessions.find('acme', '1'.repeat(32))).toBeDefined()
      expect(await backend().sessions.find('beta', '2'.repeat(32))).toBeDefined()
      const { revocations } = await backend().log.snapshot()
      expect(revocations).toEqual([
        { kind: 'user', tenant: 'acme', id: 'usr_1', epoch: 1, at: NOW + 6, expiresAt: NOW + 902 },
        { kind: 'user', tenant: 'acme', id: 'usr_1', epoch: 2, at: NOW + 6, expiresAt: NOW + 50 },
      ])
      expect(await backend().sessions.create(aSession({ id: '3'.repeat(32) }))).toEqual({ epoch: 2 })
      expect(await backend().sessions.create(aSession({ tenant: 'beta', id: '4'.repeat(32) }))).toEqual({ epoch: 0 })
    })

    test('never gives the old epoch to a session that begins while all are ended', async () => {
      const user = { tenant: 'acme', user: 'usr_1' }
      const created: Promise<{ epoch: number; id: string }>[] = []
      const ended: Promise<number>[] = []
      for (let i = 0; i < 40; i++) {
        const id = i.toString(16).padStart(32, '0')
        created.push(
          backend()
            .sessions.create(aSession({ id }))
            .then(({ epoch }) => ({ epoch, id })),
        )
        if (i % 8 === 0) ended.push(backend().sessions.endAll(user, { reason: 'logout-all', tokensUntil: NOW + 50 }))
      }
      await Promise.all(ended)
      const epochs = (await backend().log.snapshot()).revocations.map((entry) => (entry.kind === 'user' ? entry.epoch : 0))
      const latest = Math.max(...epochs)
      for (const { epoch, id } of await Promise.all(created)) {
        const survives = (await backend().sessions.find('acme', id)) !== undefined
        expect(survives).toBe(epoch === latest)
      }
    })
  })
}

export function revocationLogContract(open: Open): void {
  describe('revocation log', () => {
    const { clock, backend } = withBackend(open)
    const ending = { reason: 'test', tokensUntil: NOW + 100 }

    test('is empty at first', async () => {
      const { position, revocations } = await backend().log.snapshot()
      expect(revocations).toEqual([])
      expect(await backend().log.readAfter(position)).toEqual({ position, revocations: [] })
    })

    test('reads on in order after a snapshot, each entry once', async () => {
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'before' }, ending)
      const snapshot = await backend().log.snapshot()
      for (const id of ['one', 'two', 'three']) await backend().sessions.revokeToken({ tenant: 'acme', id }, ending)
      const next = await backend().log.readAfter(snapshot.position)
      expect(next.revocations.map((entry) => entry.id)).toEqual(['one', 'two', 'three'])
      expect(await backend().log.readAfter(next.position)).toEqual({ position: next.position, revocations: [] })
    })

    test('reads a long stretch in bounded batches', async () => {
      const { position } = await backend().log.snapshot()
      for (let i = 0; i < 1_050; i++) await backend().sessions.revokeToken({ tenant: 'acme', id: `t${i}` }, ending)
      const first = await backend().log.readAfter(position)
      const second = await backend().log.readAfter(first.position)
      expect(first.revocations.length).toBeLessThanOrEqual(1_000)
      expect([...first.revocations, ...second.revocations].map((entry) => entry.id)).toEqual(
        Array.from({ length: 1_050 }, (_, i) => `t${i}`),
      )
    })

    test('leaves what has expired out of a snapshot', async () => {
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'short' }, { reason: 'test', tokensUntil: NOW + 5 })
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'long' }, ending)
      clock.now = NOW + 6
      expect((await backend().log.snapshot()).revocations).toEqual([
        { kind: 'token', tenant: 'acme', id: 'long', expiresAt: NOW + 100 },
      ])
    })

    test('never uses a position twice, even after everything was purged', async () => {
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'old' }, ending)
      const before = (await backend().log.snapshot()).position
      clock.now = NOW + 1_000_000
      await backend().sessions.create(aSession({ expiresAt: NOW + 2_000_000, idleExpiresAt: NOW + 2_000_000 }))
      expect(await backend().log.snapshot()).toEqual({ position: before, revocations: [] })
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'new' }, { reason: 'test', tokensUntil: NOW + 1_000_100 })
      const next = await backend().log.readAfter(before)
      expect(next.position).toBeGreaterThan(before)
      expect(next.revocations.map((entry) => entry.id)).toEqual(['new'])
    })

    test('wakes its readers after an append, until they stop', async () => {
      let woken = 0
      const stop = backend().log.onAppend(() => woken++)
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'one' }, ending)
      await new Promise((resolve) => setImmediate(resolve))
      expect(woken).toBe(1)
      stop()
      await backend().sessions.revokeToken({ tenant: 'acme', id: 'two' }, ending)
      await new Promise((resolve) => setImmediate(resolve))
      expect(woken).toBe(1)
    })

    test('tells of one token whether it was revoked: by itself, its session, its epoch or its time', async () => {
      const { log, sessions } = backend()
      const token = { tenant: 'acme', user: 'usr_1', session: 's1', tokenId: 't1', epoch: 0, issuedAt: NOW }
      expect(await log.isRevoked(token)).toBe(false)
      await sessions.revokeToken({ tenant: 'acme', id: 't1' }, ending)
      await sessions.end({ tenant: 'acme', user: 'usr_1', id: 's2' }, ending)
      expect(await log.isRevoked(token)).toBe(true)
      expect(await log.isRevoked({ ...token, tokenId: 't2' })).toBe(false)
      expect(await log.isRevoked({ ...token, tokenId: 't2', session: 's2' })).toBe(true)
      expect(await log.isRevoked({ ...token, tenant: 'beta' })).toBe(false)
      await sessions.endAll({ tenant: 'acme', user: 'usr_1' }, ending)
      const other = { tenant: 'acme', user: 'usr_1' }
      expect(await log.isRevoked({ ...other, epoch: 0 })).toBe(true)
      expect(await log.isRevoked({ ...other, epoch: 1 })).toBe(false)
      expect(await log.isRevoked({ ...other, issuedAt: NOW })).toBe(true)
      expect(await log.isRevoked({ ...other, issuedAt: NOW + 1 })).toBe(false)
      expect(await log.isRevoked(other)).toBe(true)
      expect(await log.isRevoked({ ...other, user: 'usr_2', epoch: 0 })).toBe(false)
    })
  })
}

export function keyStoreContract(open: Open): void {
  describe('key store', () => {
    const { backend } = withBackend(open)

    test('keeps the first of two sets and tells the second starter of it', async () => {
      const { keys } = backend()
      expect(await keys.load('tenant:acme')).toBeUndefined()
      const saved = await Promise.all([keys.save('tenant:acme', 'one', undefined), keys.save('tenant:acme', 'two', undefined)])
      expect(new Set(saved).size).toBe(1)
      expect(await keys.load('tenant:acme')).toBe(saved[0])
      expect(await keys.load('tenant:beta')).toBeUndefined()
    })

    test('replaces only the set that was read', async () => {
      const { keys } = backend()
      await keys.save('gateway', 'one', undefined)
      expect(await keys.save('gateway', 'two', 'one')).toBe('two')
      expect(await keys.save('gateway', 'three', 'one')).toBe('two')
      expect(await keys.load('gateway')).toBe('two')
    })
  })
}

export function accountStoreContract(open: Open): void {
  describe('account store', () => {
    const { backend } = withBackend(open)

    test('finds an account by id, e-mail and username, in its tenant only', async () => {
      const { accounts } = backend()
      const account = anAccount({ displayName: 'Ann Ω' })
      expect(await accounts.create(account)).toBe('created')
      expect(await accounts.findById('acme', 'usr_1')).toEqual(account)
      expect(await accounts.findByEmail('acme', 'ann@example.com')).toEqual(account)
      expect(await accounts.findByUsername('acme', 'ann')).toEqual(account)
      expect(await accounts.findById('beta', 'usr_1')).toBeUndefined()
      expect(await accounts.findByEmail('beta', 'ann@example.com')).toBeUndefined()
      expect(await accounts.findByUsername('beta', 'ann')).toBeUndefined()
    })

    test('takes an e-mail and a username once for each tenant, and any number of accounts without one', async () => {
      const { accounts } = backend()
      const { username: _, ...plain } = anAccount()
      expect(await accounts.create(anAccount())).toBe('created')
      expect(await accounts.create(anAccount({ id: 'usr_2' }))).toBe('email_taken')
      expect(await accounts.create(anAccount({ id: 'usr_2', emailFolded: 'b@x.org' }))).toBe('username_taken')
      expect(await accounts.create({ ...plain, id: 'usr_3', emailFolded: 'c@x.org' })).toBe('created')
      expect(await accounts.create({ ...plain, id: 'usr_4', emailFolded: 'd@x.org' })).toBe('created')
      expect(await accounts.create(anAccount({ id: 'usr_5', tenant: 'beta' }))).toBe('created')
      expect(await accounts.findById('acme', 'usr_2')).toBeUndefined()
    })

    test('lets one of many simultaneous claims win', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) => backend().accounts.create(anAccount({ id: `usr_${i}` }))),
      )
      expect(outcomes.filter((outcome) => outcome === 'created').length).toBe(1)
      expect(outcomes.filter((outcome) => outcome === 'email_taken').length).toBe(49)
    })
  })
}
