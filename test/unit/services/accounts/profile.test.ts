import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEVICE_COOKIE } from '../../../../src/exchange/exchange.ts'
import type { Identified } from '../../../../src/exchange/exchange.ts'
import { Problem } from '../../../../src/problem/problem.ts'
import { argon2id } from '../../../../src/services/accounts/accounts.ts'
import type { Request, World } from '../world.ts'
import { anIdentity, bodyOf, NOW, ORIGIN, openWorld, refusalOf } from '../world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const PASSWORD = 'correct horse'

function ask(endpoint: string, body: unknown, more: Partial<Request> = {}) {
  return world.ask({ service: 'accounts', endpoint, path: `/auth/${endpoint}`, body, ...more })
}

interface Session {
  readonly access_token: string
  readonly session_id: string
}

async function loginOf(email: string, password = PASSWORD, more: Partial<Request> = {}): Promise<Session> {
  const body = bodyOf(await ask('login', { email, password }, more))
  if (typeof body !== 'object' || body === null || !('access_token' in body) || !('session_id' in body))
    throw new Error('no pair')
  return { access_token: String(body.access_token), session_id: String(body.session_id) }
}

/** A user who has registered and logged in. */
async function aUser(name: string, more: Record<string, unknown> = {}): Promise<Identified> {
  const email = `${name}@example.com`
  expect(await ask('register', { email, password: PASSWORD, ...more })).toMatchObject({ status: 201 })
  const principal = await world.identify((await loginOf(email)).access_token)
  if (principal instanceof Problem) throw principal
  return principal
}

describe('the profile', () => {
  test('takes a username and a display name, in one step or one after the other', async () => {
    const principal = await aUser('ann')
    const first = await ask('profile', { username: 'Ann_1', display_name: 'Ann 👩‍🚀 Lee' }, { principal, method: 'PATCH' })
    expect(first).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    expect(bodyOf(first)).toEqual({
      id: principal.user,
      tenant_id: 'default',
      email: 'ann@example.com',
      username: 'Ann_1',
      display_name: 'Ann 👩‍🚀 Lee',
      created_at: '2027-01-15T08:00:00.000Z',
    })
    expect(bodyOf(await ask('profile', { display_name: null }, { principal }))).toMatchObject({
      username: 'Ann_1',
      display_name: null,
    })
    expect(bodyOf(await ask('profile', { username: 'ANN_1' }, { principal }))).toMatchObject({ username: 'ANN_1' })
    expect(bodyOf(await ask('profile', {}, { principal }))).toMatchObject({ username: 'ANN_1', display_name: null })
    expect(world.told.filter(({ event }) => event === 'user_updated').map(({ reason, user }) => [reason, user])).toEqual([
      ['displayName, username', principal.user],
      ['displayName', principal.user],
      ['username', principal.user],
      ['', principal.user],
    ])
  })

  test('tells who wants a name of somebody else which ones are free, and changes nothing', async () => {
    await aUser('ann', { username: 'ann_lee' })
    const principal = await aUser('bea')
    const answer = await ask('profile', { username: 'Ann_Lee', display_name: 'Bea' }, { principal })
    if (!(answer instanceof Problem)) throw new Error('no problem')
    expect([answer.kind, answer.status]).toEqual(['username_taken', 409])
    const { suggestions = [] } = answer.facts
    expect(suggestions.length).toBeGreaterThanOrEqual(3)
    expect(bodyOf(await ask('me', undefined, { principal }))).toMatchObject({ username: null, display_name: null })
    for (const username of suggestions) expect(await ask('profile', { username }, { principal })).toMatchObject({ status: 200 })
  })

  test('takes a held name for its ticket alone, also at registration', async () => {
    const ticket = randomBytes(24).toString('base64url')
    const ticketHash = createHash('sha256').update(ticket).digest('base64url')
    const principal = await aUser('ann')
    for (const [folded, claim] of [
      ['held_name', (body: object) => ask('profile', { username: 'Held_Name', ...body }, { principal })],
      [
        'held_too',
        (body: object) => ask('register', { email: 'c@example.com', password: PASSWORD, username: 'held_too', ...body }),
      ],
    ] as const) {
      await world.storage.usernames.hold({ tenant: 'default', folded, ticketHash, expiresAt: NOW + 300 }, NOW)
      expect(refusalOf(await claim({})).kind).toBe('username_taken')
      const wrong = randomBytes(24).toString('base64url')
      expect(refusalOf(await claim({ hold_ticket: wrong })).kind).toBe('username_taken')
      expect(bodyOf(await claim({ hold_ticket: ticket }))).toBeDefined()
    }
    expect(refusalOf(await ask('profile', { hold_ticket: ticket }, { principal }))).toEqual({
      kind: 'invalid_request',
      fields: ['hold_ticket'],
    })
  })

  test('keeps a name that was given up for whoever had it', async () => {
    const ann = await aUser('ann', { username: 'ann_lee' })
    const bea = await aUser('bea')
    const claim = (username: string, principal: Identified) => ask('profile', { username }, { principal })
    expect(bodyOf(await claim('ann_moved', ann))).toMatchObject({ username: 'ann_moved' })
    expect(refusalOf(await claim('ann_lee', bea)).kind).toBe('username_taken')
    expect(await world.usernames.check('default', 'ann_lee', 'test')).toMatchObject({ available: false })
    expect(bodyOf(await claim('Ann_Lee', ann))).toMatchObject({ username: 'Ann_Lee' })
    expect(refusalOf(await claim('ann_moved', bea)).kind).toBe('username_taken')
  })

  test.each([
    ['a short name', { username: 'ab' }, 'username_invalid', ['username']],
    ['a name with a dot', { username: 'a.b.c' }, 'username_invalid', ['username']],
    ['a name with a zero', { username: 'abc\0' }, 'username_invalid', ['username']],
    ['a reserved name', { username: 'Admin' }, 'username_reserved', []],
    ['one that looks like it', { username: 'Adm1n_' }, 'username_reserved', []],
    ['null for a name', { username: null }, 'invalid_request', ['username']],
    ['an empty display name', { display_name: '' }, 'invalid_request', ['display_name']],
    ['a blank one', { display_name: ' \u3000' }, 'invalid_request', ['display_name']],
    ['one of 101 characters', { display_name: 'x'.repeat(101) }, 'invalid_request', ['display_name']],
    ['one with a line end', { display_name: 'a\nb' }, 'invalid_request', ['display_name']],
    ['one that turns the text around', { display_name: 'a\u202eb' }, 'invalid_request', ['display_name']],
    ['an e-mail address', { email: 'x@example.com' }, 'invalid_request', ['email']],
    ['a password', { password: 'another one' }, 'invalid_request', ['password']],
    ['a status', { status: 'disabled' }, 'invalid_request', ['status']],
  ])('refuses %s', async (_, body, kind, fields) => {
    const principal = await aUser('ann')
    const answer = await ask('profile', body, { principal })
    expect(refusalOf(answer)).toEqual({ kind, fields })
  })

  test('is of users of this gateway', async () => {
    const stranger = anIdentity({ issuer: 'corporate', user: 'u1' })
    expect(refusalOf(await ask('profile', { username: 'ann' }, { principal: stranger })).kind).toBe('access_denied')
    expect(refusalOf(await ask('profile', { username: 'ann' })).kind).toBe('unauthorized')
    expect(refusalOf(await ask('profile', { username: 'ann' }, { principal: anIdentity({ user: 'usr_gone' }) })).kind).toBe(
      'invalid_token',
    )
  })

  test('slows down a user who tries one name after the other', async () => {
    const principal = await aUser('ann')
    const kinds = []
    for (let i = 0; i < 70; i++) {
      const answer = await ask('profile', { username: 'admin' }, { principal, client: `192.0.2.${i}` })
      kinds.push(refusalOf(answer).kind)
    }
    expect(kinds.filter((kind) => kind === 'username_reserved').length).toBe(60)
    expect(kinds.at(-1)).toBe('rate_limited')
  })
})

test('a registration with a username costs its address a check; one without costs nothing', async () => {
  const register = (more: object) => ask('register', { email: 'zoe@example.com', password: PASSWORD, ...more })
  const kinds: string[] = []
  for (let count = 0; count < 21; count += 1) kinds.push(refusalOf(await register({ username: 'admin' })).kind)
  expect(kinds).toEqual([...Array.from({ length: 20 }, () => 'username_reserved'), 'rate_limited'])
  expect(await register({})).toMatchObject({ status: 201 })
})

describe('the change of a password', () => {
  const NEW = 'a much better one'

  test('ends every other session, and takes the new one from then on', async () => {
    const principal = await aUser('ann')
    const other = await loginOf('ann@example.com')
    const answer = await ask('password', { current_password: PASSWORD, new_password: NEW }, { principal })
    expect(answer).toEqual({ status: 204, headers: { 'cache-control': 'no-store' } })
    expect(await world.identify(other.access_token)).toMatchObject({ kind: 'token_revoked' })
    expect(bodyOf(await ask('me', undefined, { principal }))).toMatchObject({ email: 'ann@example.com' })
    const sessions = await world.sessions.list(principal)
    expect(sessions.map(({ id }) => id)).toEqual([principal.session])
    expect(refusalOf(await ask('login', { email: 'ann@example.com', password: PASSWORD })).kind).toBe('bad_credentials')
    expect((await loginOf('ann@example.com', NEW)).session_id).toMatch(/^[0-9a-f]{32}$/)
    expect(world.told.map(({ event }) => event)).toContain('authn_password_change')
  })

  test('is refused without the current one, slower and slower', async () => {
    const principal = await aUser('ann')
    const wrong = { current_password: 'wrong', new_password: NEW }
    for (let i = 0; i < 5; i++) expect(refusalOf(await ask('password', wrong, { principal })).kind).toBe('wrong_password')
    const runs = world.hashRuns()
    expect(await ask('password', { ...wrong, current_password: PASSWORD }, { principal })).toMatchObject({
      kind: 'rate_limited',
      facts: { headers: { 'retry-after': '1' } },
    })
    expect(world.hashRuns()).toBe(runs)
    expect(world.told.filter(({ event }) => event === 'authn_password_change_fail').length).toBe(5)
    world.clock.nowMs += 1_000
    expect(await ask('password', { ...wrong, current_password: PASSWORD }, { principal })).toMatchObject({ status: 204 })
  })

  test.each([
    ['a short one', '1234567', 'must have 8 to 1024 bytes'],
    ['one that is guessed first', 'Passw0rd!', 'is one of those that are guessed first: choose another one'],
    ['their e-mail address', 'ANN@example.com', 'must not be the e-mail address or the username'],
    ['one that was found in a breach', 'leaked and known', 'was found in a breach: choose another one'],
  ])('does not take %s, nor does registering', async (_, password, message) => {
    world.breached.add(createHash('sha1').update('leaked and known').digest('hex').toUpperCase())
    const principal = await aUser('ann')
    const change = await ask('password', { current_password: PASSWORD, new_password: password }, { principal })
    expect(change).toMatchObject({ kind: 'invalid_request', facts: { fields: [{ field: 'new_password', message }] } })
    if (password.includes('@')) return
    const registration = await ask('register', { email: 'bea@example.com', password })
    expect(registration).toMatchObject({ kind: 'invalid_request', facts: { fields: [{ field: 'password', message }] } })
  })

  test('is not made while other sessions cannot be ended', async () => {
    const principal = await aUser('ann')
    const before = world.store.current
    world.store.current = { ...before, endOthers: () => Promise.reject(new Problem('storage_unavailable')) }
    const change = { current_password: PASSWORD, new_password: NEW }
    expect(refusalOf(await ask('password', change, { principal })).kind).toBe('storage_unavailable')
    world.store.current = before
    expect((await loginOf('ann@example.com')).session_id).toMatch(/^[0-9a-f]{32}$/)
    expect(refusalOf(await ask('login', { email: 'ann@example.com', password: NEW })).kind).toBe('bad_credentials')
  })

  test('leaves no session to a login with the old password that was under way', async () => {
    const principal = await aUser('ann')
    const { create } = world.store.current
    world.store.current = {
      ...world.store.current,
      async create(...values) {
        world.store.current = { ...world.store.current, create }
        expect(await ask('password', { current_password: PASSWORD, new_password: NEW }, { principal })).toMatchObject({
          status: 204,
        })
        return create(...values)
      },
    }
    expect(refusalOf(await ask('login', { email: 'ann@example.com', password: PASSWORD })).kind).toBe('bad_credentials')
    expect((await world.sessions.list(principal)).map(({ id }) => id)).toEqual([principal.session])
  })
})

describe('a login', () => {
  test('hashes again what was hashed at another cost', async () => {
    const slow = await openWorld(argon2id)
    const salt = randomBytes(16)
    const derived = await argon2id(Buffer.from(PASSWORD), salt, { memoryKiB: 256, passes: 1, lanes: 1 }, 32)
    const plain = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
    const passwordHash = `$argon2id$v=19$m=256,t=1,p=1$${plain(salt)}$${plain(derived)}`
    const email = 'old@example.com'
    await slow.storage.accounts.create({
      id: 'usr_old',
      tenant: 'default',
      email,
      emailFolded: email,
      passwordHash,
      status: 'active',
      createdAt: NOW,
    })
    const login = { service: 'accounts', endpoint: 'login', body: { email, password: PASSWORD } }
    expect(await slow.ask(login)).toMatchObject({ status: 200 })
    const after = await slow.storage.accounts.findById('default', 'usr_old')
    expect(after?.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    const runs = slow.hashRuns()
    expect(await slow.ask(login)).toMatchObject({ status: 200 })
    expect(slow.hashRuns()).toBe(runs + 1)
    slow.close()
  })

  test('from a device that logged in before goes through while strangers fail', async () => {
    await aUser('ann')
    const first = await ask('login', { email: 'ann@example.com', password: PASSWORD })
    if (first instanceof Problem) throw first
    const token = first.headers?.['gatehouse-device'] ?? ''
    expect(token).toMatch(/^gwd_[A-Za-z0-9_-]{60,120}$/)
    for (let i = 0; i < 8; i++) await ask('login', { email: 'ann@example.com', password: 'guess' }, { client: `198.51.100.${i}` })
    const login = (headers: readonly string[], email = 'ann@example.com') =>
      ask('login', { email, password: PASSWORD }, { headers })
    expect(refusalOf(await login([])).kind).toBe('rate_limited')
    expect(refusalOf(await login(['Gatehouse-Device', `${token}x`])).kind).toBe('rate_limited')
    expect(await login(['Gatehouse-Device', token])).toMatchObject({ status: 200 })
    expect(await login(['Cookie', `${DEVICE_COOKIE}=${token}`])).toMatchObject({ status: 200 })
    await world.pass(181 * 86_400)
    expect(refusalOf(await login(['Gatehouse-Device', token])).kind).toBe('rate_limited')
  })

  test('of another user or tenant gains nothing by the token of a device', async () => {
    await aUser('ann')
    const first = await ask('login', { email: 'ann@example.com', password: PASSWORD })
    if (first instanceof Problem) throw first
    const headers = ['Gatehouse-Device', first.headers?.['gatehouse-device'] ?? '']
    await aUser('bea')
    for (let i = 0; i < 8; i++) await ask('login', { email: 'bea@example.com', password: 'guess' }, { client: `198.51.100.${i}` })
    expect(refusalOf(await ask('login', { email: 'bea@example.com', password: PASSWORD }, { headers })).kind).toBe('rate_limited')
    expect(world.tenants.deviceTokens.read('acme', headers[1] ?? '')).toBeUndefined()
    expect(world.tenants.deviceTokens.read('default', headers[1] ?? '')).toMatchObject({ expiresAt: NOW + 180 * 86_400 })
  })

  test('of a browser keeps the token of the device in a cookie for the login alone', async () => {
    await aUser('ann')
    const answer = await ask(
      'login',
      { email: 'ann@example.com', password: PASSWORD, cookie: true },
      { headers: ['Origin', ORIGIN, 'Sec-Fetch-Site', 'same-origin'] },
    )
    if (answer instanceof Problem) throw answer
    expect(answer.headers?.['gatehouse-device']).toBeUndefined()
    expect(answer.cookies?.at(-1)).toMatch(
      new RegExp(`^${DEVICE_COOKIE}=gwd_[A-Za-z0-9_-]+; Path=/auth/login; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict$`),
    )
  })
})
