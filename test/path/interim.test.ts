/** Interim answers (RFC 9110 §15.2): hints are passed on, none is taken for the final answer. */
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

describe.each(['builtin', 'undici'])('an upstream that is spoken to by the client %s', (client) => {
  let upstream: StrictUpstream
  let gateway: TestGateway
  let reply: (socket: Socket) => void = () => undefined
  const FINAL = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfinal'

  beforeAll(async () => {
    upstream = await strictUpstream((socket) => reply(socket))
    gateway = await openWire(upstream.port, { upstream: [`client: ${client}`] })
  })
  afterAll(async () => {
    await gateway.close()
    await upstream.close()
  })

  async function messages(octets: string) {
    const client = await openClient(gateway.port)
    client.send(octets)
    await client.answered(1)
    const all = readAnswers(client.received(), { closed: client.isClosed() })
    client.close()
    return { all: all.messages, rest: all.rest.toString('latin1') }
  }

  test('103 and 102 go to the client, then the final answer, whole', async () => {
    reply = (socket) =>
      void socket.write(
        `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\nConnection: x-secret\r\nX-Secret: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${FINAL}`,
      )
    const { all, rest } = await messages(head('GET / HTTP/1.1'))
    expect({ statuses: all.map(statusCode), body: all[2]?.body.toString(), rest }).toEqual({
      statuses: [103, 102, 200],
      body: 'final',
      rest: '',
    })
    expect(all[0]?.fields).toEqual([
      ['link', '</a.css>; rel=preload'],
      ['link', '</b.js>'],
    ])
  })

  test('hints reach the client before the final answer is there', async () => {
    let finish: () => void = () => undefined
    reply = (socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
      finish = () => void socket.write(FINAL)
    }
    const client = await openClient(gateway.port)
    client.send(head('GET / HTTP/1.1'))
    await client.until((octets) => octets.includes('103'))
    expect(client.answers()).toEqual([])
    finish()
    expect((await client.answered(1)).map(({ body }) => body.toString())).toEqual(['final'])
    client.close()
  })

  test('an interim status that nobody knows is dropped', async () => {
    reply = (socket) => void socket.write(`HTTP/1.1 150 Odd\r\nx: y\r\n\r\n${FINAL}`)
    const { all, rest } = await messages(head('GET / HTTP/1.1'))
    expect({ statuses: all.map(statusCode), rest }).toEqual({ statuses: [200], rest: '' })
  })

  test('hundreds of hints are followed by the final answer', async () => {
    reply = (socket) => void socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(300) + FINAL)
    const { all } = await messages(head('GET / HTTP/1.1'))
    expect([all.length, statusCode(all.at(-1))]).toEqual([301, 200])
  })

  test('the final answer has our request id, hints have none', async () => {
    reply = (socket) => void socket.write(`HTTP/1.1 103 Early Hints\r\nx-request-id: theirs\r\n\r\n${FINAL}`)
    const { all } = await messages(head('GET / HTTP/1.1'))
    expect(all.map(({ fields }) => valuesOf(fields, 'x-request-id').length)).toEqual([0, 1])
  })

  test.each([
    ['alone', ['HTTP/1.1 100 Continue\r\n\r\n', FINAL]],
    ['in one packet', [`HTTP/1.1 100 Continue\r\n\r\n${FINAL}`]],
    ['twice, with fields', [`HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${FINAL}`]],
    ['octet by octet', [...`HTTP/1.1 100 Continue\r\n\r\n${FINAL}`]],
    ['before a hint', [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n`, FINAL]],
  ])('a 100 that nobody asked for is dropped: %s', async (_, parts) => {
    reply = (socket) => void sendParts(socket, parts)
    for (const octets of [
      `${head('POST / HTTP/1.1', 'Content-Length: 2')}ab`,
      head('GET / HTTP/1.1'),
      `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}2\r\nab\r\n0\r\n\r\n`,
    ]) {
      const { all, rest } = await messages(octets)
      expect({ final: all.filter((message) => statusCode(message) >= 200).map(({ body }) => body.toString()), rest }).toEqual({
        final: ['final'],
        rest: '',
      })
      expect(all.map(statusCode)).not.toContain(100)
    }
  })

  test('a body that reads like a 100 is a body', async () => {
    const body = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100'
    reply = (socket) => void sendParts(socket, [`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`, body])
    const { all } = await messages(head('GET / HTTP/1.1'))
    expect(all.map((message) => [statusCode(message), message.body.toString()])).toEqual([[200, body]])
  })

  test('a 100 and nothing more is a broken answer', async () => {
    reply = (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\n')
    expect((await messages(head('GET / HTTP/1.1'))).all.map(statusCode)).toEqual([502])
  })

  async function sendParts(socket: Socket, parts: readonly string[]): Promise<void> {
    for (const part of parts) {
      socket.write(part)
      await new Promise((resolve) => setTimeout(resolve, parts.length > 5 ? 1 : 20))
    }
  }
})
