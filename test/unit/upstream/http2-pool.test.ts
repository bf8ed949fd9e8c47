/** The client of HTTP/2: connections, streams, what is refused, and what is broken off. Against real upstreams on loopback. */
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import type { Dispatcher } from 'undici'
import { createHttp2Pool, type Http2Pool, type Http2PoolConfig } from '../../../src/upstream/http2-pool.ts'
import { WORLD, monotonicMs } from '../../../src/world.ts'
import { CODES, encodeFields, FLAGS, FRAMES } from '../../support/http2-frames.ts'
import { codeOf, frameUpstream, goawayOf, http2Upstream } from '../../support/http2-upstream.ts'
import { until } from '../../support/until.ts'

interface Outcome {
  status: number
  headers: Record<string, unknown>
  readonly interim: number[]
  body: string
  trailers: Record<string, unknown> | undefined
  error: (Error & { code?: string }) | undefined
  readonly abort: (error: Error) => void
}

interface Asked {
  readonly path?: string
  readonly method?: string
  readonly headers?: readonly string[]
  readonly body?: Readable
  readonly onHead?: (outcome: Outcome) => void
  /** Reads no further until it is told to. */
  readonly onPaused?: (resume: () => void) => void
}

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function kept<T extends { close(): Promise<void> }>(one: T): T {
  closers.push(() => one.close())
  return one
}

function poolTo(port: number, config: Partial<Http2PoolConfig> = {}, slower = 1): Http2Pool {
  const pool = createHttp2Pool(
    { monotonicMs: () => monotonicMs() * slower, schedule: (delayMs, run) => WORLD.schedule(delayMs / slower, run) },
    {
      origin: new URL(`http://127.0.0.1:${port}`),
      connections: 4,
      connectMs: 5000,
      responseMs: 10_000,
      idleMs: 10_000,
      connect(done) {
        const socket = connect({ port, host: '127.0.0.1', noDelay: true })
        socket.once('error', failed)
        socket.once('connect', () => {
          socket.off('error', failed)
          done(null, socket)
        })
        function failed(error: Error): void {
          done(error, null)
        }
      },
      ...config,
    },
  )
  closers.push(() => pool.destroy())
  return pool
}

function ask(
  pool: Http2Pool,
  { path = '/', method = 'GET', headers = [], body, onHead, onPaused }: Asked = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    let abort: (error: Error) => void = () => undefined
    const outcome: Outcome = {
      status: 0,
      headers: {},
      interim: [],
      body: '',
      trailers: undefined,
      error: undefined,
      abort: (error) => abort(error),
    }
    pool.dispatch(
      { path, method, headers: [...headers], body: body ?? null },
      {
        onRequestStart(controller) {
          abort = (error) => controller.abort(error)
        },
        onResponseStart(controller, status, fields) {
          if (status < 200) {
            outcome.interim.push(status)
            return
          }
          outcome.status = status
          outcome.headers = { ...fields }
          if (onPaused !== undefined) {
            controller.pause()
            onPaused(() => controller.resume())
          }
          onHead?.(outcome)
        },
        onResponseData(_, chunk) {
          outcome.body += chunk.toString('latin1')
        },
        onResponseEnd(_, trailers) {
          outcome.trailers = { ...trailers }
          resolve(outcome)
        },
        onResponseError(_, error) {
          outcome.error = error
          resolve(outcome)
        },
      },
    )
  })
}

/** RFC 9113 §7. */
const REFUSED = 7
const OK = encodeFields([[':status', '200']])

describe('connections', () => {
  test('many exchanges share one, at the same time', async () => {
    let atOnce = 0
    let most = 0
    const upstream = kept(
      await http2Upstream((stream, headers) => {
        most = Math.max(most, (atOnce += 1))
        setTimeout(() => {
          atOnce -= 1
          stream.respond({ ':status': 200 })
          stream.end(String(headers[':path']))
        }, 20)
      }),
    )
    const pool = poolTo(upstream.port)
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(pool, { path: `/${index}` })))
    expect(outcomes.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, index) => `/${index}`))
    expect([upstream.opened(), most]).toEqual([1, 50])
  })

  test('another one is opened when the streams of those there are used up, and no more than `connections`', async () => {
    const upstream = kept(
      await http2Upstream(
        (stream) => {
          setTimeout(() => {
            stream.respond({ ':status': 200 })
            stream.end('ok')
          }, 10)
        },
        { streams: 2 },
      ),
    )
    const pool = poolTo(upstream.port, { connections: 3 })
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => ask(pool)))
    expect(outcomes.every(({ status, body }) => status === 200 && body === 'ok')).toBe(true)
    expect(upstream.opened()).toBe(3)
  })

  test('one that cannot be made fails what waits for it', async () => {
    const upstream = await http2Upstream(() => undefined)
    await upstream.close()
    const outcomes = await Promise.all([ask(poolTo(upstream.port)), ask(poolTo(upstream.port))])
    expect(outcomes.map(({ error }) => error?.code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED'])
  })

  test('what does not speak HTTP/2 is told from what is not there', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'))
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { error } = await ask(poolTo((server.address() as AddressInfo).port))
    expect([error?.code, error?.message]).toEqual(['HTTP2_NOT_SPOKEN', 'no HTTP/2 was spoken'])
    server.close()
  })

  test('what takes connections and says nothing is late by the time to connect', async () => {
    const upstream = kept(await frameUpstream(() => undefined, { settings: false }))
    const { error } = await ask(poolTo(upstream.port, { connectMs: 100 }))
    expect(error?.code).toBe('UND_ERR_CONNECT_TIMEOUT')
  })

  test('one that died without a word is found, and the next exchange has a new one', async () => {
    const upstream = kept(
      await frameUpstream(
        ({ type, stream }, connection) => {
          if (type === FRAMES.headers && connection.number === 1)
            connection.send(FRAMES.headers, FLAGS.endStream | FLAGS.endHeaders, stream, OK)
        },
        { mute: true },
      ),
    )
    const pool = poolTo(upstream.port, { connectMs: 500_000, responseMs: 3_600_000 }, 100)
    const { error } = await ask(pool)
    expect(error?.code).toBe('HTTP2_CONNECTION_LOST')
    expect((await ask(pool)).status).toBe(200)
    expect(upstream.opened()).toBe(2)
  })

  test('one that answers when it is asked is not dead, however long it is silent', async () => {
    const upstream = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type !== FRAMES.headers) return
        setTimeout(() => connection.send(FRAMES.headers, FLAGS.endStream | FLAGS.endHeaders, stream, OK), 500)
      }),
    )
    expect((await ask(poolTo(upstream.port, { connectMs: 500_000, responseMs: 3_600_000 }, 100))).status).toBe(200)
    expect(upstream.frames.some(({ type }) => type === FRAMES.ping)).toBe(true)
  })

  test('one that stays silent is asked once in five minutes, as servers of gRPC want it', async () => {
    const upstream = kept(await frameUpstream(() => undefined))
    const pool = poolTo(upstream.port, { connectMs: 500_000, responseMs: 250_000 }, 200)
    expect((await ask(pool)).error?.code).toBe('UND_ERR_HEADERS_TIMEOUT')
    expect(upstream.frames.filter(({ type, flags }) => type === FRAMES.ping && flags === 0)).toHaveLength(1)
  })

  test('10,000 requests that were broken off while they waited leave room for the next', async () => {
    const upstream = kept(
      await http2Upstream((stream) => stream.respond({ ':status': 204 }, { endStream: true }), { streams: 1 }),
    )
    const pool = poolTo(upstream.port, { connections: 1 })
    let errors = 0
    for (let index = 0; index < 10_000; index += 1) {
      const handler = {
        onRequestStart: (controller: Dispatcher.DispatchController) => controller.abort(new Error('gone')),
        onResponseError: () => void (errors += 1),
      }
      pool.dispatch({ path: '/', method: 'GET', headers: [] }, handler)
    }
    expect((await ask(pool)).status).toBe(204)
    expect(errors).toBe(10_000)
  })

  test('what is late while it waits for room is gone', async () => {
    const upstream = kept(await http2Upstream(() => undefined, { streams: 1 }))
    const pool = poolTo(upstream.port, { connections: 1, responseMs: 200 })
    const outcomes = await Promise.all([ask(pool), ask(pool), ask(pool)])
    expect(outcomes.map(({ error }) => error?.code)).toEqual(Array.from({ length: 3 }, () => 'UND_ERR_HEADERS_TIMEOUT'))
  })

  test('one that is idle is closed', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond({ ':status': 204 }, { endStream: true })
      }),
    )
    const pool = poolTo(upstream.port, { connectMs: 5_000_000, responseMs: 10_000_000 }, 1000)
    expect((await ask(pool)).status).toBe(204)
    await until(() => upstream.sessions.size === 0)
    expect((await ask(pool)).status).toBe(204)
    expect(upstream.opened()).toBe(2)
  })

  test('a pool that is closed finishes what is under way and waits for it, and takes nothing more', async () => {
    let answer: (() => void) | undefined
    const upstream = kept(
      await http2Upstream((stream) => {
        answer = () => {
          stream.respond({ ':status': 200 })
          stream.end('late')
        }
      }),
    )
    const pool = poolTo(upstream.port)
    const asked = ask(pool)
    await until(() => answer !== undefined)
    let isClosed = false
    const closed = pool.close().then(() => {
      isClosed = true
    })
    expect((await ask(pool)).error?.code).toBe('UND_ERR_CLOSED')
    expect(isClosed).toBe(false)
    answer?.()
    expect((await asked).body).toBe('late')
    await closed
    expect(upstream.opened()).toBe(1)
  })

  test('a pool that is destroyed fails what is under way', async () => {
    let streams = 0
    const upstream = kept(await http2Upstream(() => void (streams += 1)))
    const pool = poolTo(upstream.port)
    const asked = ask(pool)
    await until(() => streams === 1)
    await pool.destroy()
    expect((await asked).error?.code).toBe('HTTP2_CONNECTION_LOST')
  })
})

describe('messages', () => {
  test('a request has its pseudo-fields, its Host as :authority, and its fields in lower case, repeated ones repeated', async () => {
    let seen: Record<string, unknown> = {}
    const upstream = kept(
      await http2Upstream((stream, headers) => {
        seen = Object.fromEntries(Object.entries(headers))
        stream.respond({ ':status': 200 }, { endStream: true })
      }),
    )
    const fields = [
      'X-One',
      '1',
      'host',
      'api.example.com',
      'accept',
      'a',
      'accept',
      'b',
      'content-type',
      'text/plain',
      'user-agent',
      'x',
    ]
    await ask(poolTo(upstream.port), { path: '/p?q=1', method: 'POST', headers: fields })
    expect(seen).toEqual({
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': 'api.example.com',
      ':path': '/p?q=1',
      'x-one': '1',
      accept: 'a, b',
      'content-type': 'text/plain',
      'user-agent': 'x',
      'content-length': '0',
    })
  })

  test('bodies go both ways at the same time', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond({ ':status': 200 })
        stream.pipe(stream)
      }),
    )
    const body = new Readable({ read() {} })
    const asked = ask(poolTo(upstream.port), { method: 'POST', body, onHead: () => body.push('one ') })
    setTimeout(() => body.push('two '), 50)
    setTimeout(() => body.push(null), 100)
    expect((await asked).body).toBe('one two ')
  })

  test('an answer has its fields line by line, its interim answers and its trailers', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
        stream.respond({ ':status': 200, 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/plain' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }))
        stream.end('body')
      }),
    )
    const outcome = await ask(poolTo(upstream.port))
    expect(outcome).toMatchObject({
      status: 200,
      interim: [103],
      headers: { 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/plain' },
      body: 'body',
      trailers: { 'x-sum': 'abc' },
    })
  })

  test('a gRPC call that is answered by a head alone ends with it', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12', 'grpc-message': 'no such method' },
          { endStream: true },
        )
      }),
    )
    const outcome = await ask(poolTo(upstream.port), { method: 'POST', headers: ['content-type', 'application/grpc'] })
    expect(outcome).toMatchObject({
      headers: { 'content-type': 'application/grpc', 'grpc-status': '12', 'grpc-message': 'no such method' },
      trailers: {},
    })
  })

  test.each(['HEAD', 'GET'])('%s that has no body in its answer ends with its head', async (method) => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond({ ':status': method === 'HEAD' ? 200 : 304, 'content-length': '5' }, { endStream: true })
      }),
    )
    const outcome = await ask(poolTo(upstream.port), { method })
    expect([outcome.status, outcome.headers['content-length'], outcome.body, outcome.error]).toEqual([
      method === 'HEAD' ? 200 : 304,
      '5',
      '',
      undefined,
    ])
  })
})

describe('what is refused', () => {
  test('an upstream that goes away finishes what it took; the rest is sent again elsewhere, with its body', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        let body = ''
        stream.on('data', (chunk: Buffer) => void (body += chunk.toString()))
        stream.on('end', () => {
          stream.respond({ ':status': 200 })
          stream.end(body)
        })
      }),
    )
    let streams = 0
    const going = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type !== FRAMES.headers) return
        streams += 1
        if (streams < 3) return
        connection.send(FRAMES.goaway, FLAGS.none, 0, goawayOf(1, CODES.none))
        connection.send(FRAMES.headers, FLAGS.endHeaders | FLAGS.endStream, stream - 4, OK)
      }),
    )
    const ports = [going.port, upstream.port]
    const pool = poolTo(0, {
      connect(done) {
        const socket = connect({ port: ports.shift() ?? 0, host: '127.0.0.1' })
        socket.once('connect', () => done(null, socket))
      },
    })
    const outcomes = await Promise.all([
      ask(pool),
      ask(pool, { method: 'POST', body: Readable.from([Buffer.from('kept')]) }),
      ask(pool, { method: 'GET' }),
    ])
    expect(outcomes.map(({ status, body, error }) => [status, body, error])).toEqual([
      [200, '', undefined],
      [200, 'kept', undefined],
      [200, '', undefined],
    ])
    expect([going.opened(), upstream.opened()]).toEqual([1, 1])
  })

  test('what is refused is sent again once, and no more', async () => {
    const upstream = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type === FRAMES.headers) connection.send(FRAMES.reset, FLAGS.none, stream, codeOf(REFUSED))
      }),
    )
    const { error } = await ask(poolTo(upstream.port))
    expect(error?.code).toBe('HTTP2_UNPROCESSED')
    expect(upstream.frames.filter(({ type }) => type === FRAMES.headers)).toHaveLength(2)
  })

  test('what is refused after more of a body than is kept is not sent again', async () => {
    let octets = 0
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.on('data', (chunk: Buffer) => {
          octets += chunk.length
          if (octets > 100_000) stream.close(REFUSED)
        })
      }),
    )
    const body = new Readable({
      read() {
        this.push(Buffer.alloc(16_384))
      },
    })
    expect((await ask(poolTo(upstream.port), { method: 'POST', body })).error?.code).toBe('HTTP2_UNPROCESSED')
    expect(octets).toBeLessThan(200_000)
    body.destroy()
  })

  test('of an error that ends the connection, what came after the last stream it looked at is sent again', async () => {
    const upstream = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type !== FRAMES.headers) return
        if (connection.number === 0) {
          connection.send(FRAMES.goaway, FLAGS.none, 0, goawayOf(0, CODES.enhanceYourCalm))
          connection.socket.end()
        } else connection.send(FRAMES.headers, FLAGS.endHeaders | FLAGS.endStream, stream, OK)
      }),
    )
    expect((await ask(poolTo(upstream.port))).status).toBe(200)
  })
})

describe('what is broken off', () => {
  test.each([
    ['reset with an error', CODES.internal, 'HTTP2_RESET'],
    ['reset as if it were in order', CODES.none, 'HTTP2_RESET'],
    ['cancelled', CODES.cancel, 'HTTP2_RESET'],
  ])('an answer that is %s before its end is not whole', async (_, code, expected) => {
    const upstream = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type !== FRAMES.headers) return
        connection.send(FRAMES.headers, FLAGS.endHeaders, stream, OK)
        connection.send(FRAMES.data, FLAGS.none, stream, Buffer.from('part'))
        connection.send(FRAMES.reset, FLAGS.none, stream, codeOf(code))
      }),
    )
    const outcome = await ask(poolTo(upstream.port))
    expect([outcome.error?.code, outcome.trailers]).toEqual([expected, undefined])
  })

  test('an answer whose connection is lost is not whole', async () => {
    const upstream = kept(
      await frameUpstream(({ type, stream }, connection) => {
        if (type !== FRAMES.headers) return
        connection.send(FRAMES.headers, FLAGS.endHeaders, stream, OK)
        connection.send(FRAMES.data, FLAGS.none, stream, Buffer.from('part'))
        setTimeout(() => connection.socket.destroy(), 20)
      }),
    )
    const outcome = await ask(poolTo(upstream.port))
    expect([outcome.error?.code, outcome.body]).toEqual(['HTTP2_CONNECTION_LOST', 'part'])
  })

  test('whoever breaks off cancels the stream, and the connection goes on', async () => {
    const codes: number[] = []
    const upstream = kept(
      await http2Upstream((stream, headers) => {
        stream.on('close', () => codes.push(stream.rstCode))
        stream.respond({ ':status': 200 })
        if (headers[':path'] === '/end') stream.end('ok')
        else stream.write('some')
      }),
    )
    const pool = poolTo(upstream.port)
    const outcome = await ask(pool, { onHead: (one) => one.abort(new Error('enough')) })
    expect(outcome.error?.message).toBe('enough')
    await until(() => codes.length === 1)
    expect((await ask(pool, { path: '/end' })).body).toBe('ok')
    expect([codes[0], upstream.opened()]).toEqual([CODES.cancel, 1])
  })

  test('an upstream that answers before it has read the request is done with', async () => {
    let code: number | undefined
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.on('close', () => void (code = stream.rstCode))
        stream.respond({ ':status': 413 })
        stream.end('too large')
      }),
    )
    const body = new Readable({ read() {} })
    body.push('some')
    const outcome = await ask(poolTo(upstream.port), { method: 'POST', body })
    expect([outcome.status, outcome.body]).toEqual([413, 'too large'])
    await until(() => code !== undefined)
    body.destroy()
  })
})

describe('time', () => {
  test('a head that does not come is late', async () => {
    const upstream = kept(await http2Upstream(() => undefined))
    expect((await ask(poolTo(upstream.port, { responseMs: 100 }))).error?.code).toBe('UND_ERR_HEADERS_TIMEOUT')
  })

  test('a body that falls silent is late', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond({ ':status': 200 })
        stream.write('part')
      }),
    )
    const outcome = await ask(poolTo(upstream.port, { idleMs: 100 }))
    expect([outcome.error?.code, outcome.body]).toEqual(['UND_ERR_BODY_TIMEOUT', 'part'])
  })

  test('a body that waits for its reader is not late', async () => {
    const upstream = kept(
      await http2Upstream((stream) => {
        stream.respond({ ':status': 200 })
        stream.end('all')
      }),
    )
    let resume: (() => void) | undefined
    const asked = ask(poolTo(upstream.port, { idleMs: 50 }), { onPaused: (goOn) => void (resume = goOn) })
    await until(() => resume !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 200))
    resume?.()
    expect(await asked).toMatchObject({ body: 'all', error: undefined })
  })
})
