/** Answers of Redis that were changed on the way: no refresh takes them for what was stored. */
import { describe, expect, test } from 'vitest'
import type { RotationRequest } from '../../../src/services/sessions/sessions.ts'
import type { Connection } from '../../../src/storage/redis/connection.ts'
import { createLayout } from '../../../src/storage/redis/layout.ts'
import { fieldsOf } from '../../../src/storage/redis/session-hash.ts'
import { PEEK, ROTATE } from '../../../src/storage/redis/session-scripts.ts'
import { createSessionStore } from '../../../src/storage/redis/session-store.ts'
import { aSession, NOW } from '../../storage/contract.ts'

const ASKED: RotationRequest = {
  tenant: 'acme',
  bucket: 0,
  id: aSession().id,
  user: 'usr_1',
  generation: 4,
  graceSeconds: 10,
  rotation: 'on',
  now: NOW,
  idleSeconds: 60,
  tokensUntil: NOW + 900,
  reuseReason: 'reused',
}

/** Fields of a session as they come over the wire. */
function stored(user: string, generation: number): readonly unknown[] {
  const numbers = Buffer.alloc(24)
  for (const [index, value] of [NOW, 3_000, 2_000, 900, 0, generation].entries()) numbers.writeUInt32BE(value, index * 4)
  const fields = fieldsOf(aSession({ user })).map((field) => Buffer.from(field))
  return [Buffer.from('t'), numbers, ...fields]
}

function rotated(answer: readonly unknown[], peeked: readonly unknown[] = stored('usr_1', 4), asked = ASKED) {
  const answers = new Map<unknown, readonly unknown[]>([
    [ROTATE, answer],
    [PEEK, peeked],
  ])
  const connection: Connection = {
    run: (script) => Promise.resolve(answers.get(script)),
    send: () => Promise.reject(new Error('not asked')),
    sendTogether: () => Promise.reject(new Error('not asked')),
    hasReplicas: () => Promise.resolve(false),
    close: () => undefined,
  }
  const replication = { replicated: () => Promise.resolve(), unconfirmed: () => 0, close: () => undefined }
  return createSessionStore({ connection, layout: createLayout(false), replication, nowSeconds: () => NOW }).rotate(asked)
}

describe('a refresh', () => {
  test.each([
    ['rotated', 'on', 5],
    ['retried', 'on', 5],
    ['healed', 'on', 5],
    ['rotated', 'off', 4],
  ] as const)('takes «%s» with rotation %s for what it is', async (outcome, rotation, generation) => {
    const answer = [Buffer.from(outcome), stored('usr_1', generation)]
    expect(await rotated(answer, [], { ...ASKED, rotation })).toMatchObject({ outcome, session: { user: 'usr_1', generation } })
  })

  test.each([
    ['another user', stored('usr_2', 5)],
    ['another generation', stored('usr_1', 6)],
    ['the generation before', stored('usr_1', 4)],
  ])('is not known to be done when it comes back with %s', async (_, fields) => {
    await expect(rotated([Buffer.from('rotated'), fields])).rejects.toMatchObject({ kind: 'storage_unavailable' })
  })

  test('of a session that nobody has is «unknown»', async () => {
    expect(await rotated([Buffer.from('unknown')], [])).toEqual({ outcome: 'unknown' })
    expect(await rotated([Buffer.from('unknown')])).toEqual({ outcome: 'unknown' })
  })

  test('that was asked for a user whose name was changed on the way is not refused', async () => {
    const answer = rotated([Buffer.from('unknown')], stored('usr_1', 4), { ...ASKED, user: 'usr_!' })
    await expect(answer).rejects.toMatchObject({ kind: 'storage_unavailable' })
  })
})
