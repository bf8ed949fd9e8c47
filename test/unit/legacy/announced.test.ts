import { describe, expect, it } from 'vitest'
import { announced } from '../../../src/legacy-service.ts'
import type { Ended } from '../../../src/legacy/legacy.ts'
import type { Rotation, RotationRequest, SessionRecord, SessionStore } from '../../../src/services/sessions/sessions.ts'

const ALICE = { tenant: 'acme', user: 'alice' }
const ENDING = { reason: 'logout', tokensUntil: 900 }
const SESSION: SessionRecord = {
  ...ALICE,
  id: 's-1',
  scope: '',
  metadata: {},
  device: '',
  ip: '',
  clientId: '',
  epoch: 0,
  generation: 0,
  createdAt: 0,
  expiresAt: 0,
  idleExpiresAt: 0,
  tokensUntil: 700,
  lastUsedAt: 0,
}
const REQUEST: RotationRequest = {
  tenant: 'acme',
  bucket: 0,
  id: 's-1',
  generation: 1,
  graceSeconds: 0,
  rotation: 'on',
  now: 0,
  idleSeconds: 0,
  tokensUntil: 800,
  reuseReason: 'reuse',
}

function world(outcome: Partial<SessionStore> = {}): { readonly store: SessionStore; readonly told: Ended[] } {
  const told: Ended[] = []
  const store: SessionStore = {
    create: async () => ({ epoch: 0, bucket: 0, evicted: ['s-8', 's-9'] }),
    rotate: async (): Promise<Rotation> => ({ outcome: 'reused', user: 'alice' }),
    find: async () => undefined,
    findByToken: async () => undefined,
    peek: async () => undefined,
    list: async () => [SESSION, { ...SESSION, id: 's-2' }, { ...SESSION, id: 's-3' }],
    end: async () => false,
    endAll: async () => 3,
    endOthers: async () => 2,
    revoke: async () => undefined,
    ...outcome,
  }
  return { store: announced(store, (what) => told.push(what)), told }
}

describe('what ends', () => {
  it.each<[string, (store: SessionStore) => Promise<unknown>, readonly Ended[]]>([
    [
      'sessions that have to go for a new one',
      (store) => store.create(SESSION, { sessionsPerUser: 1 }),
      ['s-8', 's-9'].map((id) => ({ typ: 'session', tenant: 'acme', id, exp: 700, reason: 'evicted' })),
    ],
    [
      'a session whose old refresh token came back',
      (store) => store.rotate(REQUEST),
      [{ typ: 'session', tenant: 'acme', id: 's-1', exp: 800, reason: 'reuse' }],
    ],
    [
      'a session, also one that the store does not know',
      (store) => store.end(SESSION, ENDING),
      [{ typ: 'session', tenant: 'acme', id: 's-1', exp: 900, reason: 'logout' }],
    ],
    [
      'all of a user',
      (store) => store.endAll(ALICE, ENDING),
      [{ typ: 'user', tenant: 'acme', id: 'alice', exp: 900, reason: 'logout' }],
    ],
    [
      'all of a user but one',
      (store) => store.endOthers(SESSION, ENDING),
      ['s-2', 's-3'].map((id) => ({ typ: 'session', tenant: 'acme', id, exp: 900, reason: 'logout' })),
    ],
    [
      'a token',
      (store) => store.revoke({ kind: 'token', ...ALICE, id: 'j-1' }, ENDING),
      [{ typ: 'token', tenant: 'acme', id: 'j-1', exp: 900, reason: 'logout' }],
    ],
    [
      'a session that only its refresh token tells of',
      (store) => store.revoke({ kind: 'session', tenant: 'acme', bucket: 0, id: 's-1' }, ENDING),
      [{ typ: 'session', tenant: 'acme', id: 's-1', exp: 900, reason: 'logout' }],
    ],
  ])('is told: %s', async (_, act, wanted) => {
    const { store, told } = world()
    await act(store)
    expect(told).toEqual(wanted)
  })

  it.each<[string, (store: SessionStore) => Promise<unknown>]>([
    ['a key', (store) => store.revoke({ kind: 'key', tenant: 'acme', id: 'k' }, ENDING)],
    ['a tenant', (store) => store.revoke({ kind: 'tenant', tenant: 'acme' }, ENDING)],
  ])('is not told: %s', async (_, act) => {
    const { store, told } = world()
    await act(store)
    expect(told).toEqual([])
  })

  it('is not told where it did not happen', async () => {
    const away = (): Promise<never> => Promise.reject(new Error('away'))
    const { store, told } = world({ create: away, rotate: away, end: away, endAll: away, endOthers: away, revoke: away })
    const acts = [
      store.create(SESSION, { sessionsPerUser: 1 }),
      store.rotate(REQUEST),
      store.end(SESSION, ENDING),
      store.endAll(ALICE, ENDING),
      store.endOthers(SESSION, ENDING),
      store.revoke({ kind: 'token', ...ALICE, id: 'j-1' }, ENDING),
    ]
    for (const act of acts) await expect(act).rejects.toThrow('away')
    expect(told).toEqual([])
  })

  it('leaves a refresh that is good alone', async () => {
    const { store, told } = world({ rotate: async () => ({ outcome: 'rotated', session: SESSION }) })
    await store.rotate(REQUEST)
    expect(told).toEqual([])
  })
})
