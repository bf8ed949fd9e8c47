/** What goes to the upstream and what comes back, field by field and octet by octet. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { statusCode, valuesOf, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
let answer = ''
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

beforeAll(async () => {
  upstream = await strictUpstream((socket) => void socket.write(answer, 'latin1'))
  gateway = await openWire(upstream.port, {
    basePath: '/base',
    more: [
      '  - { name: preserve, match: { path: /preserve/* }, auth: public, upstream: main, host: preserve }',
      '  - { name: strip, match: { path: /api/* }, auth: public, upstream: main, stripPrefix: /api }',
      '  - { name: token, match: { path: /token/* }, auth: public, upstream: main, forwardToken: true }',
      '  - name: rules',
      '    match: { path: /rules/* }',
      '    auth: public',
      '    upstream: main',
      '    requestHeaders: { set: { X-Env: prod }, remove: [X-Debug] }',
      '    responseHeaders: { set: { X-Frame-Options: DENY }, remove: [Server, X-Powered-By] }',
    ].join('\n'),
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.clear()
  answer = OK
})

/** One request and its answer, with the request that the upstream read. */
async function exchange(octets: string): Promise<{ answer: Message | undefined; request: Message }> {
  const client = await openClient(gateway.port)
  client.send(octets)
  const [message] = await client.answered(1)
  client.close()
  expect(upstream.faults).toEqual([])
  const request = upstream.requests[0]
  if (request === undefined) throw new Error(`nothing was forwarded: ${message?.start}`)
  return { answer: message, request }
}

const fieldsOf = (message: Message | undefined, name: string): readonly string[] => valuesOf(message?.fields ?? [], name)

describe('the target', () => {
  test('goes below the base path, with the query to the letter', async () => {
    const query = '?a=%2F&b=%zz&c=+x+%20&d=?/../&e=[1]&f=\'"<>{}|^`\\~!$;,@:&&=='
    const { request } = await exchange(head(`GET /a/b%20c${query} HTTP/1.1`))
    expect(request.start).toBe(`GET /base/a/b%20c${query} HTTP/1.1`)
  })

  test('an empty query keeps its question mark', async () => {
    expect((await exchange(head('GET /a? HTTP/1.1'))).request.start).toBe('GET /base/a? HTTP/1.1')
  })

  test('loses stripPrefix, and nothing but it', async () => {
    expect((await exchange(head('GET /api/apix/api?p=/api HTTP/1.1'))).request.start).toBe('GET /base/apix/api?p=/api HTTP/1.1')
    upstream.clear()
    expect((await exchange(head('GET /api HTTP/1.1'))).request.start).toBe('GET /base/ HTTP/1.1')
  })

  test.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT'])('%s stays %s', async (method) => {
    expect((await exchange(head(`${method} /a HTTP/1.1`))).request.start).toBe(`${method} /base/a HTTP/1.1`)
  })
})

describe('the Host', () => {
  test("is the upstream's own", async () => {
    expect(fieldsOf((await exchange(head('GET /a HTTP/1.1', 'Host: Example.com:81'))).request, 'host')).toEqual([
      `127.0.0.1:${upstream.port}`,
    ])
  })

  test("is the client's, port and case included, under host: preserve", async () => {
    expect(fieldsOf((await exchange(head('GET /preserve HTTP/1.1', 'Host: Example.com:81'))).request, 'host')).toEqual([
      'Example.com:81',
    ])
  })
})

describe('fields of the request', () => {
  test('that belong to the connection stay here, and so does what Connection names', async () => {
    const { request } = await exchange(
      head(
        'GET /a HTTP/1.1',
        'Connection: keep-alive, X-Secret, x-user-id',
        'connection: X-OTHER',
        'X-Secret: 1',
        'X-Other: 2',
        'Keep-Alive: timeout=9',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic eA==',
        'TE: trailers',
        'Trailer: X-A',
        'X-Kept: 3',
      ),
    )
    const ours = [
      'host',
      'connection',
      'x-request-id',
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-forwarded-host',
      'forwarded',
      'traceparent',
      'x-kept',
    ]
    expect(request.fields.map(([name]) => name).toSorted()).toEqual(ours.toSorted())
    expect(fieldsOf(request, 'connection')).toEqual(['keep-alive'])
  })

  test('that are repeated stay repeated, in order', async () => {
    const { request } = await exchange(head('GET /a HTTP/1.1', 'X-A: 1', 'Accept: a', 'x-a: 2', 'Accept: b', 'X-A: 1'))
    expect([fieldsOf(request, 'x-a'), fieldsOf(request, 'accept')]).toEqual([
      ['1', '2', '1'],
      ['a', 'b'],
    ])
  })

  test('keep their values to the letter, but for the whitespace around them', async () => {
    const value = 'a,  b;\t"c\\"" \'d\' =%20?'
    expect(fieldsOf((await exchange(head('GET /a HTTP/1.1', `X-A: \t${value}\t `))).request, 'x-a')).toEqual([value])
  })

  test('Authorization stays here unless the route forwards it', async () => {
    expect(fieldsOf((await exchange(head('GET /a HTTP/1.1', 'Authorization: Bearer x.y.z'))).request, 'authorization')).toEqual(
      [],
    )
    upstream.clear()
    const { request } = await exchange(head('GET /token HTTP/1.1', 'Authorization: Bearer x.y.z', 'Cookie: a=1'))
    expect([fieldsOf(request, 'authorization'), fieldsOf(request, 'cookie')]).toEqual([['Bearer x.y.z'], ['a=1']])
  })

  test('requestHeaders sets and removes, by folded name', async () => {
    const { request } = await exchange(
      head('GET /rules HTTP/1.1', 'x_env: dev', 'X-ENV: dev', 'X-Debug: 1', 'x_debug: 1', 'X-Other: 1'),
    )
    const names = request.fields.map(([name, value]) => `${name}: ${value}`).filter((line) => /env|debug|other/.test(line))
    expect(names.toSorted()).toEqual(['x-env: prod', 'x-other: 1'])
  })
})

describe('fields of the answer', () => {
  test('that belong to the connection stay there, and so does what Connection names', async () => {
    answer =
      'HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: x\r\nProxy-Connection: close\r\nX-Kept: 1\r\ncontent-length: 2\r\n\r\nok'
    const { answer: message } = await exchange(head('GET /a HTTP/1.1'))
    expect(message?.fields.map(([name]) => name).toSorted()).toEqual(
      ['connection', 'content-length', 'date', 'keep-alive', 'x-kept', 'x-request-id'].toSorted(),
    )
    expect(fieldsOf(message, 'keep-alive')).not.toEqual(['timeout=1'])
  })

  test('that are repeated stay repeated, Set-Cookie above all', async () => {
    answer =
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/, x\r\nset-cookie: b=2\r\nVary: a\r\nVary: b\r\nLink: <1>\r\ncontent-length: 2\r\n\r\nok'
    const { answer: message } = await exchange(head('GET /a HTTP/1.1'))
    expect([fieldsOf(message, 'set-cookie'), fieldsOf(message, 'vary'), fieldsOf(message, 'link')]).toEqual([
      ['a=1; Path=/, x', 'b=2'],
      ['a', 'b'],
      ['<1>'],
    ])
  })

  test('keep octets above 0x7f as they are, whether the body comes at once or later', async () => {
    const value = Buffer.from('grün; "ü"', 'utf8').toString('latin1')
    answer = `HTTP/1.1 200 OK\r\nX-A: ${value}\r\ncontent-length: 2\r\n\r\nok`
    expect(fieldsOf((await exchange(head('GET /a HTTP/1.1'))).answer, 'x-a')).toEqual([value])
    answer = `HTTP/1.1 200 OK\r\nX-A: ${value}\r\ncontent-length: 2\r\n\r\n`
    const client = await openClient(gateway.port)
    client.send(head('GET /a HTTP/1.1'))
    await client.until((octets) => octets.includes('\r\n\r\n'))
    expect(client.received().toString('latin1')).toContain(`x-a: ${value}\r\n`)
    client.close()
  })

  test('responseHeaders sets and removes', async () => {
    answer = 'HTTP/1.1 200 OK\r\nServer: x\r\nx_powered_by: php\r\nX-Frame-Options: ALLOW\r\ncontent-length: 2\r\n\r\nok'
    const { answer: message } = await exchange(head('GET /rules HTTP/1.1'))
    expect([fieldsOf(message, 'server'), fieldsOf(message, 'x_powered_by'), fieldsOf(message, 'x-frame-options')]).toEqual([
      [],
      [],
      ['DENY'],
    ])
  })

  test('x-request-id is in every answer, is ours, and is what the upstream was told', async () => {
    answer = 'HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\ncontent-length: 2\r\n\r\nok'
    const { answer: message, request } = await exchange(head('GET /a HTTP/1.1', 'X-Request-Id: mine'))
    expect(fieldsOf(message, 'x-request-id')).toEqual(fieldsOf(request, 'x-request-id'))
    expect(fieldsOf(message, 'x-request-id')[0]).toMatch(/^[0-9a-f-]{36}$/)
  })

  test.each([299, 418, 599])('status %i passes as it is', async (status) => {
    answer = `HTTP/1.1 ${status} Whatever\r\ncontent-length: 2\r\n\r\nok`
    expect(statusCode((await exchange(head('GET /a HTTP/1.1'))).answer)).toBe(status)
  })
})

test('a connection serves many requests, also behind refusals with a body that nobody read', async () => {
  const client = await openClient(gateway.port)
  const body = 'a'.repeat(70_000)
  client.send(head('POST /a HTTP/1.1', `Content-Length: ${body.length}`) + body)
  await client.answered(1)
  client.send(head('POST /api/%2f HTTP/1.1', `Content-Length: ${body.length}`) + body)
  await client.answered(2)
  client.send(`${head('POST /api/%2f HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`)
  await client.answered(3)
  client.send(head('GET /a HTTP/1.1'))
  expect((await client.answered(4)).map(statusCode)).toEqual([200, 400, 400, 200])
  expect(client.isClosed()).toBe(false)
  client.close()
})

test('pipelined requests are answered in order', async () => {
  const client = await openClient(gateway.port)
  client.send(
    `${head('GET /1 HTTP/1.1')}${head('GET /%2f HTTP/1.1')}${head('POST /3 HTTP/1.1', 'Content-Length: 2')}ab${head('GET /4 HTTP/1.1')}`,
  )
  expect((await client.answered(4)).map(statusCode)).toEqual([200, 400, 200, 200])
  expect(upstream.requests.map(({ start }) => start).toSorted()).toEqual([
    'GET /base/1 HTTP/1.1',
    'GET /base/4 HTTP/1.1',
    'POST /base/3 HTTP/1.1',
  ])
  client.close()
})
