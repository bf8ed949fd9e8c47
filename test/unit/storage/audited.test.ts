import { expect, test } from 'vitest'
import { audited, expiries } from '../../../src/audited.ts'
import type { Rotation, SessionRecord, SessionStore } from '../../../src/services/sessions/sessions.ts'
import type { AuditEvent } from '../../../src/storage/audit/audit.ts'

const SESSION: SessionRecord = {
  tenant: 'acme',
  user: 'usr_1',
  id: 's1',
  scope: '',
  metadata: {},
  device: 'curl',
  ip: '192.0.2.1',
  clientId: 'billing',
  createdAt: 1,
  expiresAt: 3,
  idleExpiresAt: 2,
  tokensUntil: 2,
  epoch: 0,
  generation: 0,
  lastUsedAt: 1,
}
const ENDING = { reason: 'logout', tokensUntil: 2 }
const WHOSE = { tenant: 'acme', user: 'usr_1' }

/** A store in which everything works, or nothing does. */
function start(rotation: Rotation = { outcome: 'unknown' }, fails = false) {
  const events: AuditEvent[] = []
  const or = async <T>(value: T): Promise<T> => {
    if (fails) throw new Error('away')
    return value
  }
  const store: SessionStore = {
    create: () => or({ epoch: 0, bucket: 0, evicted: ['s0'] }),
    rotate: () => or(rotation),
    peek: () => or(SESSION),
    find: () => or(SESSION),
    findByToken: () => or(SESSION),
    list: () => or([SESSION]),
    end: () => or(true),
    endAll: () => or(2),
    endOthers: () => or(1),
    revoke: () => or(undefined),
  }
  return { sessions: audited(store, (event) => void events.push(event)), events }
}

const ROTATION = {
  tenant: 'acme',
  bucket: 0,
  id: 's1',
  generation: 0,
  graceSeconds: 10,
  rotation: 'on',
  now: 1,
  idleSeconds: 1,
  tokensUntil: 2,
  reuseReason: 'refresh token reused',
} as const

test('what is done to sessions is recorded once it is done', async () => {
  const { sessions, events } = start()
  await sessions.create(SESSION, { sessionsPerUser: 1 })
  await sessions.end(SESSION, ENDING)
  await sessions.endAll(WHOSE, ENDING)
  await sessions.endOthers(SESSION, ENDING)
  await sessions.revoke({ kind: 'token', ...WHOSE, id: 'j1' }, ENDING)
  expect(events).toEqual([
    { event: 'session_created', ...WHOSE, actor: 'billing', subject: 's1', ip: '192.0.2.1' },
    { event: 'session_ended', ...WHOSE, actor: 'gateway', subject: 's0', reason: 'evicted' },
    { event: 'session_ended', ...WHOSE, subject: 's1', reason: 'logout' },
    { event: 'sessions_ended', ...WHOSE, subject: '2 sessions', reason: 'logout' },
    { event: 'sessions_ended', ...WHOSE, subject: '1 sessions but s1', reason: 'logout' },
    { event: 'authn_token_revoked', ...WHOSE, subject: 'j1', reason: 'logout' },
  ])
})

test('of refreshes those are recorded that something is wrong with', async () => {
  const outcomes: readonly Rotation[] = [
    { outcome: 'rotated', session: SESSION },
    { outcome: 'retried', session: SESSION },
    { outcome: 'unknown' },
    { outcome: 'epoch', user: 'usr_1' },
  ]
  for (const rotation of outcomes) {
    const { sessions, events } = start(rotation)
    expect(await sessions.rotate(ROTATION)).toEqual(rotation)
    expect(events).toEqual([])
  }
  const reused = start({ outcome: 'reused', user: 'usr_1' })
  await reused.sessions.rotate(ROTATION)
  expect(reused.events).toEqual([{ event: 'authn_token_reuse', ...WHOSE, subject: 's1', reason: 'refresh token reused' }])
  const healed = start({ outcome: 'healed', session: SESSION })
  await healed.sessions.rotate(ROTATION)
  expect(healed.events).toEqual([{ event: 'session_healed', ...WHOSE, subject: 's1', reason: 'the store had lost a rotation' }])
})

test('what was not done is not recorded, and fails as it did', async () => {
  const { sessions, events } = start(undefined, true)
  await expect(sessions.create(SESSION, { sessionsPerUser: 1 })).rejects.toThrow('away')
  await expect(sessions.rotate(ROTATION)).rejects.toThrow('away')
  await expect(sessions.end(SESSION, ENDING)).rejects.toThrow('away')
  await expect(sessions.endAll(WHOSE, ENDING)).rejects.toThrow('away')
  await expect(sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ENDING)).rejects.toThrow('away')
  expect(events).toEqual([])
})

test('reading is left alone, and so is what is recorded where it is known who did it', async () => {
  const { sessions, events } = start()
  expect([await sessions.find(SESSION), await sessions.list(WHOSE)]).toEqual([SESSION, [SESSION]])
  await sessions.revoke({ kind: 'key', tenant: 'acme', id: 'k1' }, ENDING)
  await sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ENDING)
  expect(events).toEqual([])
})

test('each says by which request it was done, where it is known', async () => {
  const by = { actor: 'usr_1', ip: '192.0.2.7', requestId: 'r1' }
  const { sessions, events } = start({ outcome: 'reused', user: 'usr_1' })
  await sessions.create(SESSION, { sessionsPerUser: 1, by })
  await sessions.rotate({ ...ROTATION, by })
  await sessions.end(SESSION, { ...ENDING, by })
  await sessions.endAll(WHOSE, { ...ENDING, by })
  await sessions.endOthers(SESSION, { ...ENDING, by })
  await sessions.revoke({ kind: 'token', ...WHOSE, id: 'j1' }, { ...ENDING, by })
  expect(events.map(({ event, actor, ip, requestId }) => [event, actor, ip, requestId])).toEqual([
    // By whom a session was made is the client; an eviction is nobody's wish.
    ['session_created', 'billing', '192.0.2.1', 'r1'],
    ['session_ended', 'gateway', undefined, 'r1'],
    ['authn_token_reuse', 'usr_1', '192.0.2.7', 'r1'],
    ['session_ended', 'usr_1', '192.0.2.7', 'r1'],
    ['sessions_ended', 'usr_1', '192.0.2.7', 'r1'],
    ['sessions_ended', 'usr_1', '192.0.2.7', 'r1'],
    ['authn_token_revoked', 'usr_1', '192.0.2.7', 'r1'],
  ])
})

test('a refresh after the end of its session is recorded once, however often it comes', () => {
  const events: AuditEvent[] = []
  const expired = expiries((event) => void events.push(event))
  const by = { actor: 'holder of the token', ip: '192.0.2.7', requestId: 'r1' }
  for (let i = 0; i < 5; i++) expired({ tenant: 'acme', id: 's1' }, by)
  expired({ tenant: 'acme', id: 's2' }, undefined)
  expect(events).toEqual([
    { event: 'session_expired', tenant: 'acme', subject: 's1', reason: 'refresh after its end', ...by },
    { event: 'session_expired', tenant: 'acme', subject: 's2', reason: 'refresh after its end' },
  ])
})
