/**
 * What a connection is believed to be: whose it is, who spoke for it, what its certificate is worth, and how long it may stay.
 */
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf } from '../support/attack.ts'
import { createAuthority } from '../support/authority.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2, openTlsScene } from '../support/http2.ts'
import { sendRaw } from '../support/raw.ts'

const SOON = { timeout: 15_000, interval: 20 }
const INSIDE = '  - { name: inside, match: { path: /inside/* }, auth: public, ip: { allow: [127.0.0.0/8] }, upstream: recorder }'
/** HEADERS with END_STREAM: `GET / https`, authority `x` (RFC 7541: three indexed fields and a literal one). */
const REQUEST = Buffer.from('000006010500000001828487410178', 'hex')
const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function get(path: string, ...lines: readonly string[]): string {
  return `${[`GET ${path} HTTP/1.1`, 'Host: gateway.test', ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`
}

function collect(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(received))
  })
}

describe('a load balancer that speaks for clients', () => {
  it('has one client for each of its connections, also from one port to two addresses of the gateway', async () => {
    const { certificate, key } = createAuthority().server(['gateway.test'])
    const yaml = `listeners:
  public:
    address: 0.0.0.0:0
    origin: https://gateway.test
    tls: { certificate: cert.pem, key: key.pem }
    proxyProtocol: true
    trustedProxies: [127.0.0.0/8]
  admin: { address: 127.0.0.1:0 }
routes:
  - { name: echo, match: { path: /echo }, auth: public, service: echo }
`
    const gateway = await startGateway(yaml, { files: { 'cert.pem': certificate, 'key.pem': key } })
    closers.push(gateway.close)
    const open = async (host: string, localPort: number, client: string): Promise<Socket> => {
      const socket = connectTcp({ port: gateway.port, host, localAddress: '127.0.0.5', localPort })
      closers.push(() => socket.destroy())
      await once(socket, 'connect')
      socket.write(`PROXY TCP4 ${client} 10.0.0.1 1 2\r\n`)
      return socket
    }
    const first = await open('127.0.0.1', 0, '192.0.2.1')
    const second = await open('127.0.0.2', first.localPort ?? 0, '192.0.2.2')
    // Both headers are read before either handshake begins.
    await expect.poll(() => connectionsOf(gateway), SOON).toBe(2)
    const answers: string[] = []
    for (const socket of [first, second]) {
      const secure = connectTls({ socket, servername: 'gateway.test', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
      secure.write(get('/echo', 'X-Forwarded-For: 203.0.113.9'))
      answers.push(await collect(secure))
    }
    expect(answers.map((answer) => /"x-forwarded-for":\s*"([^"]*)"/.exec(answer)?.[1])).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  it.each([
    ['version 1', Buffer.from('PROXY UNKNOWN\r\n')],
    ['version 2', Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')],
    ['version 2 over a Unix socket', Buffer.from('0d0a0d0a000d0a515549540a21000000', 'hex')],
  ])('and names none, in %s: what the connection says of clients itself is not believed', async (_, header) => {
    const scene = await openScene({ listener: '    proxyProtocol: true\n    trustedProxies: [127.0.0.0/8]\n' })
    closers.push(scene.close)
    const lines = ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: https', 'X-Request-Id: mine']
    await sendRaw(scene.port, Buffer.concat([header, Buffer.from(get('/public/x', ...lines))]), 5000)
    const { rawHeaders = [] } = scene.upstream.seen[0] ?? {}
    const told = ['x-forwarded-for', 'x-forwarded-proto', 'x-request-id'].map((name) => valuesOf(rawHeaders, name))
    expect(told).toEqual([['127.0.0.1'], ['http'], [expect.not.stringMatching('mine')]])
  })
})

describe('a proxy whose word about the client cannot be read', () => {
  it.each([
    ['203.0.113.9', 403],
    ['203.0.113.9:1234', 403],
    ['[2001:db8::1]', 403],
    ['[2001:db8::1]:1234', 403],
    ['unknown', 403],
    ['_hidden', 403],
    ['203.0.113.9, unknown', 403],
    ['203.0.113.9, 127.0.0.9, unknown', 403],
    ['127.0.0.1 203.0.113.9', 403],
    ['203.0.113.9, ', 403],
    ['127.0.0.9:80', 200],
    ['', 200],
  ])('is not the client in its place: %j', async (chain, status) => {
    const scene = await openScene({ listener: '    trustedProxies: [127.0.0.0/8]\n', routes: INSIDE })
    closers.push(scene.close)
    const answer = await scene.ask({ target: '/inside/x', lines: [`X-Forwarded-For: ${chain}`] })
    expect([answer.status, scene.upstream.seen.length]).toEqual([status, status === 200 ? 1 : 0])
  })
})

describe('a client certificate', () => {
  it('is worth nothing on a connection that is open, once its authority is taken away', async () => {
    const { gateway, yaml, one, two } = await openCertified()
    const [mine, other] = [await openHttp2(gateway.port, one), await openHttp2(gateway.port, two)]
    const kept = await openTls(gateway, one)
    closers.push(mine.close, other.close, () => kept.destroy())
    const before = [(await mine.ask({ path: '/echo' })).status, (await other.ask({ path: '/echo' })).status]
    kept.write('GET /echo HTTP/1.1\r\nHost: gateway.test\r\n\r\n')
    const [answer] = (await once(kept, 'data')) as [Buffer]
    const [lost, isCut] = [once(mine.session, 'close'), collect(kept)]
    await gateway.reload(yaml('two'))
    await Promise.all([lost, isCut])
    const fresh = await openHttp2(gateway.port, one)
    closers.push(fresh.close)
    const after = [(await other.ask({ path: '/echo' })).status, (await fresh.ask({ path: '/echo' })).status]
    expect([before, answer.toString('latin1', 0, 12), after]).toEqual([[200, 200], 'HTTP/1.1 200', [200, 403]])
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is not brought back by resuming a session of %s', async (version) => {
    const { gateway, yaml, one } = await openCertified()
    const before = await visit(gateway.port, version, { cert: one.certificate, key: one.key })
    const kept = await visit(gateway.port, version, { session: before.session })
    await gateway.reload(yaml('two'))
    const after = await visit(gateway.port, version, { session: before.session })
    expect([before.status, kept.isReused, kept.status, after.status]).toEqual([200, true, 200, 403])
  })

  it('nor once its authority is taken out of the file', async () => {
    const { gateway, one, two } = await openCertified()
    const [mine, other] = [await openHttp2(gateway.port, one), await openHttp2(gateway.port, two)]
    closers.push(mine.close, other.close)
    const lost = once(mine.session, 'close')
    copyFileSync(join(gateway.directory, 'two.pem'), join(gateway.directory, 'both.pem'))
    await lost
    expect((await other.ask({ path: '/echo' })).status).toBe(200)
  })

  it('goes on where its authority stays, beside others or with a new certificate of its own', async () => {
    const { gateway, yaml, one } = await openCertified()
    const client = await openHttp2(gateway.port, one)
    closers.push(client.close)
    const statuses: number[] = []
    for (const authorities of ['both', 'one', 'renewed', 'both']) {
      await gateway.reload(yaml(authorities))
      statuses.push((await client.ask({ path: '/echo' })).status)
    }
    expect(statuses).toEqual([200, 200, 200, 200])
  })
})

describe('an HTTP/2 client that never ends its side', () => {
  it.each([
    ['after it has asked', true],
    ['before it has asked', false],
  ])('does not have its connection for ever: %s', async (_, asks) => {
    const scene = await openTlsScene({ listener: '    timeouts: { headers: 1s, keepAlive: 1s }\n' })
    closers.push(scene.close)
    const socket = await openTls(scene.gateway, undefined, ['h2'])
    closers.push(() => socket.destroy())
    socket.on('data', () => undefined)
    socket.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0', 'latin1'))
    if (asks) socket.write(REQUEST)
    await expect.poll(() => connectionsOf(scene.gateway), SOON).toBe(1)
    await expect.poll(() => connectionsOf(scene.gateway), SOON).toBe(0)
  })
})

async function connectionsOf(gateway: TestGateway): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_connections (\d+)$/m.exec(text)?.[1])
}

async function openTls(
  gateway: TestGateway,
  pair?: { readonly certificate: string; readonly key: string },
  protocols = ['http/1.1'],
): Promise<TLSSocket> {
  const raw = connectTcp({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: protocols.includes('h2') })
  const socket = connectTls({
    socket: raw,
    servername: 'gateway.test',
    rejectUnauthorized: false,
    ALPNProtocols: protocols,
    ...(pair === undefined ? {} : { cert: pair.certificate, key: pair.key }),
  })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

interface Visit {
  readonly status: number
  readonly isReused: boolean
  readonly session: Buffer | undefined
}

function visit(port: number, version: 'TLSv1.2' | 'TLSv1.3', options: ConnectionOptions): Promise<Visit> {
  return new Promise((resolve, reject) => {
    let received = ''
    let session: Buffer | undefined
    const bounds = { minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] }
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      servername: 'gateway.test',
      rejectUnauthorized: false,
      ...bounds,
      ...options,
    })
    let isReused = false
    socket.on('secureConnect', () => {
      isReused = socket.isSessionReused()
      socket.write(get('/echo'))
    })
    socket.on('session', (given) => (session = given))
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve({ status: Number(received.slice(9, 12)), isReused, session }))
  })
}

async function openCertified() {
  const server = createAuthority().server(['gateway.test'])
  const [one, two] = [createAuthority('One'), createAuthority('Two')]
  const yaml = (authorities: string): string => `listeners:
  public:
    {{public}}
    tls: { certificate: cert.pem, key: key.pem, clientCa: ${authorities}.pem, reload: 1s }
  admin: { address: 127.0.0.1:0 }
routes:
  - { name: echo, match: { path: /echo }, auth: public, service: echo, clientCertificate: required }
`
  const files = {
    'cert.pem': server.certificate,
    'key.pem': server.key,
    'one.pem': one.certificate,
    'two.pem': two.certificate,
    'both.pem': two.certificate + one.certificate,
    'renewed.pem': one.renewed(),
  }
  const gateway = await startGateway(yaml('both'), { files })
  closers.push(gateway.close)
  return { gateway, yaml, one: one.client('/CN=billing'), two: two.client('/CN=orders') }
}
