/** Rate limits of routes, through a whole gateway. Each limit is for an hour or more: nothing comes back while a test runs. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { basic } from '../support/clients.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { sendRaw } from '../support/raw.ts'
import { handshake, openWebSocket, type WebSocketClient } from '../support/websocket.ts'

const SECRET = 'the secret of a backend'

let upstream: Server
let gateway: TestGateway
/** Request lines that the upstream saw. */
const seen: string[] = []
const sockets: WebSocketClient[] = []

beforeAll(async () => {
  upstream = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`)
    res.setHeader('RateLimit', '"theirs";r=7')
    res.setHeader('ratelimit-policy', '"theirs";q=9')
    res.statusCode = req.url?.endsWith('/missing') === true ? 404 : 200
    res.end('done')
  })
  const webSockets = new WebSocketServer({ server: upstream })
  webSockets.on('connection', (socket) => socket.on('error', () => undefined))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const one = (name: string, keys: string) => `  - { name: ${name}, match: { path: /${name}/* }, ${keys}, upstream: shop }\n`
  gateway = await startGateway(
    `tenants:
  default: { signing: ES256, throttle: { usernames: 100/h } }
  acme: { signing: ES256, hosts: [acme.test] }
clients:
  billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] }
  crm: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] }
upstreams: { shop: { targets: ["http://127.0.0.1:${(upstream.address() as AddressInfo).port}"] } }
routes:${SERVICE_ROUTES.replace('service: accounts', 'service: accounts, rateLimit: { requests: 40, per: 1d, by: ip }')}
  - { name: sessions, match: { path: /sessions/* }, service: sessions, rateLimit: { requests: 3, per: 1d, by: client } }
  - { name: oauth, match: { path: /oauth/* }, service: oauth, rateLimit: { requests: 3, per: 1d, by: client } }
  - { name: usernames, match: { path: /usernames/* }, service: usernames, rateLimit: { requests: 2, per: 1d, by: user } }
${one('plain', 'auth: public')}${one('open', 'auth: public, rateLimit: { requests: 4, per: 1d, by: ip }')}${one(
      'early',
      'auth: required, rateLimit: { requests: 3, per: 1d, by: ip }',
    )}${one('users', 'auth: required, rateLimit: { requests: 2, per: 1d, by: user }')}${one(
      'anyone',
      'auth: optional, rateLimit: { requests: 2, per: 1d, by: user }',
    )}${one('tokens', 'auth: required, rateLimit: { requests: 2, per: 1d, by: token }')}${one(
      'both',
      'auth: required, rateLimit: [{ requests: 3, per: 1d, by: user }, { requests: 5, per: 30d, by: ip }]',
    )}${one('scoped', 'auth: required, scopes: [admin], rateLimit: { requests: 1, per: 1d, by: user }')}${one(
      'live',
      'auth: public, websocket: true, rateLimit: { requests: 2, per: 1d, by: ip }',
    )}${one('pages', 'auth: public, cors: { origins: ["https://app.test"] }, rateLimit: { requests: 1, per: 1d, by: ip }')}`,
    { environment: { SECRET } },
  )
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close()
  seen.length = 0
})
afterAll(async () => {
  await gateway.close()
  upstream.close()
  upstream.closeAllConnections()
})

interface Answered {
  readonly status: number
  readonly remaining: string | null
  readonly policy: string | null
  readonly retryAfter: string | null
  readonly body: string
}

async function ask(path: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(`${gateway.url}${path}`, init)
  return {
    status: response.status,
    remaining: response.headers.get('ratelimit'),
    policy: response.headers.get('ratelimit-policy'),
    retryAfter: response.headers.get('retry-after'),
    body: await response.text(),
  }
}

async function statuses(times: number, path: string, init: RequestInit = {}): Promise<readonly number[]> {
  const all: number[] = []
  for (let number = 0; number < times; number += 1) all.push((await ask(path, init)).status)
  return all
}

describe('the answers of a route with a limit', () => {
  it('say what is left, whatever they are, and 429 when nothing is', async () => {
    const answers = [
      await ask('/open/a'),
      await ask('/open/missing'),
      await ask('/open/a', { method: 'HEAD' }),
      await ask('/open/a', { method: 'POST', body: 'x'.repeat(11 * 1024 * 1024) }).catch(() => undefined),
    ]
    expect(answers.map((answer) => answer && [answer.status, answer.remaining])).toEqual([
      [200, '"ip";r=3;t=21600'],
      [404, '"ip";r=2;t=43200'],
      [200, '"ip";r=1;t=64800'],
      [413, '"ip";r=0;t=86400'],
    ])
    expect(answers.every((answer) => answer?.policy === '"ip";q=4;w=86400' && answer.retryAfter === null)).toBe(true)
    const refused = await ask('/open/a')
    expect(refused).toMatchObject({ status: 429, remaining: '"ip";r=0;t=86400', policy: '"ip";q=4;w=86400', retryAfter: '21600' })
    expect(JSON.parse(refused.body)).toMatchObject({ error: 'rate_limited', status: 429 })
    expect(seen).toEqual(['GET /open/a', 'GET /open/missing', 'HEAD /open/a'])
  })

  it('have these fields once, and from the gateway', async () => {
    const received = await sendRaw(gateway.port, 'GET /early/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    expect(received).toMatch(/^HTTP\/1\.1 401 /)
    expect(received.match(/^ratelimit: /gim)).toHaveLength(1)
    const { access_token } = await login(gateway.url)
    const answered = await sendRaw(
      gateway.port,
      `GET /users/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${access_token}\r\nconnection: close\r\n\r\n`,
    )
    expect(answered).toMatch(/^HTTP\/1\.1 200 /)
    expect(answered.match(/^ratelimit: .*$/gim)).toEqual(['ratelimit: "user";r=1;t=43200'])
    expect(answered.match(/^ratelimit-policy: .*$/gim)).toEqual(['ratelimit-policy: "user";q=2;w=86400'])
  })

  it('say nothing of it on other routes, where those of the upstream are passed on', async () => {
    expect(await ask('/plain/a')).toMatchObject({ status: 200, remaining: '"theirs";r=7', policy: '"theirs";q=9' })
  })

  it('are logged and counted like any refusal', async () => {
    await statuses(6, '/open/a')
    const line = gateway.lines().findLast(({ status }) => status === 429)
    expect(line).toMatchObject({ route: 'open', error: 'rate_limited' })
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toMatch(/^gatehouse_rate_limited_total\{route="open",by="ip"\} [1-9]/m)
    expect(metrics).toMatch(/^gatehouse_rate_limit_checks_total\{counted="here"\} [1-9]/m)
  })
})

describe('what counts', () => {
  it('by address alone, also what is refused for its token', async () => {
    expect(await statuses(4, '/early/a', { headers: bearer('garbage') })).toEqual([401, 401, 429, 429])
    expect(seen).toEqual([])
  })

  it('by user, only what is let in: each user has a budget of his own', async () => {
    const [alice, bob] = [await login(gateway.url), await login(gateway.url)]
    expect(await statuses(3, '/users/a', { headers: bearer('garbage') })).toEqual([401, 401, 401])
    expect(await statuses(3, '/users/a', { headers: bearer(alice.access_token) })).toEqual([200, 200, 429])
    expect(await statuses(3, '/users/a', { headers: bearer(bob.access_token) })).toEqual([200, 200, 429])
    expect(await statuses(3, '/scoped/a', { headers: bearer(alice.access_token) })).toEqual([403, 403, 403])
  })

  it('by user where there may be none: those without a token by their address', async () => {
    const { access_token } = await login(gateway.url)
    expect(await statuses(3, '/anyone/a')).toEqual([200, 200, 429])
    expect(await statuses(3, '/anyone/a', { headers: bearer(access_token) })).toEqual([200, 200, 429])
  })

  it('by token: a new one of the same user has a budget of its own', async () => {
    const first = await login(gateway.url)
    const again = await postJson(`${gateway.url}/auth/login`, { email: first.email, password: first.password })
    const second = (await again.json()) as { readonly access_token: string }
    expect(await statuses(3, '/tokens/a', { headers: bearer(first.access_token) })).toEqual([200, 200, 429])
    expect(await statuses(3, '/tokens/a', { headers: bearer(second.access_token) })).toEqual([200, 200, 429])
  })

  it('by several at once: all hold, and what one refuses costs nothing of the other', async () => {
    const [alice, bob] = [await login(gateway.url), await login(gateway.url)]
    expect(await statuses(6, '/both/a', { headers: bearer(alice.access_token) })).toEqual([200, 200, 200, 429, 429, 429])
    expect(await ask('/both/a', { headers: bearer(bob.access_token) })).toMatchObject({
      status: 200,
      remaining: '"user";r=2;t=28800, "ip";r=1;t=2073600',
      policy: '"user";q=3;w=86400, "ip";q=5;w=2592000',
    })
    expect(await statuses(2, '/both/a', { headers: bearer(bob.access_token) })).toEqual([200, 429])
    expect(await ask('/both/a', { headers: bearer(bob.access_token) })).toMatchObject({ retryAfter: '518400' })
  })

  it('the handshake of a WebSocket', async () => {
    const open = async (): Promise<number> => {
      const socket = await openWebSocket(gateway.port, handshake('/live/a'))
      sockets.push(socket)
      return socket.status
    }
    expect([await open(), await open(), await open()]).toEqual([101, 101, 429])
    const refused = await sendRaw(gateway.port, handshake('/live/a'))
    expect(refused).toMatch(/^HTTP\/1\.1 429 /)
    expect(refused).toMatch(/^retry-after: \d+\r$/m)
    expect(refused).toMatch(/^ratelimit: "ip";r=0;t=86400\r$/m)
  })

  it('not a preflight', async () => {
    const headers = { origin: 'https://app.test', 'access-control-request-method': 'GET' }
    expect(await statuses(5, '/pages/a', { method: 'OPTIONS', headers })).toEqual([204, 204, 204, 204, 204])
    expect(await statuses(2, '/pages/a', { headers: { origin: 'https://app.test' } })).toEqual([200, 429])
  })
})

describe('on a service', () => {
  it('all endpoints of a mount share the limit', async () => {
    const own = await startGateway(`
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts, rateLimit: { requests: 3, per: 1d, by: ip } }
`)
    try {
      const wrong = { email: 'nobody@example.com', password: 'not the password' }
      const answers = [
        await postJson(`${own.url}/auth/login`, wrong),
        await postJson(`${own.url}/auth/register`, {}),
        await fetch(`${own.url}/auth/me`),
        await postJson(`${own.url}/auth/login`, wrong),
        await fetch(`${own.url}/auth/me`),
      ]
      expect(answers.map(({ status }) => status)).toEqual([401, 400, 401, 429, 429])
      expect(answers.map(({ headers }) => headers.get('ratelimit'))).toEqual([
        '"ip";r=2;t=28800',
        '"ip";r=1;t=57600',
        '"ip";r=0;t=86400',
        '"ip";r=0;t=86400',
        '"ip";r=0;t=86400',
      ])
    } finally {
      await own.close()
    }
  })

  it('a client counts once it has proved who it is, by whatever name it was called before', async () => {
    const create = (client: string, secret = SECRET) =>
      ask('/sessions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: basic(client, secret) },
        body: JSON.stringify({ tenant_id: 'acme', user_id: 'u1', scope: 'a' }),
      })
    expect((await create('billing', 'wrong')).status).toBe(401)
    const answers = [await create('billing'), await create('billing'), await create('billing'), await create('billing')]
    expect(answers.map(({ status, remaining }) => [status, remaining])).toEqual([
      [201, '"client";r=2;t=28800'],
      [201, '"client";r=1;t=57600'],
      [201, '"client";r=0;t=86400'],
      [429, '"client";r=0;t=86400'],
    ])
    expect((await create('crm')).status).toBe(201)
    // Whoever is no client counts by address.
    const validate = () =>
      ask('/sessions/validate', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"access_token":"x"}' })
    expect([await validate(), await validate(), await validate(), await validate()].map(({ status }) => status)).toEqual([
      200, 200, 200, 429,
    ])
  })

  it('a client that proves itself in the body counts, too', async () => {
    const token = (client: string) =>
      ask('/oauth/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: 'client_credentials', client_id: client, client_secret: SECRET }).toString(),
      })
    const answers = [
      await token('billing'),
      await token('billing'),
      await token('billing'),
      await token('billing'),
      await token('crm'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 200])
    expect(answers[3]?.retryAfter).toBe('28800')
  })

  it('that has a budget of its own, both are said', async () => {
    const answer = await ask('/usernames/somebody/availability')
    expect(answer.status).toBe(200)
    expect(answer.remaining).toMatch(/^"user";r=1;t=43200, "usernames";r=\d+;t=\d+$/)
    expect(answer.policy).toMatch(/^"user";q=2;w=86400, "usernames";q=\d+;w=\d+$/)
  })
})

it('is shown with the routes', async () => {
  const routes = (await (await fetch(`${gateway.adminUrl}/routes`)).json()) as { readonly name: string }[]
  expect(routes.find(({ name }) => name === 'open')).toMatchObject({
    rateLimit: { when: 'arrival', limits: [{ by: 'ip', policy: 'ip', requests: 4, perSeconds: 86_400, burst: 4 }] },
  })
})
