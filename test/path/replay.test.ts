/** Routes that take each token for one request, in the whole fleet. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { basic } from '../support/clients.ts'
import { claims, compact, createSigner, hs } from '../support/foreign.ts'
import { bearer, postJson, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { handshake, openWebSocket, type WebSocketClient } from '../support/websocket.ts'

const SECRET = 'a secret that is long enough for HS256'
const USED = {
  status: 401,
  error: 'invalid_token',
  detail: 'This resource takes each access token once, and this one was used already. Get a new one.',
}

const signer = createSigner('ES256', 'k1')

let upstream: Server
/** Request lines that the upstream saw. */
const seen: string[] = []
let redis: RedisServer
let first: TestGateway
let second: TestGateway
const clients: WebSocketClient[] = []

beforeAll(async () => {
  upstream = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`)
    res.end('done')
  })
  upstream.on('upgrade', (req) => seen.push(`WebSocket ${req.url}`))
  const sockets = new WebSocketServer({ server: upstream })
  sockets.on('connection', (socket) => socket.on('error', () => undefined))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  redis = await startRedis()
  const storage = `{ sessions: "${redis.url}", directory: ./data }`
  first = await start(storage)
  second = await start(storage)
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  seen.length = 0
})
afterAll(async () => {
  await Promise.all([first.close(), second.close()])
  await redis.stop()
  upstream.close()
  upstream.closeAllConnections()
})

function start(storage: string, directory?: string): Promise<TestGateway> {
  const foreign = 'tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }]'
  const once = 'auth: required, replay: once, upstream: bank'
  return startGateway(
    `storage: ${storage}
masterKey: { env: MASTER_KEY }
tenants: { acme: { signing: ES256 } }
clients: { acme: { tenant: acme, secret: { env: JWT_SECRET }, scopes: [sessions:write] } }
issuers:
  legacy: { issuer: legacy, ${foreign} }
  partner: { issuer: partner, ${foreign} }
  public: { issuer: public, tenant: acme, audiences: any, algorithms: [ES256], jwks: { file: jwks.json } }
upstreams: { bank: { targets: ["http://127.0.0.1:${(upstream.address() as AddressInfo).port}"] } }
routes:
  - { name: pay, match: { path: /pay/* }, ${once}, scopes: [pay] }
  - { name: transfer, match: { path: /transfer/* }, ${once}, websocket: true }
  - { name: small, match: { path: /small/* }, ${once}, bodyBytes: 1B }
  - { name: api, match: { path: /api/* }, auth: required, upstream: bank }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
`,
    {
      environment: { JWT_SECRET: SECRET, MASTER_KEY: 'ab'.repeat(32) },
      files: { 'jwks.json': JSON.stringify({ keys: [signer.jwk] }) },
      ...(directory === undefined ? {} : { directory }),
    },
  )
}

function foreign(issuer: string, more: Readonly<Record<string, unknown>> = {}): string {
  return compact({ alg: 'HS256', typ: 'JWT' }, claims(issuer, more), hs('HS256', SECRET))
}

async function own(): Promise<string> {
  const body = { tenant_id: 'acme', user_id: 'u1', scope: 'pay' }
  const response = await postJson(`${first.url}/sessions`, body, { authorization: basic('acme', SECRET) })
  return ((await response.json()) as { readonly access_token: string }).access_token
}

async function ask(gateway: TestGateway, path: string, token: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(`${gateway.url}${path}`, { ...init, headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

async function refusal(gateway: TestGateway, path: string, token: string): Promise<unknown> {
  const response = await fetch(`${gateway.url}${path}`, { headers: bearer(token) })
  expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="gatehouse", error="invalid_token", /)
  return response.json()
}

async function open(gateway: TestGateway, token: string): Promise<number> {
  const client = await openWebSocket(gateway.port, handshake('/transfer/live', `Authorization: Bearer ${token}`))
  clients.push(client)
  return client.status
}

describe('a token on a route that takes each one once', () => {
  it('is good for one request in the whole fleet, and elsewhere as often as before', async () => {
    const token = await own()
    expect(await ask(first, '/pay/1', token)).toBe(200)
    expect(await refusal(second, '/pay/2', token)).toMatchObject({ ...USED, type: 'urn:gatehouse:problem:token_used' })
    expect(await refusal(first, '/pay/3', token)).toMatchObject(USED)
    expect(await refusal(first, '/transfer/4', token)).toMatchObject(USED)
    expect(await ask(first, '/api/5', token)).toBe(200)
    expect(await ask(second, '/api/6', token)).toBe(200)
    expect(seen).toEqual(['GET /pay/1', 'GET /api/5', 'GET /api/6'])
    expect(await redis.admin.keys('tenant:acme:used:{0}:gateway:*')).toHaveLength(1)
  })

  it('lets one of 200 requests at once through', async () => {
    const token = foreign('legacy', { scope: 'pay' })
    const statuses = await Promise.all(
      Array.from({ length: 200 }, (_, i) => ask(i % 2 === 0 ? first : second, '/pay/1', token, { method: 'POST' })),
    )
    expect(statuses.filter((status) => status === 200).length).toBe(1)
    expect(statuses.filter((status) => status === 401).length).toBe(199)
    expect(seen).toEqual(['POST /pay/1'])
  })

  it('is not used up by a request that the policy refuses', async () => {
    const token = foreign('legacy')
    expect([await ask(first, '/pay/1', token), await ask(second, '/pay/1', token)]).toEqual([403, 403])
    expect(await ask(second, '/transfer/1', token)).toBe(200)
    expect(await ask(first, '/transfer/1', token)).toBe(401)
    expect(seen).toEqual(['GET /transfer/1'])
  })

  it('is used up by a request that is refused behind the policy', async () => {
    const token = foreign('legacy')
    expect(await ask(first, '/small/1', token, { method: 'POST', body: 'too much' })).toBe(413)
    expect(await refusal(second, '/small/1', token)).toMatchObject(USED)
    expect(seen).toEqual([])
  })

  it('opens one WebSocket', async () => {
    const token = foreign('legacy')
    expect([await open(first, token), await open(second, token), await open(first, token)]).toEqual([101, 401, 401])
    expect(await ask(second, '/transfer/1', token)).toBe(401)
    expect(seen).toEqual(['WebSocket /transfer/live'])
  })

  it('is nothing to the same id of another issuer', async () => {
    const [one, other] = [foreign('legacy', { jti: 'invoice-1' }), foreign('partner', { jti: 'invoice-1' })]
    expect([await ask(first, '/transfer/1', one), await ask(second, '/transfer/1', other)]).toEqual([200, 200])
    expect([await ask(second, '/transfer/1', one), await ask(first, '/transfer/1', other)]).toEqual([401, 401])
  })

  it('is the same token in another spelling of its signature or header', async () => {
    const id = { jti: crypto.randomUUID() }
    const again = compact({ typ: 'JWT', alg: 'HS256' }, claims('legacy', id), hs('HS256', SECRET))
    expect([await ask(first, '/transfer/1', foreign('legacy', id)), await ask(first, '/transfer/1', again)]).toEqual([200, 401])
  })

  it('needs an id, or is of a shared secret and known by its text', async () => {
    const token = foreign('legacy', { jti: undefined })
    expect(await ask(first, '/transfer/1', token)).toBe(200)
    expect(await refusal(second, '/transfer/1', token)).toMatchObject(USED)
    expect(seen).toEqual(['GET /transfer/1'])
    const anonymous = signer.token(claims('public', { jti: undefined }))
    expect(await ask(first, '/api/2', anonymous)).toBe(200)
    expect(await refusal(first, '/transfer/2', anonymous)).toMatchObject({
      type: 'urn:gatehouse:problem:invalid_token',
      error: 'invalid_token',
      detail: expect.stringContaining('has no id (jti)'),
    })
    expect(seen).toEqual(['GET /transfer/1', 'GET /api/2'])
  })
})

describe('a route that takes each token once', () => {
  it('is closed while Redis is away, and others are open', async () => {
    const token = foreign('legacy')
    await redis.kill()
    const response = await fetch(`${first.url}/transfer/1`, { headers: bearer(token) })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await response.json()).toMatchObject({ error: 'storage_unavailable' })
    expect(await open(second, token)).toBe(503)
    expect(await ask(first, '/api/1', token)).toBe(200)
    expect(seen).toEqual(['GET /api/1'])
    await redis.restart()
    await expect.poll(() => ask(second, '/transfer/2', token), { timeout: 10_000 }).toBe(200)
    expect(await ask(second, '/transfer/2', token)).toBe(401)
  })

  it('knows after a restart what was used, on embedded storage', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-replay-'))
    const token = foreign('legacy')
    const before = await start('{ directory: ./data }', directory)
    expect([await ask(before, '/transfer/1', token), await ask(before, '/transfer/2', token)]).toEqual([200, 401])
    await before.close()
    const after = await start('{ directory: ./data }', directory)
    expect([await ask(after, '/transfer/3', token), await ask(after, '/transfer/4', foreign('legacy'))]).toEqual([401, 200])
    await after.close()
    rmSync(directory, { recursive: true, force: true })
    expect(seen).toEqual(['GET /transfer/1', 'GET /transfer/4'])
  })
})
