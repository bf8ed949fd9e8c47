import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Identified } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { argon2id } from '../../../src/services/accounts/accounts.ts'
import type { Request, World } from './world.ts'
import { anIdentity, bodyOf, NOW, openWorld, refusalOf } from './world.ts'
import { snapshotOf } from '../../support/log.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const ANN = { email: 'Ann@Example.com', password: 'correct horse' }

function register(body: unknown, more: Partial<Request> = {}) {
  return world.ask({ service: 'accounts', endpoint: 'register', path: '/auth/register', body, ...more })
}

function login(body: unknown, more: Partial<Request> = {}) {
  return world.ask({ service: 'accounts', endpoint: 'login', path: '/auth/login', body, ...more })
}

function call(endpoint: string, principal?: Identified) {
  return world.ask({ service: 'accounts', endpoint, ...(principal === undefined ? {} : { principal }) })
}

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
}

function isPair(value: unknown): value is Pair {
  return typeof value === 'object' && value !== null && 'access_token' in value && 'session_id' in value
}

function pairOf(answer: Parameters<typeof bodyOf>[0]): Pair {
  const body = bodyOf(answer)
  if (!isPair(body)) throw new Error('no pair')
  return body
}

/** Logs in and verifies the token as anyone could, from the published keys. */
async function loggedIn(body: unknown, tenant = 'default', more: Partial<Request> = {}): Promise<Identified> {
  const { access_token: token } = pairOf(await login(body, more))
  const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(world.tenants.jwks(tenant))), {
    currentDate: new Date(NOW * 1_000),
  })
  return anIdentity({
    tenant,
    user: String(payload.sub),
    session: String(payload['sid']),
    tokenId: String(payload.jti),
    epoch: Number(payload['uv']),
    expiresAt: Number(payload.exp),
  })
}

function sessionOf(id = '') {
  return world.storage.sessions.findByToken({ tenant: 'default', bucket: 0, id })
}

describe('registering', () => {
  test('makes an account and shows it', async () => {
    const answer = await register({ ...ANN, username: 'Ann_1' })
    expect(answer).toMatchObject({ status: 201, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toEqual({
      user: {
        id: expect.stringMatching(/^usr_[0-9a-f]{32}$/),
        tenant_id: 'default',
        email: 'Ann@Example.com',
        username: 'Ann_1',
        display_name: null,
        created_at: '2027-01-15T08:00:00.000Z',
      },
    })
  })

  test('keeps the password as an Argon2id hash of the cost that is promised', async () => {
    const slow = await openWorld(argon2id)
    await slow.ask({ service: 'accounts', endpoint: 'register', body: ANN })
    const account = await slow.storage.accounts.findByEmail('default', 'ann@example.com')
    expect(account?.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    const right = await slow.ask({ service: 'accounts', endpoint: 'login', body: ANN })
    expect(right).toMatchObject({ status: 200 })
    const wrong = await slow.ask({ service: 'accounts', endpoint: 'login', body: { ...ANN, password: 'correct horsf' } })
    expect(refusalOf(wrong).kind).toBe('bad_credentials')
    slow.close()
  })

  test('refuses an e-mail or a username that is taken, whatever its case, but not in another tenant', async () => {
    await register({ ...ANN, username: 'Ann_1' })
    expect(refusalOf(await register({ email: 'ann@EXAMPLE.com', password: 'another one' })).kind).toBe('email_taken')
    const other = { email: 'other@example.com', password: 'another one', username: 'aNN_1' }
    expect(refusalOf(await register(other)).kind).toBe('username_taken')
    expect(await register({ ...ANN, username: 'Ann_1', tenant_id: 'acme' })).toMatchObject({ status: 201 })
  })

  test('is refused where it is closed, before any work', async () => {
    expect(refusalOf(await register({ ...ANN, tenant_id: 'closed' })).kind).toBe('registration_closed')
    expect(world.hashRuns()).toBe(0)
  })

  test.each([
    ['no e-mail', { password: ANN.password }, ['email']],
    ['no password', { email: ANN.email }, ['password']],
    ['nothing at all', {}, ['email', 'password']],
    ['two at signs', { ...ANN, email: 'a@b@c' }, ['email']],
    ['no at sign', { ...ANN, email: 'ann' }, ['email']],
    ['nothing before the at sign', { ...ANN, email: '@b' }, ['email']],
    ['nothing after the at sign', { ...ANN, email: 'a@' }, ['email']],
    ['white space', { ...ANN, email: 'a b@c' }, ['email']],
    ['a line end', { ...ANN, email: 'a@b\r\nbcc: x' }, ['email']],
    ['an invisible character', { ...ANN, email: 'a\u200b@b' }, ['email']],
    ['an e-mail of 255 characters', { ...ANN, email: `a@${'b'.repeat(253)}` }, ['email']],
    ['a password of 7 bytes', { ...ANN, password: '1234567' }, ['password']],
    ['a password of 1025 bytes', { ...ANN, password: 'x'.repeat(1_025) }, ['password']],
    ['a number for a password', { ...ANN, password: 12_345_678 }, ['password']],
    ['unknown keys', { ...ANN, admin: true, role: 'root' }, ['admin', 'role']],
    ['a wrong e-mail and a wrong username', { ...ANN, email: 'x', username: 'a b' }, ['email', 'username']],
  ])('with %s names the fields', async (_, body, fields) => {
    expect(refusalOf(await register(body))).toEqual({ kind: 'invalid_request', fields })
  })

  test.each(['ab', 'a b c', 'a'.repeat(31), 'ann@x', 'änn', 'ann\n'])('refuses the username %j as invalid', async (username) => {
    expect(refusalOf(await register({ ...ANN, username }))).toEqual({ kind: 'username_invalid', fields: ['username'] })
  })

  test('takes an e-mail of 254 characters and a password of 1024 bytes', async () => {
    const body = { email: `a@${'b'.repeat(252)}`, password: 'ö'.repeat(512) }
    expect(await register(body)).toMatchObject({ status: 201 })
    expect(await login(body)).toMatchObject({ status: 200 })
    expect(refusalOf(await login({ ...body, password: 'ö'.repeat(511) })).kind).toBe('bad_credentials')
  })
})

describe('logging in', () => {
  beforeEach(async () => {
    await register({ ...ANN, username: 'Ann_1' })
  })

  test('answers with a pair of tokens', async () => {
    const answer = await login(ANN, { headers: ['User-Agent', 'x'.repeat(300)], client: '2001:db8::7' })
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store', 'content-type': 'application/json' } })
    const body = pairOf(answer)
    expect(body).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^gwr_/),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_expires_in: 1_209_600,
      session_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      scope: '',
    })
    expect(world.tenants.readRefreshToken('default', body.refresh_token)).toEqual({
      sid: body.session_id,
      generation: 0,
      bucket: 0,
    })
    const session = await sessionOf(body.session_id)
    expect(session).toMatchObject({ device: 'x'.repeat(256), ip: '2001:db8::7', createdAt: NOW, expiresAt: NOW + 2_592_000 })
    expect(session).toMatchObject({ idleExpiresAt: NOW + 1_209_600, tokensUntil: NOW + 902, generation: 0 })
    expect(world.events).toEqual(['default created 1'])
  })

  test('makes an access token with every claim', async () => {
    const { access_token: token, session_id: sid } = pairOf(await login(ANN))
    const user = await world.storage.accounts.findByEmail('default', 'ann@example.com')
    const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(world.tenants.jwks('default'))), {
      currentDate: new Date(NOW * 1_000),
    })
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' })
    expect(payload).toEqual({
      iss: 'http://localhost:8080/t/default',
      sub: user?.id,
      aud: 'api',
      exp: NOW + 900,
      iat: NOW,
      nbf: NOW,
      jti: expect.stringMatching(/^[0-9a-f]{32}$/),
      sid,
      tenant_id: 'default',
      scope: '',
      metadata: {},
      token_type: 'access',
      client_id: 'gatehouse',
      auth_time: NOW,
      uv: 0,
    })
  })

  test('takes the username in place of the e-mail, both in any case', async () => {
    expect(await login({ username: 'ANN_1', password: ANN.password })).toMatchObject({ status: 200 })
    expect(await login({ email: 'ANN@example.COM', password: ANN.password })).toMatchObject({ status: 200 })
  })

  test('takes a password in whatever form the keyboard composed it', async () => {
    const body = { email: 'bea@example.com', password: 'pass\u00a0w\u00f6rd' }
    await register(body)
    expect(await login({ ...body, password: 'pass wo\u0308rd' })).toMatchObject({ status: 200 })
  })

  test.each([
    ['neither e-mail nor username', { password: 'x' }, ['email']],
    ['both', { ...ANN, username: 'Ann_1' }, ['email']],
    ['no password', { email: ANN.email }, ['password']],
    ['nothing', {}, ['password', 'email']],
    ['an unknown key', { ...ANN, cookies: true }, ['cookies']],
    ['an address like a@b@c', { ...ANN, email: 'a@b@c' }, ['email']],
    ['a list', [], []],
    ['null', 'null', []],
  ])('with %s is refused', async (_, body, fields) => {
    const refusal = refusalOf(await login(body))
    expect(refusal.kind).toBe('invalid_request')
    expect(new Set(refusal.fields)).toEqual(new Set<string>(fields))
    expect(world.hashRuns()).toBe(1)
  })

  test('answers an unknown user and a wrong password alike, in words and in work', async () => {
    const before = world.hashRuns()
    const wrong = await login({ ...ANN, password: 'wrong horse' })
    const afterWrong = world.hashRuns()
    const unknown = await login({ ...ANN, email: 'nobody@example.com' })
    const unknownName = await login({ username: 'nobody at all', password: 'wrong horse' })
    expect([afterWrong - before, world.hashRuns() - afterWrong]).toEqual([1, 2])
    for (const answer of [wrong, unknown, unknownName]) {
      expect(answer).toBeInstanceOf(Problem)
      expect(answer).toMatchObject({ kind: 'bad_credentials', facts: {} })
    }
    expect(JSON.stringify(unknown)).toBe(JSON.stringify(wrong))
  })

  test('does not know the user of another tenant', async () => {
    expect(refusalOf(await login({ ...ANN, tenant_id: 'acme' })).kind).toBe('bad_credentials')
  })
})

describe('the tenant of a request', () => {
  test.each([
    ['the default', {}, {}, 'default'],
    ['that of the body', { tenant_id: 'acme' }, {}, 'acme'],
    ['that of the host', {}, { tenant: 'acme' }, 'acme'],
    ['that of the path', {}, { path: '/t/acme/auth/register' }, 'acme'],
    ['the same in all three', { tenant_id: 'acme' }, { tenant: 'acme', path: '/t/acme/auth/register' }, 'acme'],
  ])('is %s', async (_, body, more, expected) => {
    expect(bodyOf(await register({ ...ANN, ...body }, more))).toMatchObject({ user: { tenant_id: expected } })
  })

  test.each([
    ['host and body', { tenant_id: 'default' }, { tenant: 'acme' }, ['tenant_id']],
    ['host and path', {}, { tenant: 'acme', path: '/t/default/auth/register' }, []],
    ['path and body', { tenant_id: 'acme' }, { path: '/t/default/auth/register' }, ['tenant_id']],
  ])('is refused where %s differ', async (_, body, more, fields) => {
    expect(refusalOf(await register({ ...ANN, ...body }, more))).toEqual({ kind: 'invalid_request', fields })
  })

  test('must be configured', async () => {
    expect(refusalOf(await register({ ...ANN, tenant_id: 'nowhere' })).kind).toBe('tenant_not_found')
    expect(refusalOf(await register({ ...ANN, tenant_id: '__proto__' })).kind).toBe('tenant_not_found')
    expect(refusalOf(await login(ANN, { path: '/t/nowhere/auth/login' })).kind).toBe('tenant_not_found')
  })
})

describe('a caller', () => {
  let ann: Identified
  beforeEach(async () => {
    await register({ ...ANN, username: 'Ann_1' })
    ann = await loggedIn(ANN)
  })

  test('sees its own account', async () => {
    const answer = await call('me', ann)
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toMatchObject({ id: ann.user, tenant_id: 'default', email: 'Ann@Example.com', username: 'Ann_1' })
  })

  test('without an account is refused', async () => {
    expect(refusalOf(await call('me', { ...ann, user: 'usr_gone' })).kind).toBe('invalid_token')
    expect(refusalOf(await call('me', { ...ann, tenant: 'acme' })).kind).toBe('invalid_token')
    expect(refusalOf(await call('me', { ...ann, user: 'u', issuer: 'corporate' })).kind).toBe('access_denied')
  })

  test('logs out of this session alone', async () => {
    const other = await loggedIn(ANN)
    expect(await call('logout', ann)).toEqual({ status: 204, headers: { 'cache-control': 'no-store' } })
    expect(await sessionOf(ann.session)).toBeUndefined()
    expect(await sessionOf(other.session)).toBeDefined()
    expect(await world.storage.log.isRevoked(ann)).toBe(true)
    expect(await world.storage.log.isRevoked(other)).toBe(false)
    expect((await snapshotOf(world.storage.log)).revocations).toEqual([
      { kind: 'session', tenant: 'default', id: ann.session, expiresAt: NOW + 902 },
    ])
    expect(world.recorded).toMatchObject([{ event: 'session_ended', reason: 'logout' }])
    expect(world.events.at(-1)).toBe('default ended 1')
  })

  test('logs out everywhere and is told of how many sessions', async () => {
    const other = await loggedIn(ANN)
    const answer = await call('logout-all', ann)
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toEqual({ revoked_count: 2 })
    expect(await world.storage.log.isRevoked(ann)).toBe(true)
    expect(await world.storage.log.isRevoked(other)).toBe(true)
    const again = await loggedIn(ANN)
    expect(again.epoch).toBe(NOW)
    expect(await world.storage.log.isRevoked(again)).toBe(false)
  })

  test('with a token of a foreign issuer logs out as far as the token goes', async () => {
    const foreign = anIdentity({ issuer: 'corporate', tenant: 'acme', user: 'u1', expiresAt: NOW + 80_000, skewSeconds: 30 })
    expect(await call('logout', { ...foreign, tokenId: 'j1' })).toMatchObject({ status: 204 })
    expect(await call('logout', { ...foreign, tokenId: 'j2', session: 's2' })).toMatchObject({ status: 204 })
    expect(refusalOf(await call('logout', foreign)).kind).toBe('invalid_request')
    expect(bodyOf(await call('logout-all', foreign))).toEqual({ revoked_count: 0 })
    expect((await snapshotOf(world.storage.log)).revocations).toEqual([
      { kind: 'token', tenant: 'acme', id: 'j1', expiresAt: NOW + 80_030 },
      { kind: 'session', tenant: 'acme', id: 's2', expiresAt: NOW + 86_460 },
      { kind: 'user', tenant: 'acme', id: 'u1', epoch: NOW, at: NOW, expiresAt: NOW + 86_460 },
    ])
  })

  test('that is anonymous is refused', async () => {
    for (const endpoint of ['me', 'logout', 'logout-all']) expect(refusalOf(await call(endpoint)).kind).toBe('unauthorized')
  })
})

describe('without its storage', () => {
  test('every endpoint answers storage_unavailable', async () => {
    await register(ANN)
    world.storage.close()
    const principal = anIdentity({ session: 'a'.repeat(32) })
    const answers = [
      await register({ ...ANN, email: 'b@x.org' }),
      await login(ANN),
      ...(await Promise.all(
        ['me', 'logout', 'logout-all'].map((endpoint) => world.ask({ service: 'accounts', endpoint, principal })),
      )),
    ]
    for (const answer of answers) {
      expect(answer).toMatchObject({ kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } })
    }
  })
})

describe('while sessions have no store', () => {
  test('a login is refused before it costs a password hash, and passes when it is back', async () => {
    await register(ANN)
    const before = world.hashRuns()
    world.clock.redis = 'down'
    expect(await login(ANN)).toMatchObject({ kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } })
    expect(world.hashRuns()).toBe(before)
    world.clock.redis = 'up'
    expect(await login(ANN)).toMatchObject({ status: 200 })
    expect(world.hashRuns()).toBe(before + 1)
  })
})

describe('the scopes of a login', () => {
  test('are those of its tenant, in the answer, the token and after a refresh', async () => {
    world.close()
    world = await openWorld(undefined, { loginScopes: ['orders:read', 'orders:write'] })
    await register({ ...ANN, tenant_id: 'acme' })
    const pair = pairOf(await login({ ...ANN, tenant_id: 'acme' }))
    expect(pair).toMatchObject({ scope: 'orders:read orders:write' })
    expect(await world.identify(pair.access_token)).toMatchObject({ scopes: ['orders:read', 'orders:write'] })
    const refreshed = await world.ask({ service: 'sessions', endpoint: 'refresh', body: { refresh_token: pair.refresh_token } })
    expect(bodyOf(refreshed)).toMatchObject({ scope: 'orders:read orders:write' })
  })
})

describe('the record', () => {
  test('holds of guessing each failure, and the lock once', async () => {
    await register(ANN)
    const user = await world.storage.accounts.findByEmail('default', 'ann@example.com')
    world.accountEvents.length = 0
    const guess = () => login({ ...ANN, password: 'wrong wrong' }, { client: '192.0.2.9' }).catch(() => undefined)
    for (let i = 0; i < 12; i++) await guess()
    const circumstances = { tenant: 'default', user: user?.id, ip: '192.0.2.9', requestId: expect.any(String) }
    const failure = { event: 'authn_login_fail', reason: 'wrong name or password', ...circumstances }
    const lock = { event: 'authn_login_lock', reason: 'too many failures of this address with this account', ...circumstances }
    await expect.poll(() => world.accountEvents).toEqual([...Array.from({ length: 5 }, () => failure), lock])
  })

  test('holds of a lock of nobody’s account no name', async () => {
    const guess = () => login({ email: 'nobody@example.com', password: 'wrong wrong' }).catch(() => undefined)
    for (let i = 0; i < 12; i++) await guess()
    await expect.poll(() => world.accountEvents.length).toBe(6)
    expect(JSON.stringify(world.accountEvents)).not.toContain('nobody')
    expect(world.accountEvents.at(-1)).not.toHaveProperty('user')
  })

  test('says by which request a session began and ended, and who ended it', async () => {
    await register(ANN)
    const principal = await loggedIn(ANN)
    await world.ask({ service: 'accounts', endpoint: 'logout', principal })
    expect(world.recorded).toEqual([
      {
        event: 'session_ended',
        tenant: 'default',
        user: principal.user,
        actor: principal.user,
        subject: principal.session,
        reason: 'logout',
        ip: expect.any(String),
        requestId: expect.any(String),
      },
    ])
  })
})
