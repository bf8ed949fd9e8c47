/** What hostile upstreams answer to clients over HTTP/2: their own stream may fail, and nothing else does. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeFields, FLAGS, FRAMES, type Field } from '../support/http2-frames.ts'
import { frameUpstream, type FrameUpstream } from '../support/http2-upstream.ts'
import { openHttp2, openTlsScene, type Http2Client, type TlsScene } from '../support/http2.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'

/** Between a head and its body: the head is passed on alone. */
const LATER_MS = 50
let answer: (socket: Socket) => void
let framed: readonly Field[]
let trailers: readonly Field[]
let raw: RawUpstream
let frames: FrameUpstream
let scene: TlsScene
let client: Http2Client
const faults: unknown[] = []
const note = (fault: unknown): void => void faults.push(fault)

beforeAll(async () => {
  raw = await rawUpstream((socket) => answer(socket))
  frames = await frameUpstream(({ type, stream }, { send }) => {
    if (type !== FRAMES.headers) return
    send(FRAMES.headers, FLAGS.endHeaders, stream, encodeFields(framed))
    setTimeout(() => {
      send(FRAMES.data, 0, stream, Buffer.from('ok'))
      send(FRAMES.headers, FLAGS.endStream | FLAGS.endHeaders, stream, encodeFields(trailers))
    }, LATER_MS)
  })
  const timeouts = 'timeouts: { response: 2s, idle: 2s }'
  scene = await openTlsScene({
    upstreams: `  one: { targets: ["http://127.0.0.1:${raw.port}"], ${timeouts} }
  two: { targets: ["http://127.0.0.1:${frames.port}"], protocol: http2, ${timeouts} }`,
    routes: `  - { name: one, match: { path: /one/* }, auth: public, upstream: one }
  - { name: two, match: { path: /two/* }, auth: public, upstream: two }`,
  })
  client = await openHttp2(scene.port)
  process.prependListener('uncaughtException', note)
  process.prependListener('unhandledRejection', note)
})
afterAll(async () => {
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  client.close()
  await scene.close()
  await raw.close()
  await frames.close()
})

/** Status of what the hostile upstream answers, `cut` behind it where it is not whole; those beside and after it are served. */
async function outcome(path: string): Promise<string> {
  const beside = client.ask({ path: '/public/x' })
  const { status, code } = await client.ask({ path })
  expect([(await beside).status, (await client.ask({ path: '/public/x' })).status, faults]).toEqual([200, 200, []])
  await expect.poll(() => inFlight(), { timeout: 10_000 }).toBe(0)
  return code === 0 ? String(status) : `${status} cut`
}

async function inFlight(): Promise<number> {
  const text = await (await fetch(`${scene.gateway.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_requests_in_flight (\d+)$/m.exec(text)?.[1])
}

const OK = 'HTTP/1.1 200 OK\r\n'
const END = 'content-length: 2\r\n\r\nok'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`

const ANSWERS: readonly (readonly [what: string, octets: string, outcome: string])[] = [
  ...[0, 42, 99, 101, 199, 600, 777, 999].map((status) => {
    const text = String(status).padStart(3, '0')
    return [`the status ${text}`, `HTTP/1.1 ${text} What\r\n${END}`, '502'] as const
  }),
  ['a name that HTTP/2 knows otherwise', `${OK}:status: 500\r\n${END}`, '502'],
  ['fields of a connection', `${OK}te: x\r\nhttp2-settings: AAAA\r\nhost: evil\r\nkeep-alive: 5\r\n${END}`, '200'],
  ['fields twice that are single', `${OK}etag: a\r\netag: b\r\ncontent-type: a\r\ncontent-type: b\r\ndate: x\r\n${END}`, '200'],
  ['octets above ASCII', `${OK}x-a: \u00ff\u00fe\u0080\r\n${END}`, '200'],
  ['control characters', `${OK}x-a: a\u0001b\u007f\r\n${END}`, '502'],
  ['a line break of its own', `${OK}x-a: a\nx-b: c\r\n${END}`, '502'],
  ['names that are words of the language', `${OK}__proto__: x\r\nconstructor: y\r\ntoString: z\r\n${END}`, '200'],
  [
    'an interim answer with fields twice that are single',
    `HTTP/1.1 103 Early\r\netag: a\r\netag: b\r\nte: x\r\nhost: y\r\n__proto__: z\r\n\r\n${OK}${END}`,
    '200',
  ],
  ['an interim answer with octets above ASCII', `HTTP/1.1 103 Early\r\nlink: \u00ff\u0080\r\n\r\n${OK}${END}`, '200'],
  ['trailers with fields twice that are single', `${CHUNKED}etag: a\r\netag: b\r\nx-a: 1\r\nx-a: 2\r\n\r\n`, '200'],
  ['trailers with fields of a connection', `${CHUNKED}te: x\r\nhost: y\r\nupgrade: z\r\nhttp2-settings: AAAA\r\n\r\n`, '200'],
  ['trailers with octets above ASCII', `${CHUNKED}x-a: \u00ff\u0080\r\n\r\n`, '200'],
  ['trailers with words of the language', `${CHUNKED}__proto__: x\r\nconstructor: y\r\n\r\n`, '200'],
  ['a body that is shorter than it says', `${OK}content-length: 20\r\n\r\nok`, '200 cut'],
  ['a body that is longer than it says', `${OK}content-length: 1\r\n\r\nokok`, '200'],
  ['a body where there is none', `HTTP/1.1 204 No Content\r\n${END}`, '204'],
  ['a body to 304', `HTTP/1.1 304 Not Modified\r\n${END}`, '304'],
]

describe('an upstream of HTTP/1.1 that answers', () => {
  it.each(ANSWERS)('%s', async (_, octets, expected) => {
    answer = (socket) => socket.end(Buffer.from(octets, 'latin1'))
    expect(await outcome('/one/x')).toBe(expected)
  })

  it.each(ANSWERS)('%s, and its body later', async (_, octets, expected) => {
    const at = octets.lastIndexOf('\r\n\r\n', octets.endsWith('\r\n\r\n') ? -5 : undefined) + 4
    answer = (socket) => {
      socket.write(Buffer.from(octets.slice(0, at), 'latin1'))
      void pause(LATER_MS).then(() => socket.end(Buffer.from(octets.slice(at), 'latin1')))
    }
    expect(await outcome('/one/x')).toBe(expected)
  })
})

const WELL: Field = [':status', '200']

describe('an upstream of HTTP/2 that answers', () => {
  it.each<readonly [string, readonly Field[], readonly Field[], string]>([
    ['the status 600', [[':status', '600']], [['x-a', '1']], '502'],
    ['the status 999', [[':status', '999']], [['x-a', '1']], '502'],
    ['names that are words of the language', [WELL, ['__proto__', 'x'], ['constructor', 'y']], [['x-a', '1']], '200'],
    [
      'trailers with words of the language',
      [WELL],
      [
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ],
      '200',
    ],
    [
      'trailers with fields twice that are single',
      [WELL],
      [
        ['etag', 'a'],
        ['etag', 'b'],
        ['x-a', '1'],
      ],
      '200',
    ],
    ['fields twice that are single', [WELL, ['etag', 'a'], ['etag', 'b'], ['age', '1'], ['age', '2']], [['x-a', '1']], '200'],
  ])('%s', async (_, given, last, expected) => {
    framed = given
    trailers = last
    expect(await outcome('/two/x')).toBe(expected)
  })
})
