/**
 * Pages of other sites that make a browser use its owner's cookies: forged requests, WebSocket hijacking (CWE-1385), forged
 * logins. Cookies that somebody else planted. Nothing of it reaches an upstream or changes a session.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, lineOf, openScene, type Answered, type Ask, type Scene } from '../support/attack.ts'
import { postJson } from '../support/gateway.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const USER = { email: 'victim@example.com', password: 'correct horse battery staple' }
const EVIL = 'Origin: https://evil.example'
const OWN = 'Origin: http://gateway.test'

let scene: Scene
let access = ''
let refresh = ''

beforeAll(async () => {
  scene = await openScene({
    routes: `
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: socket, match: { path: /socket/* }, auth: required, upstream: recorder, websocket: true }`,
  })
  await postJson(`${scene.gateway.url}/auth/register`, USER)
})
afterAll(() => scene.close())

beforeEach(async () => {
  const answer = await login([OWN])
  expect(answer.status).toBe(200)
  const [first = '', second = ''] = answer.headers.get('set-cookie') ?? []
  access = first.slice(0, first.indexOf(';'))
  refresh = second.slice(0, second.indexOf(';'))
  scene.upstream.seen.length = 0
})

function login(lines: readonly string[]): Promise<Answered> {
  const body = JSON.stringify({ ...USER, cookie: true })
  return scene.ask({ method: 'POST', target: '/auth/login', lines: ['Content-Type: application/json', ...lines], body })
}

/** Status and code of an answer. */
function outcome(answer: Answered): string {
  return `${answer.status} ${answer.status >= 400 ? String(answer.json()['error']) : ''}`.trim()
}

const withCookie = (request: Ask) => scene.ask({ ...request, lines: [`Cookie: ${access}`, ...(request.lines ?? [])] })

/** What a browser says of itself when a page of somebody else's makes it send something. */
const FOREIGN: readonly (readonly [string, readonly string[]])[] = [
  ['another site', ['Sec-Fetch-Site: cross-site', EVIL]],
  ['another site whose origin is hidden', ['Sec-Fetch-Site: cross-site', 'Origin: null']],
  ['another site that bounced it off our own', ['Sec-Fetch-Site: cross-site', OWN]],
  ['a neighbour, on the same site', ['Sec-Fetch-Site: same-site', 'Origin: http://blog.gateway.test']],
  ['a neighbour on another port', ['Sec-Fetch-Site: same-site', 'Origin: http://gateway.test:8081']],
  ['the host of another tenant', ['Sec-Fetch-Site: same-site', 'Origin: http://acme.test']],
  ['a browser without Sec-Fetch-Site', [EVIL]],
  ['a sandbox, without Sec-Fetch-Site', ['Origin: null']],
  ['nobody', []],
  ['the address bar', ['Sec-Fetch-Site: none']],
  ['a page that only says Referer', ['Referer: http://gateway.test/']],
  ['a name that looks like ours', ['Origin: http://gateway.test.evil.example']],
  ['two origins, one ours', [OWN, EVIL]],
  ['two sites, one ours', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site', OWN]],
  ['another site that sets other names of ours', ['Sec-Fetch-Site: cross-site', EVIL, 'X-Forwarded-Host: evil.example']],
  ['a Host in the forwarding headers', [EVIL, 'X-Forwarded-Host: evil.example', 'X-Original-Host: evil.example']],
]

describe.each(FOREIGN)('a request from %s', (_, lines) => {
  it('changes nothing with the cookie', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const form = ['Content-Type: application/x-www-form-urlencoded', ...lines]
      const answer = await withCookie({ method, target: '/admin/transfer', lines: form, body: 'to=evil' })
      expect(outcome(answer)).toBe('403 access_denied')
      expect(answer.headers.has('set-cookie')).toBe(false)
    }
    expect(scene.upstream.seen).toEqual([])
  })

  it('opens no WebSocket with the cookie', async () => {
    const answer = await withCookie({ target: '/socket/x', lines: [...HANDSHAKE, ...lines] })
    expect(outcome(answer)).toBe('403 access_denied')
    expect(scene.upstream.seen).toEqual([])
  })

  it('logs nobody in and nobody out, and refreshes nothing', async () => {
    const forged = await login(lines)
    expect([outcome(forged), forged.headers.has('set-cookie')]).toEqual(['403 access_denied', false])
    expect(outcome(await withCookie({ method: 'POST', target: '/auth/logout', lines, body: '' }))).toBe('403 access_denied')
    const renewed = await scene.ask({
      method: 'POST',
      target: '/sessions/refresh',
      lines: [`Cookie: ${refresh}`, ...lines],
      body: '',
    })
    expect([outcome(renewed), renewed.headers.has('set-cookie')]).toEqual(['403 access_denied', false])
    expect(outcome(await withCookie({ target: '/auth/me' }))).toBe('200')
  })
})

describe('a request of our own pages', () => {
  it.each([
    ['Sec-Fetch-Site', ['Sec-Fetch-Site: same-origin']],
    ['Origin', [OWN]],
    ['both', ['Sec-Fetch-Site: same-origin', OWN]],
  ])('that says so by %s passes', async (_, lines) => {
    const answer = await withCookie({ method: 'POST', target: '/admin/transfer', lines, body: 'x' })
    expect([answer.status, scene.upstream.seen.length]).toEqual([200, 1])
    const socket = await withCookie({ target: '/socket/x', lines: [...HANDSHAKE, ...lines] })
    expect([socket.status, scene.upstream.seen.at(-1)?.method]).toEqual([200, 'UPGRADE GET'])
  })

  it('is told apart in the log', async () => {
    const refused = await withCookie({ method: 'POST', target: '/admin/x', lines: [EVIL], body: '' })
    expect(await lineOf(scene.gateway, refused)).toMatchObject({ status: 403, detail: 'cross_site' })
  })
})

describe('what the check is not for', () => {
  it('a token in a header, which no page can make a browser send', async () => {
    const token = access.slice(access.indexOf('=') + 1)
    for (const lines of [[], [EVIL, 'Sec-Fetch-Site: cross-site'], [`Cookie: ${access}`, EVIL]]) {
      const answer = await scene.ask({ method: 'POST', target: '/admin/x', token, lines, body: '' })
      expect(answer.status).toBe(200)
    }
  })

  it('a link from elsewhere: it only reads', async () => {
    const answer = await withCookie({ target: '/admin/page', lines: ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate'] })
    expect(answer.status).toBe(200)
  })

  it('but a method in a header makes no GET a change', async () => {
    const answer = await withCookie({
      target: '/admin/x',
      lines: [
        'Sec-Fetch-Site: cross-site',
        'X-HTTP-Method-Override: DELETE',
        'X-HTTP-Method: DELETE',
        'X-Method-Override: DELETE',
      ],
    })
    expect(answer.status).toBe(200)
    expect(scene.upstream.seen.flatMap(({ rawHeaders }) => rawHeaders).filter((text) => /override|delete/i.test(text))).toEqual(
      [],
    )
  })
})

describe('a cookie that somebody else planted', () => {
  it.each([
    ['behind ours', () => `${access}; __Host-gw_at=planted`],
    ['before ours', () => `__Host-gw_at=planted; ${access}`],
    ['without a name, sent as one of ours', () => `__Host-gw_at=planted; a=1; ${access}`],
  ])('%s is not chosen', async (_, cookie) => {
    const answer = await scene.ask({ target: '/admin/x', lines: [`Cookie: ${cookie()}`] })
    expect([outcome(answer), scene.upstream.seen.length]).toEqual(['400 invalid_request', 0])
  })

  it('is not chosen at a refresh, and ours stays good', async () => {
    const twice = await post(`${refresh}; __Secure-gw_rt=planted`)
    expect(outcome(twice)).toBe('400 invalid_request')
    expect(outcome(await post(refresh))).toBe('200')
  })

  it('serves no host of another tenant', async () => {
    const answer = await ask(scene.port, { target: '/admin/x', host: 'acme.test', lines: [`Cookie: ${access}`] })
    expect([outcome(answer), scene.upstream.seen.length]).toEqual(['403 tenant_mismatch', 0])
  })

  function post(cookie: string): Promise<Answered> {
    return scene.ask({ method: 'POST', target: '/sessions/refresh', lines: [`Cookie: ${cookie}`, OWN], body: '' })
  }
})
