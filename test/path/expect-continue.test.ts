/** `Expect: 100-continue` (RFC 9110 §10.1.1): answered here, once it is clear that the body is wanted. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await strictUpstream()
  gateway = await openWire(upstream.port, {
    listener: ['limits: { bodyBytes: 1KiB }'],
    more: [
      '  - { name: admin, match: { path: /admin/* }, auth: required, upstream: main }',
      '  - { name: auth, match: { path: /auth/* }, service: accounts }',
    ].join('\n'),
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())

const EXPECT = 'Expect: 100-continue'

test.each([
  ['by length', 'Content-Length: 5', 'hello'],
  ['by chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
])('a body that is wanted is asked for, %s', async (_, framing, body) => {
  const client = await openClient(gateway.port)
  client.send(head('POST / HTTP/1.1', framing, 'EXPECT: 100-Continue'))
  await client.until((octets) => octets.includes('\r\n\r\n'))
  expect(client.received().toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  client.send(body)
  expect((await client.answered(1)).map(statusCode)).toEqual([200])
  expect(upstream.requests.map((request) => [request.body.toString(), valuesOf(request.fields, 'expect')])).toEqual([
    ['hello', []],
  ])
  client.close()
})

test('a client that does not wait gets both answers', async () => {
  const client = await openClient(gateway.port)
  client.send(`${head('POST / HTTP/1.1', 'Content-Length: 5', EXPECT)}hello`)
  await client.answered(1)
  expect(readAnswers(client.received()).messages.map(statusCode)).toEqual([100, 200])
  client.close()
})

test.each([
  ['without a token', head('POST /admin HTTP/1.1', 'Content-Length: 5', EXPECT), 401],
  ['with a token that is none', head('POST /admin HTTP/1.1', 'Content-Length: 5', EXPECT, 'Authorization: Bearer a.b.c'), 401],
  ['to an ambiguous path', head('POST /%2f HTTP/1.1', 'Content-Length: 5', EXPECT), 400],
  ['to a service that takes no such method', head('PUT /auth/login HTTP/1.1', 'Content-Length: 5', EXPECT), 405],
  ['over the limit', head('POST / HTTP/1.1', 'Content-Length: 5000', EXPECT), 413],
  ['with another expectation', head('POST / HTTP/1.1', 'Content-Length: 5', 'Expect: the-spanish-inquisition'), 417],
])('%s: refused at once, without a 100, and the connection ends', async (_, octets, status) => {
  const client = await openClient(gateway.port)
  client.send(octets)
  expect(await client.ended()).toBe(true)
  expect(
    readAnswers(client.received()).messages.map((message) => [statusCode(message), valuesOf(message.fields, 'connection')]),
  ).toEqual([[status, ['close']]])
  expect(upstream.requests).toEqual([])
  client.close()
})

test('no body, no 100', async () => {
  const client = await openClient(gateway.port)
  client.send(head('GET / HTTP/1.1', EXPECT))
  await client.answered(1)
  expect(readAnswers(client.received()).messages.map(statusCode)).toEqual([200])
  client.close()
})
