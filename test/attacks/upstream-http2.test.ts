/** Upstreams of HTTP/2 that send what must not be sent: the client gets 502 or a cut answer, nothing of it, and the gateway lives. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { CODES, encodeFields, FLAGS, FRAMES, type Field } from '../support/http2-frames.ts'
import { codeOf, frameUpstream, goawayOf, type FrameConnection, type FrameUpstream } from '../support/http2-upstream.ts'
import { statusCode, valuesOf } from '../support/strict-http.ts'
import { head, openClient, openWire } from '../support/wire.ts'

/** RFC 9113 §6.6, §6.9, §6.10. */
const PUSH_PROMISE = 5
const END = FLAGS.endStream | FLAGS.endHeaders

let answer: (connection: FrameConnection, stream: number) => void = good
let upstream: FrameUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await frameUpstream(({ type, stream }, connection) => {
    if (type === FRAMES.headers) answer(connection, stream)
  })
  gateway = await openWire(upstream.port, {
    upstream: ['protocol: http2', 'timeouts: { connect: 2s, response: 2s, idle: 2s }'],
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

function good({ send }: FrameConnection, stream: number): void {
  send(FRAMES.headers, FLAGS.endHeaders, stream, fields([[':status', '200']]))
  send(FRAMES.data, FLAGS.endStream, stream, Buffer.from('good'))
}

function fields(given: readonly Field[]): Buffer {
  return encodeFields(given)
}

/** A head with these fields behind its status, and a body. */
function with200(...given: readonly Field[]): typeof answer {
  return ({ send }, stream) => {
    send(FRAMES.headers, FLAGS.endHeaders, stream, fields([[':status', '200'], ...given]))
    send(FRAMES.data, FLAGS.endStream, stream, Buffer.from('body'))
  }
}

async function ask(): Promise<{ readonly status: number | 'cut'; readonly octets: string; readonly body: string }> {
  const client = await openClient(gateway.port)
  client.send(head('GET /x HTTP/1.1'))
  const [first] = await client.answered(1, { limitMs: 10_000 })
  const octets = client.received().toString('latin1')
  client.close()
  return { status: first === undefined ? 'cut' : statusCode(first), octets, body: first?.body.toString() ?? '' }
}

/** The worst is over when the next request is served as if nothing had been. */
async function expectAlive(): Promise<void> {
  answer = good
  const { status, body } = await ask()
  expect([status, body]).toEqual([200, 'good'])
}

const FORBIDDEN: readonly (readonly [string, typeof answer])[] = [
  ['no status', ({ send }, stream) => send(FRAMES.headers, END, stream, fields([['x-a', '1']]))],
  [
    'two statuses',
    ({ send }, stream) =>
      send(
        FRAMES.headers,
        END,
        stream,
        fields([
          [':status', '200'],
          [':status', '404'],
        ]),
      ),
  ],
  ['a status of two digits', ({ send }, stream) => send(FRAMES.headers, END, stream, fields([[':status', '20']]))],
  ['a status that is no number', ({ send }, stream) => send(FRAMES.headers, END, stream, fields([[':status', '2e2']]))],
  ['101, which HTTP/2 does not have', ({ send }, stream) => send(FRAMES.headers, END, stream, fields([[':status', '101']]))],
  ['an interim answer that is the last', ({ send }, stream) => send(FRAMES.headers, END, stream, fields([[':status', '103']]))],
  ['a pseudo-field of a request', with200([':path', '/admin'])],
  [
    'a pseudo-field behind a field',
    ({ send }, stream) =>
      send(
        FRAMES.headers,
        END,
        stream,
        fields([
          ['a', 'b'],
          [':status', '200'],
        ]),
      ),
  ],
  ['a name in upper case', with200(['X-Upper', '1'])],
  ['transfer-encoding', with200(['transfer-encoding', 'chunked'])],
  ['connection', with200(['connection', 'x-request-id'])],
  ['a length that is more than there is', with200(['content-length', '5'])],
  ['a length that is less than there is', with200(['content-length', '3'])],
  ['two lengths', with200(['content-length', '4'], ['content-length', '5'])],
  ['a length that is no number', with200(['content-length', '+4'])],
  ['a body before the head', ({ send }, stream) => send(FRAMES.data, FLAGS.endStream, stream, Buffer.from('early'))],
  ['a second head', twoHeads],
  [
    'a promise to push',
    ({ send }, stream) => send(PUSH_PROMISE, FLAGS.endHeaders, stream, Buffer.concat([codeOf(2), fields([[':method', 'GET']])])),
  ],
  ['a body of nobody', ({ send }) => send(FRAMES.data, FLAGS.endStream, 0, Buffer.from('x'))],
  [
    'an answer to a request that was not made',
    ({ send }, stream) => send(FRAMES.headers, END, stream + 2, fields([[':status', '200']])),
  ],
  [
    'a window that overflows',
    ({ send }, stream) => {
      for (let turn = 0; turn < 2; turn += 1) send(FRAMES.windowUpdate, FLAGS.none, stream, codeOf(0x7fffffff))
      send(FRAMES.windowUpdate, FLAGS.none, 0, codeOf(0x7fffffff))
    },
  ],
  [
    'a frame that is larger than was allowed',
    ({ send }, stream) => send(FRAMES.data, FLAGS.endStream, stream, Buffer.alloc(20_000)),
  ],
  ['octets that are no frames', ({ socket }) => void socket.write(Buffer.alloc(4096, 0xff))],
  ['an HTTP/1.1 answer', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil')],
  [
    'a head that is not compressed as it should be',
    ({ send }, stream) => send(FRAMES.headers, END, stream, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
  ],
  [
    'half a head, and the end',
    ({ send, socket }, stream) => {
      send(FRAMES.headers, FLAGS.none, stream, fields([[':status', '200']]))
      socket.end()
    },
  ],
  ['a farewell with an error', ({ send }, stream) => send(FRAMES.goaway, FLAGS.none, 0, goawayOf(stream, CODES.enhanceYourCalm))],
  ['a reset', ({ send }, stream) => send(FRAMES.reset, FLAGS.none, stream, codeOf(CODES.internal))],
]

function twoHeads({ send }: FrameConnection, stream: number): void {
  send(FRAMES.headers, FLAGS.endHeaders, stream, fields([[':status', '200']]))
  send(
    FRAMES.headers,
    END,
    stream,
    fields([
      [':status', '404'],
      ['x-second', '1'],
    ]),
  )
}

describe('an answer with', () => {
  test.each(FORBIDDEN)('%s', async (_, wicked) => {
    answer = wicked
    const { status, octets } = await ask()
    expect([502, 'cut']).toContain(status)
    expect(octets).not.toMatch(/x-upper|x-second|evil|\/admin|127\.0\.0\.1/i)
    await expectAlive()
  })

  test.each([
    ['a line break in a value', ['x-split', 'a\r\nset-cookie: evil=1']],
    ['NUL in a value', ['x-nul', 'a\0b']],
    ['a space in a name', ['x split', 'a']],
    ['a colon in a name', ['x:evil', 'a']],
  ] as const)('%s does not have it', async (_, field) => {
    answer = with200(field)
    const { octets } = await ask()
    expect(octets).not.toMatch(/evil|x-split|x-nul|x split/i)
    await expectAlive()
  })
})

describe('floods', () => {
  test('a head without end is given up, and memory does not grow with it', async () => {
    const before = process.memoryUsage().rss
    let sent = 0
    answer = ({ send, socket }, stream) => {
      const block = fields(Array.from({ length: 60 }, (_, index): Field => [`x-${index}`, 'y'.repeat(200)]))
      send(FRAMES.headers, FLAGS.none, stream, fields([[':status', '200']]))
      const pump = (): void => {
        while (!socket.destroyed && sent < 100 * 1024 * 1024) {
          sent += block.length
          send(FRAMES.continuation, FLAGS.none, stream, block)
          if (socket.writableNeedDrain) {
            socket.once('drain', pump)
            return
          }
        }
      }
      pump()
    }
    expect((await ask()).status).toBe(502)
    await expectAlive()
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024)
  })

  test('a head that is larger than any of HTTP/1.1 may be is refused, and the connection goes on', async () => {
    const opened = upstream.opened()
    answer = with200(...Array.from({ length: 20 }, (_, index): Field => [`x-${index}`, 'y'.repeat(800)]))
    expect((await ask()).status).toBe(502)
    await expectAlive()
    expect(upstream.opened()).toBe(opened)
  })

  test.each([
    ['SETTINGS', FRAMES.settings, 0, Buffer.alloc(0)],
    ['PING', FRAMES.ping, 0, Buffer.alloc(8)],
    ['empty DATA', FRAMES.data, 1, Buffer.alloc(0)],
  ])('of %s frames does not stop the others', async (_, type, onStream, payload) => {
    answer = ({ send }, stream) => {
      if (onStream > 0) send(FRAMES.headers, FLAGS.endHeaders, stream, fields([[':status', '200']]))
      for (let turn = 0; turn < 20_000; turn += 1) send(type, FLAGS.none, onStream > 0 ? stream : 0, payload)
      if (onStream > 0) send(FRAMES.data, FLAGS.endStream, stream, Buffer.alloc(0))
      else good({ send } as FrameConnection, stream)
    }
    expect([200, 502, 'cut']).toContain((await ask()).status)
    await expectAlive()
  })

  test('interim answers without end are bounded by the time for the head', async () => {
    answer = ({ send, socket }, stream) => {
      const timer = setInterval(() => send(FRAMES.headers, FLAGS.endHeaders, stream, fields([[':status', '103']])), 20)
      socket.once('close', () => clearInterval(timer))
    }
    const client = await openClient(gateway.port)
    client.send(head('GET /x HTTP/1.1'))
    const [first] = await client.answered(1, { limitMs: 10_000 })
    expect([statusCode(first), valuesOf(first?.fields ?? [], 'content-type')[0]]).toEqual([504, 'application/problem+json'])
    client.close()
    await expectAlive()
  })
})
