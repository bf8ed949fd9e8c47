/** Answers without a body, and clients of HTTP/1.0. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
let answer: string | readonly string[] = ''
const NEXT = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext'

beforeAll(async () => {
  upstream = await strictUpstream((socket, request) => {
    if (request.start.includes('/next')) socket.write(NEXT)
    else if (typeof answer === 'string') socket.write(answer)
    else for (const part of answer) socket.write(part)
  })
  gateway = await openWire(upstream.port)
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())

/** An answer, and the one to a request behind it on the same connection. */
async function twice(octets: string, methods: readonly string[] = []): Promise<readonly Message[]> {
  const client = await openClient(gateway.port)
  client.send(octets)
  await client.answered(1, { methods })
  client.send(head('GET /next HTTP/1.1'))
  const answers = await client.answered(2, { methods })
  client.close()
  return answers
}

const lengths = (message: Message | undefined): readonly string[] => valuesOf(message?.fields ?? [], 'content-length')
const codings = (message: Message | undefined): readonly string[] => valuesOf(message?.fields ?? [], 'transfer-encoding')

test('HEAD: the length that GET would have, and no body', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n'
  const [first, second] = await twice(head('HEAD / HTTP/1.1'), ['HEAD'])
  expect([lengths(first), second?.body.toString(), upstream.requests[0]?.start]).toEqual([['1234'], 'next', 'HEAD / HTTP/1.1'])
})

test('HEAD: chunked without a body', async () => {
  answer = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
  const [first, second] = await twice(head('HEAD / HTTP/1.1'), ['HEAD'])
  expect([statusCode(first), lengths(first), second?.body.toString()]).toEqual([200, [], 'next'])
})

test('HEAD: a refusal has the fields of its body, and no body', async () => {
  answer = ''
  const [first, second] = await twice(head('HEAD /%2f HTTP/1.1'), ['HEAD'])
  expect([statusCode(first), Number(lengths(first)[0]) > 100, second?.body.toString()]).toEqual([400, true, 'next'])
})

test.each([
  ['plain', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['with a length', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n'],
  ['with a length of 0', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'],
  ['with chunked', 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['with a body all the same', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello'],
])('204 %s: neither framing nor body', async (_, octets) => {
  answer = octets
  const [first, second] = await twice(head('GET / HTTP/1.1'))
  expect([statusCode(first), lengths(first), codings(first), second?.body.toString()]).toEqual([204, [], [], 'next'])
})

test.each([
  ['plain', 'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n', []],
  ['with a length', 'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 5\r\n\r\n', ['5']],
])('304 %s: no body', async (_, octets, length) => {
  answer = octets
  const [first, second] = await twice(head('GET / HTTP/1.1', 'If-None-Match: "a"'))
  expect([statusCode(first), lengths(first), second?.body.toString()]).toEqual([304, length, 'next'])
})

test('an empty body stays empty, by length and by chunks', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
  expect((await twice(head('GET / HTTP/1.1'))).map(({ body }) => body.toString())).toEqual(['', 'next'])
  answer = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'
  expect((await twice(head('GET / HTTP/1.1'))).map(({ body }) => body.toString())).toEqual(['', 'next'])
  answer = ['HTTP/1.1 200 OK\r\n', 'content-length: 0\r\n\r\n']
  expect((await twice(head('GET / HTTP/1.1'))).map(({ body }) => body.toString())).toEqual(['', 'next'])
})

test('requests without a body stay so, whatever their method', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
  for (const method of ['GET', 'DELETE', 'POST', 'OPTIONS']) {
    await twice(head(`${method} / HTTP/1.1`))
    await twice(head(`${method} / HTTP/1.1`, 'Content-Length: 0'))
  }
  expect(upstream.requests.every(({ body, framing }) => body.length === 0 && framing !== 'chunked')).toBe(true)
  expect({ faults: upstream.faults, count: upstream.requests.length }).toEqual({ faults: [], count: 16 })
})

test('an empty chunked request reaches the upstream without a body', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
  for (const method of ['GET', 'DELETE', 'POST'])
    await twice(`${head(`${method} / HTTP/1.1`, 'Transfer-Encoding: chunked')}0\r\n\r\n`)
  expect(upstream.requests.filter(({ start }) => !start.includes('next')).map(({ body }) => body.length)).toEqual([0, 0, 0])
})

/** Everything that an HTTP/1.0 client gets until its connection ends. */
async function asOld(...lines: readonly string[]): Promise<{ text: string; message: Message | undefined }> {
  const client = await openClient(gateway.port)
  client.send(['GET / HTTP/1.0', ...lines, '', ''].join('\r\n'))
  expect(await client.ended()).toBe(true)
  client.close()
  return { text: client.received().toString('latin1'), message: readAnswers(client.received(), { closed: true }).messages[0] }
}

test('HTTP/1.0: a chunked answer comes without chunks and ends with the connection', async () => {
  answer = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n'
  const { message } = await asOld()
  expect([message?.framing, codings(message), message?.body.toString()]).toEqual(['close', [], 'hello'])
})

test('HTTP/1.0: an answer with a length keeps it, and interim answers are not for it', async () => {
  answer = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'
  const { text, message } = await asOld('Host: gateway.test')
  expect([statusCode(message), lengths(message), message?.body.toString(), text.includes('103')]).toEqual([
    200,
    ['5'],
    'hello',
    false,
  ])
})

test('HTTP/1.0: an expectation is ignored', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
  const client = await openClient(gateway.port)
  client.send('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab')
  await client.ended()
  expect(client.received().toString('latin1')).toMatch(/^HTTP\/1\.1 200 /)
  client.close()
})

test('HTTP/1.0: an answer that breaks off is not taken for whole: the connection is reset', async () => {
  answer = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'
  const client = await openClient(gateway.port)
  const reset = new Promise((resolve) => {
    client.socket.once('error', (error: Error & { code?: string }) => resolve(error.code))
    client.socket.once('end', () => resolve('end'))
  })
  client.send('GET / HTTP/1.0\r\n\r\n')
  await client.until((octets) => octets.includes('hello'))
  await upstream.close()
  expect(await reset).toBe('ECONNRESET')
  client.close()
})
