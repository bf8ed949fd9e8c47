/**
 * A path is read once, at the edge: no spelling of it reaches a protected place by way of an open route.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, valuesOf, type Scene } from '../support/attack.ts'

let scene: Scene

beforeAll(async () => {
  scene = await openScene({
    upstreams: `  based: { targets: ["http://127.0.0.1:$PORT/hi/"] }`,
    routes: `
  - { name: based, match: { path: /ho/* }, auth: public, upstream: based }
  - { name: based-strip, match: { path: /strip/* }, auth: public, stripPrefix: /strip, upstream: based }
  - { name: keeps, match: { path: /keeps/* }, auth: public, upstream: recorder, paths: { encodedSlash: keep } }
  - { name: ruled, match: { path: /ruled/* }, auth: required, upstream: recorder, requestHeaders: { set: { x-env: ruled }, remove: [x-debug] } }
  - { name: wild, match: { path: /wild/* }, auth: required, upstream: recorder }`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

const AMBIGUOUS = [400, 'ambiguous_path'] as const
const INVALID = [400, 'invalid_request'] as const
const ASKS_FOR_A_TOKEN = [401, 'unauthorized'] as const
const NO_ROUTE = [404, 'no_route'] as const

/** Advisory, request target, answer without a token. */
const NO_PASS = [
  ['CVE-2019-9901, GHSA-xcx5-93pw-jw2w', '/public/../admin', ASKS_FOR_A_TOKEN],
  ['CVE-2019-9901, GHSA-xcx5-93pw-jw2w', '/public//../admin', AMBIGUOUS],
  ['CVE-2019-9901, GHSA-xcx5-93pw-jw2w', '//admin', ASKS_FOR_A_TOKEN],
  ['CVE-2021-29492', '/something%2F..%2Fadmin', AMBIGUOUS],
  ['CVE-2021-29492', '/public%5c..%5cadmin', AMBIGUOUS],
  ['CVE-2021-29492', '/public/..%2Fadmin', AMBIGUOUS],
  ['CVE-2021-29492', '/public/..%5Cadmin', AMBIGUOUS],
  ['CVE-2021-29492, where the route keeps encoded slashes', '/keeps%2F..%2Fadmin', AMBIGUOUS],
  ['CVE-2021-29492, where the route keeps encoded slashes', '/keeps/..%2Fadmin', AMBIGUOUS],
  ['CVE-2021-29492, where the route keeps encoded slashes', '/keeps/x%2F..%2F..%2Fadmin', AMBIGUOUS],
  ['CVE-2021-29492, where the route keeps encoded slashes', '/keeps/..%5cadmin', AMBIGUOUS],
  ['CVE-2021-31920', '/a%2f%2fadmin', AMBIGUOUS],
  ['CVE-2021-31920', '/public/%2f%2fadmin', AMBIGUOUS],
  ['CVE-2021-31920', '///admin///', ASKS_FOR_A_TOKEN],
  ['CVE-2021-32779, CVE-2021-39156', '/admin#x', AMBIGUOUS],
  ['CVE-2021-32779, CVE-2021-39156', '/public#/../admin', AMBIGUOUS],
  ['CVE-2021-32779, CVE-2021-39156', '/public?#/../admin', INVALID],
  ['CVE-2026-27587', '/ADMIN', NO_ROUTE],
  ['CVE-2026-27587', '/%41DMIN', NO_ROUTE],
  ['CVE-2026-27587', '/Admin/x', NO_ROUTE],
  ['CVE-2025-46821', '/admin/*/x', ASKS_FOR_A_TOKEN],
  ['CVE-2025-46821', '/wild/*', ASKS_FOR_A_TOKEN],
  ['CVE-2025-46821', '/*', NO_ROUTE],
  ['CVE-2026-73511, CVE-2026-73553', '/admin;a=b/x', AMBIGUOUS],
  ['CVE-2026-73511, CVE-2026-73553', '/public;/../admin', AMBIGUOUS],
  ['CVE-2026-73511, CVE-2026-73553', '/public/..;/admin', AMBIGUOUS],
  ['CVE-2026-73511, CVE-2026-73553', '/public/..;a=b/admin', AMBIGUOUS],
  ['CVE-2026-33494', '/public/../admin/secrets', ASKS_FOR_A_TOKEN],
  ['GHSA-p224-6x5r-fjpm', '/public/../admin/secrets', ASKS_FOR_A_TOKEN],
  ['Kong 6821', '/;/x/../admin', AMBIGUOUS],
  ['CVE-2021-43557', '/./admin', ASKS_FOR_A_TOKEN],
  ['CVE-2021-43557', '//admin', ASKS_FOR_A_TOKEN],
  ['GHSA-fvhj-4qfh-q2hm', '/#/../admin', AMBIGUOUS],
  ['CVE-2025-32431, CVE-2025-47952', '/public/%2E%2E/admin', ASKS_FOR_A_TOKEN],
  ['CVE-2025-32431, CVE-2025-47952', '/public/%2e./admin', ASKS_FOR_A_TOKEN],
  ['CVE-2025-32431, CVE-2025-47952', '/public/.%2e/admin', ASKS_FOR_A_TOKEN],
  ['CVE-2025-32431, CVE-2025-47952', '/%61dmin', ASKS_FOR_A_TOKEN],
  ['CVE-2025-32431, CVE-2025-47952', '/%61%64%6d%69%6e', ASKS_FOR_A_TOKEN],
  ['CVE-2025-66490', '/admin%2F', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%5C', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%00', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%3B', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%25', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%3F', AMBIGUOUS],
  ['CVE-2025-66490', '/admin%23', AMBIGUOUS],
  ['CVE-2025-66490', '/public%2Fadmin', AMBIGUOUS],
  ['CVE-2025-66490', '/public/%00/../admin', AMBIGUOUS],
  ['CVE-2025-66490', '/public/x%0d%0aX-Admin:1', AMBIGUOUS],
  ['CVE-2026-48020', '/api../admin', NO_ROUTE],
  ['CVE-2026-48020', '/api%2e%2e/admin', NO_ROUTE],
  ['CVE-2026-48020', '/public..%2fadmin', AMBIGUOUS],
  ['CVE-2026-48020', '/api/..%2fadmin', AMBIGUOUS],
  ['CVE-2026-40912', '/api%2e/admin/secret', NO_ROUTE],
  ['CVE-2026-40912', '/api%2f/admin/secret', AMBIGUOUS],
  ['CVE-2026-40912', '/api%2f..%2fadmin/secret', AMBIGUOUS],
  ['opaque absolute form', 'http:/admin', INVALID],
  ['opaque absolute form', 'foo:/admin', INVALID],
  ['opaque absolute form', 'http:admin', INVALID],
  ['opaque absolute form', 'http:///admin', INVALID],
  ['opaque absolute form', 'file:///admin', INVALID],
  ['absolute form of another host', 'http://elsewhere.test/admin', INVALID],
  ['absolute form of another host', 'http://gateway.test@elsewhere.test/public', INVALID],
  ['absolute form of another host', 'http://elsewhere.test:80/public/../admin', INVALID],
  ['CVE-2021-21321, CVE-2021-21322', '/api/../admin', ASKS_FOR_A_TOKEN],
  ['CVE-2021-21321, CVE-2021-21322', '/ho/../../admin', AMBIGUOUS],
  ['CVE-2021-21321, CVE-2021-21322', '/ho/../admin', ASKS_FOR_A_TOKEN],
  ['GHSA-2q7r-29rg-6m5h', '/ho/%2E%2E/hi', NO_ROUTE],
  ['GHSA-2q7r-29rg-6m5h', '/strip/%2E%2E/%2E%2E/hi', AMBIGUOUS],
  ['GHSA-2q7r-29rg-6m5h', '/strip/%2E%2E/admin', ASKS_FOR_A_TOKEN],
  ['GHSA-2q7r-29rg-6m5h', '/strip/..%2F..%2Fadmin', AMBIGUOUS],
  ['CVE-2026-85124', '/api/..\\..\\admin', AMBIGUOUS],
  ['CVE-2026-85124', '/public\\..\\admin', AMBIGUOUS],
  ['CVE-2026-85124', '\\admin', INVALID],
  ['CVE-2026-120213', '/api/x%2f..%2fy%23', AMBIGUOUS],
  ['CVE-2026-22031, CVE-2026-22037', '/%61dmin/', ASKS_FOR_A_TOKEN],
  ['CVE-2026-2880, CVE-2026-6556', '//admin/x', ASKS_FOR_A_TOKEN],
  ['CVE-2026-14198', '/admin;x', AMBIGUOUS],
  ['CVE-2026-112712, CVE-2026-112362', '/admin%2Fx', AMBIGUOUS],
  ['CVE-2026-112712, CVE-2026-112362', 'http://gateway.test/admin', ASKS_FOR_A_TOKEN],
  ['CVE-2026-112712, CVE-2026-112362', 'http://gateway.test//admin', ASKS_FOR_A_TOKEN],
  ['CVE-2026-112712, CVE-2026-112362', 'HTTP://GATEWAY.TEST/public/%2e%2e/admin', ASKS_FOR_A_TOKEN],
  ['CVE-2026-33186', 'Service/Method', INVALID],
  ['CVE-2026-33186', 'admin', INVALID],
  ['CVE-2026-33186', '*', INVALID],
  ['CVE-2025-54576, GHSA-7rh7-c77v-6434', '/admin?x=/public', ASKS_FOR_A_TOKEN],
  ['CVE-2025-54576, GHSA-7rh7-c77v-6434', '/admin?/public', ASKS_FOR_A_TOKEN],
  ['CVE-2025-54576, GHSA-7rh7-c77v-6434', '/admin?/../public', ASKS_FOR_A_TOKEN],
  ['CVE-2026-41059, GHSA-pxq7-h93f-9jrg', '/admin%23/public', AMBIGUOUS],
  ['CVE-2026-41059, GHSA-pxq7-h93f-9jrg', '/admin#/public', AMBIGUOUS],
  ['GHSA-r9fw-vxmp-hwf2', '/public/%2561dmin', AMBIGUOUS],
  ['GHSA-r9fw-vxmp-hwf2', '/public/%252e%252e/admin', AMBIGUOUS],
  ['CVE-2008-2938', '/public/%c0%ae%c0%ae/admin', AMBIGUOUS],
  ['CVE-2008-2938', '/public/%e0%80%ae%e0%80%ae/admin', AMBIGUOUS],
  ['CVE-2008-2938', '/public/..%c0%afadmin', AMBIGUOUS],
  ['CVE-2008-2938', '/public/..%f0%80%80%afadmin', AMBIGUOUS],
  ['broken percent-encoding', '/public/%', AMBIGUOUS],
  ['broken percent-encoding', '/public/%2', AMBIGUOUS],
  ['broken percent-encoding', '/public/%zz/../admin', AMBIGUOUS],
  ['UTF-8 and control octets bare in the target', '/public/\xc3\xa4', INVALID],
  ['UTF-8 and control octets bare in the target', '/public/\x01', INVALID],
  ['UTF-8 and control octets bare in the target', '/public\t/admin', INVALID],
] as const

describe('without a token', () => {
  it.each(NO_PASS)('%s: GET %s does not pass', async (_, target, [status, error]) => {
    const answer = await scene.ask({ target })
    expectNoPass(answer, scene.upstream)
    expect([answer.status, answer.json()['error']]).toEqual([status, error])
  })
})

describe('with a token, what was matched is what is forwarded', () => {
  it.each([
    ['CVE-2019-9901', '/public/../admin/x', '/admin/x'],
    ['CVE-2026-27587', '/%61dmin/X', '/admin/X'],
    ['CVE-2025-46821', '/admin/*/x', '/admin/*/x'],
    ['CVE-2021-43557', '/./admin//x/', '/admin/x/'],
    ['CVE-2026-16117', 'http://gateway.test/admin/./%78?y=/..', '/admin/x?y=/..'],
    ['GHSA-r9fw-vxmp-hwf2', '/admin/a%20b%C3%A4', '/admin/a%20b%C3%A4'],
  ])('%s: GET %s reaches the upstream as %s', async (_, target, forwarded) => {
    const answer = await scene.ask({ target, token: scene.token() })
    expect([answer.status, scene.upstream.seen.map((seen) => seen.target)]).toEqual([200, [forwarded]])
    expect(valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-user-id')).toEqual(['alice'])
  })

  it('CVE-2026-16117: an encoded prefix leads to the same route and the same rewrite as a plain one', async () => {
    for (const target of ['/api/admin', '/%61pi/admin', '/a%70i//admin', '/api/./admin', '/public/../api/admin']) {
      await scene.ask({ target })
    }
    expect(scene.upstream.seen.map((seen) => seen.target)).toEqual(Array.from({ length: 5 }, () => '/admin'))
  })

  it('CVE-2021-21321, GHSA-2q7r-29rg-6m5h: the base path of an upstream is kept in front of everything', async () => {
    for (const target of ['/ho/x', '/ho/./x', '/ho/y/../x', '/strip/x', '/strip', '/strip//x']) await scene.ask({ target })
    expect(scene.upstream.seen.map((seen) => seen.target)).toEqual(['/hi/ho/x', '/hi/ho/x', '/hi/ho/x', '/hi/x', '/hi/', '/hi/x'])
  })

  it('CVE-2021-22113: header rules follow the matched route, whatever the spelling of the path', async () => {
    const token = scene.token()
    for (const target of ['/ruled/x', '/public/../ruled/x', '/%72uled/x', '//ruled/x']) {
      await scene.ask({ target, token, lines: ['X-Debug: 1', 'X-Env: forged'] })
    }
    const rules = scene.upstream.seen.map(({ target, rawHeaders }) => [
      target,
      valuesOf(rawHeaders, 'x-env'),
      valuesOf(rawHeaders, 'x-debug'),
    ])
    expect(rules).toEqual(Array.from({ length: 4 }, () => ['/ruled/x', ['ruled'], []]))
  })

  it('GHSA-r9fw-vxmp-hwf2: what is forwarded is a fixed point: sent again, it stays as it is', async () => {
    const targets = [
      '/public/a%2db/%7Euser',
      '/public//x/./y/',
      '/public/%c3%a4/..%20',
      '/public/a:b@c!$&()*+,=[]',
      '/public/%20%22%3C%3E',
    ]
    for (const target of targets) {
      scene.upstream.seen.length = 0
      await scene.ask({ target })
      const once = scene.upstream.seen[0]?.target ?? ''
      await scene.ask({ target: once })
      expect(scene.upstream.seen.map((seen) => seen.target)).toEqual([once, once])
    }
  })
})

describe('methods and upgrades', () => {
  it.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'x_http_method_override'])(
    'CVE-2023-30845: %s neither chooses the route nor reaches the upstream',
    async (name) => {
      const refused = await scene.ask({ method: 'POST', target: '/admin', lines: [`${name}: GET`], body: '' })
      expectNoPass(refused, scene.upstream)
      const passed = await scene.ask({ method: 'POST', target: '/public/x', lines: [`${name}: DELETE`], body: '' })
      expect([refused.status, passed.status]).toEqual([401, 200])
      const { rawHeaders = [], method } = scene.upstream.seen[0] ?? {}
      expect([method, valuesOf(rawHeaders, name.toLowerCase().replaceAll('_', '-'))]).toEqual(['POST', []])
    },
  )

  it.each(['/public/../admin', '/public/%2e%2e/admin', '/admin', '//admin'])(
    'CVE-2026-15631: the WebSocket upgrade of %s is refused like any request',
    async (target) => {
      const answer = await scene.ask({ target, lines: UPGRADE })
      expectNoPass(answer, scene.upstream)
      expect(answer.status).toBe(401)
    },
  )

  it.each(['/public%2f..%2fadmin', '/public;/../admin', '/public/..\\admin', '/public/#/../admin'])(
    'CVE-2026-15631: the WebSocket upgrade of %s is refused as ambiguous',
    async (target) => {
      const answer = await scene.ask({ target, lines: UPGRADE })
      expectNoPass(answer, scene.upstream)
      expect([answer.status, answer.json()['error']]).toEqual([400, 'ambiguous_path'])
    },
  )

  it.each([
    ['CVE-2026-73547', 'CONNECT', 'gateway.test:80', 405],
    ['CVE-2026-73547', 'CONNECT', '/admin', 405],
    ['CVE-2026-50572', 'OPTIONS', '*', 400],
    ['CVE-2026-50572', 'TRACE', '/public/x', 405],
    ['CVE-2026-50572', 'TRACE', '/admin', 405],
  ])('%s: %s %s is answered, and the gateway lives', async (_, method, target, status) => {
    const answer = await scene.ask({ method, target })
    expect([answer.status, scene.upstream.seen]).toEqual([status, []])
    expect((await scene.ask({ target: '/public/alive' })).status).toBe(200)
  })
})

const UPGRADE = [
  'Connection: Upgrade, close',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
