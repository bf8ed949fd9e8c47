/** `liveUntil: session`: what a token opened goes on while its session is refreshed. The test moves the wall clock. */
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import { openStream, streamUpstream, type StreamClient, type StreamUpstream } from '../support/streams.ts'
import { closeCode, handshake, maskedFrame, OPCODES, openWebSocket, type WebSocketClient } from '../support/websocket.ts'

const SOON = { timeout: 10_000, interval: 10 }
const realNow = Date.now
let aheadMs = 0
let echo: WebSocketServer
let upstream: StreamUpstream
let gateway: TestGateway
const open: { close(): void }[] = []

beforeAll(async () => {
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + aheadMs)
  echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => echo.once('listening', resolve))
  echo.on('connection', (socket) => {
    socket.on('error', () => undefined)
    socket.on('message', (message: Buffer) => socket.send(message, { binary: false }))
  })
  upstream = await streamUpstream()
  gateway = await startGateway(
    `tenants: { default: { signing: ES256, accessToken: { lifetime: 60s }, clockSkew: 0s } }
upstreams:
  echo: { targets: ["http://127.0.0.1:${(echo.address() as AddressInfo).port}"] }
  streams: { targets: ["http://127.0.0.1:${upstream.port}"] }
routes:
  - { name: token, match: { path: /token/* }, auth: required, upstream: echo, websocket: true }
  - { name: session, match: { path: /session/* }, auth: required, upstream: echo, websocket: true, liveUntil: session }
  - { name: streams, match: { path: /streams/* }, auth: required, upstream: streams, liveUntil: session }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }${SERVICE_ROUTES}`,
  )
})
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})
afterAll(async () => {
  await gateway.close()
  for (const socket of echo.clients) socket.terminate()
  echo.close()
  await upstream.close()
  vi.restoreAllMocks()
})

function pass(seconds: number): void {
  aheadMs += seconds * 1000
}

async function socketOf(route: string, { access_token }: Pick<Tokens, 'access_token'>): Promise<WebSocketClient> {
  const client = await openWebSocket(gateway.port, handshake(`/${route}/x`, `Authorization: Bearer ${access_token}`))
  open.push(client)
  expect(client.status).toBe(101)
  return client
}

function streamOf({ access_token }: Pick<Tokens, 'access_token'>): StreamClient {
  const client = openStream(`${gateway.url}/streams/events`, access_token)
  open.push(client)
  return client
}

async function refresh({ refresh_token }: Tokens): Promise<Tokens> {
  const answer = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Tokens
}

/** Whether what is sent comes back. */
async function echoes(client: WebSocketClient, text: string): Promise<boolean> {
  client.send(maskedFrame({ opcode: OPCODES.text, payload: Buffer.from(text) }))
  const came = (): boolean => client.frames().some(({ payload }) => payload.toString() === text)
  await client.until(came)
  return came()
}

async function closed(client: WebSocketClient): Promise<number | undefined> {
  await client.until(() => false)
  return client.isClosed() ? closeCode(client.frames()) : undefined
}

test('a refreshed session keeps its socket and its stream where the route says so, and loses them elsewhere', async () => {
  const tokens = await login(gateway.url)
  const [kept, lost, stream] = [await socketOf('session', tokens), await socketOf('token', tokens), streamOf(tokens)]
  await expect.poll(() => stream.bytes(), SOON).toBeGreaterThan(0)
  pass(40)
  const newer = await refresh(tokens)
  pass(25)
  expect(await closed(lost)).toBe(1008)
  expect(await echoes(kept, 'past the first token')).toBe(true)
  const bytes = stream.bytes()
  await expect.poll(() => stream.bytes(), SOON).toBeGreaterThan(bytes)
  // The newest token ends 100 s after the beginning; 70 s are over.
  pass(5)
  await refresh(newer)
  pass(35)
  expect(await echoes(kept, 'past the second token')).toBe(true)
  pass(30)
  expect(await closed(kept)).toBe(1008)
  await expect.poll(() => stream.end(), SOON).toBe('broken')
})

test('a session that is not refreshed loses its socket when its token expires', async () => {
  const client = await socketOf('session', await login(gateway.url))
  pass(61)
  expect(await closed(client)).toBe(1008)
})

test('a session that is ended loses its socket at once, refreshed or not', async () => {
  const tokens = await login(gateway.url)
  const client = await socketOf('session', tokens)
  pass(40)
  const newer = await refresh(tokens)
  pass(25)
  expect(await echoes(client, 'still here')).toBe(true)
  const logout = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(newer.access_token) })
  expect(logout.status).toBe(204)
  expect(await closed(client)).toBe(1008)
  await expect
    .poll(() => gateway.lines().findLast((line) => line['path'] === '/session/x'), SOON)
    .toMatchObject({ status: 101, ended: 'revoked' })
})
