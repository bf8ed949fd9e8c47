/** What is sent to an upstream again, what is not, and when nothing is sent at all. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { startServer, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { strictUpstream, type StrictUpstream } from '../support/wire.ts'

const servers: TestServer[] = []
let strict: StrictUpstream | undefined
let gateway: TestGateway | undefined

afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await strict?.close()
  strict = undefined
  await Promise.all(servers.splice(0).map((server) => server.kill()))
})

async function serverNamed(name: string): Promise<TestServer> {
  const started = await startServer(name)
  servers.push(started)
  return started
}

async function open(ports: readonly number[], text: string): Promise<TestGateway> {
  gateway = await startGateway(`listeners:
  public:
    {{public}}
    overload: { enabled: false } # Clients, servers and the gateway share this process.
  admin: { address: 127.0.0.1:0 }
upstreams: { app: { targets: [${ports.map((port) => `"http://127.0.0.1:${port}"`).join(', ')}], ${text} } }
routes:
  - { name: app, match: { path: /* }, auth: public, upstream: app }
  - { name: brief, match: { path: /brief }, auth: public, upstream: app, timeouts: { response: 300ms } }
  - { name: limited, match: { path: /limited }, auth: public, upstream: app, timeouts: { request: 300ms } }
`)
  return gateway
}

interface Got {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

async function get(path = '/x', init: RequestInit = {}): Promise<Got> {
  const answer = await fetch(`${gateway?.url}${path}`, init)
  return { status: answer.status, text: await answer.text(), headers: answer.headers }
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway?.adminUrl}/metrics`)).text()
  const found = text.split('\n').find((one) => one.startsWith(`${line} `))
  return found === undefined ? 0 : Number(found.slice(line.length + 1))
}

const retried = (reason: string): Promise<number> => metric(`gatehouse_upstream_retries_total{upstream="app",reason="${reason}"}`)

describe('a request is sent again', () => {
  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])('%s, when its server is not there, to another one', async (method) => {
    const dead = await freePort()
    const { port } = await serverNamed('well')
    await open([dead, port], 'retries: { attempts: 1 }')
    for (let turn = 0; turn < 6; turn += 1) expect((await get('/x', { method })).status).toBe(200)
    expect(await retried('connect')).toBe(3)
  })

  test('when its server dies with the kept connection that it went out on, by another one', async () => {
    let asked = 0
    const connected = new Set<Socket>()
    const mortal = createServer((socket) => {
      connected.add(socket)
      socket.on('error', () => undefined)
      socket.on('data', () => {
        asked += 1
        if (asked === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nmortal')
        else {
          mortal.close()
          for (const one of connected) one.resetAndDestroy()
        }
      })
    })
    await new Promise<void>((resolve) => mortal.listen(0, '127.0.0.1', resolve))
    const { port } = await serverNamed('well')
    await open([(mortal.address() as AddressInfo).port, port], 'retries: { attempts: 1 }')
    const texts: string[] = []
    for (let turn = 0; turn < 4; turn += 1) texts.push((await get()).text)
    expect(texts.toSorted()).toEqual(['mortal', 'well', 'well', 'well'])
    expect([asked, await retried('reset')]).toEqual([2, 1])
  })

  describe.each(['builtin', 'undici'])('by the client %s, when its server is not there,', (client) => {
    test.each<[string, string, () => RequestInit]>([
      ['POST', 'no body', () => ({})],
      ['POST', 'a small body', () => ({ body: 'small' })],
      ['PATCH', 'a large body', () => ({ body: 'large'.repeat(100_000) })],
      ['PUT', 'a body of unknown length', () => ({ body: new Blob(['piece ', 'by piece']).stream(), duplex: 'half' })],
    ])('%s with %s, whole', async (method, _, init) => {
      const dead = await freePort()
      const well = await serverNamed('well')
      const bodies: string[] = []
      well.setReply((req, res) => {
        let body = ''
        req.on('data', (chunk: Buffer) => (body += chunk.toString()))
        req.on('end', () => {
          bodies.push(body)
          res.end('well')
        })
      })
      await open([dead, well.port], `retries: { attempts: 1 }, client: ${client}`)
      const sent = await new Response(init().body ?? '').text()
      for (let turn = 0; turn < 6; turn += 1) expect((await get('/x', { method, ...init() })).text).toBe('well')
      expect(bodies).toEqual(Array.from({ length: 6 }, () => sent))
      expect(await retried('connect')).toBe(3)
    })
  })

  test.each([502, 503, 504])('when its server answers %i; nothing of that answer reaches the client', async (status) => {
    const ill = await serverNamed('ill')
    const { port } = await serverNamed('well')
    ill.setReply((_, res) => void res.writeHead(status, { 'x-ill': '1', 'set-cookie': 'ill=1' }).end('ill'.repeat(1000)))
    await open([ill.port, port], 'retries: {}')
    for (let turn = 0; turn < 6; turn += 1) {
      const { status: got, text, headers } = await get()
      expect([got, text, headers.get('x-ill'), headers.get('set-cookie')]).toEqual([200, 'well', null, null])
    }
    expect(ill.paths).toHaveLength(3)
    expect(await retried(String(status))).toBe(3)
  })

  test('when its server hangs up without an answer', async () => {
    strict = await strictUpstream((socket) => socket.destroy())
    const { port } = await serverNamed('well')
    await open([strict.port, port], 'retries: {}')
    for (let turn = 0; turn < 6; turn += 1) expect((await get()).text).toBe('well')
    expect(await retried('reset')).toBe(3)
  })

  test('when a kept connection is closed just then, even where there is no other server', async () => {
    let requests = 0
    strict = await strictUpstream((socket: Socket) => {
      requests += 1
      // Each connection answers once, and hangs up when it is asked again.
      if (requests % 2 === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      else socket.destroy()
    })
    await open([strict.port], 'connections: 1, retries: {}')
    for (let turn = 0; turn < 5; turn += 1) expect((await get()).text).toBe('ok')
    // The client of the upstream does it by itself (RFC 9112 §9.3.1), and takes nothing from the budget.
    expect([requests, await retried('reset')]).toEqual([9, 0])
  })

  test('and gets the last answer where all fail', async () => {
    const [one, two] = [await serverNamed('one'), await serverNamed('two')]
    for (const server of servers) {
      server.setReply((_, res) => void res.writeHead(503, { 'retry-after': '7' }).end(server === one ? 'one' : 'two'))
    }
    await open([one.port, two.port], 'retries: { attempts: 2 }')
    const { status, text, headers } = await get()
    expect([status, text, headers.get('retry-after')]).toEqual([503, 'one', '7'])
    expect([one.paths.length, two.paths.length]).toEqual([2, 1])
  })

  test('as a long answer that is not wanted is cut off, and its server is asked on', async () => {
    const ill = await serverNamed('ill')
    const { port } = await serverNamed('well')
    ill.setReply((_, res) => void res.writeHead(503).end(Buffer.alloc(10_000_000)))
    await open([ill.port, port], 'retries: {}')
    for (let turn = 0; turn < 6; turn += 1) expect((await get()).text).toBe('well')
    await until(
      async () => ((await (await fetch(`${gateway?.adminUrl}/upstreams`)).json()) as { in_flight: number }[])[0]?.in_flight === 0,
    )
  })
})

describe('a request is sent once', () => {
  test.each([
    ['POST', undefined],
    ['PATCH', undefined],
    ['PUT', 'body'],
    ['DELETE', 'body'],
  ])('%s with the body %s', async (method, body) => {
    strict = await strictUpstream((socket) => socket.destroy())
    const well = await serverNamed('well')
    await open([strict.port, well.port], 'retries: { attempts: 5 }')
    const statuses: number[] = []
    for (let turn = 0; turn < 4; turn += 1)
      statuses.push((await get('/x', { method, ...(body === undefined ? {} : { body }) })).status)
    expect(statuses).toEqual([502, 200, 502, 200])
    expect(strict.requests).toHaveLength(2)
  })

  test('when nothing is said of retries', async () => {
    strict = await strictUpstream((socket) => socket.destroy())
    await open([strict.port], 'connections: 4')
    expect((await get()).status).toBe(502)
    expect(strict.requests).toHaveLength(1)
  })

  test('when its answer had begun', async () => {
    strict = await strictUpstream((socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'))
    await open([strict.port], 'retries: { attempts: 5 }')
    await expect(get()).rejects.toThrow()
    expect(strict.requests).toHaveLength(1)
  })

  test('when it failed for what is not listed', async () => {
    const ill = await serverNamed('ill')
    ill.setReply((_, res) => void res.writeHead(503).end('ill'))
    await open([ill.port], 'retries: { attempts: 5, on: [connect, reset, 502] }')
    expect((await get()).status).toBe(503)
    expect(ill.paths).toHaveLength(1)
  })

  test('when the time for its answer is over', async () => {
    const ill = await serverNamed('ill')
    ill.setReply(() => undefined)
    await open([ill.port], 'retries: { attempts: 5 }')
    expect((await get('/brief')).status).toBe(504)
    expect(ill.paths).toHaveLength(1)
  })
})

test('all attempts together have the time of one', async () => {
  const ill = await serverNamed('ill')
  ill.setReply((_, res) => void setTimeout(() => res.writeHead(503).end(), 200))
  await open([ill.port], 'retries: { attempts: 10, budget: 100% }')
  const { status } = await get('/brief')
  expect([503, 504]).toContain(status)
  expect(ill.paths.length).toBeLessThan(8)
})

test('however much fails, the load grows by no more than the budget', async () => {
  const ill = await serverNamed('ill')
  ill.setReply((_, res) => void res.writeHead(503).end())
  await open([ill.port], 'retries: { attempts: 3, budget: 10% }')
  const answers = await Promise.all(Array.from({ length: 200 }, () => get()))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
  // Ten at first, a tenth of the requests, and one for each second that the test takes.
  expect(ill.paths.length).toBeLessThan(200 + 10 + 20 + 15)
  expect(ill.paths.length).toBeGreaterThan(220)
  expect(await retried('over_budget')).toBeGreaterThan(100)
})

test('a client that goes between two attempts ends it', async () => {
  const ill = await serverNamed('ill')
  let closed = 0
  ill.setReply((req, res) => {
    if (ill.paths.length === 1) res.writeHead(503).end()
    else req.on('close', () => (closed += 1))
  })
  await open([ill.port], 'retries: { attempts: 1 }')
  const leaving = new AbortController()
  const got = get('/x', { signal: leaving.signal }).catch(() => 'left')
  await until(() => ill.paths.length === 2)
  leaving.abort()
  expect(await got).toBe('left')
  await until(() => closed === 1)
})

describe('the breaker', () => {
  const refusal = (text: string): unknown => (JSON.parse(text) as { error: unknown }).error

  test('lets in so many requests at once; the next one is told to come back', async () => {
    const slow = await serverNamed('slow')
    const held: (() => void)[] = []
    slow.setReply((_, res) => void held.push(() => res.end('slow')))
    await open([slow.port], 'breaker: { maxRequests: 3 }')
    const first = Promise.all([get(), get(), get()])
    await until(() => held.length === 3)
    const { status, text, headers } = await get()
    expect([status, refusal(text), headers.get('retry-after')]).toEqual([503, 'overloaded', '1'])
    for (const release of held) release()
    expect((await first).map((one) => one.status)).toEqual([200, 200, 200])
    slow.setReply((_, res) => void res.end('quick'))
    expect((await get()).text).toBe('quick')
  })

  test('lets so many wait for a connection', async () => {
    const slow = await serverNamed('slow')
    const held: (() => void)[] = []
    slow.setReply((_, res) => void held.push(() => res.end('slow')))
    await open([slow.port], 'connections: 1, breaker: { maxPending: 2 }')
    const first = [get(), get(), get()]
    await until(
      async () => ((await (await fetch(`${gateway?.adminUrl}/upstreams`)).json()) as { pending: number }[])[0]?.pending === 2,
    )
    expect((await get()).status).toBe(503)
    const release = setInterval(() => held.splice(0).forEach((one) => one()), 5)
    expect((await Promise.all(first)).map((one) => one.status)).toEqual([200, 200, 200])
    clearInterval(release)
  })

  test('opens when half of the requests fail, rests, tries, and closes', async () => {
    const server = await serverNamed('well')
    server.setReply((_, res) => void res.writeHead(503).end('ill'))
    const { lines } = await open([server.port], 'breaker: { minRequests: 5, resetAfter: 4s }')
    const breaker = (): Promise<number> => metric('gatehouse_breaker_state{dependency="upstream:app"}')
    expect(await breaker()).toBe(0)
    const found: string[] = []
    for (let turn = 0; turn < 10; turn += 1) {
      const { text, headers } = await get()
      found.push(text === 'ill' ? 'ill' : `${String(refusal(text))} ${Number(headers.get('retry-after')) >= 1}`)
    }
    expect(found.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'ill'))
    expect(new Set(found.slice(5))).toEqual(new Set(['upstream_unreachable true']))
    expect(server.paths).toHaveLength(5)
    expect(await breaker()).toBe(2)
    server.setReply((_, res) => void res.end('well'))
    await until(async () => (await get()).text === 'well')
    expect(await breaker()).toBe(0)
    await until(() => lines().filter(({ msg }) => msg === 'the circuit breaker of an upstream changed').length === 3)
    expect(lines().flatMap(({ msg, state }) => (String(msg).startsWith('the circuit breaker of an up') ? [state] : []))).toEqual([
      'open',
      'half-open',
      'closed',
    ])
  })
})

describe('timeouts.request', () => {
  test('refuses an exchange that has no answer yet', async () => {
    const server = await serverNamed('slow')
    let closed = 0
    server.setReply((req) => void req.on('close', () => (closed += 1)))
    await open([server.port], 'connections: 4')
    const { status, text } = await get('/limited')
    expect([status, (JSON.parse(text) as { error: unknown }).error]).toEqual([504, 'upstream_timeout'])
    await until(() => closed === 1)
  })

  test('cuts one whose answer goes on and on', async () => {
    const server = await serverNamed('slow')
    server.setReply((_, res) => {
      const more = setInterval(() => res.write('more '), 20)
      res.on('close', () => clearInterval(more))
    })
    await open([server.port], 'connections: 4')
    await expect(get('/limited')).rejects.toThrow()
  })

  test('leaves one alone that is in time', async () => {
    const server = await serverNamed('well')
    await open([server.port], 'timeouts: { request: 1m }')
    expect((await get()).text).toBe('well')
    expect((await get('/limited')).text).toBe('well')
    expect(server.paths).toHaveLength(2)
  })
})
