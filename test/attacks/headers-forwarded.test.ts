/**
 * Where a request comes from, what it asks for and whether it may pass: the socket, the request line and the token say so,
 * never a header that anyone can write.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config.ts'
import { expectNoPass, lineOf, openScene, valuesOf, type Scene } from '../support/attack.ts'
import { SERVICE_ROUTES } from '../support/gateway.ts'

const TAKEN = [
  'X-Forwarded-For: 203.0.113.9',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Prefix: /x',
  'X-Forwarded-Uri: /public',
  'X-Forwarded-Path: /public',
  'X-Forwarded-Server: evil',
  'X-Forwarded-Ssl: on',
  'X-Forwarded-Client-Cert: Subject="CN=root"',
  'X_Forwarded_Method: GET',
  'X.Forwarded.Scheme: https',
  'Forwarded: for=203.0.113.9;host=evil.test;proto=https',
  'X-Real-Ip: 203.0.113.9',
  'X-Client-Ip: 203.0.113.9',
  'True-Client-Ip: 203.0.113.9',
  'X-Cluster-Client-Ip: 203.0.113.9',
  'CF-Connecting-IP: 203.0.113.9',
  'X-Original-Url: /public',
  'X-Original-Uri: /public',
  'X-Original-Host: evil.test',
  'X-Original-Method: GET',
  'X-Rewrite-Url: /public',
  'X-Request-Id: mine',
  'Traceparent: 00-11111111111111111111111111111111-1111111111111111-01',
  'Tracestate: a=b',
  'X-Envoy-Original-Path: /public',
  'X-Envoy-Internal: true',
  'X-Envoy-External-Address: 203.0.113.9',
]

describe('from a peer that is not trusted', () => {
  let scene: Scene

  beforeAll(async () => {
    scene = await openScene({
      routes: `${SERVICE_ROUTES}\n  - { name: echo, match: { path: /echo/* }, auth: public, service: echo }`,
    })
  })
  afterAll(() => scene.close())
  beforeEach(() => {
    scene.upstream.seen.length = 0
  })

  it('CVE-2026-35051, CVE-2025-41235, CVE-2026-3635, GHSA-444r-cwp2-x5xf: forwarded headers are replaced by ours', async () => {
    const answer = await scene.ask({ target: '/public/x', lines: TAKEN })
    const raw = scene.upstream.seen[0]?.rawHeaders ?? []
    const found = Object.fromEntries(
      TAKEN.map((line) => line.slice(0, line.indexOf(':')).toLowerCase().replace(/[._]/g, '-')).map((name) => [
        name,
        valuesOf(raw, name),
      ]),
    )
    const id = answer.headers.get('x-request-id')?.[0] ?? ''
    const hex = id.replaceAll('-', '')
    const ours: Record<string, string[]> = {
      'x-forwarded-for': ['127.0.0.1'],
      'x-forwarded-proto': ['http'],
      'x-forwarded-host': ['gateway.test'],
      forwarded: ['for=127.0.0.1;host="gateway.test";proto=http'],
      'x-request-id': [id],
      traceparent: [`00-${hex}-${hex.slice(16)}-01`],
    }
    expect([answer.status, id === 'mine']).toEqual([200, false])
    expect(found).toEqual(Object.fromEntries(Object.keys(found).map((name) => [name, ours[name] ?? []])))
  })

  it.each([
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Forwarded-Uri: /public'],
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Original-URL: /public'],
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Rewrite-URL: /public'],
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Forwarded-Path: /public'],
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Forwarded-Prefix: /public'],
    ['CVE-2026-40575, GHSA-7x63-xv5r-3p2x', 'X-Original-Method: OPTIONS'],
    ['CVE-2023-27487', 'X-Envoy-Original-Path: /public'],
    ['CVE-2024-45806', 'X-Envoy-Internal: true'],
    ['GHSA-vhr5-ggp3-qq85', 'X-Forwarded-Proto: http'],
    ['GHSA-vhr5-ggp3-qq85', 'X-Forwarded-Host: public.test'],
    ['CVE-2026-34457, GHSA-5hvv-m4w4-gf6v', 'User-Agent: GoogleHC/1.0'],
    ['CVE-2026-34457, GHSA-5hvv-m4w4-gf6v', 'User-Agent: kube-probe/1.30'],
    ['CVE-2026-34457, GHSA-5hvv-m4w4-gf6v', 'User-Agent: ELB-HealthChecker/2.0'],
    ['CVE-2022-24112', 'X-Real-IP: 127.0.0.1'],
    ['CVE-2022-24112', 'X-Forwarded-For: 127.0.0.1, ::1'],
  ])('%s: %s opens nothing', async (_, line) => {
    const answer = await scene.ask({ target: '/admin', lines: [line] })
    expectNoPass(answer, scene.upstream)
    expect([answer.status, answer.json()['error']]).toEqual([401, 'unauthorized'])
  })

  it('CVE-2022-24112: every built-in service goes by the address of the peer', async () => {
    const targets = ['/health', '/.well-known/jwks.json', '/auth/me', '/echo/x', '/t/acme/.well-known/jwks.json']
    for (const target of targets) {
      const line = await lineOf(scene.gateway, await scene.ask({ target, lines: TAKEN }))
      expect([target, line['client']]).toEqual([target, '127.0.0.1'])
    }
    const echoed = await scene.ask({ target: '/echo/x', lines: TAKEN })
    expect(echoed.body).not.toMatch(/203\.0\.113\.9|evil|\/public/)
  })

  it('CVE-2020-25017, GHSA-2v25-cjjq-5f4w: two Authorization fields are refused, in both orders', async () => {
    const good = scene.token()
    for (const [first, second] of [
      [good, 'garbage'],
      ['garbage', good],
      [good, good],
    ]) {
      const answer = await scene.ask({
        target: '/admin',
        lines: [`Authorization: Bearer ${first}`, `AUTHORIZATION: Bearer ${second}`],
      })
      expectNoPass(answer, scene.upstream)
      expect([answer.status, answer.json()['error']]).toEqual([400, 'invalid_request'])
    }
  })
})

describe('from a trusted proxy', () => {
  let scene: Scene

  beforeAll(async () => {
    scene = await openScene({ listener: '    trustedProxies: [127.0.0.1/32]' })
  })
  afterAll(() => scene.close())
  beforeEach(() => {
    scene.upstream.seen.length = 0
  })

  it('forwarded headers are believed and continued', async () => {
    const answer = await scene.ask({ target: '/public/x', lines: TAKEN })
    const raw = scene.upstream.seen[0]?.rawHeaders ?? []
    const told = [
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-forwarded-host',
      'forwarded',
      'x-request-id',
      'traceparent',
      'tracestate',
      'x-real-ip',
    ].map((name) => valuesOf(raw, name))
    expect([answer.status, answer.headers.get('x-request-id'), told]).toEqual([
      200,
      ['mine'],
      [
        ['203.0.113.9, 127.0.0.1'],
        ['https'],
        ['evil.test'],
        ['for=203.0.113.9;host=evil.test;proto=https, for=127.0.0.1;host="evil.test";proto=https'],
        ['mine'],
        ['00-11111111111111111111111111111111-1111111111111111-01'],
        ['a=b'],
        ['203.0.113.9'],
      ],
    ])
    expect((await lineOf(scene.gateway, answer))['client']).toBe('203.0.113.9')
  })

  it('the route, the tenant and the identity are still not its to choose', async () => {
    const refused = await scene.ask({ target: '/admin', lines: [...TAKEN, 'X-User-Id: root'] })
    expectNoPass(refused, scene.upstream)
    const mismatch = await scene.ask({
      target: '/admin',
      lines: ['X-Forwarded-Host: acme.test'],
      host: 'gateway.test',
      token: scene.token(),
    })
    expect([refused.status, mismatch.status]).toEqual([401, 200])
    await scene.ask({ target: '/public/x', lines: ['X-User-Id: root', 'X_Tenant_Id: root'] })
    const raw = scene.upstream.seen.at(-1)?.rawHeaders ?? []
    expect([valuesOf(raw, 'x-user-id'), valuesOf(raw, 'x-tenant-id')]).toEqual([[], []])
  })

  it('CVE-2026-31908: what looks like a line break stays in its value', async () => {
    const answer = await scene.ask({
      target: '/public/x',
      lines: ['X-Forwarded-For: 1%0d%0aX-Admin: 1', 'X-Forwarded-Host: a%0d%0aX-Admin: 1'],
    })
    const raw = scene.upstream.seen[0]?.rawHeaders ?? []
    expect([valuesOf(raw, 'x-admin'), valuesOf(raw, 'x-forwarded-for')]).toEqual([[], ['1%0d%0aX-Admin: 1, 127.0.0.1']])
    expect((await lineOf(scene.gateway, answer))['client']).toBe('unknown')
  })

  it('a request id that is none is replaced', async () => {
    for (const id of ['a b', 'x'.repeat(129), 'a"b', '<script>', '']) {
      const answer = await scene.ask({ target: '/public/x', lines: [`X-Request-Id: ${id}`] })
      expect(answer.headers.get('x-request-id')).toEqual([expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/)])
    }
  })
})

describe('trust in everyone', () => {
  it.each(['0.0.0.0/0', '::/0', '"*"', '10.0.0.1/0'])(
    'CVE-2026-76835: trustedProxies: [%s] is a configuration error',
    async (network) => {
      await expect(openScene({ listener: `    trustedProxies: [${network}]` })).rejects.toThrow(ConfigError)
    },
  )
})
