/** Browser mode through a real gateway: tokens in cookies from login to logout. */
import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEVICE_COOKIE } from '../../src/exchange/exchange.ts'
import { ask, type Answered } from '../support/attack.ts'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const USER = { email: `user-${randomUUID()}@example.com`, password: 'correct horse battery staple' }
const OWN_PAGE = ['Sec-Fetch-Site: same-origin', 'Origin: http://gateway.test']
const JSON_TYPE = 'Content-Type: application/json'

let upstream: Server
let gateway: TestGateway
/** Cookie fields that the upstream received. */
const received: (string | undefined)[] = []

beforeAll(async () => {
  upstream = createServer((req, res) => {
    received.push(req.headers.cookie)
    res.setHeader('set-cookie', ['theme=dark; Path=/', '__Host-gw_at=planted; Path=/; Secure', '__Secure-gw_rt=planted; Secure'])
    res.end(JSON.stringify({ user: req.headers['x-user-id'] ?? null }))
  })
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', resolve)
  })
  gateway = await startGateway(`
tenants: { default: { signing: ES256 } }
upstreams: { app: { targets: ["http://127.0.0.1:${(upstream.address() as AddressInfo).port}"] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: app, match: { path: /app/* }, auth: required, upstream: app }
  - { name: open, match: { path: /open/* }, auth: public, upstream: app }
  - { name: echo, match: { path: /api/* }, auth: optional, service: echo }
`)
  expect((await postJson(`${gateway.url}/auth/register`, USER)).status).toBe(201)
})
afterAll(async () => {
  await gateway.close()
  await new Promise((resolve) => upstream.close(resolve))
})

/** A browser's cookies, by name, as the answers set them. */
type Jar = Map<string, string>

function take(jar: Jar, answer: Answered): void {
  for (const line of answer.headers.get('set-cookie') ?? []) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    // It is sent to the login alone, and tells nothing of a session.
    if (name === DEVICE_COOKIE) continue
    if (/Max-Age=0(?:;|$)/.test(line)) jar.delete(name)
    else jar.set(name, value)
  }
}

function lineOf(jar: Jar): readonly string[] {
  return jar.size === 0 ? [] : [`Cookie: ${[...jar].map(([name, value]) => `${name}=${value}`).join('; ')}`]
}

async function post(jar: Jar, target: string, body: unknown, lines: readonly string[] = OWN_PAGE): Promise<Answered> {
  const answer = await ask(gateway.port, {
    method: 'POST',
    target,
    lines: [...lineOf(jar), ...lines, ...(body === undefined ? [] : [JSON_TYPE])],
    body: body === undefined ? '' : JSON.stringify(body),
  })
  take(jar, answer)
  return answer
}

const get = (jar: Jar, target: string) => ask(gateway.port, { target, lines: lineOf(jar) })

async function loggedIn(): Promise<Jar> {
  const jar: Jar = new Map()
  expect((await post(jar, '/auth/login', { ...USER, cookie: true })).status).toBe(200)
  expect([...jar.keys()]).toEqual(['__Host-gw_at', '__Secure-gw_rt'])
  return jar
}

describe('a login by cookie', () => {
  it('sets its cookies, says no token, and is not stored', async () => {
    const answer = await post(new Map(), '/auth/login', { ...USER, cookie: true })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toEqual(['no-store'])
    expect(answer.headers.get('set-cookie')).toEqual([
      expect.stringMatching(/^__Host-gw_at=[\w-]+\.[\w-]+\.[\w-]+; Path=\/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$/),
      expect.stringMatching(
        /^__Secure-gw_rt=gwr_[\w-]+; Path=\/sessions\/refresh; Max-Age=1209600; HttpOnly; Secure; SameSite=Strict$/,
      ),
      expect.stringMatching(
        /^__Secure-gw_dev=gwd_[\w-]+; Path=\/auth\/login; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict$/,
      ),
    ])
    expect(Object.keys(answer.json()).toSorted()).toEqual(['expires_in', 'refresh_expires_in', 'scope', 'session_id'])
  })

  it('makes a new session whatever cookie came', async () => {
    const jar = await loggedIn()
    const before = new Map(jar)
    expect((await post(jar, '/auth/login', { ...USER, cookie: true })).status).toBe(200)
    for (const [name, value] of before) expect(jar.get(name)).not.toBe(value)
    jar.set('__Host-gw_at', 'planted')
    jar.set('__Secure-gw_rt', 'planted')
    const answer = await post(jar, '/auth/login', { ...USER, cookie: true })
    expect([answer.status, (await get(jar, '/auth/me')).status]).toEqual([200, 200])
  })
})

describe('a session by cookie', () => {
  it('calls an upstream, which receives neither cookie and sets neither', async () => {
    const jar = await loggedIn()
    jar.set('theme', 'light')
    received.length = 0
    for (const target of ['/app/x', '/open/x']) {
      const answer = await get(jar, target)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('set-cookie')).toEqual(['theme=dark; Path=/'])
    }
    expect(received).toEqual(['theme=light', 'theme=light'])
  })

  it('is known by the services, and where a route takes anybody', async () => {
    const jar = await loggedIn()
    expect((await get(jar, '/auth/me')).json()).toMatchObject({ email: USER.email })
    expect((await get(jar, '/sessions')).json()['sessions']).toContainEqual(expect.objectContaining({ current: true }))
    expect((await get(jar, '/api/x')).json()).toMatchObject({ identity: { tenant: 'default' } })
    expect((await get(new Map(), '/api/x')).json()).not.toHaveProperty('identity.user')
  })

  it('is refreshed by its cookie alone, which is new then, and says no token', async () => {
    const jar = await loggedIn()
    const before = new Map(jar)
    for (const body of [undefined, {}]) {
      const answer = await post(jar, '/sessions/refresh', body)
      expect(answer.status).toBe(200)
      expect(Object.keys(answer.json()).toSorted()).toEqual(['expires_in', 'refresh_expires_in', 'scope', 'session_id'])
    }
    for (const [name, value] of before) expect(jar.get(name)).not.toBe(value)
    expect((await get(jar, '/app/x')).status).toBe(200)
  })

  it.each(['/auth/logout', '/auth/logout-all'])('ends with POST %s: both cookies and the site’s data are gone', async (path) => {
    const jar = await loggedIn()
    const before = new Map(jar)
    const answer = await post(jar, path, undefined)
    expect([answer.status, jar.size]).toEqual([path === '/auth/logout' ? 204 : 200, 0])
    expect(answer.headers.get('clear-site-data')).toEqual(['"cookies", "storage", "cache"'])
    for (const [name, value] of before) jar.set(name, value)
    const late = await get(jar, '/app/x')
    expect([late.status, late.json()['error']]).toEqual([401, 'token_revoked'])
    const refreshed = await post(jar, '/sessions/refresh', {})
    expect([refreshed.status, refreshed.json()['error']]).toEqual([401, 'invalid_token'])
  })

  it('is not touched by a logout with the token in a header, which clears nothing', async () => {
    const jar = await loggedIn()
    const token = jar.get('__Host-gw_at')
    const answer = await ask(gateway.port, { method: 'POST', target: '/auth/logout', token, body: '' })
    expect([answer.status, answer.headers.has('set-cookie'), answer.headers.has('clear-site-data')]).toEqual([204, false, false])
  })
})

describe('the log', () => {
  it('holds nothing of any cookie', async () => {
    const jar = await loggedIn()
    await get(jar, '/app/x')
    await post(jar, '/sessions/refresh', {}, [])
    jar.set('__Host-gw_at', `${jar.get('__Host-gw_at')}x`)
    await get(jar, '/app/x')
    for (const value of jar.values()) expect(gateway.log()).not.toContain(value.slice(8, 60))
  })
})
