/**
 * A path is read once, at the edge: no spelling of it reaches a protected place by way of an open route.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, valuesOf, type Scene } from '../support/attack.ts'
import { NO_PASS, SPELLINGS_SCENE } from '../support/path-spellings.ts'

let scene: Scene

beforeAll(async () => {
  scene = await openScene(SPELLINGS_SCENE)
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

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
