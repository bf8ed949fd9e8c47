/**
 * The admin listener: nobody comes in without the token, and nothing of it is on the public side.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config.ts'
import { ask } from '../support/attack.ts'
import { login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { sendRaw, statusOf } from '../support/raw.ts'

const TOKEN = 'the-admin-token-of-this-test-0123456789'
const PATHS = [
  '/metrics',
  '/events',
  '/tenants',
  '/tenants/default/users/usr_1/sessions',
  '/tenants/default/users/usr_1/sessions/revoke',
  '/routes',
  '/config',
  '/upstreams',
  '/openapi.json',
  '/explain',
  '/reload',
  '/tenants/default/keys/rotate',
  '/console',
  '/console/',
  '/debug/pprof',
  '/debug/pprof/heap',
  '/actuator/env',
  '/apisix/admin/routes',
  '/favicon.ico',
]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']

let gateway: TestGateway
let port = 0

beforeAll(async () => {
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
  admin: { address: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }`,
    { environment: { ADMIN_TOKEN: TOKEN } },
  )
  port = Number(new URL(gateway.adminUrl).port)
})
afterAll(() => gateway.close())

const bearer = (token: string) => [`Authorization: Bearer ${token}`]

describe('without the token', () => {
  it.each(PATHS.flatMap((path) => METHODS.map((method) => [method, path] as const)))(
    'CVE-2021-45232: %s %s is refused',
    async (method, target) => {
      const answer = await ask(port, { method, target })
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toEqual(['Bearer realm="gatehouse"'])
    },
  )

  it.each(METHODS.filter((method) => method !== 'GET' && method !== 'HEAD'))(
    'the page of the console is there to be read: %s',
    async (method) => {
      expect((await ask(port, { method, target: '/' })).status).toBe(401)
      expect((await ask(port, { target: '/' })).status).toBe(200)
    },
  )

  it.each([
    '//metrics',
    '/metrics/',
    '/metrics?x=/healthz',
    '/healthz/../metrics',
    '/healthz/..%2fmetrics',
    '/healthz;/../metrics',
    '/healthz%2f..%2fmetrics',
    '/HEALTHZ',
    '/healthz#/metrics',
    '/healthz/',
    '/%68ealthz',
    'http://127.0.0.1/metrics',
    'http://127.0.0.1/healthz',
  ])('CVE-2021-45232: no spelling leads in: %s', async (target) => {
    const answer = await ask(port, { target })
    expect(answer.status === 401 || answer.status === 400).toBe(true)
    expect(answer.body).not.toContain('gatehouse_')
  })

  it.each([['/healthz'], ['/readyz'], ['/healthz?x=1']])('a probe sees %s, and may do nothing there', async (target) => {
    expect((await ask(port, { target })).status).toBe(200)
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await ask(port, { method, target })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, ['GET, HEAD']])
    }
  })
})

describe('with a token that is not the token', () => {
  it.each([
    '',
    'edd1c9f034335f136f87ad84b625c8f1',
    '4054f7cf07e344346cd3f287985e76a2',
    'admin',
    'secret',
    'changeme',
    'gatehouse',
    'undefined',
    'null',
    TOKEN.slice(0, -1),
    `${TOKEN}x`,
    TOKEN.toUpperCase(),
    TOKEN.slice(1),
  ])('CVE-2020-13945: «%s» is refused', async (token) => {
    expect((await ask(port, { target: '/config', lines: bearer(token) })).status).toBe(401)
    expect((await ask(port, { target: '/config', lines: [`X-API-KEY: ${token}`, `X-Admin-Token: ${token}`] })).status).toBe(401)
  })

  it.each([
    ['Basic', [`Authorization: Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}`]],
    ['no scheme', [`Authorization: ${TOKEN}`]],
    ['twice', [...bearer(TOKEN), ...bearer(TOKEN)]],
    ['good and bad', [...bearer(TOKEN), ...bearer('bad')]],
    ['bad and good', [...bearer('bad'), ...bearer(TOKEN)]],
    ['a cookie', [`Cookie: token=${TOKEN}; Authorization=Bearer ${TOKEN}`]],
    ['another header', [`X-Api-Key: ${TOKEN}`, `Proxy-Authorization: Bearer ${TOKEN}`, `Authorization_: Bearer ${TOKEN}`]],
  ])('the right one in the wrong place is refused: %s', async (_, lines) => {
    expect((await ask(port, { target: '/config', lines })).status).toBe(401)
    expect((await ask(port, { target: `/config?token=${TOKEN}&access_token=${TOKEN}`, lines })).status).toBe(401)
  })

  it('an access token of a user is refused', async () => {
    const user = await login(gateway.url)
    expect((await ask(port, { target: '/config', lines: bearer(user.access_token) })).status).toBe(401)
  })
})

describe('with the token', () => {
  it('it opens, and reads only', async () => {
    for (const target of ['/metrics', '/routes', '/config']) {
      expect([target, (await ask(port, { target, lines: bearer(TOKEN) })).status]).toEqual([target, 200])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        expect((await ask(port, { method, target, lines: bearer(TOKEN) })).status).toBe(405)
    }
    const answer = await ask(port, { target: '/config', lines: bearer(TOKEN) })
    expect(answer.body).not.toContain(TOKEN)
    expect(answer.headers.get('cache-control')).toEqual(['no-store'])
    expect(answer.headers.has('access-control-allow-origin')).toBe(false)
  })

  it('it is no token on the public side', async () => {
    const answer = await ask(gateway.port, { target: '/api/x', lines: bearer(TOKEN) })
    expect([answer.status, answer.json()['error']]).toEqual([401, 'invalid_token'])
  })
})

describe('the public side (CVE-2022-24797)', () => {
  it.each([
    ...PATHS,
    '/healthz',
    '/readyz',
    '/metrics/',
    '//metrics',
    '/%6detrics',
    '/debug/vars',
    '/server-status',
    '/.env',
    '/gateway.yaml',
    '/data/master.key',
    '/health/../metrics',
    '/t/../metrics',
    '/.well-known/../config',
  ])('%s is not there', async (target) => {
    for (const lines of [[], bearer(TOKEN)]) {
      const answer = await ask(gateway.port, { target, lines })
      expect([answer.status, answer.json()['error']]).toEqual([404, 'no_route'])
    }
  })
})

describe('off the loopback interface', () => {
  it.each([
    ['0.0.0.0:0', ''],
    ['"[::]:0"', ''],
    ['10.0.0.1:0', ''],
    ['admin.example.com:0', ''],
    ['0.0.0.0:0', ', token: { env: NOT_SET }'],
    ['0.0.0.0:0', ', token: { env: EMPTY }'],
    ['0.0.0.0:0', ', token: literal-token-in-the-file'],
    ['127.0.0.1:0', ', token: { env: EMPTY }'],
  ])('CVE-2020-11710: address %s%s is a configuration error', async (address, token) => {
    const yaml = `listeners:\n  public:\n    {{public}}\n  admin: { address: ${address}${token} }\nroutes: []`
    const started = startGateway(yaml, { environment: { EMPTY: '' } }).then(async (open) => {
      await open.close()
    })
    await expect(started).rejects.toThrow(ConfigError)
  })
})

describe('without a token on the loopback interface', () => {
  let open: TestGateway
  let openPort = 0

  beforeAll(async () => {
    open = await startGateway('routes: []')
    openPort = Number(new URL(open.adminUrl).port)
  })
  afterAll(() => open.close())

  it.each(['127.0.0.1', 'localhost', 'LOCALHOST:9901', 'localhost.', 'admin.localhost', '[::1]:9901'])(
    'Host %s is answered',
    async (host) => {
      expect((await ask(openPort, { target: '/config', host })).status).toBe(200)
    },
  )

  it.each([
    'evil.test',
    'evil.test:9901',
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    'evil-localhost',
    '0x7f.1',
    '2130706433',
    '127.0.0.1@evil.test',
    'localhost evil.test',
    'gateway.test',
    '10.0.0.1',
    '[::ffff:10.0.0.1]',
    '',
  ])('DNS rebinding: Host «%s» is refused on every path', async (host) => {
    for (const target of ['/config', '/metrics', '/routes', '/healthz', '/readyz', '/nowhere']) {
      const answer = await ask(openPort, { target, host })
      expect([403, 400].includes(answer.status)).toBe(true)
      expect(answer.body).not.toContain('gatehouse_')
    }
  })

  it('DNS rebinding: no Host, and two of them, are refused', async () => {
    expect((await ask(openPort, { target: '/config', host: undefined })).status).toBe(400)
    expect(
      (await ask(openPort, { target: '/config', host: 'localhost', lines: ['Host: evil.test'] })).status,
    ).toBeGreaterThanOrEqual(400)
    expect(statusOf(await sendRaw(openPort, 'GET /config HTTP/1.0\r\n\r\n', 1000))).toBeGreaterThanOrEqual(400)
    expect((await ask(openPort, { target: 'http://localhost/config', host: 'evil.test' })).status).toBe(403)
  })

  it('a page of another origin gets no permission to read', async () => {
    const answer = await ask(openPort, { target: '/config', host: 'localhost', lines: ['Origin: https://evil.test'] })
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
    expect(
      (
        await ask(openPort, {
          method: 'OPTIONS',
          target: '/config',
          host: 'localhost',
          lines: ['Origin: https://evil.test', 'Access-Control-Request-Method: GET'],
        })
      ).status,
    ).toBe(405)
  })
})
