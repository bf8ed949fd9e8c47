import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { as, call, created, kindOf, pairOf, principalOf, refresh, standing } from './session-calls.ts'
import type { Pair } from './session-calls.ts'
import type { World } from './world.ts'
import { anIdentity, bodyOf, NOW, openWorld, refusalOf } from './world.ts'
import { snapshotOf } from '../../support/log.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

function revoke(token: string, more: Parameters<typeof call>[3] = {}, reason?: string) {
  return call(world, 'revoke', { token, ...(reason === undefined ? {} : { reason }) }, more)
}

async function asUser(pair: Pair) {
  return { principal: await principalOf(world, pair.access_token) }
}

/** What becomes of access and refresh token. The latter is used up by the question. */
async function lives(pair: Pair): Promise<[string, string | number]> {
  return [await standing(world, pair.access_token), kindOf(await refresh(world, pair.refresh_token))]
}

const DEAD = ['token_revoked', 'invalid_token']
const ALIVE = ['good', 200]

describe('revoking', () => {
  test('an access token ends it alone, at once', async () => {
    const [pair, other] = [await created(world), await created(world)]
    const answer = await revoke(pair.access_token, {}, 'found on a bus')
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toEqual({ revoked: true })
    expect(await lives(pair)).toEqual(['token_revoked', 200])
    expect(await lives(other)).toEqual(ALIVE)
    expect((await snapshotOf(world.storage.log)).revocations).toEqual([
      { kind: 'token', tenant: 'acme', id: expect.any(String), expiresAt: NOW + 902 },
    ])
    expect(world.recorded).toMatchObject([{ event: 'authn_token_revoked', tenant: 'acme', user: 'u1', reason: 'found on a bus' }])
  })

  test('a refresh token ends its session', async () => {
    const [pair, other] = [await created(world), await created(world)]
    const next = pairOf(await refresh(world, pair.refresh_token))
    expect(bodyOf(await revoke(pair.refresh_token, {}, 'lost phone'))).toEqual({ revoked: true })
    expect(await standing(world, pair.access_token)).toBe('token_revoked')
    expect(await lives(next)).toEqual(DEAD)
    expect(await lives(other)).toEqual(ALIVE)
    expect(world.recorded).toMatchObject([{ event: 'session_ended', user: 'u1', subject: pair.session_id, reason: 'lost phone' }])
  })

  test('a refresh token ends the access tokens of a session that the store has lost', async () => {
    const [pair, other] = [await created(world), await created(world)]
    world.store.current = { ...world.store.current, findByToken: async () => undefined }
    expect(bodyOf(await revoke(pair.refresh_token, {}, 'lost phone'))).toEqual({ revoked: true })
    expect(await standing(world, pair.access_token)).toBe('token_revoked')
    expect(await standing(world, other.access_token)).toBe('good')
    expect(world.recorded).toMatchObject([{ event: 'session_ended', subject: pair.session_id, reason: 'lost phone' }])
  })

  test('twice is answered as once', async () => {
    const pair = await created(world)
    for (const token of [pair.access_token, pair.access_token, pair.refresh_token, pair.refresh_token]) {
      expect(bodyOf(await revoke(token))).toEqual({ revoked: true })
    }
    expect((await snapshotOf(world.storage.log)).revocations).toHaveLength(2)
  })

  test('what is no token of ours is refused', async () => {
    const { access_token: token } = await created(world)
    expect(refusalOf(await revoke('x')).kind).toBe('invalid_token')
    expect(refusalOf(await revoke(`${token.slice(0, -4)}AAAA`)).kind).toBe('invalid_signature')
    expect(refusalOf(await revoke(`gwr_${'A'.repeat(50)}`)).kind).toBe('invalid_token')
    await world.pass(902)
    expect(refusalOf(await revoke(token)).kind).toBe('token_expired')
    expect((await snapshotOf(world.storage.log)).revocations).toEqual([])
  })

  test('as a client needs its secret, and a token of its tenant', async () => {
    const pair = await created(world)
    const wrong = ['Authorization', `Basic ${btoa('acme-backend:wrong')}`]
    for (const token of [pair.access_token, pair.refresh_token]) {
      expect(refusalOf(await revoke(token, { headers: wrong })).kind).toBe('unauthorized')
      expect(refusalOf(await revoke(token, { headers: as('default-backend') })).kind).toBe('tenant_mismatch')
    }
    expect(await lives(pair)).toEqual(ALIVE)
    expect(bodyOf(await revoke(pair.access_token, { headers: as('acme-backend') }))).toEqual({ revoked: true })
  })

  test.each([
    [{}, ['token']],
    [{ token: '' }, ['token']],
    [{ token: 'x', reason: '' }, ['reason']],
    [{ token: 'x', reason: 'x'.repeat(257) }, ['reason']],
    [{ token: 'x', reason: 'a\nb' }, ['reason']],
    [{ token: 'x', user_id: 'u1' }, ['user_id']],
  ])('by %j names what is wrong', async (body, fields) => {
    expect(refusalOf(await call(world, 'revoke', body))).toEqual({ kind: 'invalid_request', fields })
  })
})

describe('revoking all', () => {
  const ALL = { user_id: 'u1', tenant_id: 'acme' }

  test('as a client ends every session of the user, counts them exactly, and touches nobody else', async () => {
    const mine = [await created(world), await created(world), await created(world)]
    const gone = await created(world)
    await revoke(gone.refresh_token)
    const others = [await created(world, { user_id: 'u2' }), await created(world, { tenant_id: 'default' })]
    const answer = await call(world, 'revoke-all', { ...ALL, reason: 'fired' }, { headers: as('acme-backend') })
    expect(bodyOf(answer)).toEqual({ revoked_count: 3 })
    for (const pair of mine) expect(await lives(pair)).toEqual(DEAD)
    for (const pair of others) expect(await lives(pair)).toEqual(ALIVE)
    expect(world.recorded.at(-1)).toMatchObject({
      event: 'sessions_ended',
      user: 'u1',
      reason: 'fired',
    })
    expect(bodyOf(await call(world, 'revoke-all', ALL, { headers: as('acme-backend') }))).toEqual({ revoked_count: 0 })
    expect(await lives(await created(world))).toEqual(ALIVE)
  })

  test('as the user ends the user’s own', async () => {
    const pairs = [await created(world), await created(world)]
    const answer = await call(world, 'revoke-all', ALL, await asUser(pairs[0] ?? (await created(world))))
    expect(bodyOf(answer)).toEqual({ revoked_count: 2 })
    for (const pair of pairs) expect(await lives(pair)).toEqual(DEAD)
  })

  test('does not count what has expired', async () => {
    await created(world)
    await world.pass(14 * 86_400)
    await created(world)
    expect(bodyOf(await call(world, 'revoke-all', ALL, { headers: as('acme-backend') }))).toEqual({ revoked_count: 1 })
  })

  test('is refused to everyone else', async () => {
    const [mine, other] = [await created(world), await created(world, { user_id: 'u2' })]
    const rows: [Parameters<typeof call>[3], unknown, string][] = [
      [{}, ALL, 'unauthorized'],
      [{}, {}, 'unauthorized'],
      [{ headers: ['Authorization', 'Basic eA=='] }, ALL, 'unauthorized'],
      [{ headers: as('reader') }, ALL, 'insufficient_scope'],
      [{ headers: as('default-backend') }, ALL, 'tenant_mismatch'],
      [{ headers: as('acme-backend') }, { ...ALL, tenant_id: 'default' }, 'tenant_mismatch'],
      [{ headers: as('acme-backend') }, { ...ALL, tenant_id: 'nowhere' }, 'tenant_mismatch'],
      [await asUser(other), ALL, 'access_denied'],
      [await asUser(mine), { ...ALL, tenant_id: 'default' }, 'tenant_mismatch'],
      [await asUser(mine), {}, 'invalid_request'],
    ]
    for (const [more, body, kind] of rows) {
      expect(refusalOf(await call(world, 'revoke-all', body, more)).kind).toBe(kind)
    }
    for (const pair of [mine, other]) expect(await lives(pair)).toEqual(ALIVE)
  })

  test('tells whoever says nothing of both ways to say who they are', async () => {
    const headers = { 'www-authenticate': 'Bearer realm="gatehouse", Basic realm="gatehouse", charset="UTF-8"' }
    expect(await call(world, 'revoke-all', ALL)).toMatchObject({ kind: 'unauthorized', facts: { headers } })
  })
})

describe('a user', () => {
  test('sees the live sessions with device, address and times, the last used first', async () => {
    const headers = (agent: string) => [...as('acme-backend'), 'User-Agent', agent]
    const body = { tenant_id: 'acme', user_id: 'u1', scope: '' }
    const first = pairOf(await call(world, 'create', body, { headers: headers('Firefox/1'), client: '192.0.2.7' }))
    await world.pass(60)
    const second = pairOf(await call(world, 'create', body, { headers: headers('x'.repeat(300)), client: '2001:db8::1' }))
    const dead = await created(world)
    await revoke(dead.refresh_token)
    await created(world, { user_id: 'u2' })
    await world.pass(60)
    const used = pairOf(await refresh(world, first.refresh_token))
    const answer = await call(world, 'list', undefined, { method: 'GET', ...(await asUser(used)) })
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toEqual({
      sessions: [
        {
          id: first.session_id,
          current: true,
          device: 'Firefox/1',
          device_name: 'Firefox',
          ip: '192.0.2.7',
          created_at: '2027-01-15T08:00:00.000Z',
          last_used_at: '2027-01-15T08:02:00.000Z',
          expires_at: '2027-01-29T08:02:00.000Z',
        },
        {
          id: second.session_id,
          current: false,
          device: 'x'.repeat(256),
          device_name: 'unknown',
          ip: '2001:db8::1',
          created_at: '2027-01-15T08:01:00.000Z',
          last_used_at: '2027-01-15T08:01:00.000Z',
          expires_at: '2027-01-29T08:01:00.000Z',
        },
      ],
    })
  })

  test('ends one session', async () => {
    const [pair, other] = [await created(world), await created(world)]
    const answer = await call(world, 'delete', undefined, { params: { id: other.session_id }, ...(await asUser(pair)) })
    expect(answer).toEqual({ status: 204, headers: { 'cache-control': 'no-store' } })
    expect(await lives(other)).toEqual(DEAD)
    expect(await lives(pair)).toEqual(ALIVE)
  })

  test('finds no session but the own live ones', async () => {
    const [pair, other, foreign] = [
      await created(world),
      await created(world, { user_id: 'u2' }),
      await created(world, { tenant_id: 'default' }),
    ]
    const more = await asUser(pair)
    for (const id of [other.session_id, foreign.session_id, '0'.repeat(32), '', '..', 'x', `${pair.session_id}0`, "'"]) {
      expect(await call(world, 'delete', undefined, { params: { id }, ...more })).toMatchObject({
        kind: 'session_not_found',
        status: 404,
      })
    }
    expect((await snapshotOf(world.storage.log)).revocations).toEqual([])
    expect(await lives(other)).toEqual(ALIVE)
  })

  test('ends all others, each by a revocation of its own, and keeps the one of the call', async () => {
    const [pair, one, two] = [await created(world), await created(world), await created(world)]
    const answer = await call(world, 'revoke-others', undefined, await asUser(pair))
    expect(bodyOf(answer)).toEqual({ revoked_count: 2 })
    for (const ended of [one, two]) expect(await lives(ended)).toEqual(DEAD)
    expect(await lives(pair)).toEqual(ALIVE)
    expect(bodyOf(await call(world, 'revoke-others', undefined, await asUser(pair)))).toEqual({ revoked_count: 0 })
  })

  test('who has no session cannot end the others', async () => {
    const answer = await call(world, 'revoke-others', undefined, { principal: anIdentity({ tenant: 'acme', user: 'u1' }) })
    expect(refusalOf(answer).kind).toBe('invalid_request')
  })

  test('who is nobody sees and ends nothing', async () => {
    for (const endpoint of ['list', 'delete', 'revoke-others', 'revoke-all']) {
      expect(refusalOf(await call(world, endpoint)).kind).toBe('unauthorized')
    }
  })
})
