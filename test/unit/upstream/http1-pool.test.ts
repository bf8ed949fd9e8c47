import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import type { DispatchController, DispatchPool, DispatchRequest } from '../../../src/upstream/dispatch.ts'
import { createHttp1Pool, type Http1PoolConfig } from '../../../src/upstream/http1-pool.ts'
import { WORLD, endOfTurn, monotonicMs } from '../../../src/world.ts'
import { until } from '../../support/until.ts'
import { testClock, type TestClock } from './world.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface Upstream {
  readonly port: number
  readonly sockets: Socket[]
  /** What each connection received so far. */
  readonly received: string[]
  /** Ends: it takes no connection any more, and resets those that it has. */
  leave(): void
}

/** Calls `heard` whenever something came; `number` counts connections from 0. */
async function upstreamOf(heard: (socket: Socket, received: string, number: number) => void): Promise<Upstream> {
  const sockets: Socket[] = []
  const received: string[] = []
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const number = sockets.push(socket) - 1
    received.push('')
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      received[number] += chunk.toString('latin1')
      heard(socket, received[number] ?? '', number)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const leave = (): void => {
    server.close()
    for (const socket of sockets) socket.resetAndDestroy()
  }
  closers.push(leave)
  return { port: (server.address() as AddressInfo).port, sockets, received, leave }
}

function poolTo(port: number, config: Partial<Http1PoolConfig> = {}, clock?: TestClock): DispatchPool {
  const pool = createHttp1Pool(
    { monotonicMs, schedule: WORLD.schedule, endOfTurn, ...clock },
    {
      authority: 'upstream.test',
      hostname: '127.0.0.1',
      port,
      connections: 4,
      connectMs: 5000,
      responseMs: 10_000,
      idleMs: 10_000,
      ...config,
    },
  )
  closers.push(() => pool.destroy())
  return pool
}

interface Outcome {
  status: number
  body: string
  /** As they came. */
  readonly chunks: Buffer[]
  trailers: readonly string[]
  error: (Error & { readonly code?: string }) | undefined
}

interface Asked extends Partial<DispatchRequest> {
  onText?(text: string): void
  onStart?(controller: DispatchController): void
  onHead?(controller: DispatchController): void
  onData?(controller: DispatchController): void
}

function ask(pool: DispatchPool, { onStart, onHead, onData, onText, ...request }: Asked = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { status: 0, body: '', chunks: [], trailers: [], error: undefined }
    pool.dispatch(
      { path: '/', method: 'GET', headers: [], body: null, ...request },
      {
        onRequestStart: (controller) => onStart?.(controller),
        onResponseStart(controller, status) {
          outcome.status = status
          onHead?.(controller)
        },
        onResponseData(controller, chunk) {
          outcome.chunks.push(chunk)
          onData?.(controller)
        },
        ...(onText === undefined ? {} : { onResponseText: (_: DispatchController, text: string) => onText(text) }),
        onResponseEnd: (_, trailers) => resolve({ ...outcome, trailers, body: Buffer.concat(outcome.chunks).toString('latin1') }),
        onResponseError: (_, error) => resolve({ ...outcome, error, body: Buffer.concat(outcome.chunks).toString('latin1') }),
      },
    )
  })
}

const OK = 'HTTP/1.1 200 OK\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'
const answering = (octets = ANSWER) => upstreamOf((socket) => void socket.write(octets, 'latin1'))

describe('connections', () => {
  test('one is used for one request after the other', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port)
    for (let turn = 0; turn < 5; turn += 1) expect((await ask(pool)).body).toBe('hi')
    expect(upstream.sockets.length).toBe(1)
  })

  test.each([
    ['in one piece', [`${OK}content-length: 3\r\n\r\n\xff\0\n`], ['\xff\0\n'], ''],
    ['behind its head', [`${OK}content-length: 3\r\n\r\n`, 'abc'], ['abc'], ''],
    ['in two pieces', [`${OK}content-length: 3\r\n\r\na`, 'bc'], [], 'abc'],
    ['in chunks', [`${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`], [], 'abc'],
    ['of no length', [`${OK}\r\nabc`, ''], [], 'abc'],
    ['of 8 KiB', [`${OK}content-length: 8192\r\n\r\n${'a'.repeat(8192)}`], ['a'.repeat(8192)], ''],
    ['of more', [`${OK}content-length: 8193\r\n\r\n${'a'.repeat(8193)}`], [], 'a'.repeat(8193)],
  ])('a small body is told as text where it came at once: %s', async (_, pieces, texts, body) => {
    const left = [...pieces]
    const next = (): void => {
      const piece = left.shift()
      if (piece === '') upstream.sockets[0]?.end()
      else if (piece !== undefined) upstream.sockets[0]?.write(piece, 'latin1')
    }
    const upstream = await upstreamOf(next)
    const told: string[] = []
    const outcome = await ask(poolTo(upstream.port), { onHead: next, onText: (text) => void told.push(text) })
    expect([outcome.status, outcome.error, told, outcome.body]).toEqual([200, undefined, texts, body])
  })

  test('there are `connections` of them at most, and what waits goes in order', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port, { connections: 2 })
    const order: number[] = []
    await Promise.all(Array.from({ length: 20 }, (_, index) => ask(pool, { onStart: () => void order.push(index) })))
    expect([upstream.sockets.length, order]).toEqual([2, Array.from({ length: 20 }, (_, index) => index)])
  })

  test('the one that was used last is used next', async () => {
    const upstream = await upstreamOf((socket, received, number) => {
      if (received.endsWith('\r\n\r\n')) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${number}`)
    })
    const pool = poolTo(upstream.port)
    await Promise.all([ask(pool), ask(pool), ask(pool)])
    await settled()
    const first = (await ask(pool)).body
    for (let turn = 0; turn < 5; turn += 1) {
      await settled()
      expect((await ask(pool)).body).toBe(first)
    }
  })

  test('one that cannot be made fails all that wait, and the next request tries again', async () => {
    const pool = poolTo(1, { connections: 2 })
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => ask(pool)))
    expect(outcomes.map(({ error }) => error?.code)).toEqual(outcomes.map(() => 'ECONNREFUSED'))
    expect((await ask(pool)).error?.code).toBe('ECONNREFUSED')
  })

  test('of a name with several addresses the one is taken where somebody listens', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port, { hostname: 'localhost' })
    expect(await Promise.all([ask(pool), ask(pool)])).toMatchObject([{ body: 'hi' }, { body: 'hi' }])
    expect((await ask(pool)).body).toBe('hi')
  })

  test('one that is not there in time is given up', async () => {
    const upstream = await answering()
    const clock = testClock()
    const asked = ask(poolTo(upstream.port, {}, clock))
    endOfTurn(() => clock.pass(5000))
    expect((await asked).error?.code).toBe('UND_ERR_CONNECT_TIMEOUT')
  })

  test.each([
    ['Connection: close', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi', 'GET'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi', 'GET'],
    ['an answer to HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n', 'HEAD'],
    ['a 304 that speaks of a body', 'HTTP/1.1 304 OK\r\ncontent-length: 2\r\n\r\n', 'GET'],
    ['octets behind an answer', `${ANSWER}${ANSWER}`, 'GET'],
    ['a time to keep it that is almost over', 'HTTP/1.1 200 OK\r\nkeep-alive: timeout=2\r\ncontent-length: 2\r\n\r\nhi', 'GET'],
  ])('it ends with %s', async (_, octets, method) => {
    const upstream = await answering(octets)
    const pool = poolTo(upstream.port)
    for (let turn = 1; turn <= 3; turn += 1) {
      expect((await ask(pool, { method })).error).toBe(undefined)
      expect(upstream.sockets.length).toBe(turn)
      await until(() => upstream.sockets[turn - 1]?.destroyed === true)
    }
  })

  test.each([
    ['nothing said', '', 3999, 4000],
    ['Keep-Alive: timeout=9', 'keep-alive: timeout=9\r\n', 6999, 7000],
    ['Keep-Alive: timeout=99999', 'keep-alive: timeout=99999\r\n', 599_999, 600_000],
  ])('one that is idle is closed: %s', async (_, field, keptMs, closedMs) => {
    const upstream = await answering(`HTTP/1.1 200 OK\r\n${field}content-length: 2\r\n\r\nhi`)
    const clock = testClock()
    const pool = poolTo(upstream.port, {}, clock)
    await ask(pool)
    clock.pass(keptMs)
    await settled()
    await ask(pool)
    expect(upstream.sockets.length).toBe(1)
    clock.pass(closedMs)
    await until(() => upstream.sockets[0]?.destroyed === true)
    await ask(pool)
    expect(upstream.sockets.length).toBe(2)
  })

  test('a pool that is closed finishes what is under way and what waits, and takes nothing more', async () => {
    const upstream = await upstreamOf(() => undefined)
    const pool = poolTo(upstream.port, { connections: 1 })
    const asked = [ask(pool), ask(pool)]
    await until(() => upstream.received[0] !== undefined && upstream.received[0] !== '')
    let isClosed = false
    const closed = pool.close().then(() => (isClosed = true))
    expect((await ask(pool)).error?.code).toBe('UND_ERR_CLOSED')
    upstream.sockets[0]?.write(ANSWER)
    await asked[0]
    expect(isClosed).toBe(false)
    await until(() => (upstream.received[0] ?? '').split('GET').length === 3)
    upstream.sockets[0]?.write(ANSWER)
    expect((await asked[1])?.body).toBe('hi')
    await closed
    await until(() => upstream.sockets[0]?.destroyed === true)
  })

  test('a pool that is destroyed fails what is under way and what waits', async () => {
    const upstream = await upstreamOf(() => undefined)
    const pool = poolTo(upstream.port, { connections: 1 })
    const asked = Promise.all([ask(pool), ask(pool)])
    await until(() => upstream.received[0] !== undefined && upstream.received[0] !== '')
    await pool.destroy()
    expect((await asked).map(({ error }) => error?.code)).toEqual(['UND_ERR_DESTROYED', 'UND_ERR_DESTROYED'])
    await until(() => upstream.sockets[0]?.destroyed === true)
  })
})

describe('a kept connection on which something happened before the next request', () => {
  test('an answer that nobody asked for is nobody’s (GHSA-35p6-xmwp-9g52)', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port)
    await ask(pool)
    await settled()
    // Both within one turn: the octets are there before the request is, and not read yet.
    upstream.sockets[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen')
    expect((await ask(pool)).body).toBe('hi')
    expect(upstream.sockets.length).toBe(2)
  })

  test('one that was closed or reset costs no request', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port)
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      await ask(pool)
      await settled()
      upstream.sockets.at(-1)?.[leave]()
      expect((await ask(pool)).body).toBe('hi')
    }
    expect(upstream.sockets.length).toBe(3)
  })

  describe('one that is closed when it gets its second request', () => {
    /** Answers the first request of each connection, and ends the connection at the second. */
    const oncePerConnection = (end: (socket: Socket) => void, said = '') =>
      upstreamOf((socket, received) => {
        if (received.split('\r\n\r\n').length === 2) socket.write(ANSWER, 'latin1')
        else if (said === '') end(socket)
        else socket.write(said, 'latin1', () => end(socket))
      })

    test.each([
      ['ended', (socket: Socket) => socket.end()],
      ['reset', (socket: Socket) => socket.resetAndDestroy()],
    ])('and %s, costs none that may be sent twice: it goes out again on a new one', async (_, end) => {
      const upstream = await oncePerConnection(end)
      const pool = poolTo(upstream.port, { connections: 1 })
      for (const method of ['GET', 'GET', 'DELETE', 'HEAD']) {
        const { status, error } = await ask(pool, { method })
        expect({ method, status, error }).toEqual({ method, status: 200, error: undefined })
      }
      expect(upstream.sockets.length).toBe(4)
      expect(upstream.received.map((octets) => octets.match(/^[A-Z]+ \//gm))).toEqual([
        ['GET /', 'GET /'],
        ['GET /', 'DELETE /'],
        ['DELETE /', 'HEAD /'],
        ['HEAD /'],
      ])
    })

    test('and is gone with that, fails what it got by what broke off, and not by a place that it never had', async () => {
      const upstream = await upstreamOf((socket, received) => {
        if (received.split('\r\n\r\n').length === 2) socket.write(ANSWER, 'latin1')
        else upstream.leave()
      })
      const pool = poolTo(upstream.port)
      await ask(pool)
      expect((await ask(pool)).error).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
      expect((await ask(pool)).error).toMatchObject({ code: 'ECONNREFUSED' })
    })

    test('goes before those that wait', async () => {
      const upstream = await oncePerConnection((socket) => socket.end())
      const pool = poolTo(upstream.port, { connections: 1 })
      await ask(pool, { path: '/first' })
      const outcomes = await Promise.all(['/second', '/third'].map((path) => ask(pool, { path })))
      expect(outcomes.map(({ status }) => status)).toEqual([200, 200])
      expect(upstream.received.map((octets) => octets.match(/\/[a-z]+/g))).toEqual([
        ['/first', '/second'],
        ['/second', '/third'],
        ['/third'],
      ])
    })

    test('costs one that changes something, or has a body, or was heard of', async () => {
      const upstream = await oncePerConnection((socket) => socket.end())
      const pool = poolTo(upstream.port)
      await ask(pool)
      expect((await ask(pool, { method: 'POST' })).error).toMatchObject({ message: 'other side closed' })
      await ask(pool)
      const body = Readable.from([Buffer.from('hi')])
      expect((await ask(pool, { method: 'PUT', body, headers: ['content-length', '2'] })).error).toBeInstanceOf(Error)
      const half = await oncePerConnection((socket) => socket.end(), 'HTTP/1.1 200 OK\r\n')
      const other = poolTo(half.port)
      await ask(other)
      expect((await ask(other)).error).toMatchObject({ message: 'other side closed' })
      expect([upstream.sockets.length, half.sockets.length]).toEqual([2, 1])
    })

    test('costs one whose second connection is closed as well, and ends with the pool', async () => {
      let asked = 0
      const upstream = await upstreamOf((socket) => {
        asked += 1
        if (asked === 1) socket.write(ANSWER, 'latin1')
        else socket.end()
      })
      const pool = poolTo(upstream.port)
      await ask(pool)
      expect((await ask(pool)).error).toMatchObject({ message: 'other side closed' })
      expect(asked).toBe(3)
    })
  })

  test('one that is closed right behind its answer costs none either', async () => {
    const upstream = await upstreamOf((socket) => void socket.end(ANSWER))
    const pool = poolTo(upstream.port)
    for (let turn = 0; turn < 20; turn += 1) expect((await ask(pool)).body).toBe('hi')
  })
})

describe('requests', () => {
  test('a small body goes out with its head, in one piece', async () => {
    const pieces: string[] = []
    const upstream = await upstreamOf((socket, received) => {
      pieces.push(received)
      socket.write(ANSWER)
    })
    await ask(poolTo(upstream.port), { method: 'POST', body: streamOf('hello'), headers: ['content-length', '5'] })
    expect(pieces).toEqual(['POST / HTTP/1.1\r\nhost: upstream.test\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello'])
  })

  test('a body of unknown length goes in chunks', async () => {
    const upstream = await upstreamOf((socket, received) => {
      if (received.endsWith('0\r\n\r\n')) socket.write(ANSWER)
    })
    const body = new Readable({ read() {} })
    const asked = ask(poolTo(upstream.port), { method: 'POST', body })
    body.push('hello')
    await until(() => upstream.received[0]?.includes('hello') === true)
    body.push('x'.repeat(20))
    body.push(null)
    expect((await asked).body).toBe('hi')
    expect(upstream.received[0]).toBe(
      `POST / HTTP/1.1\r\nhost: upstream.test\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n14\r\n${'x'.repeat(20)}\r\n0\r\n\r\n`,
    )
  })

  test.each([
    ['longer', 'hello you'],
    ['shorter', 'hell'],
  ])('a body that is %s than it says breaks the request off', async (_, text) => {
    const upstream = await upstreamOf(() => undefined)
    const body = new Readable({ read() {} })
    const asked = ask(poolTo(upstream.port), { method: 'POST', body, headers: ['content-length', '5'] })
    await until(() => upstream.received[0]?.includes('\r\n\r\n') === true)
    body.push(text)
    body.push(null)
    expect((await asked).error?.code).toBe('UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')
    await until(() => upstream.sockets[0]?.destroyed === true)
  })

  test('a body that fails fails its request', async () => {
    const upstream = await upstreamOf(() => undefined)
    const body = new Readable({ read() {} })
    const asked = ask(poolTo(upstream.port), { method: 'POST', body })
    await until(() => upstream.received[0]?.includes('\r\n\r\n') === true)
    body.destroy(new Error('gone'))
    expect((await asked).error?.message).toBe('gone')
    await until(() => upstream.sockets[0]?.destroyed === true)
  })

  test('a body that failed while the request waited is not sent', async () => {
    const upstream = await upstreamOf(() => undefined)
    const body = new Readable({ read() {} })
    body.on('error', () => undefined)
    const asked = ask(poolTo(upstream.port), { method: 'POST', body })
    body.destroy(new Error('gone'))
    expect((await asked).error?.message).toBe('gone')
    expect(upstream.received.join('')).toBe('')
  })

  test('a body waits for an upstream that does not read, and goes on when it does', async () => {
    const upstream = await upstreamOf(() => undefined)
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let given = 0
    const body = new Readable({
      read() {
        given += 1
        this.push(given > 400 ? null : chunk)
      },
    })
    const asked = ask(poolTo(upstream.port), { method: 'POST', body })
    await until(() => upstream.sockets[0] !== undefined)
    upstream.sockets[0]?.pause()
    let before = -1
    await until(() => {
      const isStill = before === given && given > 0
      before = given
      return isStill
    })
    expect(given).toBeLessThan(400)
    upstream.sockets[0]?.resume()
    await until(() => upstream.received[0]?.endsWith('0\r\n\r\n') === true)
    upstream.sockets[0]?.write(ANSWER)
    expect((await asked).body).toBe('hi')
  })

  test('an answer that comes before the body is whole is told, and the rest of the body is let go', async () => {
    const upstream = await upstreamOf((socket) => void socket.write('HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno'))
    const body = new Readable({ read() {} })
    const pool = poolTo(upstream.port)
    body.push('begin')
    const early = await ask(pool, { method: 'POST', body })
    expect([early.status, early.body, early.error]).toEqual([413, 'no', undefined])
    await until(() => body.destroyed && upstream.sockets[0]?.destroyed === true)
    expect((await ask(pool)).status).toBe(413)
    expect(upstream.sockets.length).toBe(2)
  })

  test('what cannot be sent fails alone', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port, { connections: 1 })
    const [bad, good] = await Promise.all([ask(pool, { headers: ['x', 'a\r\nb: c'] }), ask(pool)])
    expect([bad.error?.code, good.body]).toEqual(['UND_ERR_INVALID_ARG', 'hi'])
    expect(upstream.received.join('')).not.toContain('b: c')
  })

  test('one that is broken off ends its connection, and one that waits is not sent', async () => {
    const upstream = await upstreamOf(() => undefined)
    const pool = poolTo(upstream.port, { connections: 1 })
    let running: DispatchController | undefined
    const first = ask(pool, { path: '/1', onStart: (controller) => void (running = controller) })
    const second = ask(pool, { path: '/2', onStart: (controller) => controller.abort(new Error('not wanted')) })
    await until(() => upstream.received[0]?.includes('/1') === true)
    running?.abort(new Error('gone'))
    expect((await first).error?.message).toBe('gone')
    expect((await second).error?.message).toBe('not wanted')
    running?.abort(new Error('again'))
    running?.resume()
    expect(upstream.received.join('')).not.toContain('/2')
  })
})

describe('answers', () => {
  test('one that ends with the connection is whole when it is closed, and not when it is reset', async () => {
    const upstream = await upstreamOf((socket, received) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nhi', () => (received.includes('/end') ? socket.end() : socket.resetAndDestroy()))
    })
    const pool = poolTo(upstream.port)
    expect(await ask(pool, { path: '/end' })).toMatchObject({ body: 'hi', error: undefined })
    expect((await ask(pool, { path: '/reset' })).error?.code).toBe('ECONNRESET')
  })

  test.each([
    ['before an answer', ''],
    ['within a head', 'HTTP/1.1 200 OK\r\nx'],
    ['within a body', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi'],
  ])('a connection that closes %s fails the request', async (_, octets) => {
    const upstream = await upstreamOf((socket) => void socket.end(octets))
    expect((await ask(poolTo(upstream.port))).error?.code).toBe('UND_ERR_SOCKET')
  })

  test('what is no answer fails the request and ends the connection', async () => {
    const upstream = await answering('HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n')
    expect((await ask(poolTo(upstream.port))).error?.code).toBe('HTTP1_MALFORMED')
    await until(() => upstream.sockets[0]?.destroyed === true)
  })

  test('whoever cannot take an answer fails it, and nobody else', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port)
    const failure = new Error('cannot be passed on')
    const { error } = await ask(pool, {
      onHead: () => {
        throw failure
      },
    })
    expect(error).toBe(failure)
    expect((await ask(pool)).body).toBe('hi')
  })

  test('whoever cannot take the end of one fails it, and nobody else', async () => {
    const upstream = await answering()
    const pool = poolTo(upstream.port)
    const failure = new Error('cannot be ended')
    const error = await new Promise((resolve) => {
      pool.dispatch(
        { path: '/', method: 'GET', headers: [], body: null },
        {
          onRequestStart: () => undefined,
          onResponseStart: () => undefined,
          onResponseData: () => undefined,
          onResponseEnd: () => {
            throw failure
          },
          onResponseError: (_, given) => resolve(given),
        },
      )
    })
    expect(error).toBe(failure)
    expect((await ask(pool)).body).toBe('hi')
  })

  test('many large bodies at once arrive as they were sent', async () => {
    const bodies = Array.from({ length: 6 }, (_, index) =>
      Buffer.from(Array.from({ length: 300_000 + index * 70_001 }, (_one, at) => (at * 31 + index * 7 + (at >> 9)) & 255)),
    )
    const upstream = await upstreamOf((socket, received) => {
      const body = bodies[Number(/\/(\d) HTTP[^/]*\/1.1[^/]*$/.exec(received)?.[1])] ?? Buffer.alloc(0)
      if (!received.includes('chunked')) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
      else socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      for (let at = 0, size = 1; at < body.length; at += size, size = (size * 7 + 13) % 40_000 || 1) {
        const piece = body.subarray(at, at + size)
        if (received.includes('chunked')) socket.write(`${piece.length.toString(16)}\r\n`)
        socket.write(piece)
        if (received.includes('chunked')) socket.write('\r\n')
      }
      if (received.includes('chunked')) socket.write('0\r\n\r\n')
    })
    for (const kind of ['length', 'chunked']) {
      const pool = poolTo(upstream.port, { connections: 6 })
      const outcomes = await Promise.all(bodies.map((_, index) => ask(pool, { path: `/${kind}/${index}` })))
      for (const [index, { chunks }] of outcomes.entries())
        expect(Buffer.concat(chunks).equals(bodies[index] ?? Buffer.alloc(0))).toBe(true)
    }
  })

  test('one that is paused waits, and goes on', async () => {
    const size = 24 * 1024 * 1024
    const upstream = await upstreamOf((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      socket.write(Buffer.alloc(size, 'x'))
    })
    let given: DispatchController | undefined
    let got = 0
    const asked = ask(poolTo(upstream.port), {
      onData(controller) {
        got += 1
        if (given !== undefined) return
        given = controller
        controller.pause()
      },
    })
    await until(() => got > 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([got, (upstream.sockets[0]?.writableLength ?? 0) > 0]).toEqual([1, true])
    given?.resume()
    expect((await asked).chunks.reduce((sum, { length }) => sum + length, 0)).toBe(size)
  })
})

describe('times', () => {
  test('a head that does not come in time fails the request, by the request or the pool', async () => {
    for (const [headersTimeout, lateMs] of [
      [undefined, 10_000],
      [300, 300],
    ] as const) {
      const upstream = await upstreamOf(() => undefined)
      const clock = testClock()
      const asked = ask(poolTo(upstream.port, {}, clock), headersTimeout === undefined ? {} : { headersTimeout })
      await until(() => upstream.received[0] !== undefined && upstream.received[0] !== '')
      clock.pass(lateMs - 1)
      expect(upstream.sockets[0]?.destroyed).toBe(false)
      clock.pass(1)
      expect((await asked).error?.code).toBe('UND_ERR_HEADERS_TIMEOUT')
    }
  })

  test('a silence in the body that is too long fails it, unless whoever takes it asked for it', async () => {
    const upstream = await upstreamOf((socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi'))
    const clock = testClock()
    let given: DispatchController | undefined
    let isOver = false
    const asked = ask(poolTo(upstream.port, {}, clock), {
      onData(controller) {
        given = controller
        controller.pause()
      },
    })
    void asked.then(() => (isOver = true))
    await until(() => given !== undefined)
    clock.pass(100_000)
    await settled()
    expect(isOver).toBe(false)
    given?.resume()
    clock.pass(10_000)
    expect((await asked).error?.code).toBe('UND_ERR_BODY_TIMEOUT')
  })

  test('as long as the client sends its body, nothing is expected of the upstream', async () => {
    const upstream = await upstreamOf(() => undefined)
    const clock = testClock()
    const body = new Readable({ read() {} })
    const asked = ask(poolTo(upstream.port, {}, clock), { method: 'POST', body })
    await until(() => upstream.received[0]?.includes('\r\n\r\n') === true)
    clock.pass(100_000)
    body.push(null)
    await until(() => upstream.received[0]?.endsWith('0\r\n\r\n') === true)
    clock.pass(9_999)
    expect(upstream.sockets[0]?.destroyed).toBe(false)
    clock.pass(1)
    expect((await asked).error?.code).toBe('UND_ERR_HEADERS_TIMEOUT')
  })

  test('a process that was busy gives what came meanwhile a chance', async () => {
    const upstream = await upstreamOf(() => undefined)
    const clock = testClock()
    let stalledMs = 0
    const late = { ...clock, monotonicMs: () => clock.monotonicMs() + stalledMs }
    const asked = ask(poolTo(upstream.port, {}, late))
    await until(() => upstream.received[0] !== undefined && upstream.received[0] !== '')
    stalledMs = 30_000
    clock.pass(5000)
    upstream.sockets[0]?.write(ANSWER)
    expect((await asked).body).toBe('hi')
  })
})

/** Everything that was under way in this process has happened: a few turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** A stream that has all of it already. */
function streamOf(text: string): Readable {
  const body = new Readable({ read() {} })
  body.push(text)
  body.push(null)
  return body
}
