/** What passes through where one side or both speak HTTP/2: streams, back-pressure, and upstreams that come and go. */
import { createServer as createHttp1, type IncomingMessage } from 'node:http'
import {
  connect,
  createServer as createHttp2,
  type ClientHttp2Session,
  type Http2ServerRequest,
  type ServerHttp2Session,
} from 'node:http2'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { breakOff, http2Upstream, type EitherAnswer } from '../support/http2-upstream.ts'
import { until } from '../support/until.ts'
import { head, openClient, openWire } from '../support/wire.ts'

type Asked = IncomingMessage | Http2ServerRequest

const MIB = 1024 * 1024
const PROTOCOLS = ['http1', 'http2'] as const
const PAIRS = [
  ['http1', 'http1'],
  ['http2', 'http1'],
  ['http1', 'http2'],
  ['http2', 'http2'],
] as const
const { certificate, key } = selfSigned('DNS:localhost')

let gateway: TestGateway
let plain: TestGateway
/** Waits a second for what takes a minute elsewhere. */
let hasty: TestGateway
const stops: (() => void)[] = []
const ports = new Map<string, number>()
/** Answers under way, by the path they were asked for. */
const open = new Map<string, EitherAnswer>()
/** Paths of requests whose answers were broken off. */
const gone = new Set<string>()
/** Octets that an upstream has written, or taken, by path. */
const moved = new Map<string, number>()

beforeAll(async () => {
  for (const protocol of PROTOCOLS) {
    const sessions = new Set<ServerHttp2Session>()
    const server =
      protocol === 'http1' ? createHttp1(serve) : createHttp2(serve).on('session', (session) => void sessions.add(session))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve())
    })
    ports.set(protocol, (server.address() as AddressInfo).port)
    stops.push(() => {
      for (const session of sessions) session.destroy()
      if ('closeAllConnections' in server) server.closeAllConnections()
      server.close()
    })
  }
  const upstreams = PROTOCOLS.map((name) => `  ${name}: { targets: ['http://127.0.0.1:${ports.get(name)}'], protocol: ${name} }`)
  const routes = PROTOCOLS.map(
    (name) => `  - { name: ${name}, match: { path: /${name}/* }, auth: public, upstream: ${name}, bodyBytes: 1GiB }`,
  )
  const lines = (front: string): string =>
    [
      `listeners:\n  public: { address: '127.0.0.1:0', ${front} }\n  admin: { address: 127.0.0.1:0 }\nupstreams:`,
      ...upstreams,
      'routes:',
      ...routes,
    ].join('\n')
  gateway = await startGateway(lines("origin: 'https://localhost', tls: { certificate: cert.pem, key: key.pem }"), {
    files: { 'cert.pem': certificate, 'key.pem': key },
  })
  plain = await startGateway(lines("origin: 'http://localhost', timeouts: { drain: 1s }"))
  hasty = await startGateway(lines("origin: 'http://localhost', timeouts: { headers: 1s, request: 1s }"))
})
afterAll(async () => {
  await gateway.close()
  await plain.close()
  await hasty.close()
  for (const stop of stops) stop()
})

function serve(req: Asked, res: EitherAnswer): void {
  const path = req.url ?? ''
  open.set(path, res)
  res.on('close', () => {
    if (!res.writableEnded) gone.add(path)
  })
  if (path.includes('/events/')) {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write('data: 0\n\n')
  } else if (path.includes('/flood/')) flood(path, res)
  else if (path.includes('/idle-reader/')) req.once('readable', () => void moved.set(path, 0))
  else if (path.includes('/count/')) {
    let octets = 0
    req.on('data', (chunk: Buffer) => void (octets += chunk.length))
    req.on('end', () => res.end(String(octets)))
  } else {
    req.resume()
    req.on('end', () => res.end('ok'))
  }
}

function flood(path: string, res: EitherAnswer): void {
  const chunk = Buffer.alloc(65_536)
  res.writeHead(200)
  const pump = (): void => {
    while (res.destroyed !== true && !gone.has(path)) {
      moved.set(path, (moved.get(path) ?? 0) + chunk.length)
      if (!(res.stream ?? res).write(chunk)) break
    }
  }
  ;(res.stream ?? res).on('drain', pump)
  pump()
}

interface Stream {
  received(): string
  write(octets: string): void
  close(): void
}

/** A request over TLS, with HTTP/1.1 or HTTP/2. */
async function request(protocol: string, path: string): Promise<Stream> {
  let received = ''
  if (protocol === 'http2') {
    const session: ClientHttp2Session = connect(`https://localhost:${gateway.port}`, { ca: certificate })
    const stream = session.request({ ':path': path })
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => void (received += chunk.toString()))
    return { received: () => received, write: () => undefined, close: () => session.destroy() }
  }
  const socket: TLSSocket = connectTls({ port: gateway.port, host: 'localhost', ca: certificate, ALPNProtocols: ['http/1.1'] })
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', resolve)
  })
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => void (received += chunk.toString()))
  socket.write(head(`GET ${path} HTTP/1.1`, 'Host: localhost'))
  return { received: () => received, write: (octets) => void socket.write(octets), close: () => socket.destroy() }
}

describe.each(PAIRS)('from a client of %s to an upstream of %s', (front, back) => {
  test('events arrive one by one, and the upstream hears when the client leaves', async () => {
    const path = `/${back}/events/${front}`
    const stream = await request(front, path)
    for (let turn = 0; turn < 5; turn += 1) {
      await until(() => stream.received().includes(`data: ${turn}\n\n`))
      expect(stream.received()).not.toContain(`data: ${turn + 1}`)
      open.get(path)?.write(`data: ${turn + 1}\n\n`)
    }
    expect(gone.has(path)).toBe(false)
    stream.close()
    await until(() => gone.has(path))
  })
})

describe('an upstream of HTTP/2', () => {
  test('waits for a client that does not read; others on the same connection do not', async () => {
    const path = '/http2/flood/unread'
    const socket = connectTcp({ port: hasty.port, host: '127.0.0.1' })
    socket.pause()
    socket.on('error', () => undefined)
    socket.write(head(`GET ${path} HTTP/1.1`))
    await until(() => (moved.get(path) ?? 0) > 0)
    let before = -1
    await until(async () => {
      const now = moved.get(path) ?? 0
      const isStill = now === before
      before = now
      await new Promise((resolve) => setTimeout(resolve, 100))
      return isStill
    })
    // What kernels hold of two connections, and a window.
    expect(before).toBeLessThan(96 * MIB)
    const answer = await fetch(`${hasty.url}/http2/other`)
    expect(await answer.text()).toBe('ok')
    // Whoever takes nothing for as long as a request may take is cut.
    await until(() => gone.has(path))
    socket.destroy()
  })

  test('that does not read lets the client wait', async () => {
    const path = '/http2/idle-reader/slow'
    const client = await openClient(plain.port)
    client.send(head(`POST ${path} HTTP/1.1`, `Content-Length: ${512 * MIB}`))
    const chunk = Buffer.alloc(MIB)
    for (let turn = 0; turn < 256; turn += 1) client.socket.write(chunk)
    let before = -1
    await until(async () => {
      const now = client.socket.bytesWritten - client.socket.writableLength
      const isStill = now === before
      before = now
      await new Promise((resolve) => setTimeout(resolve, 100))
      return isStill || client.isClosed()
    })
    expect(before).toBeLessThan(96 * MIB)
    const answer = open.get(path)
    if (answer !== undefined) breakOff(answer)
    await client.until((octets) => octets.includes('502 Bad Gateway'))
    expect(client.received().toString()).toContain('HTTP/1.1 502 ')
    client.close()
  })

  test('takes an upload of 64 MiB whole', async () => {
    const body = Buffer.alloc(64 * MIB, 'x')
    const answer = await fetch(`${plain.url}/http2/count/x`, { method: 'PUT', body })
    expect([answer.status, await answer.text()]).toEqual([200, String(body.length)])
  })

  test('that closes each connection after a few requests costs none of them', async () => {
    let served = 0
    const upstream = await http2Upstream((stream) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk))
      stream.on('end', () => {
        served += 1
        stream.respond({ ':status': 200 })
        stream.end(Buffer.concat(chunks))
        if (served % 20 === 0) stream.session?.close()
      })
    })
    const steady = await openWire(upstream.port, { upstream: ['protocol: http2'] })
    const outcomes = new Map<string, number>()
    const load = Array.from({ length: 16 }, async (_, worker) => {
      for (let turn = 0; turn < 40; turn += 1) {
        const text = `${worker}-${turn}`
        const method = turn % 2 === 0 ? 'POST' : 'PUT'
        const answer = await fetch(`${steady.url}/x`, { method, body: text })
        const what = `${answer.status} ${(await answer.text()) === text}`
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
      }
    })
    await Promise.all(load)
    expect([...outcomes]).toEqual([['200 true', 640]])
    expect(upstream.opened()).toBeGreaterThan(10)
    await steady.close()
    await upstream.close()
  })

  test('is asked how it is, and a request that a dead one did not get goes to another', async () => {
    let checks = 0
    const upstream = await http2Upstream((stream, headers) => {
      if (headers[':path'] === '/healthz') checks += 1
      stream.respond({ ':status': 200 })
      stream.end('alive')
    })
    const dead = await http2Upstream(() => undefined)
    await dead.close()
    const both = await startGateway(
      `listeners: { public: { address: '127.0.0.1:0' }, admin: { address: '127.0.0.1:0' } }
upstreams:
  checked: { targets: ['http://127.0.0.1:${upstream.port}'], protocol: http2, health: { path: /healthz, interval: 50ms } }
  half:
    targets: ['http://127.0.0.1:${dead.port}', 'http://127.0.0.1:${upstream.port}']
    protocol: http2
    retries: { attempts: 1, budget: 100% }
routes:
  - { name: checked, match: { path: /checked }, auth: public, upstream: checked }
  - { name: half, match: { path: /half }, auth: public, upstream: half }`,
    )
    await until(() => checks >= 3)
    for (let turn = 0; turn < 6; turn += 1) {
      const answer = await fetch(`${both.url}/half`)
      expect([answer.status, await answer.text()]).toEqual([200, 'alive'])
    }
    expect((await fetch(`${both.url}/checked`)).status).toBe(200)
    await both.close()
    await upstream.close()
  })

  test('is asked with the name of the client where its Host is preserved, and its own otherwise', async () => {
    const asked: unknown[] = []
    const upstream = await http2Upstream((stream, headers) => {
      asked.push(headers[':authority'], headers['host'])
      stream.respond({ ':status': 200 }, { endStream: true })
    })
    for (const route of [['host: preserve'], ['host: upstream']]) {
      const one = await openWire(upstream.port, { upstream: ['protocol: http2'], route })
      const client = await openClient(one.port)
      client.send(head('GET / HTTP/1.1', 'Host: api.example.com'))
      await client.answered(1)
      client.close()
      await one.close()
    }
    expect(asked).toEqual(['api.example.com', undefined, `127.0.0.1:${upstream.port}`, undefined])
    await upstream.close()
  })
})
