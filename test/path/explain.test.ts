/** What would become of a request: the steps of the path itself, and nothing spent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claims, createSigner, jwksServer, type JwksServer } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

interface Explained {
  readonly decision: string
  readonly status: number
  readonly error?: string
  readonly route?: string | null
  readonly steps: readonly { readonly room: string; readonly rule: string; readonly result: string; readonly detail?: string }[]
}

const signer = createSigner('ES256', 'one')
let jwks: JwksServer
let gateway: TestGateway

beforeAll(async () => {
  jwks = await jwksServer()
  jwks.serve('one', [signer.jwk])
  gateway = await startGateway(`tenants: { default: { signing: ES256 } }
issuers:
  one: { issuer: one, tenant: default, audiences: [api], algorithms: [ES256], jwks: { uri: "${jwks.uri('one')}" } }
upstreams:
  main: { targets: ["http://127.0.0.1:1"] }
  next: { targets: ["http://127.0.0.1:1"] }
routes:
  - { name: orders, match: { path: /api/orders/* }, auth: required, scopes: [orders:read], ip: { allow: [127.0.0.0/8] }, stripPrefix: /api, upstream: main }
  - { name: shared, match: { path: /shared }, auth: public, split: [{ upstream: main, weight: 0 }, { upstream: next, weight: 5 }] }
  - { name: limited, match: { path: /limited }, auth: public, rateLimit: { requests: 1, per: 1h, by: ip }, service: echo }
  - { name: mine, match: { path: /mine }, auth: required, rateLimit: { requests: 2, per: 1h, by: user }, service: echo }
  - { name: once, match: { path: /once }, auth: required, replay: once, service: echo }${SERVICE_ROUTES}`)
})
afterAll(async () => {
  await gateway.close()
  await jwks.close()
})

async function explain(question: unknown, headers: Record<string, string> = { 'x-gatehouse-admin': '1' }): Promise<Explained> {
  const answer = await fetch(`${gateway.adminUrl}/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(question),
  })
  return answer.status === 200 ? ((await answer.json()) as Explained) : { decision: '', status: answer.status, steps: [] }
}

describe('a question about a request', () => {
  it('is answered with each step in the order of the path, its rule and what came of it', async () => {
    const token = signer.token(claims('one', { scope: 'orders:read' }))
    const said = await explain({ method: 'get', url: 'http://api.example.com/api/orders/1?access_token=x', token })
    expect({ ...said, steps: said.steps.map(({ room, rule, result }) => [room, rule, result]) }).toEqual({
      decision: 'allow',
      status: 200,
      route: 'orders',
      steps: [
        ['listener', 'framing, Host, limits', 'GET api.example.com/api/orders/1 from 127.0.0.1'],
        ['router', 'most specific host, path, method', 'route orders: any method any host /api/orders/*, for /api/orders/1'],
        ['networks', 'allow 127.0.0.0/8, deny none', '127.0.0.1'],
        ['rate limits by address', 'no limit', 'has room, not counted'],
        ['authenticator', 'auth: required', 'user alice of tenant default, by issuer one (at+jwt, ES256), scopes orders:read'],
        ['revocation', 'maxStaleness 10000 ms, whenStale deny', 'checked'],
        ['policy', 'scopes orders:read', 'served for default'],
        ['rate limits', 'no limit', 'has room, not counted'],
        ['replay', 'replay: allowed', 'not spent'],
        ['targets', 'upstream main', 'would get /orders/1'],
      ],
    })
    expect(JSON.stringify(said)).not.toContain(token.slice(0, 40))
  })

  it('says why a request is malformed, once', async () => {
    const { status, steps } = await explain({ url: '/api/orders/1', headers: { 'x-name': 'caf\u00e9…' } })
    expect([status, steps]).toEqual([
      400,
      [
        {
          room: 'listener',
          rule: 'framing, Host, limits',
          result: 'refused: invalid_request',
          detail: 'The request is malformed: a header field holds characters outside of visible ASCII.',
        },
      ],
    ])
  })

  it('names the side of a split', async () => {
    const said = await explain({ url: '/shared' })
    expect(said.steps.at(-1)).toEqual({
      room: 'targets',
      rule: 'split: main 0, next 5',
      result: 'upstream next would get /shared',
    })
  })

  it.each(['nonsense', '', '10.0.0.0/8'])('is refused from a place that is no address: %j', async (ip) => {
    expect(await explain({ url: '/mine', ip })).toEqual({ decision: '', status: 400, steps: [] })
  })

  it.each([
    ['no_route', { url: '/nothing' }, 404, 'router', null],
    ['ambiguous_path', { url: '/api/orders%2f1' }, 400, 'router', null],
    ['invalid_request', { url: 'http://a b/x' }, 400, 'listener', null],
    ['unauthorized', { url: '/api/orders/1' }, 401, 'authenticator', 'orders'],
    ['access_denied', { url: '/api/orders/1', ip: '192.0.2.1' }, 403, 'networks', 'orders'],
    ['insufficient_scope', { url: '/api/orders/1', token: signer.token(claims('one')) }, 403, 'policy', 'orders'],
    [
      'token_expired',
      { url: '/api/orders/1', token: signer.token(claims('one', { exp: 1_000_000 })) },
      401,
      'authenticator',
      'orders',
    ],
  ])('ends at the step that refuses: %s', async (error, question, status, room, route) => {
    const said = await explain(question)
    expect({ ...said, steps: undefined }).toEqual({ decision: 'refuse', status, error, route })
    expect(said.steps.at(-1)).toMatchObject({ room, result: expect.stringMatching(/^refused: /) })
  })

  it('says what a request then meets, for a token that was ended', async () => {
    const { access_token: token } = await login(gateway.url)
    expect(await explain({ url: '/mine', token })).toMatchObject({ decision: 'allow' })
    await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
    expect(await explain({ url: '/mine', token })).toMatchObject({ decision: 'refuse', status: 401, error: 'token_revoked' })
  })
})

describe('nothing is spent by asking', () => {
  it('of a rate limit, which is looked at all the same', async () => {
    for (let turn = 0; turn < 5; turn += 1) expect(await explain({ url: '/limited' })).toMatchObject({ decision: 'allow' })
    expect((await fetch(`${gateway.url}/limited`)).status).toBe(200)
    expect(await explain({ url: '/limited' })).toMatchObject({ decision: 'refuse', status: 429, error: 'rate_limited' })
    expect(await explain({ url: '/limited', ip: '192.0.2.9' })).toMatchObject({ decision: 'allow' })
  })

  it('of a token that is taken once, nor of what is counted', async () => {
    const token = signer.token(claims('one'))
    const counted = async (): Promise<string[]> => {
      const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
      return text.split('\n').filter((line) => /^gatehouse_(requests|auth_decisions|rate_limited|token_cache)_total/.test(line))
    }
    const before = await counted()
    for (let turn = 0; turn < 3; turn += 1)
      expect(await explain({ url: '/once', token })).toMatchObject({ decision: 'allow', route: 'once.root' })
    expect(await counted()).toEqual(before)
    const use = (): Promise<number> => fetch(`${gateway.url}/once`, { headers: bearer(token) }).then((answer) => answer.status)
    expect([await use(), await use()]).toEqual([200, 401])
  })

  it('of patience with signatures that do not hold', async () => {
    const [head = '', body = ''] = signer.token(claims('one')).split('.')
    const forged = `${head}.${body}.${Buffer.alloc(64, 7).toString('base64url')}`
    for (let turn = 0; turn < 60; turn += 1)
      expect(await explain({ url: '/mine', token: forged })).toMatchObject({ error: 'invalid_signature' })
    expect((await fetch(`${gateway.url}/mine`, { headers: bearer(forged) })).status).toBe(401)
  })
})

it('is taken from operators alone, and only when it can be read', async () => {
  expect((await explain({ url: '/mine' }, {})).status).toBe(403)
  expect((await fetch(`${gateway.adminUrl}/explain`)).status).toBe(405)
  for (const question of [
    {},
    { url: 7 },
    { url: 'mailto:x' },
    { url: '/', headers: [] },
    { url: '/', headers: { a: 1 } },
    { url: '/', secret: 'x' },
  ]) {
    expect((await explain(question)).status).toBe(400)
  }
})
