/** WebSockets: who may open one, how long it lives, and how it ends. */
import type { AddressInfo, Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'
import { claims, compact, hs, seconds } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'
import { closeCode, handshake, maskedFrame, OPCODES, openWebSocket, type WebSocketClient } from '../support/websocket.ts'
import { openClient, openWire } from '../support/wire.ts'

const SECRET = 'a secret that is long enough for HS256'
let echo: WebSocketServer
/** Switches, and then says what a test says, frame or not. */
let bare: RawUpstream
let bareSocket: Socket | undefined
let gateway: TestGateway
let onMessage: (socket: WebSocket, message: Buffer) => void
/** Close codes that the upstream saw. */
const seen: number[] = []
/** Headers of the handshakes that the upstream saw. */
const asked: Readonly<Record<string, string | string[] | undefined>>[] = []
const clients: WebSocketClient[] = []

beforeAll(async () => {
  echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => echo.once('listening', resolve))
  echo.on('connection', (socket, req) => {
    asked.push(req.headers)
    socket.on('error', () => undefined)
    socket.on('message', (message: Buffer) => onMessage(socket, message))
    socket.on('close', (code) => seen.push(code))
  })
  bare = await rawUpstream((socket) => {
    if (bareSocket === socket) return
    bareSocket = socket
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n',
    )
  })
  gateway = await start()
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  seen.length = 0
  asked.length = 0
  onMessage = reply
})
afterAll(async () => {
  await gateway.close()
  for (const socket of echo.clients) socket.terminate()
  echo.close()
  await bare.close()
})

function reply(socket: WebSocket, message: Buffer): void {
  socket.send(message, { binary: false })
}
onMessage = reply

function start(): Promise<TestGateway> {
  return startGateway(
    `tenants: { default: { signing: ES256 } }
issuers:
  legacy: { issuer: legacy, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }], clockSkew: 0s }
upstreams:
  echo: { targets: ["http://127.0.0.1:${(echo.address() as AddressInfo).port}"] }
  bare: { targets: ["http://127.0.0.1:${bare.port}"] }
  down: { targets: ["http://127.0.0.1:1"] }
routes:
  - { name: live, match: { path: /live/* }, auth: required, upstream: echo, websocket: true }
  - { name: bare, match: { path: /bare/* }, auth: required, upstream: bare, websocket: true }
  - { name: open, match: { path: /open/* }, auth: public, upstream: echo, websocket: true }
  - { name: down, match: { path: /down/* }, auth: public, upstream: down, websocket: true }${SERVICE_ROUTES}`,
    { environment: { JWT_SECRET: SECRET } },
  )
}

async function open(path: string, token?: string, port = gateway.port): Promise<WebSocketClient> {
  const client = await openWebSocket(port, handshake(path, ...(token === undefined ? [] : [`Authorization: Bearer ${token}`])))
  clients.push(client)
  return client
}

function tokenFor(lifetimeSeconds: number): string {
  return compact({ alg: 'HS256', typ: 'JWT' }, claims('legacy', { exp: seconds() + lifetimeSeconds }), hs('HS256', SECRET))
}

const text = (payload: string): Buffer => maskedFrame({ opcode: OPCODES.text, payload: Buffer.from(payload) })
const messages = (client: WebSocketClient): string[] =>
  client.frames().flatMap(({ opcode, payload }) => (opcode === OPCODES.text ? [payload.toString()] : []))

describe('opening', () => {
  test('with a token the tunnel opens, and the upstream knows who it is', async () => {
    const client = await open('/live', tokenFor(60))
    expect(client.status).toBe(101)
    client.send(text('hello'))
    await client.until(() => messages(client).length > 0)
    expect(messages(client)).toEqual(['hello'])
    expect([asked[0]?.['x-user-id'], asked[0]?.['authorization'], typeof asked[0]?.['x-gatehouse-identity']]).toEqual([
      'alice',
      undefined,
      'string',
    ])
  })

  test('without one it does not, and the upstream hears nothing', async () => {
    for (const client of [await open('/live'), await open('/live', 'x.y.z'), await open('/live', tokenFor(-60))]) {
      await client.until(() => false)
      expect({
        status: client.status,
        closed: client.isClosed(),
        challenge: /^www-authenticate: Bearer /im.test(client.answer),
      }).toEqual({
        status: 401,
        closed: true,
        challenge: true,
      })
    }
    expect(asked).toEqual([])
  })

  test('to an upstream that is down: 502', async () => {
    const client = await open('/down')
    await client.until(() => false)
    expect([client.status, client.isClosed(), client.received().toString().includes('upstream_unreachable')]).toEqual([
      502,
      true,
      true,
    ])
  })

  test('a client that goes away while the upstream thinks takes its handshake with it', async () => {
    let closed = false
    const slow = await rawUpstream((socket) => void socket.once('close', () => (closed = true)))
    const one = await openWire(slow.port, { route: ['websocket: true'] })
    const client = await openClient(one.port)
    client.send(handshake('/'))
    await expect.poll(() => slow.received().includes('\r\n\r\n')).toBe(true)
    client.close()
    await expect.poll(() => closed).toBe(true)
    await one.close()
    await slow.close()
  })
})

describe('ending', () => {
  test('1008 when the token expires', async () => {
    const client = await open('/live', tokenFor(2))
    expect(client.status).toBe(101)
    client.send(text('still here'))
    await client.until(() => messages(client).length > 0)
    await client.until(() => false)
    expect({ code: closeCode(client.frames()), closed: client.isClosed() }).toEqual({ code: 1008, closed: true })
    await expect.poll(() => seen).toEqual([1008])
  })

  test('1008 when the token is revoked, and only for that token', async () => {
    const [one, other] = [await login(gateway.url), await login(gateway.url)]
    const [ended, kept] = [await open('/live', one.access_token), await open('/live', other.access_token)]
    expect([ended.status, kept.status]).toEqual([101, 101])
    const logout = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(one.access_token) })
    expect(logout.status).toBeLessThan(300)
    await ended.until(() => false)
    expect(closeCode(ended.frames())).toBe(1008)
    kept.send(text('still here'))
    await kept.until(() => messages(kept).length > 0)
    expect(messages(kept)).toEqual(['still here'])
  })

  test('an expiry within a frame waits for the end of the frame, in both directions', async () => {
    const expiresMs = (seconds() + 2) * 1000
    const client = await open('/bare', tokenFor(2))
    bareSocket?.write(Buffer.concat([Buffer.from([0x81, 10]), Buffer.from('hello')]))
    const frame = text('from the client')
    client.send(frame.subarray(0, 9))
    await client.until(() => client.received().length >= 7)
    await new Promise((resolve) => setTimeout(resolve, expiresMs + 300 - Date.now()))
    expect({ closed: client.isClosed(), octets: client.received().length }).toEqual({ closed: false, octets: 7 })
    bareSocket?.write('world')
    client.send(frame.subarray(9))
    await client.until(() => false)
    expect(
      client
        .frames()
        .map(({ opcode, payload }) => [opcode, opcode === OPCODES.text ? payload.toString() : payload.readUInt16BE(0)]),
    ).toEqual([
      [OPCODES.text, 'helloworld'],
      [OPCODES.close, 1008],
    ])
    const upstreamGot = Buffer.from(bare.received().slice(bare.received().indexOf('\r\n\r\n') + 4), 'latin1')
    expect(upstreamGot.subarray(0, frame.length).equals(frame)).toBe(true)
    expect([...upstreamGot.subarray(frame.length)]).toEqual([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf0])
  })

  test('a frame that never ends does not keep the tunnel', async () => {
    const client = await open('/bare', tokenFor(2))
    client.send(text('never whole').subarray(0, 9))
    bareSocket?.write(Buffer.from([0x81, 10, 0x61]))
    await client.until(() => false)
    expect({ closed: client.isClosed(), code: closeCode(client.frames()) }).toEqual({ closed: true, code: undefined })
  })

  test('1001 when the gateway drains, for tunnels of any age and those that open meanwhile', async () => {
    const one = await start()
    const [anonymous, identified] = [await open('/open', undefined, one.port), await open('/live', tokenFor(60), one.port)]
    anonymous.send(text('last words'))
    await anonymous.until(() => messages(anonymous).length > 0)
    const closing = one.close()
    const late = await open('/open', undefined, one.port)
    for (const client of [anonymous, identified]) {
      await client.until(() => false)
      expect({ code: closeCode(client.frames()), closed: client.isClosed() }).toEqual({ code: 1001, closed: true })
    }
    await late.until(() => false)
    expect({ closed: late.isClosed(), code: late.status === 101 ? closeCode(late.frames()) : 1001 }).toEqual({
      closed: true,
      code: 1001,
    })
    await closing
  })

  test('a close by either end is the close of the other, code and reason kept', async () => {
    const client = await open('/open')
    client.send(maskedFrame({ opcode: OPCODES.close, payload: Buffer.from([0x0f, 0xa0, 0x62, 0x79, 0x65]) }))
    await client.until(() => false)
    expect(closeCode(client.frames())).toBe(4000)
    await expect.poll(() => seen).toEqual([4000])
    onMessage = (socket) => socket.close(4001, 'bye')
    const other = await open('/open')
    other.send(text('close, please'))
    await other.until(() => closeCode(other.frames()) !== undefined)
    expect(closeCode(other.frames())).toBe(4001)
  })

  test('an end that vanishes takes the other with it', async () => {
    const client = await open('/open')
    client.socket.resetAndDestroy()
    await expect.poll(() => seen).toEqual([1006])
    const other = await open('/open')
    socketOf([...echo.clients].at(-1)).resetAndDestroy()
    await other.until(() => false)
    expect(other.isClosed()).toBe(true)
  })

  test.each(['end', 'resetAndDestroy'] as const)('last words to an upstream that is gone (%s) keep nothing', async (way) => {
    const one = await start()
    const count = 10
    for (let opened = 0; opened < count; opened += 1) {
      const client = await open('/open', undefined, one.port)
      client.socket.prependOnceListener('end', () => client.send(text('is anybody there?')))
    }
    expect(await connections(one)).toBe(count)
    for (const socket of [...echo.clients].slice(-count)) socketOf(socket)[way]()
    await expect.poll(() => connections(one)).toBe(0)
    await one.close()
  })
})

/** Of clients, as the gateway counts them. */
async function connections(one: TestGateway): Promise<number> {
  const metrics = await (await fetch(`${one.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_connections (\d+)$/m.exec(metrics)?.[1])
}

test('a client that does not read holds up the upstream', async () => {
  onMessage = () => undefined
  const client = await open('/open')
  client.socket.pause()
  const raw = socketOf([...echo.clients].at(-1))
  const head = Buffer.from([0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0])
  raw.write(head)
  let written = 0
  while (written < 64 * 1024 * 1024 && raw.write(Buffer.alloc(65536))) written += 65536
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    while (!raw.writableNeedDrain && written < 64 * 1024 * 1024) {
      raw.write(Buffer.alloc(65536))
      written += 65536
    }
  }
  expect(written).toBeLessThan(32 * 1024 * 1024)
  raw.destroy()
})

/** The bare socket below one of the echo's WebSockets. */
function socketOf(socket: WebSocket | undefined): Socket {
  return (socket as unknown as { _socket: Socket })._socket
}
