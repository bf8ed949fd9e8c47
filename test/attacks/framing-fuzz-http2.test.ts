/**
 * Random requests over HTTP/2, their fields and their DATA frames, held against RFC 9113 §8: an upstream that reads HTTP/1.1 strictly
 * sees those that are in order, each with one framing, and nothing of the others.
 *
 * `GATEHOUSE_FUZZ_CASES` is the number of streams, `GATEHOUSE_FUZZ_SEED` the seed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fc } from '../support/properties.ts'
import { createAuthority } from '../support/authority.ts'
import type { TestGateway } from '../support/gateway.ts'
import { FLAGS, FRAMES, openFrames, requestFields, type Field, type FrameClient } from '../support/http2-frames.ts'
import { valuesOf } from '../support/strict-http.ts'
import { openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

const CASES = Number(process.env['GATEHOUSE_FUZZ_CASES'] ?? 150)
const SEED = Number(process.env['GATEHOUSE_FUZZ_SEED'] ?? 20_261_122)
const LIMIT_MS = 60_000 + CASES * 40
const BATCH = 20
const OVER_MS = 10_000
const SMUGGLED = '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n'

/** What is sent on one stream. */
interface StreamCase {
  readonly method: string
  readonly fields: readonly Field[]
  /** Undefined: the head ends the stream. */
  readonly body: readonly string[] | undefined
  /** Undefined: none is said. */
  readonly length: string | undefined
  readonly trailers: readonly Field[] | undefined
}

/** Fields that a request may have. */
const FIELDS: readonly Field[] = [
  ['x-a', 'b'],
  ['te', 'trailers'],
  ['accept', '*/*'],
  ['x-empty', ''],
  ['cookie', 'a=b'],
  ['content_length', '3'],
  ['transfer_encoding', 'chunked'],
]
/** Fields of which the library makes nothing, where it does not refuse the request. */
const DROPPED: readonly Field[] = [
  ['X-Upper', 'wrong'],
  ['x a', 'wrong'],
  ['x:a', 'wrong'],
  ['x\r\ny', 'wrong'],
  ['', 'wrong'],
  ['x-a', 'wrong\r\nx-user-id: forged'],
  ['x-a', 'wrong\nc'],
  ['x-a', 'wrong\rc'],
  ['x-a', 'wrong\0'],
]
/** Fields that make a request malformed (RFC 9113 §8.2), or that no two readers read alike. */
const REFUSED: readonly Field[] = [
  ['transfer-encoding', 'chunked'],
  ['connection', 'close'],
  ['upgrade', 'websocket'],
  ['keep-alive', 'x'],
  ['proxy-connection', 'close'],
  ['te', 'gzip'],
  ['x-a', 'wrong\xe9'],
  [':path', '/other'],
  [':unknown', 'x'],
  ['host', 'other.test'],
  ['content-length', '03'],
  ['content-length', '+3'],
  ['content-length', '3, 3'],
  ['content-length', ''],
]
const WRONG = [...DROPPED, ...REFUSED]

const streamCase: fc.Arbitrary<StreamCase> = fc
  .record({
    method: fc.constantFrom('POST', 'GET', 'PUT', 'HEAD', 'DELETE'),
    fields: fc.array(
      fc.oneof(
        { withCrossShrink: true },
        { weight: 8, arbitrary: fc.constantFrom(...FIELDS) },
        { weight: 1, arbitrary: fc.constantFrom(...WRONG) },
      ),
      { maxLength: 4 },
    ),
    body: fc.option(fc.array(fc.constantFrom('', 'a', 'hello', SMUGGLED, 'x'.repeat(2000)), { minLength: 1, maxLength: 4 }), {
      nil: undefined,
    }),
    length: fc.oneof(
      { withCrossShrink: true },
      { weight: 4, arbitrary: fc.constant('none') },
      fc.constantFrom('right', 'less', 'more'),
    ),
    trailers: fc.option(
      fc.array(fc.constantFrom<Field>(['x-sum', '1'], ['x-user-id', 'forged']), { minLength: 1, maxLength: 2 }),
      {
        nil: undefined,
        freq: 5,
      },
    ),
  })
  .map(({ length, body, trailers, ...rest }) => {
    const octets = (body ?? []).join('').length
    const said = { none: undefined, right: octets, less: octets - 1, more: octets + 1 }[length]
    const isSaid = said !== undefined && said >= 0
    return { ...rest, body, length: isSaid ? String(said) : undefined, trailers: body === undefined ? undefined : trailers }
  })

/** What has to come of a request (RFC 9113 §8.1.1): its fields have to be in order, and its length that of its body. */
function fateOf({ fields, body, length }: StreamCase): 'answered' | 'refused' | 'either' {
  if (fields.some((field) => REFUSED.includes(field))) return 'refused'
  // A request that has no body is complete before there is one.
  if (length === '0' && body !== undefined && body.join('') !== '') return 'either'
  if (length !== undefined && Number(length) !== (body ?? []).join('').length) return 'refused'
  return fields.some((field) => DROPPED.includes(field)) ? 'either' : 'answered'
}

let upstream: StrictUpstream
let gateway: TestGateway
let next = 0

beforeAll(async () => {
  upstream = await strictUpstream((socket, { start }) => {
    const [method = '', target = ''] = start.split(' ')
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${target.length}\r\n\r\n${method === 'HEAD' ? '' : target}`)
  })
  const { certificate, key } = createAuthority().server(['gateway.test'])
  gateway = await openWire(upstream.port, {
    listener: ['tls: { certificate: cert.pem, key: key.pem }', 'overload: { enabled: false }'],
    more: 'telemetry: { accessLog: { sample: 0% } }',
    files: { 'cert.pem': certificate, 'key.pem': key },
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

test('an upstream sees the requests that are in order, and nothing of the others', { timeout: LIMIT_MS }, async () => {
  const tally = { played: 0, passed: 0 }
  const batch = fc.array(streamCase, { minLength: 1, maxLength: BATCH, size: 'max' })
  for (let round = 0; tally.played < CASES; round += 1) {
    await fc.assert(
      fc.asyncProperty(batch, async (cases) => {
        tally.passed += await play(cases)
        tally.played += cases.length
      }),
      { numRuns: 20, seed: SEED + round },
    )
  }
  if (process.env['GATEHOUSE_FUZZ_CASES'] !== undefined)
    console.log(`seed ${SEED}: ${tally.played} streams, ${tally.passed} answered by the upstream`)
  expect(tally.passed).toBeGreaterThan(0)
})

/** Plays streams on one connection, each sent as a whole. Returns how many the upstream answered. */
async function play(cases: readonly StreamCase[]): Promise<number> {
  upstream.requests.length = 0
  next += 1
  const client = await openFrames(gateway.port)
  const paths = cases.map((_, index) => `/${next}/${index}`)
  // A fault of a stream may end the connection, and those behind it with it: what is in order goes alone then.
  const statuses: number[] = []
  try {
    for (const [index, one] of cases.entries()) {
      const stream = index * 2 + 1
      send(client, stream, paths[index] ?? '', one)
      const { status, body } = await client.over(stream, OVER_MS)
      statuses.push(status)
      if (client.isClosed()) break
      if (status === 200 && one.method !== 'HEAD') expect(body).toBe(paths[index])
      const fate = fateOf(one)
      const isFit = status === 200 ? fate !== 'refused' : fate !== 'answered' && (status === 0 || (status >= 400 && status < 500))
      expect({ one, status, isFit }).toEqual({ one, status, isFit: true })
    }
  } finally {
    client.close()
  }
  await upstream.until(() => upstream.rests().length === 0, OVER_MS)
  const expected = cases.slice(0, statuses.length).flatMap((one, index) => {
    const { method, length, body = [] } = one
    return statuses[index] === 200
      ? [{ start: `${method} ${paths[index]} HTTP/1.1`, body: length === '0' ? '' : body.join('') }]
      : []
  })
  const seen = upstream.requests.map(({ start, body, fields, trailers }) => ({
    start,
    body: body.toString('latin1'),
    // Nothing that only looks like framing, none of the identity, and nothing that is wrong.
    strange: [...fields, ...trailers].filter(
      ([name, value]) => name.includes('_') || name === 'x-user-id' || value.includes('wrong'),
    ),
    framings: valuesOf(fields, 'content-length').length + valuesOf(fields, 'transfer-encoding').length,
  }))
  expect({ faults: upstream.faults, rests: upstream.rests() }).toEqual({ faults: [], rests: [] })
  expect(seen.map(({ start, body }) => ({ start, body }))).toEqual(expected)
  expect(seen.filter(({ strange, framings }) => strange.length > 0 || framings > 1)).toEqual([])
  return seen.length
}

function send(client: FrameClient, stream: number, path: string, { method, fields, body, length, trailers }: StreamCase): void {
  const all: Field[] = [...fields, ...(length === undefined ? [] : [['content-length', length] as const])]
  const repeated = all.find(([name]) => name === ':path')
  const head = requestFields(
    path,
    all.filter((field) => field !== repeated),
    method,
  )
  // A second `:path`, behind the fields.
  if (repeated !== undefined) head.push(repeated)
  client.head(stream, head, body === undefined ? FLAGS.endStream | FLAGS.endHeaders : FLAGS.endHeaders)
  for (const [index, octets] of (body ?? []).entries()) {
    const isLast = index === (body ?? []).length - 1 && trailers === undefined
    client.send(FRAMES.data, isLast ? FLAGS.endStream : FLAGS.none, stream, Buffer.from(octets, 'latin1'))
  }
  if (trailers !== undefined) client.head(stream, trailers)
}
