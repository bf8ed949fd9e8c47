/**
 * Time over HTTP/2: what is too slow ends, what is idle is let go, and a gateway that stops loses nothing.
 */
import { rmSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createAuthority, type Pair } from '../support/authority.ts'
import type { TestGateway } from '../support/gateway.ts'
import { CODES, FLAGS, FRAMES, openFrames, requestFields, type FrameClient } from '../support/http2-frames.ts'
import { openHttp2, sendTls } from '../support/http2.ts'
import { until } from '../support/until.ts'
import { openWire } from '../support/wire.ts'

const pair: Pair = createAuthority().server(['gateway.test'])
let upstream: Server
let waiting: ServerResponse[]
let gateway: TestGateway
let clients: FrameClient[]
let isRunning = false

beforeEach(async () => {
  waiting = []
  clients = []
  upstream = createServer((req, res) => {
    if (req.url === '/wait') waiting.push(res)
    else if (req.url === '/talk') req.pipe(res)
    else req.resume().on('end', () => res.end('ok'))
  })
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', resolve)
  })
})
afterEach(async () => {
  for (const client of clients) client.close()
  if (isRunning) await stop()
  rmSync(gateway.directory, { recursive: true, force: true })
  upstream.closeAllConnections()
  upstream.close()
})

async function start(timeouts: string): Promise<void> {
  gateway = await openWire((upstream.address() as AddressInfo).port, {
    listener: ['tls: { certificate: cert.pem, key: key.pem }', `timeouts: { ${timeouts} }`],
    files: { 'cert.pem': pair.certificate, 'key.pem': pair.key },
  })
  isRunning = true
}

/** Settles when the gateway has stopped; gives how many answers it cut. */
function stop(): Promise<number> {
  isRunning = false
  return gateway.gateway.close()
}

async function open(): Promise<FrameClient> {
  const client = await openFrames(gateway.port)
  clients.push(client)
  return client
}

it('closes a connection on which no request comes', async () => {
  await start('headers: 100ms')
  const client = await open()
  expect(await client.until(() => client.isClosed())).toBe(true)
  expect(client.frames().some(({ type }) => type === FRAMES.goaway)).toBe(true)
})

it('closes a connection on which the first head does not end', async () => {
  await start('headers: 100ms')
  const client = await open()
  client.send(FRAMES.headers, FLAGS.none, 1)
  expect(await client.until(() => client.isClosed())).toBe(true)
})

it('closes an idle connection after its time', async () => {
  await start('headers: 30s, keepAlive: 100ms')
  const client = await open()
  client.head(1, requestFields('/x'))
  expect((await client.over(1)).status).toBe(200)
  expect(await client.until(() => client.isClosed())).toBe(true)
  expect(
    client
      .frames()
      .find(({ type }) => type === FRAMES.goaway)
      ?.payload.readUInt32BE(4),
  ).toBe(CODES.none)
})

it('does not take a connection for idle that waits for an answer', async () => {
  await start('headers: 100ms, keepAlive: 100ms')
  const client = await open()
  client.head(1, requestFields('/wait'))
  await until(() => waiting.length === 1)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  waiting[0]?.end('late')
  expect(await client.over(1)).toMatchObject({ status: 200, body: 'late', ended: true })
})

it('refuses a body that takes too long with 408, and others of the connection go on', async () => {
  await start('headers: 500ms, request: 500ms')
  const client = await open()
  client.head(1, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
  client.send(FRAMES.data, FLAGS.none, 1, Buffer.from('begin'))
  expect((await client.over(1)).status).toBe(408)
  client.head(3, requestFields('/x'))
  expect((await client.over(3)).status).toBe(200)
})

it('lets both sides talk as long as they like once the answer has begun', async () => {
  await start('headers: 2s, request: 2s')
  const client = await open()
  client.head(1, requestFields('/talk', [], 'POST'), FLAGS.endHeaders)
  for (let word = 0; word < 4; word += 1) {
    client.send(FRAMES.data, FLAGS.none, 1, Buffer.from(`${word}`))
    expect(await client.until(() => client.outcome(1).body === '0123'.slice(0, word + 1))).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 900))
  }
  client.send(FRAMES.data, FLAGS.endStream, 1)
  expect(await client.over(1)).toMatchObject({ status: 200, body: '0123', ended: true, reset: undefined })
})

it('finishes what is under way when it stops, and says that it stops', async () => {
  await start('drain: 10s')
  const client = await open()
  client.head(1, requestFields('/wait'))
  await until(() => waiting.length === 1)
  const closed = stop()
  await client.until(() => client.frames().some(({ type }) => type === FRAMES.goaway))
  const other = await open()
  other.head(1, requestFields('/x'))
  expect((await other.over(1)).status).toBe(200)
  waiting[0]?.end('last')
  expect(await client.over(1)).toMatchObject({ status: 200, body: 'last', ended: true })
  expect(await client.until(() => client.isClosed())).toBe(true)
  expect(await closed).toBe(0)
  const last = client.frames().findLast(({ type }) => type === FRAMES.goaway)
  expect([last?.payload.readUInt32BE(0), last?.payload.readUInt32BE(4)]).toEqual([1, CODES.none])
  await expect(openHttp2(gateway.port)).rejects.toThrow()
})

it('cuts what takes longer than it may when it stops, and counts it', async () => {
  await start('drain: 200ms')
  const client = await open()
  client.head(1, requestFields('/wait'))
  await until(() => waiting.length === 1)
  expect(await stop()).toBe(1)
  expect(await client.until(() => client.isClosed())).toBe(true)
})

it('finishes HTTP/1.1 over TLS too', async () => {
  await start('drain: 10s')
  const answer = sendTls(gateway.port, 'GET /wait HTTP/1.1\r\nHost: gateway.test\r\n\r\n')
  await until(() => waiting.length === 1)
  const closed = stop()
  await new Promise((resolve) => setTimeout(resolve, 100))
  waiting[0]?.end('last')
  expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*^connection: close\r$[^]*last/im)
  expect(await closed).toBe(0)
})

it('counts connections of both kinds, and those in their handshake', async () => {
  await start('headers: 5s')
  const client = await open()
  const connections = async (): Promise<string | undefined> =>
    /^gatehouse_connections (\d+)$/m.exec(await fetch(`${gateway.adminUrl}/metrics`).then((response) => response.text()))?.[1]
  await until(async () => (await connections()) === '1')
  client.close()
  await until(async () => (await connections()) === '0')
})
