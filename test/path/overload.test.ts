/** More to do than can be done: who is refused, how, and who is not. */
import { afterEach, describe, expect, test } from 'vitest'
import { claims, createSigner } from '../support/foreign.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { sendRaw, statusOf } from '../support/raw.ts'
import { streamUpstream, type StreamUpstream } from '../support/streams.ts'
import { until } from '../support/until.ts'

const ISSUER = 'https://foreign.test/'
const acme = createSigner('ES256', 'acme-1')
const globex = createSigner('ES256', 'globex-1')
let upstream: StreamUpstream
let gateway: TestGateway

afterEach(async () => {
  upstream.answerWaiting()
  await gateway.close()
  await upstream.close()
})

async function open(overload: string): Promise<void> {
  upstream = await streamUpstream()
  const files = Object.fromEntries(
    [acme, globex].map(({ kid, jwk }) => [`${kid.split('-')[0]}.json`, JSON.stringify({ keys: [jwk] })]),
  )
  const issuerOf = (tenant: string) =>
    `${tenant}: { issuer: "${ISSUER}${tenant}", tenant: ${tenant}, audiences: [api], algorithms: [ES256], jwks: { file: ${tenant}.json } }`
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    overload: ${overload}
  admin: { address: 127.0.0.1:0 }
tenants: { acme: {}, globex: {} }
issuers:
  ${issuerOf('acme')}
  ${issuerOf('globex')}
upstreams: { one: { targets: ["http://127.0.0.1:${upstream.port}"], connections: 200 } }
routes:
  - { name: api, match: { path: /api/* }, auth: required, upstream: one }
  - { name: batch, match: { path: /batch/* }, auth: required, priority: low, upstream: one }
  - { name: front, match: { path: /front/* }, auth: public, websocket: true, upstream: one }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }${SERVICE_ROUTES}`,
    { files },
  )
}

const ofAcme = () => bearer(acme.token(claims(`${ISSUER}acme`)))
const ofGlobex = () => bearer(globex.token(claims(`${ISSUER}globex`)))

function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, { headers })
}

/** So many requests that the upstream holds until it is told to answer. */
async function hold(count: number, headers: Readonly<Record<string, string>>, path = '/api/wait'): Promise<Promise<Response>[]> {
  const before = upstream.asked.length
  const held = Array.from({ length: count }, () => get(path, headers))
  await until(() => upstream.asked.length === before + count, 'the upstream does not have them all')
  return held
}

async function statuses(answers: readonly Promise<Response>[]): Promise<readonly number[]> {
  return Promise.all(answers.map(async (answer) => (await answer).status))
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(`${line} `))
      ?.slice(line.length + 1),
  )
}

async function readiness(): Promise<unknown> {
  const { status, overloaded } = (await (await fetch(`${gateway.adminUrl}/readyz`)).json()) as Record<string, unknown>
  return { status, overloaded }
}

describe('maxRequests', () => {
  test('refuses with 503 overloaded, Retry-After and a connection that stays, and the upstream sees nothing of it', async () => {
    await open('{ maxRequests: 10 }')
    const held = await hold(9, ofAcme())
    const answer = await get('/api/now', ofAcme())
    expect([answer.status, answer.headers.get('connection'), await answer.json()]).toEqual([
      503,
      'keep-alive',
      expect.objectContaining({ error: 'overloaded', title: 'Overloaded', status: 503, request_id: expect.any(String) }),
    ])
    expect(answer.headers.get('retry-after')).toMatch(/^[1-5]$/)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(upstream.asked).toEqual(Array.from({ length: 9 }, () => '/api/wait'))
    upstream.answerWaiting()
    expect(new Set(await statuses(held))).toEqual(new Set([200]))
    expect((await get('/api/now', ofAcme())).status).toBe(200)
  })

  test('lets health, refresh and logout in while normal requests are refused, and those of low priority go first', async () => {
    await open('{ maxRequests: 20 }')
    const user = await login(gateway.url)
    const held = await hold(16, ofAcme())
    expect([(await get('/batch/now', ofAcme())).status, (await get('/front/now')).status]).toEqual([503, 503])
    expect((await postJson(`${gateway.url}/auth/login`, { email: user.email, password: user.password })).status).toBe(503)
    held.push(...(await hold(2, ofAcme())))
    expect([(await get('/api/now', ofAcme())).status, (await get('/health')).status]).toEqual([503, 200])
    const refreshed = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token: user.refresh_token })
    const { access_token: token } = (await refreshed.json()) as { access_token: string }
    const loggedOut = await postJson(`${gateway.url}/auth/logout`, {}, bearer(token))
    expect([refreshed.status, loggedOut.status, (await get('/.well-known/jwks.json')).status]).toEqual([200, 204, 200])
    upstream.answerWaiting()
    expect(new Set(await statuses(held))).toEqual(new Set([200]))
  })

  test('shows in the metrics, at /readyz and in one line of the log', async () => {
    await open('{ maxRequests: 10 }')
    expect([await readiness(), await metric('gatehouse_requests_in_flight')]).toEqual([{ status: 'ready', overloaded: false }, 0])
    const held = await hold(9, ofAcme())
    const refused = await statuses(Array.from({ length: 50 }, () => get('/api/now', ofAcme())))
    expect(new Set(refused)).toEqual(new Set([503]))
    expect(await readiness()).toEqual({ status: 'degraded', overloaded: true })
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
    expect([
      await metric('gatehouse_requests_in_flight'),
      await metric('gatehouse_shed_total{reason="requests",priority="normal"}'),
      await metric('gatehouse_shed_share'),
    ]).toEqual([9, 50, 0])
    upstream.answerWaiting()
    await statuses(held)
    await until(() => gateway.lines().filter((line) => line['msg'] === 'request' || line['status'] === 200).length >= 9)
    const begun = gateway.lines().filter((line) => line['msg'] === 'overloaded: requests are refused')
    expect(begun).toEqual([expect.objectContaining({ level: 'warn', reason: 'requests' })])
    // Refusals are counted, not written one by one: at most ten a second.
    expect(gateway.lines().filter((line) => line['status'] === 503).length).toBeLessThan(40)
    await until(async () => (await metric('gatehouse_requests_in_flight')) === 0)
    await until(() => gateway.lines().some((line) => line['msg'] === 'not overloaded any more'))
    expect(gateway.lines().find((line) => line['msg'] === 'not overloaded any more')).toMatchObject({ refused: 50 })
    expect(await readiness()).toEqual({ status: 'ready', overloaded: false })
  })

  test('of one tenant’s flood leave another tenant its part', async () => {
    await open('{ maxRequests: 20 }')
    // 18 is the room of normal priority; alone, a tenant has all of it.
    const flood = await hold(15, ofAcme())
    const others = await hold(2, ofGlobex())
    const more = await statuses(Array.from({ length: 10 }, () => get('/api/now', ofAcme())))
    expect(new Set(more)).toEqual(new Set([503]))
    expect((await get('/api/now', ofGlobex())).status).toBe(200)
    expect(await metric('gatehouse_shed_total{reason="share",priority="normal"}')).toBe(10)
    upstream.answerWaiting()
    expect(new Set(await statuses([...flood, ...others]))).toEqual(new Set([200]))
  })

  test('refuses a WebSocket too', async () => {
    await open('{ maxRequests: 10 }')
    const held = await hold(8, ofAcme())
    const handshake = [
      'GET /front/socket HTTP/1.1',
      'Host: gateway.test',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    const refused = await sendRaw(gateway.port, `${handshake.join('\r\n')}\r\n\r\n`)
    expect([statusOf(refused), /"error":"overloaded"/.test(refused), /retry-after: [1-5]\r\n/.test(refused)]).toEqual([
      503,
      true,
      true,
    ])
    upstream.answerWaiting()
    await statuses(held)
    expect(upstream.asked.filter((path) => path.includes('socket'))).toEqual([])
  })

  test('is not looked at with enabled: false', async () => {
    await open('{ enabled: false, maxRequests: 1 }')
    const held = await hold(20, ofAcme())
    expect([(await get('/api/now', ofAcme())).status, (await get('/front/now')).status]).toEqual([200, 200])
    upstream.answerWaiting()
    expect(new Set(await statuses(held))).toEqual(new Set([200]))
  })
})

describe('lag', () => {
  test('that stands refuses low priority first, never health, and ends with its cause', async () => {
    await open('{ lag: 20ms }')
    const user = await login(gateway.url)
    const blocking = { now: true }
    block(() => blocking.now)
    const seen = { front: new Set<number>(), high: new Set<number>() }
    await until(async () => {
      const front = await statuses(Array.from({ length: 30 }, () => get('/front/now')))
      for (const status of front) seen.front.add(status)
      seen.high.add((await get('/health')).status)
      return seen.front.has(503)
    })
    for (let round = 0; round < 5; round += 1) {
      const front = Array.from({ length: 30 }, () => get('/front/now'))
      const high = await Promise.all([
        get('/health'),
        postJson(`${gateway.url}/sessions/refresh`, { refresh_token: user.refresh_token }),
      ])
      for (const { status } of high) seen.high.add(status)
      for (const status of await statuses(front)) seen.front.add(status)
    }
    blocking.now = false
    expect([...seen.front].filter((status) => status !== 200)).toEqual([503])
    expect([...seen.high]).toEqual([200])
    expect(await metric('gatehouse_shed_total{reason="lag",priority="low"}')).toBeGreaterThan(0)
    await until(async () => (await metric('gatehouse_shed_share')) === 0)
    expect(new Set(await statuses(Array.from({ length: 20 }, () => get('/front/now'))))).toEqual(new Set([200]))
  })
})

/** Takes the event loop for 80 ms in each of its turns. */
function block(goesOn: () => boolean): void {
  const untilMs = performance.now() + 80
  while (performance.now() < untilMs);
  if (goesOn()) setImmediate(() => block(goesOn))
}
