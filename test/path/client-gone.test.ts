/** A client that goes away: the upstream's request is aborted, nothing hangs, and the access log says so. */
import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
let reply: (socket: Socket) => void

beforeEach(async () => {
  reply = () => undefined
  upstream = await strictUpstream((socket) => reply(socket))
  gateway = await openWire(upstream.port, { upstream: ['connections: 1'] })
})
afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

/** The access lines once there are `count` of them. */
async function lines(count: number) {
  await expect.poll(() => gateway.lines().filter((line) => 'status' in line).length).toBe(count)
  return gateway.lines().filter((line) => 'status' in line)
}

test('before the answer: the upstream connection is closed', async () => {
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1'))
  await upstream.until(() => upstream.requests.length === 1)
  client.close()
  await upstream.until(() => upstream.connections() === 0)
  expect(upstream.connections()).toBe(0)
  expect((await lines(1))[0]).toMatchObject({ status: 499 })
})

test('within the answer: the upstream connection is closed', async () => {
  reply = (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc')
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1'))
  await client.until((octets) => octets.includes('abc'))
  client.close()
  await upstream.until(() => upstream.connections() === 0)
  expect(upstream.connections()).toBe(0)
  expect((await lines(1))[0]).toMatchObject({ status: 200 })
})

test.each([
  ['by length', 'Content-Length: 100000', 'a'.repeat(70_000)],
  ['by chunks', 'Transfer-Encoding: chunked', '3\r\nabc\r\n'],
])('within its request, %s: the upstream sees a request that is not whole', async (_, framing, part) => {
  const client = await openClient(gateway.port)
  client.send(head('POST / HTTP/1.1', framing) + part)
  await upstream.until(() => upstream.rests().length > 0)
  expect(upstream.connections()).toBe(1)
  client.close()
  await upstream.until(() => upstream.connections() === 0)
  expect({ connections: upstream.connections(), whole: upstream.requests.length }).toEqual({ connections: 0, whole: 0 })
  await lines(1)
})

test('within a short request of known length: the upstream does not even see it', async () => {
  const client = await openClient(gateway.port)
  client.send(`${head('POST / HTTP/1.1', 'Content-Length: 100')}abc`)
  await upstream.until(() => false, 150)
  client.close()
  await lines(1)
  expect({ connections: upstream.connections(), rests: upstream.rests() }).toEqual({ connections: 0, rests: [] })
})

test('within its request, half closed: the upstream request ends too', async () => {
  const client = await openClient(gateway.port)
  client.send(head('POST / HTTP/1.1', 'Content-Length: 100'))
  client.socket.end('abc')
  expect(await client.ended()).toBe(true)
  await upstream.until(() => upstream.connections() === 0)
  expect(upstream.requests).toEqual([])
  await lines(1)
})

test('while it waits for a connection to the upstream: it never gets one', async () => {
  let finish: () => void = () => undefined
  reply = (socket) => {
    finish = () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  }
  const first = await openClient(gateway.port)
  first.send(head('GET /first HTTP/1.1'))
  await upstream.until(() => upstream.requests.length === 1)
  const second = await openClient(gateway.port)
  second.send(`${head('POST /second HTTP/1.1', 'Content-Length: 2')}ab`)
  await upstream.until(() => false, 100)
  second.close()
  await lines(1)
  finish()
  await first.answered(1)
  const third = await openClient(gateway.port)
  third.send(head('GET /third HTTP/1.1'))
  await upstream.until(() => upstream.requests.length === 2)
  finish()
  expect((await third.answered(1)).map(({ body }) => body.toString())).toEqual(['ok'])
  expect(upstream.requests.map(({ start }) => start)).toEqual(['GET /first HTTP/1.1', 'GET /third HTTP/1.1'])
  first.close()
  third.close()
  await lines(3)
})

test('a hundred times over, nothing is left behind', async () => {
  for (let turn = 0; turn < 100; turn += 1) {
    const client = await openClient(gateway.port)
    client.send(turn % 2 === 0 ? head('GET / HTTP/1.1') : `${head('POST / HTTP/1.1', 'Content-Length: 9')}ab`)
    if (turn % 3 === 0) await upstream.until(() => false, 3)
    client.close()
  }
  await expect
    .poll(() => fetch(`${gateway.adminUrl}/metrics`).then((answer) => answer.text()))
    .toMatch(/^gatehouse_connections(?:\{[^}]*\})? 0$/m)
  reply = (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  expect((await fetch(gateway.url)).status).toBe(200)
})
