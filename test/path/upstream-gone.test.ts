/** Upstreams that cannot be reached, and answers that come while the request is still under way. */
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let gateway: TestGateway | undefined
let upstream: StrictUpstream | undefined

afterEach(async () => {
  await gateway?.close()
  await upstream?.close()
  gateway = undefined
  upstream = undefined
})

test.each(['GET', 'POST'])('%s to an upstream that refuses: 502 upstream_unreachable, nothing of its address', async (method) => {
  const port = await freePort()
  gateway = await openWire(port)
  const client = await openClient(gateway.port)
  client.send(head(`${method} / HTTP/1.1`, 'Content-Length: 3') + 'abc')
  const [answer] = await client.answered(1)
  const body = JSON.parse(answer?.body.toString() ?? '') as Record<string, unknown>
  expect([statusCode(answer), body['error'], body['request_id']]).toEqual([
    502,
    'upstream_unreachable',
    valuesOf(answer?.fields ?? [], 'x-request-id')[0],
  ])
  expect(answer?.body.toString()).not.toContain(String(port))
  expect(answer?.body.toString()).not.toMatch(/ECONN|127\.0\.0\.1|stack/)
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(2)).map(statusCode)).toEqual([502, 502])
  client.close()
})

test('a name that does not resolve: 502', async () => {
  gateway = await startGateway(
    'upstreams: { main: { targets: ["http://nowhere.invalid:80"] } }\nroutes: [{ name: all, match: { path: /* }, auth: public, upstream: main }]',
  )
  expect((await fetch(gateway.url)).status).toBe(502)
})

test('an upstream that comes back is used again', async () => {
  const port = await freePort()
  gateway = await openWire(port)
  expect((await fetch(gateway.url)).status).toBe(502)
  const server = createServer((socket) => socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve)
  })
  expect((await fetch(gateway.url)).status).toBe(200)
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => {
    server.close(resolve)
  })
  expect((await fetch(gateway.url)).status).toBe(502)
})

test('targets take turns', async () => {
  upstream = await strictUpstream('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na')
  const other = await strictUpstream('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb')
  gateway = await startGateway(
    `upstreams: { main: { targets: ["http://127.0.0.1:${upstream.port}", "http://127.0.0.1:${other.port}"] } }\nroutes: [{ name: all, match: { path: /* }, auth: public, upstream: main }]`,
  )
  const bodies: string[] = []
  for (let turn = 0; turn < 4; turn += 1) bodies.push(await (await fetch(gateway.url)).text())
  expect(bodies.join('')).toBe('abab')
  await gateway.close()
  gateway = undefined
  await other.close()
})

/** An upstream that answers as soon as it has seen a head. */
function eager(answer: string, then: (socket: Socket) => void = () => undefined): Promise<StrictUpstream> {
  return strictUpstream('', (socket, octets) => {
    if (!octets.includes('\r\n\r\n') || answered.has(socket)) return
    answered.add(socket)
    socket.write(answer, () => then(socket))
  })
}
const answered = new WeakSet<Socket>()
const EARLY = 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\n\r\nearly'

test.each([
  ['and reads on', () => undefined],
  ['and closes', (socket: Socket) => void socket.end()],
  ['and reads no more', (socket: Socket) => void socket.pause()],
])('an upstream that answers while the request is under way, %s: the client gets the answer', async (_, then) => {
  upstream = await eager(EARLY, then)
  gateway = await openWire(upstream.port)
  for (const [framing, part] of [
    ['Content-Length: 1000000', 'a'.repeat(70_000)],
    ['Transfer-Encoding: chunked', `3e8\r\n${'a'.repeat(1000)}\r\n`],
  ] as const) {
    const client = await openClient(gateway.port)
    client.send(head('POST / HTTP/1.1', framing) + part)
    expect((await client.answered(1)).map((answer) => [statusCode(answer), answer.body.toString()])).toEqual([[401, 'early']])
    client.close()
  }
})

test('a client that sends on behind an early answer keeps its connection', async () => {
  upstream = await eager(EARLY)
  gateway = await openWire(upstream.port)
  const client = await openClient(gateway.port)
  client.send(`${head('POST / HTTP/1.1', 'Content-Length: 72000')}${'a'.repeat(70_000)}`)
  await client.answered(1)
  client.send('a'.repeat(2000))
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(2)).map(statusCode)).toEqual([401, 401])
  client.close()
})

test('a client that sends without end behind an early answer is cut', async () => {
  upstream = await eager(EARLY)
  gateway = await openWire(upstream.port, { listener: ['limits: { bodyBytes: 1GiB }'] })
  const socket = connect(gateway.port, '127.0.0.1')
  let received = ''
  let sent = 0
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString()
  })
  socket.on('error', () => undefined)
  socket.write(head('POST / HTTP/1.1', 'Content-Length: 900000000'))
  const pump = (): void => {
    while (!socket.destroyed && sent < 900_000_000) {
      sent += 65536
      if (!socket.write(Buffer.alloc(65536))) {
        socket.once('drain', pump)
        return
      }
    }
  }
  pump()
  await new Promise((resolve) => {
    socket.on('close', resolve)
  })
  expect(received).toContain('early')
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})

test('a second answer to one request reaches nobody', async () => {
  upstream = await strictUpstream(
    (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers'),
  )
  gateway = await openWire(upstream.port, { upstream: ['connections: 1'] })
  const client = await openClient(gateway.port)
  for (let turn = 1; turn <= 5; turn += 1) {
    client.send(head('GET / HTTP/1.1'))
    await client.answered(turn)
  }
  expect(client.answers().map(({ body }) => body.toString())).toEqual(['mine', 'mine', 'mine', 'mine', 'mine'])
  client.close()
})
