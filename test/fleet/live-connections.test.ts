/** A socket and a stream on one gateway, ended by a revocation on another. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGateway, bearer, postJson, SERVICE_ROUTES, type TestGateway } from '../support/gateway.ts'
import { basic } from '../support/clients.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'
import { openStream, streamUpstream, type StreamUpstream } from '../support/streams.ts'
import { closeCode, handshake, openWebSocket } from '../support/websocket.ts'

const SOON = { timeout: 10_000, interval: 10 }
const SECRET = 'the secret of a backend'
const asBackend = { authorization: basic('backend', SECRET) }
let redis: RedisServer
let streams: StreamUpstream
let sockets: RawUpstream
let gateways: TestGateway[] = []

beforeAll(async () => {
  redis = await startRedis()
  streams = await streamUpstream()
  sockets = await rawUpstream(
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n',
  )
  const yaml = `storage: { sessions: ${JSON.stringify(redis.url)}, directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { default: { signing: ES256 } }
revocation: { maxStaleness: 2s }
clients: { backend: { tenant: default, secret: { env: SECRET }, scopes: [sessions:write] } }
upstreams:
  streams: { targets: ["http://127.0.0.1:${streams.port}"] }
  sockets: { targets: ["http://127.0.0.1:${sockets.port}"] }
routes:
  - { name: streams, match: { path: /streams/* }, auth: required, upstream: streams }
  - { name: lenient, match: { path: /lenient/* }, auth: required, upstream: streams, revocation: { whenStale: allow } }
  - { name: sockets, match: { path: /sockets/* }, auth: required, upstream: sockets, websocket: true }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }${SERVICE_ROUTES}`
  const environment = { MASTER_KEY: 'ab'.repeat(32), SECRET }
  gateways = await Promise.all([startGateway(yaml, { environment }), startGateway(yaml, { environment })])
})
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()))
  await Promise.all([redis.stop(), streams.close(), sockets.close()])
})

function at(index: number): TestGateway {
  const gateway = gateways[index]
  if (gateway === undefined) throw new Error('no such gateway')
  return gateway
}

async function sessionOf(user: string): Promise<{ readonly access_token: string }> {
  const answer = await postJson(`${at(1).url}/sessions`, { tenant_id: 'default', user_id: user, scope: '' }, asBackend)
  expect(answer.status).toBe(201)
  return (await answer.json()) as { readonly access_token: string }
}

test('what is open on one gateway ends when its session is revoked on the other', async () => {
  const [one, other] = [await sessionOf('alice'), await sessionOf('bob')]
  const socket = await openWebSocket(at(0).port, handshake('/sockets/x', `Authorization: Bearer ${one.access_token}`))
  const [stream, kept] = [one, other].map(({ access_token }) => openStream(`${at(0).url}/streams/events`, access_token))
  expect(socket.status).toBe(101)
  await expect.poll(() => Math.min(stream?.bytes() ?? 0, kept?.bytes() ?? 0), SOON).toBeGreaterThan(0)
  const answer = await postJson(`${at(1).url}/sessions/revoke`, { token: one.access_token }, bearer(one.access_token))
  expect([answer.status, await answer.json()]).toEqual([200, { revoked: true }])
  await expect.poll(() => stream?.end(), SOON).toBe('broken')
  await socket.until(() => false, SOON.timeout)
  expect({ closed: socket.isClosed(), code: closeCode(socket.frames()), other: kept?.end() }).toEqual({
    closed: true,
    code: 1008,
    other: 'open',
  })
  kept?.close()
})

test('past the bound of staleness what is open ends as new requests are refused, but where the route lets it go on', async () => {
  const { access_token } = await sessionOf('carol')
  const socket = await openWebSocket(at(0).port, handshake('/sockets/x', `Authorization: Bearer ${access_token}`))
  const [strict, lenient] = ['streams', 'lenient'].map((route) => openStream(`${at(0).url}/${route}/events`, access_token))
  await expect.poll(() => Math.min(strict?.bytes() ?? 0, lenient?.bytes() ?? 0), SOON).toBeGreaterThan(0)
  redis.pause()
  try {
    await expect.poll(() => strict?.end(), SOON).toBe('broken')
    await socket.until(() => false, SOON.timeout)
    expect({ closed: socket.isClosed(), code: closeCode(socket.frames()) }).toEqual({ closed: true, code: 1013 })
    const refused = await fetch(`${at(0).url}/streams/short`, { headers: bearer(access_token) })
    expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([503, 'revocation_unavailable'])
    const bytes = lenient?.bytes() ?? 0
    await expect.poll(() => lenient?.bytes(), SOON).toBeGreaterThan(bytes)
    expect(lenient?.end()).toBe('open')
  } finally {
    redis.resume()
    lenient?.close()
  }
})
