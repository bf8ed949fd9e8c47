/** What opens a tunnel, and what does not: only the upstream's 101 to a WebSocket handshake on a route that allows it. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { handshake, KEY, maskedFrame, OPCODES, openWebSocket, type WebSocketClient } from '../support/websocket.ts'
import { head, openClient, openWire, talk } from '../support/wire.ts'

const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${ACCEPT}\r\n`
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const SMUGGLED = head('GET /admin HTTP/1.1', 'X-User-Id: forged')

let upstream: RawUpstream
let gateway: TestGateway
let answer: string | ((socket: Socket) => void) = ''
let answered = new WeakSet<Socket>()
let open: WebSocketClient | undefined

beforeAll(async () => {
  upstream = await rawUpstream((socket, received) => {
    if (answered.has(socket) || !received.includes('\r\n\r\n')) return
    answered.add(socket)
    if (typeof answer === 'string') socket.write(answer, 'latin1')
    else answer(socket)
  })
  gateway = await openWire(upstream.port, {
    route: ['websocket: true'],
    upstream: ['timeouts: { response: 400ms }'],
    more: [
      '  - { name: admin, match: { path: /admin/* }, auth: required, upstream: main, websocket: true }',
      '  - { name: plain, match: { path: /plain/* }, auth: public, upstream: main }',
      '  - { name: health, match: { path: /health }, service: health }',
      '  - name: clean',
      '    match: { path: /clean/* }',
      '    auth: public',
      '    upstream: main',
      '    websocket: true',
      '    responseHeaders: { set: { x-set: "1" }, remove: [x_powered_by] }',
    ].join('\n'),
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.connections.length = 0
  answered = new WeakSet()
  answer = OK
})
afterEach(() => {
  open?.close()
  open = undefined
})

/** Everything that comes back until the connection ends. */
async function send(octets: string | Buffer) {
  const got = await talk(gateway.port, octets, { count: 9, quietMs: 10_000 })
  const answers = readAnswers(got.octets, { closed: got.closed }).messages
  return { statuses: answers.map(statusCode), closed: got.closed, answers }
}

/** Request lines that the upstream got, and what it got behind the first head. */
function seen(): { starts: string[]; behind: string } {
  const received = upstream.received()
  const starts = [...received.matchAll(/^([A-Z]+ \S+) HTTP\/1\.1\r$/gm)].map((match) => match[1] ?? '')
  return { starts, behind: received.slice(received.indexOf('\r\n\r\n') + 4) }
}

const NOTHING = { starts: [], behind: '' }

describe('CVE-2026-2833, CVE-2024-23326: only a 101 opens the tunnel', () => {
  test('what is pipelined behind a handshake stays here when the upstream answers 200', async () => {
    answer = 'HTTP/1.1 200 OK\r\nupgrade: websocket\r\nconnection: Upgrade\r\ncontent-length: 2\r\n\r\nok'
    const { statuses, closed, answers } = await send(handshake('/') + SMUGGLED)
    expect({ statuses, closed, ...seen() }).toEqual({ statuses: [200], closed: true, starts: ['GET /'], behind: '' })
    expect(valuesOf(answers[0]?.fields ?? [], 'upgrade')).toEqual([])
  })

  test('nothing is forwarded while the upstream has not answered', async () => {
    answer = ''
    const { statuses, closed } = await send(handshake('/') + SMUGGLED)
    expect({ statuses, closed, ...seen() }).toEqual({ statuses: [504], closed: true, starts: ['GET /'], behind: '' })
  })

  test('what is pipelined behind a handshake arrives once the upstream has switched', async () => {
    answer = `${SWITCH}\r\n`
    const frame = maskedFrame({ opcode: OPCODES.text, payload: Buffer.from('early') })
    open = await openWebSocket(gateway.port, Buffer.concat([Buffer.from(handshake('/'), 'latin1'), frame]))
    await expect.poll(() => seen().behind).toBe(frame.toString('latin1'))
    expect(open.status).toBe(101)
  })

  test('frames that come in one packet with the 101 reach the client', async () => {
    answer = `${SWITCH}\r\n${Buffer.from([0x81, 5, ...Buffer.from('hello')]).toString('latin1')}`
    open = await openWebSocket(gateway.port)
    await open.until(() => (open?.frames().length ?? 0) > 0)
    expect(open.frames().map(({ opcode, payload }) => [opcode, payload.toString()])).toEqual([[OPCODES.text, 'hello']])
  })

  test.each([
    ['h2c', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: Upgrade\r\n\r\n'],
    ['nothing', 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\r\n'],
  ])('a switch to %s is refused with 502', async (_, octets) => {
    answer = octets
    const { statuses, closed } = await send(handshake('/') + SMUGGLED)
    expect({ statuses, closed, ...seen() }).toEqual({ statuses: [502], closed: true, starts: ['GET /'], behind: '' })
  })

  test('a 101 to a plain request is refused with 502', async () => {
    answer = `${SWITCH}\r\n`
    expect((await talk(gateway.port, head('GET / HTTP/1.1'))).octets.toString()).toMatch(/^HTTP\/1\.1 502 /)
  })
})

describe('a refusal of the upstream', () => {
  test('is passed on whole when it is chunked, and ends the connection', async () => {
    answer =
      'HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\nkeep-alive: timeout=5\r\nx-why: no\r\n\r\n3\r\nno!\r\n0\r\n\r\n'
    const { answers, closed } = await send(handshake('/'))
    expect([answers.map(statusCode), answers[0]?.body.toString(), closed]).toEqual([[403], 'no!', true])
    const fields = answers[0]?.fields ?? []
    expect([valuesOf(fields, 'keep-alive'), valuesOf(fields, 'x-why'), valuesOf(fields, 'connection')]).toEqual([
      [],
      ['no'],
      ['close'],
    ])
    expect(valuesOf(fields, 'x-request-id')).toHaveLength(1)
  })

  test('is cut when the upstream breaks it off', async () => {
    answer = (socket) => socket.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\nno', () => socket.destroy())
    expect(await send(handshake('/'))).toEqual({ statuses: [], closed: true, answers: [] })
  })

  test('waits for a client that reads slowly', async () => {
    const size = 64 * 1024 * 1024
    let written = 0
    answer = (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      const pump = (): void => {
        while (written < size) {
          written += 65536
          if (!socket.write(Buffer.alloc(65536))) {
            socket.once('drain', pump)
            return
          }
        }
      }
      pump()
    }
    const client = await openClient(gateway.port)
    client.socket.pause()
    client.send(handshake('/'))
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(written).toBeLessThan(size / 2)
    client.close()
  })
})

describe('the answer to a handshake', () => {
  test('CVE-2026-71849: a 101 keeps nothing that its Connection names, and gets our fields', async () => {
    answer = `${SWITCH.replace('connection: Upgrade', 'connection: Upgrade, X-Secret')}x-secret: 1\r\nkeep-alive: timeout=9\r\nx_powered_by: php\r\nx-request-id: theirs\r\ncontent-length: 3\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n`
    open = await openWebSocket(gateway.port, handshake('/clean'))
    const [start, ...lines] = open.answer.split('\r\n')
    expect(start).toBe('HTTP/1.1 101 Switching Protocols')
    expect(lines.filter((line) => !line.startsWith('x-request-id: ')).toSorted()).toEqual(
      [
        'connection: Upgrade',
        `sec-websocket-accept: ${ACCEPT}`,
        'set-cookie: a=1',
        'set-cookie: b=2',
        'upgrade: websocket',
        'x-set: 1',
      ].toSorted(),
    )
    expect(lines.filter((line) => line.startsWith('x-request-id: ') && !line.includes('theirs'))).toHaveLength(1)
  })
})

describe('h2c smuggling and false handshakes leave no tunnel', () => {
  test.each([
    [
      'Upgrade: h2c',
      head('GET /plain HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'),
    ],
    ['Upgrade: h2c on a route for WebSockets', head('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c')],
    ['Upgrade: h2c with a body', `${head('POST / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 3')}abc`],
    ['websocket and h2c', handshake('/', 'Upgrade: websocket, h2c')],
    ['a POST', `POST${handshake('/').slice(3)}`],
    ['HTTP/1.0', handshake('/').replace('HTTP/1.1', 'HTTP/1.0')],
  ])('%s is a plain request, and nothing behind it is read', async (_, octets) => {
    const { statuses, closed, answers } = await send(octets + SMUGGLED + SMUGGLED)
    expect({ statuses, closed, starts: seen().starts.length }).toEqual({ statuses: [200], closed: true, starts: 1 })
    expect(upstream.received()).not.toMatch(/^(?:upgrade|http2-settings):/im)
    expect(upstream.received()).not.toMatch(/admin|forged/)
    expect(valuesOf(answers[0]?.fields ?? [], 'upgrade')).toEqual([])
  })

  test('what comes later on such a connection is refused too', async () => {
    answer = (socket) => void setTimeout(() => socket.write(OK), 150)
    const client = await openClient(gateway.port)
    client.send(head('GET /plain HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'))
    await expect.poll(() => seen().starts.length).toBe(1)
    client.send(head('GET /plain/later HTTP/1.1'))
    expect(await client.ended()).toBe(true)
    expect({ statuses: client.answers().map(statusCode), starts: seen().starts }).toEqual({
      statuses: [200],
      starts: ['GET /plain'],
    })
    client.close()
  })

  test.each([
    ['another version', handshake('/', 'Sec-WebSocket-Version: 1'), 426],
    ['no version', handshake('/').replace(/Sec-WebSocket-Version.*\r\n/, ''), 426],
    ['two versions', handshake('/', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 13'), 426],
    ['no key', handshake('/').replace(/Sec-WebSocket-Key.*\r\n/, ''), 426],
    ['a key of the wrong length', handshake('/', 'Sec-WebSocket-Key: abc'), 426],
    ['a route without websocket', handshake('/plain'), 400],
    ['a built-in service', handshake('/health'), 400],
    ['a body', `${handshake('/', 'Content-Length: 5')}hello`, 400],
    ['a chunked body', `${handshake('/', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, 400],
    ['no token', handshake('/admin'), 401],
    ['a token that is none', handshake('/admin', 'Authorization: Bearer x'), 401],
    ['a token in the query', handshake('/admin?access_token=x'), 401],
    ['a path that leads to a protected route', handshake('/public/../admin'), 401],
    ['a path that is read in two ways', handshake('/public/..%2fadmin'), 400],
    ['two Hosts', handshake('/', 'Host: a', 'Host: b'), 400],
  ])('%s is refused before the upstream hears of it', async (_, octets, status) => {
    const { statuses, closed, answers } = await send(octets + SMUGGLED)
    expect({ statuses, closed, ...seen() }).toEqual({ statuses: [status], closed: true, ...NOTHING })
    const fields = answers[0]?.fields ?? []
    expect([valuesOf(fields, 'content-type'), valuesOf(fields, 'connection')]).toEqual([['application/problem+json'], ['close']])
    expect(valuesOf(fields, 'x-request-id')).toHaveLength(1)
  })

  test('CVE-2026-1527: an upgrade with a line end in it is refused', async () => {
    const { statuses } = await send(handshake('/', 'Upgrade: websocket\r\n X: y'))
    expect({ statuses, ...seen() }).toEqual({ statuses: [400], ...NOTHING })
  })

  test('a handshake behind an unanswered request opens nothing', async () => {
    answer = (socket) => void setTimeout(() => socket.write(OK), 150)
    const { statuses, closed } = await send(head('GET /plain HTTP/1.1') + handshake('/'))
    expect({ statuses, closed, starts: seen().starts.length < 2 }).toEqual({ statuses: [], closed: true, starts: true })
  })
})
