/** Clients that take their time: each is cut off, and nobody else notices. */
import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, talk, type Client, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
const clients: Client[] = []

async function open(listener: readonly string[], reply?: Parameters<typeof strictUpstream>[0]): Promise<void> {
  upstream = await strictUpstream(reply)
  gateway = await openWire(upstream.port, { listener })
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await gateway.close()
  await upstream.close()
})

async function connect(): Promise<Client> {
  const client = await openClient(gateway.port)
  clients.push(client)
  return client
}

/** Sends one octet after another until the connection ends. */
function drip(client: Client, octets: string, everyMs: number): () => void {
  let at = 0
  const timer = setInterval(() => {
    if (client.isClosed() || at >= octets.length) clearInterval(timer)
    else client.send(octets[at++] ?? '')
  }, everyMs)
  return () => clearInterval(timer)
}

/** Takes so much at a time. */
function sip(socket: Socket, octets: number, everyMs: number): () => void {
  let at = 0
  socket.on('data', () => {
    if (socket.bytesRead - at >= octets) socket.pause()
  })
  const timer = setInterval(() => {
    at = socket.bytesRead
    socket.resume()
  }, everyMs)
  return () => clearInterval(timer)
}

/** An answer that goes out in one piece. */
const SMALL = `HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n${'a'.repeat(8192)}`
/** Few of them come with one read, and together their answers are more than the system takes in. */
const MANY_REQUESTS = 2000
const MANY_OCTETS = MANY_REQUESTS * SMALL.length
const MANY = head('GET / HTTP/1.1', `X-Long: ${'a'.repeat(2000)}`).repeat(MANY_REQUESTS)

async function connectionsOf(): Promise<number> {
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_connections (\d+)$/m.exec(metrics)?.[1])
}

describe('slowloris', () => {
  test('a head that never ends is cut at timeouts.headers with 408', async () => {
    await open(['timeouts: { headers: 300ms, request: 2s }'])
    const client = await connect()
    const start = performance.now()
    const stop = drip(client, `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}`, 20)
    expect(await client.ended()).toBe(true)
    stop()
    expect(client.answers().map(statusCode)).toEqual([408])
    expect(performance.now() - start).toBeLessThan(1600)
    expect(upstream.requests).toEqual([])
  })

  test('a head on a connection that was kept is cut at timeouts.headers with 408', async () => {
    await open(['timeouts: { headers: 300ms, request: 2s }'])
    const client = await connect()
    client.send(head('GET / HTTP/1.1'))
    expect((await client.answered(1)).map(statusCode)).toEqual([200])
    const stop = drip(client, `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}`, 20)
    expect(await client.ended()).toBe(true)
    stop()
    expect(client.answers().map(statusCode)).toEqual([200, 408])
    expect(upstream.requests).toHaveLength(1)
  })

  test('a head that comes octet by octet in time is answered', async () => {
    await open(['timeouts: { headers: 10s, request: 20s }'])
    const client = await connect()
    const stop = drip(client, head('GET /?a HTTP/1.1', 'X-A: b'), 5)
    expect((await client.answered(1)).map(statusCode)).toEqual([200])
    stop()
    expect(upstream.requests.map(({ start }) => start)).toEqual(['GET /?a HTTP/1.1'])
  })

  test('a head does not get its time twice, however strange it becomes', async () => {
    await open(['timeouts: { headers: 3s, request: 60s }'])
    const client = await connect()
    const start = performance.now()
    client.send('GET / HTTP/1.1\r\nHost: a\r\nX-A: ')
    await new Promise((resolve) => setTimeout(resolve, 2500))
    client.send('\t')
    expect(await client.ended()).toBe(true)
    expect(client.answers().map(statusCode)).toEqual([408])
    expect(performance.now() - start).toBeLessThan(5000)
  })

  test('a client that closes its side within a head is told that this is no request', async () => {
    await open([])
    const client = await connect()
    client.send('GET / HTTP/1.1\r\nHost: a\r\n')
    client.socket.end()
    expect(await client.ended()).toBe(true)
    expect(client.answers().map(statusCode)).toEqual([400])
    expect(upstream.requests).toEqual([])
  })

  test('a head that has not even begun is cut as well', async () => {
    await open(['timeouts: { headers: 300ms, request: 2s }'])
    const client = await connect()
    expect(await client.ended(2500)).toBe(true)
  })

  test('a body that never ends is cut at timeouts.request with 408, and its upstream request with it', async () => {
    await open(['timeouts: { headers: 300ms, request: 600ms }'])
    const client = await connect()
    client.send(head('POST / HTTP/1.1', 'Content-Length: 100000') + 'a'.repeat(70_000))
    await upstream.until(() => upstream.connections() === 1)
    const stop = drip(client, 'a'.repeat(1000), 20)
    expect(await client.ended()).toBe(true)
    stop()
    expect(client.answers().map(statusCode)).toEqual([408])
    await upstream.until(() => upstream.connections() === 0)
    expect({ whole: upstream.requests.length, connections: upstream.connections() }).toEqual({ whole: 0, connections: 0 })
  })

  test('a chunked body that never ends is cut too', async () => {
    await open(['timeouts: { headers: 300ms, request: 600ms }'])
    const client = await connect()
    client.send(head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'))
    const stop = drip(client, '1\r\na\r\n'.repeat(200), 10)
    expect(await client.ended()).toBe(true)
    stop()
    expect(client.answers().map(statusCode)).toEqual([408])
    expect(upstream.requests).toEqual([])
  })

  test('a client that does not read its answer is cut at timeouts.request, and the upstream let go', async () => {
    const size = 64 * 1024 * 1024
    await open(['timeouts: { headers: 300ms, request: 600ms }'], (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      socket.write(Buffer.alloc(size))
    })
    const client = await connect()
    client.socket.pause()
    client.send(head('GET / HTTP/1.1'))
    await upstream.until(() => upstream.requests.length === 1)
    await upstream.until(() => upstream.connections() === 0)
    expect(upstream.connections()).toBe(0)
    client.socket.resume()
    expect(await client.ended()).toBe(true)
    expect(client.answers()).toEqual([])
  })

  test('a client that asks again and again and reads none of the answers is cut at timeouts.request', async () => {
    await open(['timeouts: { headers: 300ms, request: 600ms }'], SMALL)
    const client = await connect()
    client.socket.pause()
    client.send(MANY)
    await upstream.until(() => upstream.requests.length > 100)
    await expect.poll(connectionsOf, { timeout: 10_000 }).toBe(0)
    expect(upstream.requests.length).toBeLessThan(MANY_REQUESTS)
    client.socket.resume()
    expect(await client.ended()).toBe(true)
  })

  test('a client that takes longer than that to read, and reads all the time, gets all of its answers', async () => {
    // So long that a machine with much to do is not taken for a client that rests.
    await open(['timeouts: { headers: 2s, request: 3s }'], SMALL)
    const socket = createConnection({ port: gateway.port, host: '127.0.0.1' })
    const closed = vi.fn()
    socket.on('error', closed)
    socket.on('close', closed)
    const stop = sip(socket, 128 * 1024, 40)
    socket.write(MANY, 'latin1')
    await expect.poll(() => closed.mock.calls.length > 0 || socket.bytesRead >= MANY_OCTETS, { timeout: 40_000 }).toBe(true)
    stop()
    expect(closed).not.toHaveBeenCalled()
    socket.destroy()
  }, 60_000)

  test('an idle connection is closed at timeouts.keepAlive', async () => {
    await open(['timeouts: { keepAlive: 200ms }'])
    const client = await connect()
    client.send(head('GET / HTTP/1.1'))
    expect((await client.answered(1)).map(statusCode)).toEqual([200])
    expect(await client.ended(4000)).toBe(true)
  })
})

test('fifty slow connections do not slow down good traffic', async () => {
  await open(['timeouts: { headers: 1s, request: 2s }'])
  const alone = await p99Of(60)
  const stops: (() => void)[] = []
  for (let index = 0; index < 50; index += 1) {
    const client = await connect()
    const body = index % 2 === 0
    if (body) client.send(head('POST / HTTP/1.1', 'Content-Length: 100000'))
    stops.push(drip(client, body ? 'a'.repeat(1000) : `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(1000)}`, 50))
  }
  const beside = await p99Of(60)
  expect(beside).toBeLessThan(Math.max(alone * 5, 100))
  for (const client of clients) expect(await client.ended(6000)).toBe(true)
  for (const stop of stops) stop()
  expect(clients.map((client) => client.answers().map(statusCode).join())).toEqual(clients.map(() => '408'))
})

test('a thousand slow connections cost nobody else an answer, and are all cut in time', async () => {
  await open(['timeouts: { headers: 3s, request: 4s }'])
  const slow = await Promise.all(Array.from({ length: 1000 }, connect))
  const stops = slow.map((client, index) => {
    const isBody = index % 2 === 0
    if (isBody) client.send(head('POST / HTTP/1.1', 'Content-Length: 100000'))
    return drip(client, isBody ? 'a'.repeat(1000) : `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(1000)}`, 500)
  })
  let good = 0
  while (slow.some((client) => !client.isClosed())) {
    const got = await talk(gateway.port, head('GET / HTTP/1.1'))
    expect(readAnswers(got.octets).messages.map(statusCode)).toEqual([200])
    good += 1
  }
  for (const stop of stops) stop()
  expect(good).toBeGreaterThan(20)
  expect(new Set(slow.map((client) => client.answers().map(statusCode).join()))).toEqual(new Set(['408']))
  // Nothing was refused because of them: they take up sockets and no time.
  expect(gateway.log()).not.toContain('overloaded')
})

test('five hundred slow bodies of known length cost the upstream nothing', async () => {
  await open(['timeouts: { headers: 3s, request: 4s }'])
  const slow = await Promise.all(Array.from({ length: 500 }, connect))
  const stops = slow.map((client, index) => {
    client.send(head('POST / HTTP/1.1', `Content-Length: ${index % 2 === 0 ? 1000 : 1_000_000}`))
    return drip(client, 'a'.repeat(999), 200)
  })
  let good = 0
  while (slow.some((client) => !client.isClosed())) {
    await expectGood()
    good += 1
  }
  for (const stop of stops) stop()
  expect(good).toBeGreaterThan(10)
  expect(new Set(slow.map((client) => client.answers().map(statusCode).join()))).toEqual(new Set(['408']))
  expect({ rests: upstream.rests(), faults: upstream.faults }).toEqual({ rests: [], faults: [] })
})

test('two hundred slow bodies without an end in sight have half of the connections, and give them up', async () => {
  await open(['timeouts: { headers: 30s, request: 60s }'])
  const slow = await Promise.all(Array.from({ length: 200 }, connect))
  const stops = slow.map((client, index) => {
    const isChunked = index % 4 !== 0
    if (isChunked) client.send(head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'))
    else client.send(head('POST / HTTP/1.1', 'Content-Length: 1000000') + 'a'.repeat(70_000))
    return drip(client, isChunked ? '1\r\na\r\n'.repeat(500) : 'a'.repeat(500), 100)
  })
  await upstream.until(() => upstream.connections() >= 32)
  let most = 0
  let good = 0
  expect(upstream.connections()).toBeLessThan(64)
  const cut = (): readonly Client[] => slow.filter((client) => client.isClosed())
  // Comes last, and is the first to have what is given up.
  const upload = head('PUT / HTTP/1.1', 'Content-Length: 1000000') + 'b'.repeat(1_000_000)
  const large = talk(gateway.port, upload, { quietMs: 30_000 })
  while (cut().length < 32) {
    await expectGood()
    most = Math.max(most, upstream.rests().length)
    good += 1
  }
  for (const stop of stops) stop()
  expect(readAnswers((await large).octets).messages.map(statusCode)).toEqual([200])
  expect(good).toBeGreaterThan(10)
  // Half of 64, and what is new.
  expect(most).toBeLessThanOrEqual(34)
  expect(new Set(cut().map((client) => client.answers().map(statusCode).join()))).toEqual(new Set(['408']))
  expect(gateway.log()).not.toContain('overloaded')
}, 60_000)

test('a body that comes over HTTP/1.1 with an upstream that has one connection gives way to those that wait for it', async () => {
  upstream = await strictUpstream()
  gateway = await openWire(upstream.port, { upstream: ['connections: 1'] })
  const client = await connect()
  client.send(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\na\r\n`)
  await upstream.until(() => upstream.rests().length === 1)
  const good = await talk(gateway.port, head('GET / HTTP/1.1'), { quietMs: 20_000 })
  expect(readAnswers(good.octets, { closed: good.closed }).messages.map(statusCode)).toEqual([200])
  const [answer] = await client.answered(1)
  expect([statusCode(answer), valuesOf(answer?.fields ?? [], 'connection')]).toEqual([408, ['close']])
  expect(await client.ended()).toBe(true)
  expect(upstream.requests.map(({ start }) => start)).toEqual(['GET / HTTP/1.1'])
})

test('more connections than limits.connections are turned away, and taken again when others go', async () => {
  await open(['limits: { connections: 3 }'])
  for (let index = 0; index < 3; index += 1) (await connect()).send(head('GET / HTTP/1.1'))
  for (const client of clients) expect((await client.answered(1)).map(statusCode)).toEqual([200])
  const fourth = await connect()
  fourth.send(head('GET / HTTP/1.1'))
  expect({ ended: await fourth.ended(), octets: fourth.received().length }).toEqual({ ended: true, octets: 0 })
  clients[0]?.close()
  await expect
    .poll(async () => {
      const got = await talk(gateway.port, head('GET / HTTP/1.1'))
      return readAnswers(got.octets, { closed: got.closed }).messages.map(statusCode)
    })
    .toEqual([200])
})

/** What others ask is answered: without a body, with one that comes at once, and with one that comes a little later. */
async function expectGood(): Promise<void> {
  const late = await connect()
  late.send(head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'))
  const got = await talk(gateway.port, head('GET / HTTP/1.1'))
  expect(readAnswers(got.octets).messages.map(statusCode)).toEqual([200])
  const posted = await talk(gateway.port, `${head('POST / HTTP/1.1', 'Content-Length: 5')}hello`)
  expect(readAnswers(posted.octets).messages.map(statusCode)).toEqual([200])
  late.send('5\r\nhello\r\n0\r\n\r\n')
  expect((await late.answered(1)).map(statusCode)).toEqual([200])
  clients.splice(clients.indexOf(late), 1)
  late.close()
}

/** Milliseconds within which 99 of 100 requests on fresh connections are answered. */
async function p99Of(count: number): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < count; index += 1) {
    const start = performance.now()
    const got = await talk(gateway.port, head('GET / HTTP/1.1'))
    times.push(performance.now() - start)
    expect(readAnswers(got.octets).messages.map(statusCode)).toEqual([200])
  }
  return times.toSorted((a, b) => a - b)[Math.floor(count * 0.99) - 1] ?? 0
}
