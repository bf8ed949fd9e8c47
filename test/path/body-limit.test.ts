/** Bodies over the limit: 413, whoever counts, and the upstream never has a whole request of it. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

const LIMIT = 1024
let upstream: StrictUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await strictUpstream()
  gateway = await openWire(upstream.port, {
    listener: ['limits: { bodyBytes: 1KiB }'],
    more: [
      '  - { name: large, match: { path: /large/* }, auth: public, upstream: main, bodyBytes: 3MiB }',
      '  - { name: none, match: { path: /none/* }, auth: public, upstream: main, bodyBytes: 0B }',
      '  - { name: auth, match: { path: /auth/* }, service: accounts }',
    ].join('\n'),
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())

function byLength(path: string, size: number): string {
  return head(`POST ${path} HTTP/1.1`, `Content-Length: ${size}`) + 'a'.repeat(size)
}

function byChunks(path: string, size: number): string {
  const chunk = Math.ceil(size / 50)
  let octets = head(`POST ${path} HTTP/1.1`, 'Transfer-Encoding: chunked')
  for (let left = size; left > 0; left -= chunk) {
    const step = Math.min(left, chunk)
    octets += `${step.toString(16)}\r\n${'a'.repeat(step)}\r\n`
  }
  return `${octets}0\r\n\r\n`
}

const FRAMINGS = [
  ['by length', byLength],
  ['by chunks', byChunks],
] as const

test.each(FRAMINGS)('up to the limit a body passes, one octet more is refused, %s', async (_, octets) => {
  for (const [size, status] of [
    [LIMIT - 1, 200],
    [LIMIT, 200],
    [LIMIT + 1, 413],
    [LIMIT * 50, 413],
  ] as const) {
    upstream.clear()
    const client = await openClient(gateway.port)
    client.send(octets('/', size))
    const answers = await client.answered(1)
    expect({ size, statuses: answers.map(statusCode), whole: upstream.requests.length }).toEqual({
      size,
      statuses: [status],
      whole: status === 200 ? 1 : 0,
    })
    client.close()
  }
})

test.each(FRAMINGS)('a route has a limit of its own, %s', async (_, octets) => {
  for (const [path, size, status] of [
    ['/large', LIMIT * 2, 200],
    ['/large', 3 * 1024 * 1024 + 1, 413],
    ['/none', 1, 413],
    ['/none', 0, 200],
  ] as const) {
    const client = await openClient(gateway.port)
    client.send(octets(path, size))
    expect({ path, size, statuses: (await client.answered(1)).map(statusCode) }).toEqual({ path, size, statuses: [status] })
    client.close()
  }
})

test.each(FRAMINGS)('a refused body that is not much longer keeps the connection, %s', async (_, octets) => {
  const client = await openClient(gateway.port)
  client.send(octets('/', LIMIT * 20))
  await client.answered(1)
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(2)).map(statusCode)).toEqual([413, 200])
  client.close()
})

test('a refused body that is much longer ends the connection, and says so', async () => {
  const client = await openClient(gateway.port)
  client.send(head('POST / HTTP/1.1', 'Content-Length: 50000000'))
  const [answer] = await client.answered(1)
  expect([statusCode(answer), valuesOf(answer?.fields ?? [], 'connection')]).toEqual([413, ['close']])
  expect(await client.ended()).toBe(true)
  client.close()
})

test('a body without end is cut behind its refusal', async () => {
  const client = await openClient(gateway.port)
  client.send(head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'))
  const chunk = `4000\r\n${'a'.repeat(0x4000)}\r\n`
  const timer = setInterval(() => client.send(chunk.repeat(8)), 5)
  expect(await client.ended()).toBe(true)
  clearInterval(timer)
  expect(client.answers().map(statusCode)).toEqual([413])
  expect(upstream.requests).toEqual([])
  client.close()
})

test.each(FRAMINGS)('a built-in service has its own limit, %s', async (_, octets) => {
  const client = await openClient(gateway.port)
  client.send(octets('/auth/login', LIMIT * 40).replace('Host:', 'Content-Type: application/json\r\nHost:'))
  await client.answered(1)
  client.send(head('GET / HTTP/1.1'))
  expect((await client.answered(2)).map(statusCode)).toEqual([413, 200])
  client.close()
})

test('a chunk that cannot be read is refused once, under the id of its request', async () => {
  const client = await openClient(gateway.port)
  client.send(`${head('POST /broken HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\nXYZ\r\n`)
  const answers = await client.answered(2, { limitMs: 1000 })
  expect({ statuses: answers.map(statusCode), closed: client.isClosed() }).toEqual({ statuses: [400], closed: true })
  client.close()
  const id = valuesOf(answers[0]?.fields ?? [], 'x-request-id')[0]
  await expect.poll(() => gateway.log()).toContain(id)
  const lines = gateway
    .log()
    .split('\n')
    .filter((line) => line.includes('/broken') || line.includes('HPE_'))
  expect(lines.map((line) => [line.includes(`"${id}"`), line.includes('400')])).toEqual([[true, true]])
})
