/** Browser mode of the services: what comes as cookies, what is told beside them, and what takes them away again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import type { Answer } from '../../../src/services/services.ts'
import { cookiesOf, createSessionCookies } from '../../../src/services/session-cookies.ts'
import { testConfig } from '../../support/config.ts'
import { call, created, principalOf, standing } from './session-calls.ts'
import { admittedOf, bodyOf, openWorld, refusalOf } from './world.ts'
import type { Request, World } from './world.ts'

const ANN = { email: 'ann@example.com', password: 'correct horse battery' } as const
const OWN_PAGE = ['Sec-Fetch-Site', 'same-origin'] as const
const GONE = '__Host-gw_at=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax'

let world: World
beforeAll(async () => {
  world = await openWorld()
  await world.ask({ service: 'accounts', endpoint: 'register', body: ANN })
})
afterAll(() => world.close())

function login(body: unknown, headers: readonly string[] = OWN_PAGE): Promise<Answer | Problem> {
  return world.ask({ service: 'accounts', endpoint: 'login', path: '/auth/login', body, headers })
}

function answerOf(answer: Answer | Problem): Answer {
  if (answer instanceof Problem) throw new Error(`a problem: ${answer.kind}`)
  return answer
}

/** Value of the cookie that an answer sets. */
function tokenIn(answer: Answer | Problem, at: number): string {
  return /^[^=]+=([^;]*)/.exec(answerOf(answer).cookies?.[at] ?? '')?.[1] ?? ''
}

describe('a login with cookie: true', () => {
  test('sets the access token as a cookie, and answers without any token', async () => {
    const answer = answerOf(await login({ ...ANN, cookie: true }))
    expect([answer.status, answer.headers]).toEqual([200, { 'content-type': 'application/json', 'cache-control': 'no-store' }])
    expect(bodyOf(answer)).toEqual({
      expires_in: 900,
      refresh_expires_in: 1_209_600,
      session_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      scope: '',
    })
    // No route of this world takes a refresh token, so none is given away.
    expect(answer.cookies).toEqual([
      expect.stringMatching(/^__Host-gw_at=[\w.-]+; Path=\/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$/),
      expect.stringMatching(
        /^__Secure-gw_dev=gwd_[\w-]+; Path=\/auth\/\w+; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict$/,
      ),
    ])
    expect(await standing(world, tokenIn(answer, 0))).toBe('good')
  })

  test('is refused from anywhere but a page of ours, before the password is looked at', async () => {
    const runs = world.hashRuns()
    for (const headers of [[], ['Sec-Fetch-Site', 'cross-site'], ['Origin', 'https://evil.example']]) {
      expect(refusalOf(await login({ ...ANN, cookie: true }, headers)).kind).toBe('cross_site_request')
    }
    expect(world.hashRuns()).toBe(runs)
  })

  test('with cookie: false, or without it, is for everyone and sets none', async () => {
    for (const body of [ANN, { ...ANN, cookie: false }]) {
      const answer = answerOf(await login(body, []))
      expect(bodyOf(answer)).toMatchObject({ access_token: expect.any(String), refresh_token: expect.any(String) })
      expect(answer.cookies).toBeUndefined()
    }
    expect(refusalOf(await login({ ...ANN, cookie: 'yes' }))).toEqual({ kind: 'invalid_request', fields: ['cookie'] })
  })
})

describe('a refresh by cookie', () => {
  const refresh = (cookie: string, more: Partial<Request> = {}) =>
    call(world, 'refresh', {}, { path: '/sessions/refresh', headers: ['Cookie', cookie, ...OWN_PAGE], ...more })

  test('sets both cookies anew and answers without any token', async () => {
    const pair = await created(world)
    const answer = answerOf(await refresh(`a=b; __Secure-gw_rt=${pair.refresh_token}`))
    expect(answer.headers).toEqual({ 'content-type': 'application/json', 'cache-control': 'no-store' })
    expect(bodyOf(answer)).toEqual({
      expires_in: 900,
      refresh_expires_in: 1_209_600,
      session_id: pair.session_id,
      scope: 'orders:read',
    })
    expect(answer.cookies).toEqual([
      expect.stringMatching(/^__Host-gw_at=[\w.-]+; Path=\/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$/),
      expect.stringMatching(
        /^__Secure-gw_rt=gwr_[\w-]+; Path=\/sessions\/refresh; Max-Age=1209600; HttpOnly; Secure; SameSite=Strict$/,
      ),
    ])
    expect(await standing(world, tokenIn(answer, 0))).toBe('good')
    expect(tokenIn(answer, 1)).not.toBe(pair.refresh_token)
    const again = answerOf(await refresh(`__Secure-gw_rt=${tokenIn(answer, 1)}`))
    expect(again.status).toBe(200)
  })

  test('needs no body', async () => {
    const pair = await created(world)
    const headers = ['Cookie', `__Secure-gw_rt=${pair.refresh_token}`, ...OWN_PAGE]
    const answer = answerOf(await call(world, 'refresh', undefined, { path: '/sessions/refresh', headers }))
    expect([answer.status, answer.cookies?.length]).toEqual([200, 2])
  })

  test('is refused from anywhere but a page of ours, and the token stays good', async () => {
    const pair = await created(world)
    const cookie = ['Cookie', `__Secure-gw_rt=${pair.refresh_token}`]
    for (const more of [[], ['Sec-Fetch-Site', 'same-site'], ['Sec-Fetch-Site', 'cross-site'], ['Origin', 'null']]) {
      for (const body of [{}, undefined]) {
        const answer = await call(world, 'refresh', body, { headers: [...cookie, ...more] })
        expect(refusalOf(answer).kind).toBe('cross_site_request')
      }
    }
    const next = await call(world, 'refresh', { refresh_token: pair.refresh_token })
    expect(bodyOf(next)).toMatchObject({ session_id: pair.session_id })
  })

  test('is refused with two cookies, with none, and with one that is no token', async () => {
    const { refresh_token: token } = await created(world)
    expect(refusalOf(await refresh(`__Secure-gw_rt=${token}; __Secure-gw_rt=${token}`)).kind).toBe('repeated_cookie')
    expect(refusalOf(await refresh('a=b'))).toEqual({ kind: 'invalid_request', fields: ['refresh_token'] })
    expect(refusalOf(await refresh(`__Host-gw_rt=${token}`)).kind).toBe('invalid_request')
    expect(refusalOf(await refresh('__Secure-gw_rt=garbage')).kind).toBe('invalid_token')
    expect(refusalOf(await refresh('__Secure-gw_rt=')).kind).toBe('invalid_token')
    expect(refusalOf(await call(world, 'refresh'))).toEqual({ kind: 'invalid_request', fields: ['refresh_token'] })
  })

  test('is none where the body has a token: that one counts, and is answered in the body', async () => {
    const [inBody, inCookie] = [await created(world), await created(world)]
    const headers = ['Cookie', `__Secure-gw_rt=${inCookie.refresh_token}`]
    const answer = answerOf(await call(world, 'refresh', { refresh_token: inBody.refresh_token }, { headers }))
    expect(bodyOf(answer)).toMatchObject({ session_id: inBody.session_id, refresh_token: expect.stringMatching(/^gwr_/) })
    expect(answer.cookies).toBeUndefined()
  })
})

describe('what ends the session of the caller', () => {
  const CLEARED = { 'cache-control': 'no-store', 'clear-site-data': '"cookies", "storage", "cache"' }

  test.each([
    ['logout', 'accounts', 'logout', undefined],
    ['logout-all', 'accounts', 'logout-all', undefined],
    ['the deletion of the very session', 'sessions', 'delete', undefined],
    ['revoke-all', 'sessions', 'revoke-all', { user_id: 'u1', tenant_id: 'acme' }],
  ])('%s takes the cookies away and clears the site, by cookie alone', async (_, service, endpoint, body) => {
    for (const byCookie of [true, false]) {
      const pair = await created(world)
      const principal = await principalOf(world, pair.access_token)
      const params = { id: pair.session_id }
      const request = {
        service,
        endpoint,
        params,
        principal,
        ...(body && { body }),
        ...(byCookie && { byCookie: true as const }),
      }
      const answer = answerOf(await world.ask(request))
      expect(answer.headers).toEqual(byCookie ? expect.objectContaining(CLEARED) : expect.not.objectContaining(CLEARED))
      expect(answer.cookies).toEqual(byCookie ? [GONE] : undefined)
      expect(await standing(world, pair.access_token)).toBe('token_revoked')
    }
  })

  test('the deletion of another session, and revoke-others, leave the browser as it is', async () => {
    const [own, other] = [await created(world), await created(world)]
    const principal = await principalOf(world, own.access_token)
    const params = { id: other.session_id }
    const deleted = answerOf(await call(world, 'delete', undefined, { principal, byCookie: true, params }))
    const others = answerOf(await call(world, 'revoke-others', undefined, { principal, byCookie: true }))
    for (const answer of [deleted, others]) {
      expect(answer.headers).not.toHaveProperty('clear-site-data')
      expect(answer.cookies).toBeUndefined()
    }
    expect(await standing(world, own.access_token)).toBe('good')
  })
})

describe('the path of the refresh cookie', () => {
  const { routes } = testConfig(`
routes:
  - { name: other, match: { path: /elsewhere/*, hosts: [other.test] }, service: sessions }
  - { name: readers, match: { path: /read/*, methods: [GET] }, service: sessions }
  - { name: acme, match: { path: /t/acme/sessions/* }, service: sessions }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: more, match: { path: /more/* }, service: sessions }
`)
  const cookies = createSessionCookies({ routes })
  const pathOf = (host: string, path: string) => cookies.refreshPath({ ...admitted, host, path })
  const admitted = admittedOf({ service: 'accounts', endpoint: 'login', byCookie: true })

  test.each([
    ['gateway.test', '/auth/login', '/sessions/refresh'],
    ['other.test', '/auth/login', '/elsewhere/refresh'],
    ['gateway.test', '/t/acme/auth/login', '/t/acme/sessions/refresh'],
    ['gateway.test', '/t/globex/auth/login', '/sessions/refresh'],
  ])('on %s, after %s, is %s', (host, path, expected) => {
    expect(pathOf(host, path)).toBe(expected)
  })

  test('is the same when both cookies are taken away', () => {
    const answer = cookies.farewell({ ...admitted, path: '/t/acme/auth/logout' }, { status: 204 })
    expect(answer.cookies).toEqual([
      GONE,
      '__Secure-gw_rt=; Path=/t/acme/sessions/refresh; Max-Age=0; HttpOnly; Secure; SameSite=Strict',
    ])
  })

  test('is nowhere without a route that takes it', () => {
    expect(createSessionCookies({ routes: [] }).refreshPath(admitted)).toBeUndefined()
    const pair = { expires_in: 1, refresh_expires_in: 2, access_token: 'a.b.c', refresh_token: 'gwr_x' }
    const lines = cookiesOf({ ...pair, token_type: 'Bearer', session_id: 's', scope: '' }, undefined)
    expect(lines).toEqual(['__Host-gw_at=a.b.c; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=Lax'])
  })
})
