/** The bounds of a head: 414, 431, and the connection goes with them. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await strictUpstream()
  gateway = await openWire(upstream.port, { listener: ['limits: { headerBytes: 4KiB, headers: 20, urlBytes: 1KiB }'] })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())

async function outcome(octets: string) {
  const client = await openClient(gateway.port)
  client.send(octets)
  const [answer] = await client.answered(1)
  const status = statusCode(answer)
  const closed = status === 200 ? client.isClosed() : await client.ended()
  client.close()
  return { status, closed, forwarded: upstream.requests.length, problem: valuesOf(answer?.fields ?? [], 'content-type')[0] }
}

const PASSED = { status: 200, closed: false, forwarded: 1, problem: undefined }
const refused = (status: number) => ({ status, closed: true, forwarded: 0, problem: 'application/problem+json' })

test.each([
  ['a target of just urlBytes', head(`GET /${'a'.repeat(1023)} HTTP/1.1`), PASSED],
  ['a target of one octet more', head(`GET /${'a'.repeat(1024)} HTTP/1.1`), refused(414)],
  ['a query of one octet more', head(`GET /?${'a'.repeat(1023)} HTTP/1.1`), refused(414)],
  ['a target beyond headerBytes', head(`GET /${'a'.repeat(5000)} HTTP/1.1`), refused(431)],
  [
    'just as many fields as allowed',
    head('GET / HTTP/1.1', ...Array.from({ length: 19 }, (_, index) => `X-${index}: a`)),
    PASSED,
  ],
  ['one field more', head('GET / HTTP/1.1', ...Array.from({ length: 20 }, (_, index) => `X-${index}: a`)), refused(431)],
  ['thousands of small fields', head('GET / HTTP/1.1', ...Array.from({ length: 900 }, () => 'a:b')), refused(431)],
  ['one long field', head('GET / HTTP/1.1', `X-A: ${'a'.repeat(3500)}`), PASSED],
  ['one field that is too long', head('GET / HTTP/1.1', `X-A: ${'a'.repeat(4200)}`), refused(431)],
  ['a name that is too long', head('GET / HTTP/1.1', `${'a'.repeat(4200)}: b`), refused(431)],
  ['a method that is too long', head(`${'A'.repeat(5000)} / HTTP/1.1`), refused(400)],
])('%s', async (_, octets, expected) => {
  expect(await outcome(octets)).toEqual(expected)
})

test('chunk extensions and trailers are bounded too', async () => {
  const extension = `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}5;${'a'.repeat(40_000)}\r\nhello\r\n0\r\n\r\n`
  expect((await outcome(extension)).status).toBeGreaterThanOrEqual(400)
  const trailer = `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\nX-A: ${'a'.repeat(5000)}\r\n\r\n`
  expect((await outcome(trailer)).status).toBeGreaterThanOrEqual(400)
  expect(upstream.requests).toEqual([])
})
