/**
 * A token is in the one Authorization header: nowhere else is it looked for.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, type Scene } from '../support/attack.ts'

let scene: Scene

beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

describe('a good token', () => {
  it.each([
    ['in the query', (token: string) => ({ target: `/admin?access_token=${token}` })],
    ['in the query, as a header', (token: string) => ({ target: `/admin?authorization=Bearer%20${token}` })],
    [
      'in a cookie (CVE-2022-29226)',
      (token: string) => ({
        target: '/admin',
        lines: [`Cookie: BearerToken=${token}; access_token=${token}; Authorization=Bearer ${token}`],
      }),
    ],
    [
      'in a form (heimdall 3424)',
      (token: string) => ({
        method: 'POST',
        target: '/admin',
        lines: ['Content-Type: application/x-www-form-urlencoded'],
        body: `access_token=${token}`,
      }),
    ],
    [
      'in a large form (heimdall 3424)',
      (token: string) => ({
        method: 'POST',
        target: '/admin',
        lines: ['Content-Type: application/x-www-form-urlencoded'],
        body: `x=${'y'.repeat(300_000)}&access_token=${token}`,
      }),
    ],
    [
      'in a header of its own',
      (token: string) => ({
        target: '/admin',
        lines: [`X-Access-Token: ${token}`, `X-Authorization: Bearer ${token}`, `Token: ${token}`],
      }),
    ],
    ['in Proxy-Authorization', (token: string) => ({ target: '/admin', lines: [`Proxy-Authorization: Bearer ${token}`] })],
    [
      'in a header that folds to Authorization',
      (token: string) => ({
        target: '/admin',
        lines: [`Authorization_: Bearer ${token}`, `X-Forwarded-Authorization: Bearer ${token}`],
      }),
    ],
    [
      'in a trailer',
      (token: string) => ({
        method: 'POST',
        target: '/admin',
        lines: ['Transfer-Encoding: chunked', 'Trailer: authorization'],
        rawBody: `0\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      }),
    ],
    [
      'in the WebSocket protocol',
      (token: string) => ({
        target: '/admin',
        lines: [
          'Connection: Upgrade, close',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          `Sec-WebSocket-Protocol: bearer, ${token}`,
        ],
      }),
    ],
    [
      'as Basic credentials',
      (token: string) => ({
        target: '/admin',
        lines: [`Authorization: Basic ${Buffer.from(`bearer:${token}`).toString('base64')}`],
      }),
    ],
    ['under another scheme', (token: string) => ({ target: '/admin', lines: [`Authorization: DPoP ${token}`] })],
    ['under a longer scheme', (token: string) => ({ target: '/admin', lines: [`Authorization: BearerX ${token}`] })],
    ['without a scheme', (token: string) => ({ target: '/admin', lines: [`Authorization: ${token}`] })],
    ['after a colon', (token: string) => ({ target: '/admin', lines: [`Authorization: Token Bearer ${token}`] })],
  ])('%s is no token', async (_, request) => {
    const answer = await scene.ask(request(scene.token()))
    expectNoPass(answer, scene.upstream)
    expect([answer.status, answer.json()['error']]).toEqual([401, 'unauthorized'])
    expect(answer.headers.get('www-authenticate')).toEqual(['Bearer realm="gatehouse"'])
  })

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('passes under the scheme %s', async (scheme) => {
    const answer = await scene.ask({ target: '/admin', lines: [`Authorization: ${scheme}  ${scene.token()} `] })
    expect(answer.status).toBe(200)
  })

  it('passes in the header, and what stands elsewhere is passed on as it is', async () => {
    const answer = await scene.ask({ target: '/admin?access_token=x', token: scene.token() })
    expect([answer.status, scene.upstream.seen[0]?.target]).toEqual([200, '/admin?access_token=x'])
  })
})

describe('two Authorization fields (CVE-2024-45809, CVE-2025-64527)', () => {
  it.each([
    ['Bearer good', 'Bearer good'],
    ['Bearer good', 'Bearer bad'],
    ['Bearer bad', 'Bearer good'],
    ['Basic eDp5', 'Bearer good'],
    ['Bearer good', ''],
  ])('%j and %j are refused', async (one, other) => {
    const good = scene.token()
    const lines = [one, other].map(
      (value, at) => `${at === 0 ? 'Authorization' : 'authorization'}: ${value.replace('good', good)}`,
    )
    for (const target of ['/admin', '/optional/x']) {
      const answer = await scene.ask({ target, lines })
      expectNoPass(answer, scene.upstream)
      expect([answer.status, answer.json()['error']]).toEqual([400, 'invalid_request'])
    }
  })
})
