/**
 * Fields of HTTP/2 that would be something else as lines of HTTP/1.1: they are reset or dropped, and no upstream sees a trace.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { valuesOf } from '../support/attack.ts'
import { CODES, FLAGS, FRAMES, openFrames, requestFields, type Field, type FrameClient } from '../support/http2-frames.ts'
import { openTlsScene, type TlsScene } from '../support/http2.ts'
import { readVectors } from '../support/vectors.ts'

interface FieldList {
  readonly id: string
  readonly fields: readonly Field[]
}

const { data, missing } = readVectors('http1/portswigger_hrs_permutations.json')
const lists = (data as { readonly h2: readonly FieldList[] } | undefined)?.h2 ?? []
/** Lists that are forwarded: they say one thing to every reader. In the others a field that is no field is dropped or resets the stream. */
const DROPPED: ReadonlySet<string> = new Set(
  ['http2hide', 'h2colon', 'h2name', 'h2space', 'h2CL'].map((name) => `hrs/h2/${name}`),
)
const NAMES = [
  'x-user-id',
  'x-tenant-id',
  'x-scopes',
  'x-session-id',
  'x-token-id',
  'x-gatehouse-identity',
  'x-client-subject',
  'client-cert',
]

let scene: TlsScene
let client: FrameClient
let stream = -1

beforeAll(async () => {
  scene = await openTlsScene()
  client = await openFrames(scene.port)
})
afterAll(async () => {
  client.close()
  await scene.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
  stream += 2
})

describe.skipIf(missing !== undefined)(missing ?? 'GHSA-847f-9342-265h: lines within fields', () => {
  it('has every list', () => {
    expect(lists).toHaveLength(12)
  })

  it.each(lists.map((list) => [list.id, list.fields] as const))('%s', async (id, fields) => {
    const more = fields.map(([name, value]): Field => [name, value.replaceAll('HOST', 'gateway.test')])
    client.head(stream, requestFields('/public/x', more, 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.endStream, stream, id === 'hrs/h2/h2CL' ? Buffer.alloc(0) : Buffer.from('0\r\n\r\n'))
    const outcome = await client.over(stream)
    const raw = scene.upstream.seen.flatMap(({ rawHeaders }) => [...rawHeaders])
    expect({
      forwarded: outcome.status === 200,
      reset: outcome.status === 0 ? outcome.reset : undefined,
      requests: scene.upstream.seen.map(({ method, target }) => `${method} ${target}`),
      trace: raw.filter((text) => /[\r\n]|reject|^foo$|^x$|^xz$/i.test(text)),
      codings: valuesOf(raw, 'transfer-encoding').filter((coding) => coding !== 'chunked'),
    }).toEqual({
      forwarded: DROPPED.has(id),
      reset: DROPPED.has(id) ? undefined : CODES.protocol,
      requests: DROPPED.has(id) ? ['POST /public/x'] : [],
      trace: [],
      codings: [],
    })
    expect(valuesOf(raw, 'transfer-encoding').length + valuesOf(raw, 'content-length').length).toBe(DROPPED.has(id) ? 1 : 0)
  })
})

describe('control characters in fields', () => {
  it.each([
    ['NUL', 'a\0b'],
    ['CR', 'a\rb'],
    ['LF', 'a\nb'],
    ['CR and LF', 'a\r\nx-admin: 1'],
    ['another', 'a\x01b'],
    ['DEL', 'a\x7fb'],
    ...['\0', '\r', '\n', '\x1f', '\x7f'].map((char): [string, string] => [
      `${JSON.stringify(char)} in a long value`,
      `${'a'.repeat(300)}${char}x-admin: 1`,
    ]),
  ])('CVE-2019-9900, CVE-2026-31908: %s goes no further than its field', async (_, value) => {
    client.head(stream, requestFields('/public/x', [['x-own', value]]))
    const outcome = await client.over(stream)
    expect([200, 400, 0]).toContain(outcome.status)
    const raw = scene.upstream.seen.flatMap(({ rawHeaders }) => [...rawHeaders])
    expect([valuesOf(raw, 'x-own'), valuesOf(raw, 'x-admin')]).toEqual([[], []])
  })

  it('CVE-2026-73552: octets that readers decode in different ways are refused', async () => {
    client.head(stream, requestFields('/public/x', [['x-own', 'a\xff']]))
    expect([(await client.over(stream)).status, scene.upstream.seen]).toEqual([400, []])
    stream += 2
    client.head(stream, requestFields('/public/x', [['x-own', `${'a'.repeat(300)}\x80`]]))
    expect([(await client.over(stream)).status, scene.upstream.seen]).toEqual([400, []])
  })

  it('CVE-2026-73552: a credential with such octets is none', async () => {
    client.head(stream, requestFields('/admin/x', [['authorization', `Bearer ${scene.token()}\0`]]))
    expect([(await client.over(stream)).status, scene.upstream.seen]).toEqual([401, []])
  })
})

describe('fields about the connection', () => {
  it.each([
    ['connection', 'x-user-id'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'close'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'websocket'],
    ['te', 'gzip'],
    ['X-Upper', 'case'],
  ])('%s: %s resets the stream (RFC 9113 §8.2)', async (name, value) => {
    client.head(stream, requestFields('/public/x', [[name, value]]))
    expect([await client.over(stream), scene.upstream.seen]).toMatchObject([{ status: 0, reset: CODES.protocol }, []])
  })
})

describe('who is asked', () => {
  it.each([
    ['another Host', [['host', 'acme.test']], 400],
    ['the same Host', [['host', 'GATEWAY.test']], 200],
    ['a user in the authority', [[':authority', 'gateway.test@evil.test']], 0],
    ['another scheme', [[':scheme', 'http']], 400],
    ['an unknown scheme', [[':scheme', 'ftp']], 400],
    ['an authority that is no host', [[':authority', 'gateway.test:x']], 400],
    [
      'two Hosts',
      [
        ['host', 'gateway.test'],
        ['host', 'gateway.test'],
      ],
      0,
    ],
  ] as readonly (readonly [string, readonly Field[], number])[])('%s', async (_, more, status) => {
    client.head(stream, requestFields('/public/x', more))
    expect([(await client.over(stream)).status, scene.upstream.seen.length]).toEqual([status, status === 200 ? 1 : 0])
  })

  it('CVE-2025-54576: is one host, however it is written', async () => {
    client.head(stream, requestFields('/public/x', [[':authority', 'GateWay.Test.:8443']]))
    expect((await client.over(stream)).status).toBe(200)
    expect(valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-forwarded-host')).toEqual(['GateWay.Test.:8443'])
  })
})

describe('a forged identity', () => {
  it.each([
    ['as it is', '-'],
    ['CVE-2026-54763, GHSA-x677-9fxg-v5c5: with underscores', '_'],
    ['CVE-2026-88011: with dots', '.'],
    ['with tildes', '~'],
  ])('%s: is removed, and ours stands there once', async (_, mark) => {
    const forged = NAMES.map((name): Field => [name.replaceAll('-', mark), 'forged'])
    client.head(stream, requestFields('/public/x', forged))
    await client.over(stream)
    stream += 2
    client.head(stream, requestFields('/admin/x', [['authorization', `Bearer ${scene.token()}`], ...forged]))
    await client.over(stream)
    const found = scene.upstream.seen.map(({ rawHeaders }) => NAMES.map((name) => valuesOf(rawHeaders, name).length))
    expect(found[0]).toEqual(NAMES.map(() => 0))
    expect(scene.upstream.seen.flatMap(({ rawHeaders }) => [...rawHeaders])).not.toContain('forged')
    expect(valuesOf(scene.upstream.seen[1]?.rawHeaders ?? [], 'x-user-id')).toEqual(['alice'])
  })

  it('CVE-2020-25017, CVE-2026-26308: two credentials are refused', async () => {
    const good = `Bearer ${scene.token()}`
    client.head(
      stream,
      requestFields('/admin/x', [
        ['authorization', good],
        ['authorization', 'Bearer x'],
      ]),
    )
    const outcome = await client.over(stream)
    expect([outcome.status, scene.upstream.seen]).toEqual([400, []])
  })

  it('as a trailer is removed', async () => {
    client.head(stream, requestFields('/public/x', [], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.none, stream, Buffer.from('body'))
    client.head(stream, [['x-user-id', 'forged']])
    expect((await client.over(stream)).status).toBe(200)
    expect(
      scene.upstream.seen.map(({ body, trailers, rawHeaders }) => [body, trailers, valuesOf(rawHeaders, 'x-user-id')]),
    ).toEqual([['body', [], []]])
  })
})
