/** Upstreams that are slow: 504 while there is no head, a cut answer behind it, and never a hang. */
import type { Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { statusCode, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
let reply: (socket: Socket, request: Message) => void

beforeAll(async () => {
  upstream = await strictUpstream((socket, request) => reply(socket, request))
  gateway = await openWire(upstream.port, {
    upstream: ['timeouts: { response: 1s, idle: 1s, connect: 300ms }'],
    more: `  - { name: patient, match: { path: /patient/* }, auth: public, upstream: main, timeouts: { response: 10s } }
  - { name: hasty, match: { path: /hasty/* }, auth: public, upstream: main, timeouts: { request: 400ms } }`,
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.clear()
  reply = () => undefined
})

test.each([
  ['GET', head('GET / HTTP/1.1')],
  ['POST', `${head('POST / HTTP/1.1', 'Content-Length: 3')}abc`],
  ['chunked POST', `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`],
])('no answer to %s within timeouts.response: 504, once, and the upstream let go', async (_, octets) => {
  const client = await openClient(gateway.port)
  const start = performance.now()
  client.send(octets)
  const [answer] = await client.answered(1)
  expect([statusCode(answer), (JSON.parse(answer?.body.toString() ?? '') as Record<string, unknown>)['error']]).toEqual([
    504,
    'upstream_timeout',
  ])
  expect(performance.now() - start).toBeLessThan(8000)
  await upstream.until(() => upstream.connections() === 0)
  expect({ requests: upstream.requests.length, connections: upstream.connections() }).toEqual({ requests: 1, connections: 0 })
  client.close()
})

test('half a head is no answer', async () => {
  reply = (socket) => void socket.write('HTTP/1.1 200 OK\r\nx-a')
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(1)).map(statusCode)).toEqual([504])
  client.close()
})

test('silence within a body for longer than timeouts.idle cuts the answer', async () => {
  reply = (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1'))
  expect(await client.ended()).toBe(true)
  expect({ answers: client.answers(), part: client.received().toString().endsWith('abc') }).toEqual({ answers: [], part: true })
  client.close()
})

test('a body that drips, never silent for so long, is passed on whole', async () => {
  reply = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n')
    for (let index = 0; index < 10; index += 1) setTimeout(() => socket.write('x'), index * 150)
  }
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(1)).map(({ body }) => body.toString())).toEqual(['xxxxxxxxxx'])
  client.close()
})

test('a route may wait longer', async () => {
  reply = (socket) => void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'), 1500)
  const client = await openClient(gateway.port)
  client.send(head('GET /patient HTTP/1.1'))
  expect((await client.answered(1)).map(statusCode)).toEqual([200])
  client.close()
})

test('a request that is slow itself is not the upstream being slow', async () => {
  reply = (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  const client = await openClient(gateway.port)
  client.send(`${head('POST / HTTP/1.1', 'Content-Length: 4')}a`)
  for (const octet of 'bcd') {
    await new Promise((resolve) => setTimeout(resolve, 450))
    client.send(octet)
  }
  expect((await client.answered(1)).map(statusCode)).toEqual([200])
  client.close()
})

test('a body that is not here within timeouts.request of its route: 408, and the upstream is not asked', async () => {
  const client = await openClient(gateway.port)
  client.send(`${head('POST /hasty HTTP/1.1', 'Content-Length: 4')}a`)
  expect((await client.answered(1)).map(statusCode)).toEqual([408])
  expect({ requests: upstream.requests, rests: upstream.rests() }).toEqual({ requests: [], rests: [] })
  client.close()
})
