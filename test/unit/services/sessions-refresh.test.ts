import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import type { Answer } from '../../../src/services/services.ts'
import { call, created, isPair, pairOf, principalOf, refresh, standing } from './session-calls.ts'
import type { Pair } from './session-calls.ts'
import type { World } from './world.ts'
import { bodyOf, NOW, openWorld, quickly, refusalOf } from './world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const DAY = 86_400

/** The refresh token of another generation of the same session. */
function ofGeneration(pair: Pair, generation: number): string {
  return world.tenants.mintRefreshToken('acme', pair.session_id, generation)
}

async function expectRefused(answer: Promise<Answer | Problem>): Promise<void> {
  const problem = await answer
  if (!(problem instanceof Problem)) throw new Error(`no problem: ${problem.status}`)
  expect(problem).toMatchObject({ kind: 'invalid_token', status: 401, error: 'invalid_token' })
  expect(problem.facts.description).toContain('Log in again')
}

describe('refreshing', () => {
  test('exchanges the token for new ones of the same session', async () => {
    const first = await created(world, { metadata: { plan: 'pro' } })
    await world.pass(600)
    const answer = await refresh(world, first.refresh_token)
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    const second = pairOf(answer)
    expect(second).toEqual({
      access_token: expect.any(String),
      refresh_token: ofGeneration(first, 1),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_expires_in: 1_209_600,
      session_id: first.session_id,
      scope: 'orders:read',
    })
    const [before, after] = [await principalOf(world, first.access_token), await principalOf(world, second.access_token)]
    const { iat, exp, nbf, jti, ...same } = after.claims
    expect({ iat, exp, nbf }).toEqual({ iat: NOW + 600, exp: NOW + 1_500, nbf: NOW + 600 })
    expect(before.claims).toMatchObject(same)
    expect(jti).not.toBe(before.claims['jti'])
    expect(await world.storage.sessions.list({ tenant: 'acme', user: 'u1' })).toMatchObject([
      { id: first.session_id, createdAt: NOW, lastUsedAt: NOW + 600, generation: 1 },
    ])
    expect(world.events).toEqual(['acme created 1', 'acme refreshed 1'])
  })

  test.each([
    ['no token', {}, 'refresh_token'],
    ['an empty one', { refresh_token: '' }, 'refresh_token'],
    ['a number', { refresh_token: 1 }, 'refresh_token'],
    ['a key too many', { refresh_token: 'x', scope: 'more' }, 'scope'],
  ])('with %s is a bad request', async (_, body, field) => {
    expect(refusalOf(await call(world, 'refresh', body))).toEqual({ kind: 'invalid_request', fields: [field] })
  })

  test('with a token that nobody minted is refused before the store is asked', async () => {
    const pair = await created(world)
    world.store.current = new Proxy(world.store.current, {
      get: () => () => {
        throw new Error('the store was asked')
      },
    })
    const changed = (index: number): string => {
      const bytes = Buffer.from(pair.refresh_token.slice(4), 'base64url')
      bytes[index] = (bytes[index] ?? 0) ^ 1
      return `gwr_${bytes.toString('base64url')}`
    }
    const forged = [
      'x',
      'gwr_',
      pair.access_token,
      `${pair.refresh_token}A`,
      pair.refresh_token.slice(0, -1),
      `gwr_${'A'.repeat(54)}`,
      ...[0, 1, 2, 3, 4, 19, 20, 21, -1].map((index) => changed(index < 0 ? 36 : index)),
    ]
    for (const token of forged) await expectRefused(refresh(world, token))
  })

  test('finds the tenant by the token, but not another than the request names', async () => {
    const pair = await created(world)
    const body = { refresh_token: pair.refresh_token }
    await expectRefused(call(world, 'refresh', { ...body, tenant_id: 'default' }))
    await expectRefused(call(world, 'refresh', { ...body, tenant_id: 'nowhere' }))
    await expectRefused(call(world, 'refresh', body, { tenant: 'default' }))
    await expectRefused(call(world, 'refresh', body, { path: '/t/default/sessions/refresh' }))
    expect(refusalOf(await call(world, 'refresh', { ...body, tenant_id: 'acme' }, { tenant: 'default' })).kind).toBe(
      'invalid_request',
    )
    expect(pairOf(await call(world, 'refresh', { ...body, tenant_id: 'acme' }, { tenant: 'acme' })).session_id).toBe(
      pair.session_id,
    )
    expect(pairOf(await refresh(world, ofGeneration(pair, 1))).session_id).toBe(pair.session_id)
  })

  test('with an access token, and calling with a refresh token, is refused', async () => {
    const pair = await created(world)
    await expectRefused(refresh(world, pair.access_token))
    expect(await standing(world, pair.refresh_token)).toBe('invalid_token')
  })
})

describe('the life of a session', () => {
  test('goes on while it is used, up to its absolute end', async () => {
    let pair = await created(world)
    for (let day = 13; day < 30; day += 13) {
      await world.pass(NOW + day * DAY - world.clock.nowSeconds)
      pair = pairOf(await refresh(world, pair.refresh_token))
    }
    expect(pair.refresh_expires_in).toBe(4 * DAY)
    await world.pass(NOW + 30 * DAY - 1 - world.clock.nowSeconds)
    pair = pairOf(await refresh(world, pair.refresh_token))
    expect(pair).toMatchObject({ refresh_expires_in: 1, expires_in: 1 })
    await world.pass(NOW + 30 * DAY - world.clock.nowSeconds)
    await expectRefused(refresh(world, pair.refresh_token))
  })

  test('ends when it is not used for the idle time', async () => {
    const [used, idle] = [await created(world), await created(world)]
    await world.pass(NOW + 14 * DAY - 1 - world.clock.nowSeconds)
    await refresh(world, used.refresh_token)
    await world.pass(NOW + 14 * DAY - world.clock.nowSeconds)
    await expectRefused(refresh(world, idle.refresh_token))
    expect(pairOf(await refresh(world, ofGeneration(used, 1))).refresh_expires_in).toBe(14 * DAY)
  })
})

describe('rotation', () => {
  test('makes one rotation of 200 refreshes at once, and one answer', async () => {
    const pair = await created(world)
    const answers = await Promise.all(Array.from({ length: 200 }, () => refresh(world, pair.refresh_token)))
    const successors = new Set(answers.map((answer) => pairOf(answer).refresh_token))
    expect(successors).toEqual(new Set([ofGeneration(pair, 1)]))
    expect(world.events.filter((event) => event === 'acme refreshed 1')).toHaveLength(1)
    expect(world.events.filter((event) => event === 'acme retried 1')).toHaveLength(199)
    expect(await world.storage.sessions.list({ tenant: 'acme', user: 'u1' })).toMatchObject([{ generation: 1 }])
    for (const answer of answers.slice(0, 5)) expect(await standing(world, pairOf(answer).access_token)).toBe('good')
  })

  test('costs nobody a session when the answer is lost: the same token gets the same successor', async () => {
    const pair = await created(world)
    const real = world.store.current
    world.store.current = {
      ...real,
      async rotate(request) {
        await real.rotate(request)
        throw new Problem('storage_unavailable')
      },
    }
    expect(refusalOf(await refresh(world, pair.refresh_token)).kind).toBe('storage_unavailable')
    world.store.current = real
    await world.pass(10)
    const successor = pairOf(await refresh(world, pair.refresh_token))
    expect(successor.refresh_token).toBe(ofGeneration(pair, 1))
    await world.pass(1_000)
    expect(pairOf(await refresh(world, successor.refresh_token)).refresh_token).toBe(ofGeneration(pair, 2))
  })

  test('is refused after the idle time, which is recorded once', async () => {
    const pair = await created(world)
    await world.pass(1_209_601)
    for (let i = 0; i < 3; i++) await expectRefused(refresh(world, pair.refresh_token))
    expect(world.expired).toEqual([
      {
        event: 'session_expired',
        tenant: 'acme',
        subject: pair.session_id,
        reason: 'refresh after its end',
        actor: 'holder of the token',
        ip: '192.0.2.1',
        requestId: 'r1',
      },
    ])
  })

  test('ends the session when the parent comes again after the grace', async () => {
    const pair = await created(world)
    const next = pairOf(await refresh(world, pair.refresh_token))
    await world.pass(11)
    await expectRefused(refresh(world, pair.refresh_token))
    await expectRefused(refresh(world, next.refresh_token))
    expect(await standing(world, pair.access_token)).toBe('token_revoked')
    expect(await standing(world, next.access_token)).toBe('token_revoked')
    expect(world.events.at(-1)).toBe('acme reused 1')
    expect(world.recorded).toMatchObject([
      { event: 'authn_token_reuse', tenant: 'acme', user: 'u1', subject: pair.session_id, reason: 'refresh token reused' },
    ])
  })

  test('ends the session when a grandparent comes, however soon', async () => {
    const pair = await created(world)
    const next = pairOf(await refresh(world, pair.refresh_token))
    const last = pairOf(await refresh(world, next.refresh_token))
    await expectRefused(refresh(world, pair.refresh_token))
    await expectRefused(refresh(world, last.refresh_token))
    expect(await standing(world, last.access_token)).toBe('token_revoked')
  })

  test('has no grace where a tenant says so', async () => {
    world.close()
    world = await openWorld(quickly, {
      refreshToken: { lifetimeSeconds: 30 * DAY, idleSeconds: 14 * DAY, rotation: true, graceSeconds: 0 },
    })
    const pair = await created(world)
    await refresh(world, pair.refresh_token)
    await expectRefused(refresh(world, pair.refresh_token))
  })

  test('is off where a tenant says so: the token stays, its use is noted', async () => {
    world.close()
    world = await openWorld(quickly, {
      refreshToken: { lifetimeSeconds: 30 * DAY, idleSeconds: 14 * DAY, rotation: false, graceSeconds: 10 },
    })
    const pair = await created(world)
    for (const day of [10, 20, 29]) {
      await world.pass(NOW + day * DAY - world.clock.nowSeconds)
      expect(pairOf(await refresh(world, pair.refresh_token)).refresh_token).toBe(pair.refresh_token)
    }
    expect(await world.storage.sessions.list({ tenant: 'acme', user: 'u1' })).toMatchObject([
      { generation: 0, lastUsedAt: NOW + 29 * DAY },
    ])
    await expectRefused(refresh(world, world.tenants.mintRefreshToken('acme', pair.session_id, 3)))
  })

  test('is rolled forward by a token of ours that is ahead of a store which lost its last writes', async () => {
    const pair = await created(world)
    const healed = pairOf(await refresh(world, ofGeneration(pair, 2)))
    expect(healed.refresh_token).toBe(ofGeneration(pair, 3))
    expect(await standing(world, healed.access_token)).toBe('good')
    expect(world.recorded).toMatchObject([{ event: 'session_healed', subject: pair.session_id }])
    await expectRefused(refresh(world, ofGeneration(pair, 6)))
    await expectRefused(refresh(world, healed.refresh_token))
  })

  test('whatever the order of tokens, one session never has two good lines', async () => {
    const pair = await created(world)
    const stolen = pairOf(await refresh(world, pair.refresh_token))
    // Thief and owner both hold the same successor: the first of them wins a new one, the other ends the session.
    const thief = pairOf(await refresh(world, stolen.refresh_token))
    await world.pass(60)
    await expectRefused(refresh(world, stolen.refresh_token))
    await expectRefused(refresh(world, thief.refresh_token))
  })
})

describe('a refresh is refused', () => {
  test('when its session was ended, or all of the user’s', async () => {
    const [one, two, three] = [await created(world), await created(world), await created(world)]
    await world.sessions.endSession({ tenant: 'acme', user: 'u1', id: one.session_id }, 'test')
    await expectRefused(refresh(world, one.refresh_token))
    const next = pairOf(await refresh(world, two.refresh_token))
    await world.sessions.endAll({ tenant: 'acme', user: 'u1' }, 'test')
    for (const token of [two, next, three]) await expectRefused(refresh(world, token.refresh_token))
    const again = await created(world)
    expect(pairOf(await refresh(world, again.refresh_token)).session_id).toBe(again.session_id)
    expect((await principalOf(world, again.access_token)).epoch).toBe(world.clock.nowSeconds)
  })

  test('when its user was disabled behind our back, and the session is over then', async () => {
    const answer = await world.ask({
      service: 'accounts',
      endpoint: 'register',
      path: '/auth/register',
      body: { email: 'a@b.c', password: 'correct horse', tenant_id: 'acme' },
    })
    const { user } = bodyOf(answer) as { user: { id: string } }
    const pair = await created(world, { user_id: user.id })
    await world.storage.accounts.setStatus('acme', user.id, 'disabled')
    expect(await standing(world, pair.access_token)).toBe('good')
    await expectRefused(refresh(world, pair.refresh_token))
    expect(await standing(world, pair.access_token)).toBe('token_revoked')
    await world.storage.accounts.setStatus('acme', user.id, 'active')
    await expectRefused(refresh(world, pair.refresh_token))
  })

  test('of a tenant whose sessions were ended, while those that begin later go on', async () => {
    const pair = await created(world)
    const ending = { reason: 'leak', tokensUntil: NOW + 1_000 }
    await world.storage.sessions.revoke({ kind: 'tenant', tenant: 'acme' }, ending)
    const after = await created(world)
    await expectRefused(refresh(world, pair.refresh_token))
    expect(isPair(bodyOf(await refresh(world, after.refresh_token)))).toBe(true)
  })

  test('for a while when the store is away, and nothing has moved then', async () => {
    const pair = await created(world)
    const real = world.store.current
    world.store.current = {
      ...real,
      peek: () => Promise.reject(new Problem('storage_unavailable', { headers: { 'retry-after': '1' } })),
    }
    expect(await refresh(world, pair.refresh_token)).toMatchObject({
      kind: 'storage_unavailable',
      facts: { headers: { 'retry-after': '1' } },
    })
    world.store.current = real
    expect(isPair(bodyOf(await refresh(world, pair.refresh_token)))).toBe(true)
  })
})
