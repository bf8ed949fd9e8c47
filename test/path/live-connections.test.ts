/** What a token carries ends with it: streams, downloads, uploads and waits, by revocation and by expiry. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { claims, compact, hs, seconds } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { DOWNLOAD_BYTES, openStream, streamUpstream, type StreamClient, type StreamUpstream } from '../support/streams.ts'
import { handshake, openWebSocket } from '../support/websocket.ts'
import { head, openClient } from '../support/wire.ts'

const SECRET = 'a secret that is long enough for HS256'
/** Generous, for a machine that has other work. */
const SOON = { timeout: 10_000, interval: 10 }
let upstream: StreamUpstream
let gateway: TestGateway
const clients: StreamClient[] = []

beforeAll(async () => {
  upstream = await streamUpstream()
  gateway = await startGateway(
    `tenants: { default: { signing: ES256 } }
issuers:
  legacy: { issuer: legacy, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }], clockSkew: 0s }
upstreams:
  main: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { name: live, match: { path: /live/* }, auth: required, upstream: main, websocket: true }
  - { name: open, match: { path: /open/* }, auth: public, upstream: main }${SERVICE_ROUTES}`,
    { environment: { JWT_SECRET: SECRET } },
  )
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

function open(path: string, token: string, upload?: Buffer): StreamClient {
  const client = openStream(`${gateway.url}${path}`, token, upload)
  clients.push(client)
  return client
}

/** Good until the second that is `lifetimeSeconds` from the next one. */
function tokenFor(lifetimeSeconds: number): string {
  return compact({ alg: 'HS256', typ: 'JWT' }, claims('legacy', { exp: seconds() + 1 + lifetimeSeconds }), hs('HS256', SECRET))
}

async function logout(token: string): Promise<void> {
  const answer = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
  expect(answer.status).toBe(204)
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? 0)
}

async function lineOf(path: string): Promise<Record<string, unknown> | undefined> {
  const find = (): Record<string, unknown> | undefined => gateway.lines().findLast((line) => line['path'] === path)
  await expect.poll(find, SOON).toBeDefined()
  return find()
}

describe('a revocation', () => {
  test.each([
    ['an event stream', 'events'],
    ['a download whose length was told', 'download'],
  ])('cuts %s: the client can tell it from a whole one, and the upstream is let go', async (_, what) => {
    const path = `/live/revoked-${what}/${what}`
    const [ended, kept] = [await login(gateway.url), await login(gateway.url)]
    const [client, other] = [open(path, ended.access_token), open(path, kept.access_token)]
    await expect.poll(() => Math.min(client.bytes(), other.bytes()), SOON).toBeGreaterThan(0)
    await expect.poll(() => metric('gatehouse_live_connections'), SOON).toBe(2)
    const before = await metric('gatehouse_live_ended_total{reason="revoked"}')
    await logout(ended.access_token)
    await expect.poll(() => client.end(), SOON).toBe('broken')
    expect({ status: client.status(), part: client.bytes() < DOWNLOAD_BYTES }).toEqual({ status: 200, part: true })
    await expect.poll(() => upstream.aborted.includes(path), SOON).toBe(true)
    expect(await lineOf(path)).toMatchObject({ status: 200, aborted: true, ended: 'revoked' })
    expect(await metric('gatehouse_live_ended_total{reason="revoked"}')).toBe(before + 1)
    const bytes = other.bytes()
    await expect.poll(() => other.bytes(), SOON).toBeGreaterThan(bytes)
    expect(other.end()).toBe('open')
    other.close()
    await expect.poll(() => metric('gatehouse_live_connections'), SOON).toBe(0)
  })

  test('resets an HTTP/1.0 client, which reads until the end of the connection', async () => {
    const { access_token } = await login(gateway.url)
    const client = await openClient(gateway.port)
    let reset = false
    client.socket.once('error', (error: Error & { code?: string }) => (reset = error.code === 'ECONNRESET'))
    client.send(head('GET /live/old/events HTTP/1.0', `Authorization: Bearer ${access_token}`))
    await client.until((octets) => octets.includes('data: 1'))
    await logout(access_token)
    expect({ ended: await client.ended(), reset }).toEqual({ ended: true, reset: true })
  })

  test('refuses a request that still waits for its answer, and one whose body is still coming', async () => {
    const { access_token } = await login(gateway.url)
    const [waits, uploads] = [
      open('/live/revoked-wait/wait', access_token),
      open('/live/revoked-upload/sink', access_token, Buffer.alloc(1000)),
    ]
    await expect.poll(() => upstream.asked.filter((path) => path.startsWith('/live/revoked-')).length, SOON).toBeGreaterThan(1)
    await expect.poll(() => metric('gatehouse_live_connections'), SOON).toBe(2)
    await logout(access_token)
    for (const client of [waits, uploads]) {
      await expect.poll(() => client.end(), SOON).not.toBe('open')
      expect({ status: client.status(), error: (JSON.parse(client.body()) as { error: string }).error }).toEqual({
        status: 401,
        error: 'token_revoked',
      })
    }
    await expect
      .poll(() => upstream.aborted, SOON)
      .toEqual(expect.arrayContaining(['/live/revoked-wait/wait', '/live/revoked-upload/sink']))
    expect(await lineOf('/live/revoked-wait/wait')).toMatchObject({ status: 401, error: 'token_revoked', ended: 'revoked' })
  })

  test('ends what an upstream streams in answer to a handshake that it does not take', async () => {
    const { access_token } = await login(gateway.url)
    const client = await openWebSocket(gateway.port, handshake('/live/refused', `Authorization: Bearer ${access_token}`))
    expect(client.status).toBe(200)
    await client.until(() => client.received().includes('data: 1'))
    await logout(access_token)
    await client.until(() => false)
    expect(client.isClosed()).toBe(true)
    expect(client.received().includes('0\r\n\r\n')).toBe(false)
  })

  test('between the look at the token and the first octet of the answer is not missed', async () => {
    const { access_token } = await login(gateway.url)
    const client = open('/live/between/wait', access_token)
    await expect.poll(() => upstream.asked.includes('/live/between/wait'), SOON).toBe(true)
    // Less than the quarter of a second after which a request is held.
    await logout(access_token)
    await expect.poll(() => client.end(), SOON).toBe('whole')
    expect(client.status()).toBe(401)
  })
})

describe('an expiry', () => {
  test('cuts a stream in the second in which the token is refused', async () => {
    const client = open('/live/expired/events', tokenFor(1))
    await expect.poll(() => client.bytes(), SOON).toBeGreaterThan(0)
    await expect.poll(() => client.end(), SOON).toBe('broken')
    expect(await lineOf('/live/expired/events')).toMatchObject({ status: 200, aborted: true, ended: 'expired' })
    await expect.poll(() => upstream.aborted.includes('/live/expired/events'), SOON).toBe(true)
  })

  test('refuses an upload that is still coming', async () => {
    const client = open('/live/expired-upload/sink', tokenFor(1), Buffer.alloc(1000))
    await expect.poll(() => client.end(), SOON).not.toBe('open')
    expect({ status: client.status(), error: (JSON.parse(client.body()) as { error: string }).error }).toEqual({
      status: 401,
      error: 'token_expired',
    })
  })

  test('leaves alone who asked in time and waits for an answer: nothing is done twice', async () => {
    const expiresMs = (seconds() + 2) * 1000
    const client = open('/live/in-time/wait', tokenFor(1))
    await expect.poll(() => upstream.asked.includes('/live/in-time/wait'), SOON).toBe(true)
    await expect.poll(() => Date.now() > expiresMs + 1000, SOON).toBe(true)
    expect(client.end()).toBe('open')
    upstream.answerWaiting()
    await expect.poll(() => client.end(), SOON).toBe('whole')
    expect({ status: client.status(), body: client.body() }).toEqual({ status: 200, body: 'at last' })
  })
})

test('short answers, and streams without a token, are not held', async () => {
  const { access_token } = await login(gateway.url)
  const stream = open('/open/events', access_token)
  for (let count = 0; count < 20; count += 1) {
    const answer = await fetch(`${gateway.url}/live/short`, { headers: bearer(access_token) })
    expect([answer.status, await answer.text()]).toEqual([200, 'ok'])
  }
  await expect.poll(() => stream.bytes(), SOON).toBeGreaterThan(300)
  expect(await metric('gatehouse_live_connections')).toBe(0)
})
