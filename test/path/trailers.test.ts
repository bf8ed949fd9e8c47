/** Trailers: those of an answer are passed on, but for names that mean something in a head; those of a request end here. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

describe.each(['builtin', 'undici'])('an upstream that is spoken to by the client %s', (client) => {
  let upstream: StrictUpstream
  let gateway: TestGateway
  let trailers = ''

  beforeAll(async () => {
    upstream = await strictUpstream(
      (socket) =>
        void socket.write(
          `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\n${trailers}\r\n`,
          'latin1',
        ),
    )
    gateway = await openWire(upstream.port, { upstream: [`client: ${client}`] })
  })
  afterAll(async () => {
    await gateway.close()
    await upstream.close()
  })

  async function trailersOf(octets: string) {
    const got = await talk(gateway.port, octets)
    const [message] = readAnswers(got.octets, { closed: got.closed }).messages
    expect(message?.body.toString()).toBe('hello')
    return message?.trailers
  }

  test('those of an answer reach the client, repeated ones repeated, octets as they are', async () => {
    trailers = 'x-sum: abc\r\nServer-Timing: a\r\nserver-timing: b\r\nx-text: gr\u00fcn\r\ngrpc-status: 0\r\n'
    expect(await trailersOf(head('GET / HTTP/1.1', 'TE: trailers'))).toEqual([
      ['x-sum', 'abc'],
      ['server-timing', 'a'],
      ['server-timing', 'b'],
      ['x-text', 'gr\u00fcn'],
      ['grpc-status', '0'],
    ])
  })

  test('names that mean something in a head do not pass behind it', async () => {
    trailers = [
      'connection: close',
      'keep-alive: timeout=1',
      'host: a',
      'set-cookie: a=1',
      'content-type: text/html',
      'content-encoding: gzip',
      'authorization: x',
      'x-request-id: theirs',
      'upgrade: x',
      'trailer: x',
      'www-authenticate: Basic',
      'location: /x',
      'x-kept: 1',
      '',
    ].join('\r\n')
    const names = (await trailersOf(head('GET / HTTP/1.1')))?.map(([name]) => name) ?? []
    expect(names).toContain('x-kept')
    const framing = ['keep-alive', 'connection', 'host', 'set-cookie', 'content-type', 'content-encoding', 'authorization']
    expect(
      names.filter((name) => [...framing, 'x-request-id', 'upgrade', 'trailer', 'www-authenticate', 'location'].includes(name)),
    ).toEqual([])
  })

  test('those of a request are dropped', async () => {
    trailers = ''
    upstream.clear()
    const client = await openClient(gateway.port)
    client.send(
      `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: x-sum')}5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-User-Id: forged\r\n\r\n`,
    )
    await client.answered(1)
    client.close()
    expect(upstream.requests.map((request) => [request.body.toString(), request.trailers])).toEqual([['hello', []]])
  })

  test.each(['content-length: 9', 'transfer-encoding: chunked'])('a trailer %s never reaches the client', async (line) => {
    trailers = `${line}\r\n`
    const client = await openClient(gateway.port)
    client.send(head('GET / HTTP/1.1'))
    await client.answered(1, { limitMs: 2000 })
    const octets = client.received().toString('latin1')
    expect(octets.slice(octets.indexOf('\r\n\r\n'))).not.toContain(line)
    client.close()
  })

  test('a length among the trailers of a request is refused, and so is the request', async () => {
    trailers = ''
    upstream.clear()
    const client = await openClient(gateway.port)
    client.send(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n`)
    expect((await client.answered(1)).map(statusCode)).toEqual([400])
    expect(upstream.requests).toEqual([])
    client.close()
  })

  test('a trailer that cannot be read cuts the answer', async () => {
    trailers = 'x bad: 1\r\n'
    const client = await openClient(gateway.port)
    client.send(head('GET / HTTP/1.1'))
    expect(await client.ended()).toBe(true)
    expect(client.answers()).toEqual([])
    client.close()
  })
})
