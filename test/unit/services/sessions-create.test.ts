import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { as, call, created, CREATION, kindOf, pairOf, principalOf, standing } from './session-calls.ts'
import type { World } from './world.ts'
import { NOW, openWorld, quickly, refusalOf } from './world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const CLIENT = { headers: as('acme-backend') }

describe('creating a session', () => {
  test('answers 201 with a pair of tokens that nobody may keep on the way', async () => {
    const answer = await call(world, 'create', CREATION, CLIENT)
    expect(answer).toMatchObject({
      status: 201,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    })
    expect(pairOf(answer)).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^gwr_[\w-]+$/),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_expires_in: 1_209_600,
      session_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      scope: 'orders:read',
    })
    expect(world.events).toEqual(['acme created 1'])
  })

  test('makes an access token with every claim, under the key of its tenant alone', async () => {
    const pair = await created(world, { metadata: { plan: 'pro' } })
    const keys = (tenant: string) => createLocalJWKSet(JSON.parse(world.tenants.jwks(tenant)))
    const options = { currentDate: new Date(NOW * 1_000) }
    const { payload } = await jwtVerify(pair.access_token, keys('acme'), options)
    expect(decodeProtectedHeader(pair.access_token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256', kid: expect.any(String) })
    expect(payload).toEqual({
      iss: 'https://acme.example',
      sub: 'u1',
      aud: 'api',
      exp: NOW + 900,
      iat: NOW,
      nbf: NOW,
      jti: expect.stringMatching(/^[0-9a-f]{32}$/),
      sid: pair.session_id,
      tenant_id: 'acme',
      scope: 'orders:read',
      metadata: { plan: 'pro' },
      token_type: 'access',
      client_id: 'acme-backend',
      auth_time: NOW,
      uv: 0,
    })
    await expect(jwtVerify(pair.access_token, keys('default'), options)).rejects.toMatchObject({
      code: 'ERR_JWKS_NO_MATCHING_KEY',
    })
  })

  test('is refused to whoever is no client with the right to it', async () => {
    const attempts: [readonly string[], string][] = [
      [[], 'unauthorized'],
      [['Authorization', 'Bearer x.y.z'], 'unauthorized'],
      [['Authorization', 'Basic bm9ib2R5OnNlY3JldA=='], 'unauthorized'],
      [as('reader'), 'insufficient_scope'],
    ]
    for (const [headers, kind] of attempts) {
      expect(refusalOf(await call(world, 'create', CREATION, { headers })).kind).toBe(kind)
      expect(refusalOf(await call(world, 'create', { nonsense: 1 }, { headers })).kind).toBe(kind)
    }
    expect(await world.storage.sessions.list({ tenant: 'acme', user: 'u1' })).toEqual([])
  })

  test.each([
    ['tenant_id', undefined],
    ['tenant_id', ''],
    ['tenant_id', 7],
    ['user_id', undefined],
    ['user_id', ''],
    ['user_id', 'x'.repeat(257)],
    ['user_id', 'a\nb'],
    ['user_id', 'a\u0085b'],
    ['scope', undefined],
    ['scope', null],
    ['scope', ' a'],
    ['scope', 'a  b'],
    ['scope', 'a\tb'],
    ['scope', 'a"b'],
    ['scope', 'a\\b'],
    ['scope', 'ä'],
    ['scope', 'x'.repeat(1_025)],
    ['metadata', null],
    ['metadata', ['a']],
    ['metadata', Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, '']))],
    ['metadata', Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'x'.repeat(230)]))],
    ['metadata.a', { a: 1 }],
    ['metadata.a', { a: 'x'.repeat(257) }],
    ['metadata.', { '': 'x' }],
    [`metadata.${'k'.repeat(55)}`, { ['k'.repeat(65)]: 'x' }],
    ['metadata.a\u0000', { 'a\u0000': 'x' }],
    ...['sub', 'iss', 'exp', 'sid', 'tenant_id', 'uv', 'scope', 'jti', 'client_id'].map((name): [string, unknown] => [
      `metadata.${name}`,
      { [name]: 'x' },
    ]),
    ['admin', true],
  ])('names the field %s that is missing or wrong (%j)', async (field, value) => {
    const [name = ''] = field.split('.')
    const body = { ...CREATION, [name]: value }
    expect(refusalOf(await call(world, 'create', body, CLIENT))).toEqual({ kind: 'invalid_request', fields: [field] })
  })

  test('names no user by the id of a client of the tenant, whose own tokens say so', async () => {
    for (const user_id of ['acme-backend', 'reader']) {
      const answer = await call(world, 'create', { ...CREATION, user_id }, CLIENT)
      expect(refusalOf(answer)).toEqual({ kind: 'invalid_request', fields: ['user_id'] })
      expect(await world.storage.sessions.list({ tenant: 'acme', user: user_id })).toEqual([])
    }
    // What another tenant calls its clients is none of this tenant's business.
    expect(kindOf(await call(world, 'create', { ...CREATION, user_id: 'default-backend' }, CLIENT))).toBe(201)
  })

  test('takes metadata up to its bounds, and no scope at all', async () => {
    const metadata = { plan: 'pro', region: 'Zürich', constructor: 'x' }
    const pair = await created(world, { scope: '', metadata })
    const principal = await principalOf(world, pair.access_token)
    expect([principal.claims['metadata'], principal.scopes, pair.scope]).toEqual([metadata, [], ''])
    const long = { a: 'x'.repeat(256), b: 'y'.repeat(256), ['k'.repeat(64)]: 'z' }
    expect(kindOf(await call(world, 'create', { ...CREATION, metadata: long }, CLIENT))).toBe(201)
    const many = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, 'v']))
    expect(kindOf(await call(world, 'create', { ...CREATION, metadata: many }, CLIENT))).toBe(201)
  })

  test.each([
    ['default', {}],
    ['closed', {}],
    ['nowhere', {}],
    ['acme', { tenant: 'default' }],
    ['acme', { path: '/t/default/sessions' }],
  ])('in the tenant %s with %j is none of the business of a client of acme', async (tenant, more) => {
    const answer = await call(world, 'create', { ...CREATION, tenant_id: tenant }, { ...CLIENT, ...more })
    expect(refusalOf(answer).kind).toBe('tenant_mismatch')
    for (const id of ['acme', 'default', 'closed']) {
      expect(await world.storage.sessions.list({ tenant: id, user: 'u1' })).toEqual([])
    }
  })
})

describe('the user of a session', () => {
  const ANN = { email: 'ann@example.com', password: 'correct horse' }

  async function register(): Promise<string> {
    const answer = await world.ask({
      service: 'accounts',
      endpoint: 'register',
      body: { ...ANN, tenant_id: 'acme' },
      path: '/auth/register',
    })
    const user = JSON.parse(String('body' in answer ? answer.body : '')).user.id
    return String(user)
  }

  test('may be one of a foreign directory, or one of ours', async () => {
    const user = await register()
    expect(kindOf(await call(world, 'create', { ...CREATION, user_id: user }, CLIENT))).toBe(201)
    expect(kindOf(await call(world, 'create', { ...CREATION, user_id: 'auth0|5f7c8ec7c33c6c004bbafe82' }, CLIENT))).toBe(201)
  })

  test('must exist where its id is of our own form', async () => {
    const user = `usr_${'0'.repeat(32)}`
    expect(refusalOf(await call(world, 'create', { ...CREATION, user_id: user }, CLIENT))).toEqual({
      kind: 'invalid_request',
      fields: ['user_id'],
    })
    expect(await world.storage.sessions.list({ tenant: 'acme', user })).toEqual([])
  })

  test('has no session while disabled: none that was, none that comes, no login', async () => {
    const user = await register()
    const before = await created(world, { user_id: user })
    expect(await world.users.setStatus('acme', user, 'disabled')).toBe(true)
    expect(await standing(world, before.access_token)).toBe('token_revoked')
    expect(refusalOf(await call(world, 'refresh', { refresh_token: before.refresh_token })).kind).toBe('invalid_token')
    expect(refusalOf(await call(world, 'create', { ...CREATION, user_id: user }, CLIENT)).kind).toBe('access_denied')
    const login = { service: 'accounts', endpoint: 'login', path: '/auth/login', body: { ...ANN, tenant_id: 'acme' } }
    expect(refusalOf(await world.ask(login)).kind).toBe('bad_credentials')
    expect(await world.storage.sessions.list({ tenant: 'acme', user })).toEqual([])

    expect(await world.users.setStatus('acme', user, 'active')).toBe(true)
    expect(kindOf(await world.ask(login))).toBe(200)
    expect(await standing(world, before.access_token)).toBe('token_revoked')
    expect(await world.users.setStatus('default', user, 'disabled')).toBe(false)
    expect(await world.users.setStatus('acme', 'nobody', 'disabled')).toBe(false)
  })

  test('who is disabled while the session is being made does not get it', async () => {
    const user = await register()
    const real = world.storage.sessions
    world.store.current = {
      ...real,
      async create(session, limits) {
        await world.users.setStatus('acme', user, 'disabled')
        return real.create(session, limits)
      },
    }
    expect(refusalOf(await call(world, 'create', { ...CREATION, user_id: user }, CLIENT)).kind).toBe('access_denied')
    expect(await real.list({ tenant: 'acme', user })).toEqual([])
  })
})

describe('the life of tokens', () => {
  test('is cut by the jitter, within its share', async () => {
    world.close()
    world = await openWorld(quickly, { accessToken: { lifetimeSeconds: 1_000, jitter: 0.05 } })
    for (const [chance, lifetime] of [
      [0, 1_000],
      [0.5, 975],
      [0.999_999, 950],
    ] as const) {
      world.chance.now = chance
      const pair = await created(world)
      const { expiresAt, issuedAt = 0 } = await principalOf(world, pair.access_token)
      expect([pair.expires_in, expiresAt - issuedAt]).toEqual([lifetime, lifetime])
    }
  })

  test('ends with the session at the latest', async () => {
    world.close()
    world = await openWorld(quickly, {
      refreshToken: { lifetimeSeconds: 600, idleSeconds: 300, rotation: true, graceSeconds: 10 },
    })
    expect(await created(world)).toMatchObject({ expires_in: 600, refresh_expires_in: 300 })
  })

  test('is twelve hours where a tenant says so', async () => {
    world.close()
    world = await openWorld(quickly, { accessToken: { lifetimeSeconds: 43_200, jitter: 0 } })
    const { claims } = await principalOf(world, (await created(world)).access_token)
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(43_200)
  })
})

describe('more sessions than a user may have', () => {
  test('end the least recently used one, whose tokens are refused at once', async () => {
    world.close()
    world = await openWorld(quickly, { sessionsPerUser: 2 })
    const first = await created(world)
    await world.pass(1)
    const second = await created(world)
    await world.pass(1)
    const used = pairOf(await call(world, 'refresh', { refresh_token: first.refresh_token }))
    const other = await created(world, { user_id: 'u2' })
    await world.pass(1)
    const third = await created(world)
    await world.revocation.synced()
    expect(await standing(world, second.access_token)).toBe('token_revoked')
    for (const { access_token: token } of [first, used, third, other]) expect(await standing(world, token)).toBe('good')
    const left = await world.storage.sessions.list({ tenant: 'acme', user: 'u1' })
    expect(left.map((session) => session.id)).toEqual([third.session_id, first.session_id])
    expect(world.events).toContain('acme evicted 1')
    expect(world.recorded).toMatchObject([
      { event: 'session_ended', tenant: 'acme', user: 'u1', subject: second.session_id, reason: 'evicted' },
    ])
  })
})
