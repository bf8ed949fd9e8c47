/**
 * HTTP/2 goes the one path: the same answers as HTTP/1.1, in its own framing.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { valuesOf } from '../support/attack.ts'
import { openFrames, requestFields, FLAGS, FRAMES, CODES } from '../support/http2-frames.ts'
import { openHttp2, openTlsScene, outcomeOf, sendTls, type Http2Client, type TlsScene } from '../support/http2.ts'

let scene: TlsScene
let client: Http2Client
let talker: Server

beforeAll(async () => {
  talker = createServer((req, res) => {
    if (req.url === '/talk/trailers') {
      res.writeHead(200, { trailer: 'x-sum' })
      res.write('body')
      res.addTrailers({ 'x-sum': '42', 'set-cookie': 'no=1' })
      res.end()
    } else if (req.url === '/talk/early') {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.end('late')
    } else if (req.url === '/talk/cookies') {
      res.writeHead(200, [
        'set-cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'connection',
        'close',
        'strict-transport-security',
        'max-age=1',
      ])
      res.end('ok')
    } else if (req.url === '/talk/none') {
      res.writeHead(204)
      res.end()
    } else if (req.url === '/talk/cut') {
      res.writeHead(200, { 'content-length': '10' })
      res.write('half', () => res.destroy())
    } else if (req.url === '/talk/large') {
      res.end(Buffer.alloc(3 * 1024 * 1024, 'x'))
    } else {
      res.end(req.method)
    }
  })
  await new Promise<void>((resolve) => {
    talker.listen(0, '127.0.0.1', resolve)
  })
  const { port } = talker.address() as AddressInfo
  scene = await openTlsScene({
    upstreams: `  talker: { targets: ["http://127.0.0.1:${port}"] }`,
    routes: `
  - { name: talk, match: { path: /talk/* }, auth: public, upstream: talker }
  - { name: small, match: { path: /small/* }, auth: public, upstream: recorder, bodyBytes: 10B }
  - { name: health, match: { path: /health }, service: health }`,
  })
  client = await openHttp2(scene.port)
})
afterAll(async () => {
  client.close()
  talker.closeAllConnections()
  talker.close()
  await scene.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

describe('a request', () => {
  it('reaches the upstream as HTTP/1.1 has it, with the scheme that it came over', async () => {
    const answer = await client.ask({
      path: '/admin/x?y=1',
      headers: { authorization: `Bearer ${scene.token()}`, cookie: ['a=1', 'b=2'], te: 'trailers', 'x-own': 'kept' },
    })
    expect([answer.status, answer.body, answer.code]).toEqual([200, 'ok', 0])
    const [seen] = scene.upstream.seen
    expect([seen?.method, seen?.target]).toEqual(['GET', '/admin/x?y=1'])
    const raw = seen?.rawHeaders ?? []
    expect({
      cookie: valuesOf(raw, 'cookie'),
      own: valuesOf(raw, 'x-own'),
      te: valuesOf(raw, 'te'),
      proto: valuesOf(raw, 'x-forwarded-proto'),
      host: valuesOf(raw, 'x-forwarded-host'),
      user: valuesOf(raw, 'x-user-id'),
      pseudo: raw.filter((name) => name.startsWith(':')),
      authorization: valuesOf(raw, 'authorization'),
    }).toEqual({
      cookie: ['a=1; b=2'],
      own: ['kept'],
      te: [],
      proto: ['https'],
      host: ['gateway.test'],
      user: ['alice'],
      pseudo: [],
      authorization: [],
    })
  })

  it('is refused by the same problem', async () => {
    const answer = await client.ask({ path: '/admin/x' })
    expect([answer.status, answer.headers['content-type'], answer.json()['error']]).toEqual([
      401,
      'application/problem+json',
      'unauthorized',
    ])
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(answer.headers['connection']).toBeUndefined()
    expect(scene.upstream.seen).toEqual([])
  })

  it('takes its body along, of a length that is announced or not', async () => {
    await client.ask({ method: 'POST', path: '/public/a', body: 'announced', headers: { 'content-length': '9' } })
    await client.ask({ method: 'POST', path: '/public/b', body: 'not announced' })
    expect(
      scene.upstream.seen.map(({ body, rawHeaders }) => [
        body,
        valuesOf(rawHeaders, 'content-length'),
        valuesOf(rawHeaders, 'transfer-encoding'),
      ]),
    ).toEqual([
      ['announced', ['9'], []],
      ['not announced', [], ['chunked']],
    ])
  })

  it('of many octets arrives whole', async () => {
    const body = Buffer.alloc(6 * 1024 * 1024, 'y')
    const answer = await client.ask({ method: 'POST', path: '/public/large', body })
    expect([answer.status, scene.upstream.seen[0]?.body.length]).toEqual([200, body.length])
  })

  it('is answered by a service', async () => {
    const answer = await client.ask({ path: '/health' })
    expect([answer.status, answer.json()['status']]).toEqual([200, 'ok'])
  })

  it('shares its connection with others', async () => {
    const answers = await Promise.all(Array.from({ length: 80 }, (_, index) => client.ask({ path: `/public/${index}` })))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(['200 ok']))
    expect(scene.upstream.seen).toHaveLength(80)
  })

  it.each([
    [
      413,
      'a length over the limit of the route',
      { path: '/small/x', method: 'POST', body: 'x'.repeat(11), headers: { 'content-length': '11' } },
    ],
    [413, 'a body over the limit of the route', { path: '/small/x', method: 'POST', body: 'x'.repeat(11) }],
    [414, 'a target that is too long', { path: `/public/${'x'.repeat(9000)}` }],
    [
      431,
      'too many fields',
      { path: '/public', headers: Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`h${at}`, '1'])) },
    ],
    [431, 'too large fields', { path: '/public', headers: { 'x-a': 'x'.repeat(9000), 'x-b': 'x'.repeat(9000) } }],
    [417, 'an expectation that nobody knows', { path: '/public', headers: { expect: 'wonders' } }],
    [405, 'TRACE', { path: '/public', method: 'TRACE' }],
    [400, 'a method that nobody knows', { path: '/public', method: 'get' }],
    [404, 'no route', { path: '/nowhere' }],
  ])('is answered with %s for %s, and the connection goes on', async (status, _, ask) => {
    const answer = await client.ask(ask)
    expect(answer.status).toBe(status)
    expect(scene.upstream.seen.filter(({ body }) => body !== '')).toEqual([])
    expect((await client.ask({ path: '/public' })).status).toBe(200)
  })

  it('is told to go on when it waits for that', async () => {
    const stream = client.session.request(
      { ':method': 'POST', ':path': '/public', ':authority': 'gateway.test', expect: '100-continue' },
      { endStream: false },
    )
    const outcome = outcomeOf(stream)
    stream.once('headers', () => stream.end('now'))
    stream.once('continue', () => stream.end('now'))
    expect((await outcome).status).toBe(200)
    expect(scene.upstream.seen.map(({ body }) => body)).toEqual(['now'])
  })
})

describe('an answer', () => {
  it('says how long browsers shall stay with https, whatever the upstream says', async () => {
    const answers = [
      await client.ask({ path: '/talk/cookies' }),
      await client.ask({ path: '/nowhere' }),
      await client.ask({ path: '/health' }),
    ]
    expect(answers.map(({ headers }) => headers['strict-transport-security'])).toEqual(Array(3).fill('max-age=31536000'))
  })

  it('keeps repeated fields apart and has none about connections', async () => {
    const { headers } = await client.ask({ path: '/talk/cookies' })
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2'])
    expect([headers['connection'], headers['keep-alive'], headers['transfer-encoding']]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('ends with the trailers of the upstream, but for those that mean something in a head', async () => {
    const { status, body, trailers } = await client.ask({ path: '/talk/trailers' })
    expect([status, body, trailers['x-sum'], trailers['set-cookie']]).toEqual([200, 'body', '42', undefined])
  })

  it('comes after early hints', async () => {
    const { interim, status, body } = await client.ask({ path: '/talk/early' })
    expect([interim, status, body]).toEqual([[103], 200, 'late'])
  })

  it('has no body for HEAD and 204, in one frame', async () => {
    const frames = await openFrames(scene.port)
    frames.head(1, requestFields('/talk/x', [], 'HEAD'))
    frames.head(3, requestFields('/talk/none'))
    const outcomes = [await frames.over(1), await frames.over(3)]
    expect(outcomes.map(({ status, body, ended }) => [status, body, ended])).toEqual([
      [200, '', true],
      [204, '', true],
    ])
    const sent = frames.frames().filter(({ stream, type }) => stream > 0 && type !== FRAMES.windowUpdate)
    expect(sent.map(({ type }) => type)).toEqual([FRAMES.headers, FRAMES.headers])
    frames.close()
  })

  it('that the upstream cuts is reset, and the connection goes on', async () => {
    const answer = await client.ask({ path: '/talk/cut' })
    expect([answer.status, answer.body, answer.code]).toEqual([200, 'half', CODES.internal])
    expect((await client.ask({ path: '/public' })).status).toBe(200)
  })

  it('of many octets comes whole', async () => {
    const answer = await client.ask({ path: '/talk/large' })
    expect([answer.status, answer.body.length]).toEqual([200, 3 * 1024 * 1024])
  })

  it('that comes before the request ends stops the rest of it without an error', async () => {
    const frames = await openFrames(scene.port)
    frames.head(1, requestFields('/nowhere', [], 'POST'), FLAGS.endHeaders)
    frames.send(FRAMES.data, FLAGS.none, 1, Buffer.from('begin'))
    await frames.until(() => frames.outcome(1).reset !== undefined)
    expect(frames.outcome(1)).toMatchObject({ status: 404, ended: true, reset: CODES.none })
    frames.close()
  })
})

describe('a client of HTTP/1.1', () => {
  it('has the same over the same port', async () => {
    const answer = await sendTls(scene.port, 'GET /public HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toMatch(/^strict-transport-security: max-age=31536000\r$/m)
    expect(scene.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'x-forwarded-proto'))).toEqual([['https']])
  })

  it('has its limits', async () => {
    const answer = await sendTls(scene.port, `GET /public HTTP/1.1\r\nHost: gateway.test\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  })
})
