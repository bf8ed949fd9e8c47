/** Requests that two readers could cut in two ways: refused, or passed on as one request that everyone cuts in the same way. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await strictUpstream()
  gateway = await openWire(upstream.port, {
    more: '  - { name: admin, match: { path: /admin/* }, auth: required, upstream: main }',
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())

/** Statuses of the answers to octets, and the requests that the upstream read meanwhile. */
async function send(octets: string | Buffer, count = 1) {
  const got = await talk(gateway.port, octets, { count, quietMs: 10_000 })
  const answers = readAnswers(got.octets, { closed: got.closed }).messages
  expect({ faults: upstream.faults, rests: upstream.rests() }).toEqual({ faults: [], rests: [] })
  return { statuses: answers.map(statusCode), answers, closed: got.closed, requests: upstream.requests }
}

async function expectRefused(octets: string | Buffer, status = 400): Promise<void> {
  const { statuses, answers, requests } = await send(octets)
  expect({ statuses, requests: requests.length }).toEqual({ statuses: [status], requests: 0 })
  expect(valuesOf(answers[0]?.fields ?? [], 'content-type')).toEqual(['application/problem+json'])
  expect(valuesOf(answers[0]?.fields ?? [], 'x-request-id')).toHaveLength(1)
}

describe('CVE-2026-29057, GHSA-ggv3-7p47-pfv8: a chunk that is a request', () => {
  const inner = 'GET /admin HTTP/1.1\r\nHost: gateway.test\r\nX-User-Id: forged\r\n\r\n'
  const chunked = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`

  test.each(['DELETE', 'OPTIONS', 'GET', 'POST', 'PUT', 'PATCH', 'QUERY', 'HEAD'])(
    '%s reaches the upstream as one request each',
    async (method) => {
      const client = await openClient(gateway.port)
      const methods = [method, method, method]
      for (let turn = 1; turn <= 3; turn += 1) {
        client.send(head(`${method} /public/${turn} HTTP/1.1`, 'Transfer-Encoding: chunked') + chunked)
        await client.answered(turn, { methods })
      }
      expect(client.answers({ methods }).map(statusCode)).toEqual([200, 200, 200])
      client.close()
      expect({ faults: upstream.faults, rests: upstream.rests() }).toEqual({ faults: [], rests: [] })
      expect(upstream.requests.map(({ start, framing, body }) => ({ start, framing, body: body.toString() }))).toEqual(
        [1, 2, 3].map((turn) => ({ start: `${method} /public/${turn} HTTP/1.1`, framing: 'chunked', body: inner })),
      )
    },
  )
})

describe('transfer codings other than chunked', () => {
  const body = '5\r\nhello\r\n0\r\n\r\n'
  test.each([
    ',chunked',
    'chunked,',
    'chunked, chunked',
    'identity, chunked',
    '"chunked"',
    'identity',
    'gzip, chunked',
    'chunked;q=1',
    'chunked x',
    'x chunked',
    'chunke\u0064\u00a0',
    '\u000bchunked',
    '',
    'cow',
  ])('refuses %j', (coding) => expectRefused(head('POST /public HTTP/1.1', `Transfer-Encoding: ${coding}`) + body))

  test('refuses two lines, whatever they say', async () => {
    await expectRefused(head('POST /public HTTP/1.1', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + body)
    await expectRefused(head('POST /public HTTP/1.1', 'Transfer-Encoding: chunked', 'transfer-encoding: identity') + body)
  })

  test('refuses a coding beside a length, in either order', async () => {
    await expectRefused(head('POST /public HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Length: 5') + body)
    await expectRefused(head('POST /public HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked') + body)
  })

  test('takes chunked in any case and writes it anew', async () => {
    const { statuses, requests } = await send(head('POST /public HTTP/1.1', 'tRANSFER-eNCODING: CHUNKED') + body)
    expect(statuses).toEqual([200])
    expect(
      requests.map(({ framing, body: got, fields }) => [framing, got.toString(), valuesOf(fields, 'transfer-encoding')]),
    ).toEqual([['chunked', 'hello', ['chunked']]])
  })

  test('CVE-2026-2835: refuses chunked from an HTTP/1.0 client', () =>
    expectRefused(head('POST /public HTTP/1.0', 'Transfer-Encoding: chunked') + body))

  test('drops chunk extensions and trailers, and sends the chunks on', async () => {
    const { statuses, requests } = await send(
      `${head('POST /public HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X-User-Id')}5;a="b;c"\r\nhello\r\n0;x\r\nX-User-Id: forged\r\nX-Sum: 1\r\n\r\n`,
    )
    expect(statuses).toEqual([200])
    expect(requests.map(({ body: got, trailers }) => [got.toString(), trailers])).toEqual([['hello', []]])
  })
})

describe('fields that look like framing', () => {
  test.each([
    'Transfer_Encoding: chunked',
    'transfer.encoding: chunked',
    'Transfer~Encoding: chunked',
    'Content_Length: 7',
    'CONTENT.LENGTH: 7',
    'X_Ok: 1',
  ])('%s is not passed on as it is', async (line) => {
    const { statuses, requests } = await send(head('GET /public HTTP/1.1', line))
    expect({ statuses, requests: requests.length }).toEqual({ statuses: [200], requests: 1 })
    const names = requests[0]?.fields.map(([name]) => name.replace(/[^a-z0-9]/g, '-')) ?? []
    expect(names.filter((name) => name === 'transfer-encoding' || name === 'content-length')).toEqual([])
  })
})

describe('spellings of a length', () => {
  test.each(['010', '+7', '7, 7', '7,7', '7.0', '', ' ', '0x7', '7e0', '-7', '７', '99999999999999999999', '7 7', '7;'])(
    'refuses %j',
    (length) =>
      expectRefused(`${head('POST /public HTTP/1.1', `Content-Length: ${Buffer.from(length).toString('latin1')}`)}abcdefg`),
  )

  test('a length past what a number holds exactly is too large, not rounded', () =>
    expectRefused(`${head('POST /public HTTP/1.1', 'Content-Length: 9007199254740993')}abcdefg`, 413))

  test('CVE-2026-1525: refuses two lines, equal or not, in any case', async () => {
    await expectRefused(`${head('POST /public HTTP/1.1', 'Content-Length: 7', 'Content-Length: 7')}abcdefg`)
    await expectRefused(`${head('POST /public HTTP/1.1', 'Content-Length: 7', 'content-length: 7')}abcdefg`)
    await expectRefused(`${head('POST /public HTTP/1.1', 'Content-Length: 7', 'CONTENT-LENGTH: 8')}abcdefg`)
  })

  test('takes whitespace around it and writes one canonical number', async () => {
    const { statuses, requests } = await send(`${head('POST /public HTTP/1.1', 'Content-Length:\t 7 \t')}abcdefg`)
    expect(statuses).toEqual([200])
    expect(requests.map(({ fields, body }) => [valuesOf(fields, 'content-length'), body.toString()])).toEqual([
      [['7'], 'abcdefg'],
    ])
  })

  test('CVE-2023-40225, CVE-2026-90678: an empty length is none that anyone could read', () =>
    expectRefused('POST /public HTTP/1.1\r\nHost: gateway.test\r\nContent-Length:\r\n\r\nGET /admin HTTP/1.1\r\n\r\n'))

  test('CVE-2021-40346: a name of 270 octets that begins with Content-Length is a name like any other', async () => {
    const name = `Content-Length0${'a'.repeat(255)}`
    const { statuses, requests } = await send(
      `POST /public HTTP/1.1\r\nHost: gateway.test\r\n${name}:\r\nContent-Length: 3\r\n\r\nabcGET /admin HTTP/1.1\r\nHost: gateway.test\r\n\r\n`,
      2,
    )
    expect(statuses).toEqual([200, 401])
    expect(requests.map(({ start, body }) => [start, body.toString()])).toEqual([['POST /public HTTP/1.1', 'abc']])
  })

  test('CVE-2023-25725: an empty name hides nothing', () =>
    expectRefused('GET /public HTTP/1.1\r\nHost: gateway.test\r\n: x\r\nContent-Length: 5\r\n\r\nabcde'))
})

describe('octets that readers read in different ways', () => {
  const controls = [...Array.from({ length: 0x20 }, (_, code) => code).filter((code) => code !== 0x09), 0x7f, 0x80, 0xff]

  test.each(controls.map((code) => [`0x${code.toString(16).padStart(2, '0')}`, code] as const))(
    '%s in a value',
    async (_, code) => {
      await expectRefused(Buffer.from(head('GET /public HTTP/1.1', `X-A: b${String.fromCharCode(code)}c`), 'latin1'))
    },
  )

  // What is long, such as a token, is looked through in another way.
  test.each(controls.map((code) => [`0x${code.toString(16).padStart(2, '0')}`, code] as const))(
    '%s in a long value, and in a token',
    async (_, code) => {
      for (const name of ['X-A', 'Authorization']) {
        const line = `${name}: Bearer ${'a'.repeat(300)}${String.fromCharCode(code)}${'b'.repeat(300)}`
        await expectRefused(Buffer.from(head('GET /public HTTP/1.1', line), 'latin1'))
      }
    },
  )

  test.each([
    ['UTF-8 in the target', Buffer.from(head('GET /pub\u00e9 HTTP/1.1'), 'utf8')],
    ['NUL in the target', head('GET /pub\0 HTTP/1.1')],
    ['a tab in the request line', head('GET\t/public HTTP/1.1')],
    ['a space behind the version', head('GET /public HTTP/1.1 ')],
    ['a name with a space', head('GET /public HTTP/1.1', 'X A: b')],
    ['a space before the colon', head('GET /public HTTP/1.1', 'X-A : b')],
    ['a folded line', head('GET /public HTTP/1.1', 'X-A: b', ' c')],
    ['a bare LF', head('GET /public HTTP/1.1', 'X-A: b\nX-B: c')],
    ['a bare CR', head('GET /public HTTP/1.1', 'X-A: b\rX-B: c')],
    ['no Host', 'GET /public HTTP/1.1\r\n\r\n'],
    ['two Hosts', head('GET /public HTTP/1.1', 'Host: gateway.test', 'Host: gateway.test')],
    ['two Hosts in different case', head('GET /public HTTP/1.1', 'Host: gateway.test', 'hOST: other.test')],
    ['a list of Hosts', head('GET /public HTTP/1.1', 'Host: gateway.test, other.test')],
    ['a Host with a path', head('GET /public HTTP/1.1', 'Host: gateway.test/admin')],
    ['a Host with a user', head('GET /public HTTP/1.1', 'Host: a@gateway.test')],
    ['an empty Host with a space in it', head('GET /public HTTP/1.1', 'Host: a b')],
    ['HTTP/0.9', 'GET /public\r\n\r\n'],
    ['HTTP/2.0', head('GET /public HTTP/2.0')],
    ['HTTP/1.2', head('GET /public HTTP/1.2')],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('%s', (_, octets) => expectRefused(octets))
})

describe('what stands behind a request that is refused for its framing', () => {
  const next = head('GET /public/next HTTP/1.1')
  test.each([
    ['a length that is no number', `${head('POST /public HTTP/1.1', 'Content-Length: 03')}abc`],
    ['two Hosts', head('GET /public HTTP/1.1', 'Host: a', 'Host: b')],
    ['a coding before chunked', `${head('POST /public HTTP/1.1', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`],
  ])('is not read: %s', async (_, octets) => {
    const { statuses, closed, requests } = await send(octets + next, 2)
    expect({ statuses, closed, requests: requests.length }).toEqual({ statuses: [400], closed: true, requests: 0 })
  })

  test('an answer that is due is given before what stands behind its request is refused', async () => {
    const { statuses, closed, requests } = await send(
      `${head('GET /public/1 HTTP/1.1')}GET /public/2 HTTP/1.1\r\n bad\r\n\r\n`,
      3,
    )
    expect({ statuses, closed, requests: requests.map(({ start }) => start) }).toEqual({
      statuses: [200, 400],
      closed: true,
      requests: ['GET /public/1 HTTP/1.1'],
    })
  })

  test('a request behind a whole answered one is refused on the same connection, not cut', async () => {
    const client = await openClient(gateway.port)
    client.send(head('GET /public/1 HTTP/1.1'))
    await client.answered(1)
    client.send('GET /public/2 HTTP/1.1\r\n bad\r\n\r\n')
    expect((await client.answered(2)).map(statusCode)).toEqual([200, 400])
    expect(await client.ended()).toBe(true)
    client.close()
  })
})

test('GHSA-v2v2-hph8-q5xp: a body goes out under the very content type it came under', async () => {
  const type = 'application/json ; charset=utf-8; x="a\\"b"'
  const { statuses, requests } = await send(
    `${head('POST /public HTTP/1.1', `Content-Type: ${type}`, 'Content-Length: 9')}{"a": 1}\n`,
  )
  expect(statuses).toEqual([200])
  expect(requests.map(({ fields, body }) => [valuesOf(fields, 'content-type'), body.toString()])).toEqual([
    [[type], '{"a": 1}\n'],
  ])
})

test('CVE-2025-64763, CVE-2026-73547: CONNECT is refused, and so is what comes with it', async () => {
  for (const octets of [
    `${head('CONNECT gateway.test:443 HTTP/1.1')}GET /admin HTTP/1.1\r\nHost: gateway.test\r\n\r\n`,
    `${head('CONNECT /public HTTP/1.1', 'Content-Length: 5')}hello`,
    `${head('CONNECT gateway.test:443 HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    head('CONNECT gateway.test:443 HTTP/1.0'),
  ]) {
    const { statuses, closed, requests } = await send(octets, 2)
    expect({ statuses, closed, requests: requests.length }).toEqual({ statuses: [405], closed: true, requests: 0 })
  }
})

test.each(['TRACE /public HTTP/1.1', 'OPTIONS * HTTP/1.1'])('%s is answered here', async (start) => {
  const { statuses, requests } = await send(head(start))
  expect({ refused: (statuses[0] ?? 0) >= 400 && (statuses[0] ?? 0) < 500, requests: requests.length }).toEqual({
    refused: true,
    requests: 0,
  })
})
