/**
 * What the CORS protocol can be made to give away: origins that are given back unread (CWE-942), `null`, names that only look like
 * one that is allowed, preflights that pass for requests.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, type Answered, type Scene } from '../support/attack.ts'
import { postJson } from '../support/gateway.ts'

const APP = 'https://app.example.com'
const CORS = 'cors: { origins: [https://app.example.com, "https://*.example.org"], methods: [GET, POST], credentials: true }'

let scene: Scene

beforeAll(async () => {
  scene = await openScene({
    routes: `
  - { name: secret, match: { path: /secret/* }, auth: required, upstream: recorder, websocket: true, ${CORS} }
  - { name: neighbour, match: { path: /neighbour/* }, auth: required, upstream: recorder }
  - { name: accounts, match: { path: /auth/* }, service: accounts, ${CORS} }`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** What an answer lets a page do. */
function granted(answer: Answered): readonly string[] {
  return [...answer.headers].flatMap(([name, values]) =>
    name.startsWith('access-control-') ? values.map((value) => `${name}: ${value}`) : [],
  )
}

/** Origins that are not the ones that are allowed. */
const FOREIGN = [
  'null',
  'https://evil.test',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com.',
  'https://APP.example.com',

  'https://app.example.com.evil.test',
  'https://evilapp.example.com',
  'https://app.example.comevil.test',
  'https://evil.test/https://app.example.com',

  'https://app.example.com@evil.test',
  'https://evil.test#app.example.com',
  'https://app.example.com%60.evil.test',
  'https://app_example.com',

  'https://example.org',
  'https://evilexample.org',
  'https://example.org.evil.test',
  'https://evil.test/.example.org',
  'https://evil.test?a=.example.org',

  'https://evil.test%00.example.org',
  'https://.example.org',
  'https://a..example.org',
  'https://evil.test:443.example.org',
  'http://a.example.org',
  'https://app.example.com https://evil.test',
  `${APP}, https://evil.test`,
  'file://',
  '*',
  'https://*.example.org',
]

describe('an origin that is not allowed', () => {
  it.each(FOREIGN)('%s reads nothing', async (origin) => {
    const answer = await scene.ask({ target: '/secret/x', token: scene.token(), lines: [`Origin: ${origin}`] })
    expect([answer.status, granted(answer), answer.headers.get('vary')]).toEqual([200, [], ['origin']])
  })

  it.each(FOREIGN)('%s sends nothing that needs a preflight', async (origin) => {
    const lines = [`Origin: ${origin}`, 'Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: authorization']
    const answer = await scene.ask({ method: 'OPTIONS', target: '/secret/x', lines })
    expect([answer.status, granted(answer), scene.upstream.seen]).toEqual([403, [], []])
  })

  it('is not given back for being sent with one that is', async () => {
    for (const lines of [
      [`Origin: ${APP}`, 'Origin: https://evil.test'],
      ['Origin: https://evil.test', `Origin: ${APP}`],
      [`Origin: ${APP}`, 'oRiGiN: null'],
    ]) {
      const answer = await scene.ask({ target: '/secret/x', token: scene.token(), lines })
      expect(granted(answer)).toEqual([])
    }
  })
})

describe('a preflight is no way around authentication', () => {
  const ACRM = 'Access-Control-Request-Method: GET'
  const OTHERS: readonly (readonly [string, string, readonly string[]])[] = [
    ['OPTIONS alone', 'OPTIONS', []],
    ['OPTIONS with an origin alone', 'OPTIONS', [`Origin: ${APP}`]],
    ['OPTIONS with a method alone', 'OPTIONS', [ACRM]],
    ['OPTIONS with two origins', 'OPTIONS', [`Origin: ${APP}`, `Origin: ${APP}`, ACRM]],
    ['OPTIONS with two methods', 'OPTIONS', [`Origin: ${APP}`, ACRM, 'Access-Control-Request-Method: POST']],
    ['GET that says it is one', 'GET', [`Origin: ${APP}`, ACRM]],
    ['POST that says it is one', 'POST', [`Origin: ${APP}`, ACRM, 'X-HTTP-Method-Override: OPTIONS']],
    ['HEAD that says it is one', 'HEAD', [`Origin: ${APP}`, ACRM]],
  ]

  it.each(OTHERS)('%s', async (_, method, lines) => {
    const answer = await scene.ask({ method, target: '/secret/x', lines, ...(method === 'POST' && { body: '' }) })
    expectNoPass(answer, scene.upstream)
    expect(answer.status).toBe(401)
  })

  it.each(['/secret/x', '/secret/../neighbour/x', '//secret/x', '/secret/%2e%2e/neighbour/x'])(
    'and %s reaches no upstream as one',
    async (target) => {
      await scene.ask({ method: 'OPTIONS', target, lines: [`Origin: ${APP}`, ACRM] })
      expect(scene.upstream.seen).toEqual([])
    },
  )

  it('on a route without cors', async () => {
    const answer = await scene.ask({ method: 'OPTIONS', target: '/neighbour/x', lines: [`Origin: ${APP}`, ACRM] })
    expectNoPass(answer, scene.upstream)
    expect(granted(answer)).toEqual([])
  })

  it('with a body for somebody else', async () => {
    const smuggled = 'GET /admin/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n'
    await scene.ask({ method: 'OPTIONS', target: '/secret/x', lines: [`Origin: ${APP}`, ACRM], body: smuggled })
    expect(scene.upstream.seen).toEqual([])
  })

  it('of a method or a header that would leave its line', async () => {
    for (const line of ['Access-Control-Request-Headers: x\x0bSet-Cookie: a', 'Access-Control-Request-Method: GET\x00']) {
      const answer = await scene.ask({ method: 'OPTIONS', target: '/secret/x', lines: [`Origin: ${APP}`, ACRM, line] })
      expect([answer.status, granted(answer)]).toEqual([400, []])
    }
  })

  it('gives back nothing that it names', async () => {
    const lines = [`Origin: ${APP}`, 'Access-Control-Request-Method: EVIL', 'Access-Control-Request-Headers: x-evil, x-user-id']
    const answer = await scene.ask({ method: 'OPTIONS', target: '/secret/x', lines })
    expect(answer.raw.toLowerCase()).not.toContain('evil')
  })
})

describe('cookies of the gateway', () => {
  const USER = { email: 'victim@example.com', password: 'correct horse battery staple' }
  const HANDSHAKE = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  let cookie = ''

  const login = (lines: readonly string[]) =>
    scene.ask({
      method: 'POST',
      target: '/auth/login',
      lines: ['Content-Type: application/json', ...lines],
      body: JSON.stringify({ ...USER, cookie: true }),
    })
  const act = (target: string, lines: readonly string[]) =>
    scene.ask({ method: 'POST', target, lines: [`Cookie: ${cookie}`, ...lines], body: '' })

  beforeAll(async () => {
    await postJson(`${scene.gateway.url}/auth/register`, USER)
    const answer = await login(['Sec-Fetch-Site: same-site', `Origin: ${APP}`])
    expect(answer.status).toBe(200)
    cookie = answer.headers.get('set-cookie')?.[0]?.split(';')[0] ?? ''
  })

  it('act for a page that the route names, on that route', async () => {
    expect((await act('/secret/x', ['Sec-Fetch-Site: same-site', `Origin: ${APP}`])).status).toBe(200)
    expect((await act('/neighbour/x', ['Sec-Fetch-Site: same-site', `Origin: ${APP}`])).status).toBe(403)
  })

  it.each([
    ['a neighbour', ['Sec-Fetch-Site: same-site', 'Origin: https://blog.example.com']],
    ['a page without an origin', ['Sec-Fetch-Site: same-site', 'Origin: null']],
    ['another site that claims to be it', ['Sec-Fetch-Site: cross-site', `Origin: ${APP}`]],
    ['nobody', []],
  ])('act for no page of %s', async (_, lines) => {
    const answers = [
      await act('/secret/x', lines),
      await login(lines),
      await scene.ask({ target: '/secret/x', lines: [`Cookie: ${cookie}`, ...HANDSHAKE, ...lines] }),
    ]
    expect([answers.map(({ status }) => status), scene.upstream.seen]).toEqual([[403, 403, 403], []])
  })
})
