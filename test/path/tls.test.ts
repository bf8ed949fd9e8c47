/**
 * TLS ends here: certificates by name, new ones without a restart, old versions refused, plain http redirected.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority, type Authority } from '../support/authority.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2, sendTls } from '../support/http2.ts'
import { freePort } from '../support/ports.ts'
import { sendRaw } from '../support/raw.ts'
import { until } from '../support/until.ts'

let authority: Authority
let gateway: TestGateway
let upstream: Server
let redirectPort: number

beforeAll(async () => {
  authority = createAuthority()
  upstream = createServer((req, res) => res.end(req.headers['x-forwarded-proto']))
  upstream.on('upgrade', (req, socket) => {
    const accept = createHash('sha1')
      .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    )
    socket.on('data', (chunk: Buffer) => socket.write(chunk))
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
  })
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', resolve)
  })
  redirectPort = await freePort()
  const [one, two] = [authority.server(['gateway.test']), authority.server(['second.test', '*.many.test'])]
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    tls:
      certificate: one.pem
      key: one-key.pem
      certificates: [{ certificate: two.pem, key: two-key.pem }]
      reload: 100ms
    hsts: { maxAge: 1h, includeSubDomains: true, preload: true }
    redirect: 127.0.0.1:${redirectPort}
    timeouts: { headers: 1s }
  admin: { address: 127.0.0.1:0 }
tenants: { default: { hosts: [second.test] } }
upstreams: { main: { targets: ["http://127.0.0.1:${(upstream.address() as AddressInfo).port}"] } }
routes:
  - { name: all, match: { path: /* }, auth: public, upstream: main, websocket: true }
  - { name: many, match: { hosts: ["*.many.test"], path: /* }, auth: public, upstream: main }
`,
    { files: { 'one.pem': one.certificate, 'one-key.pem': one.key, 'two.pem': two.certificate, 'two-key.pem': two.key } },
  )
})
afterAll(async () => {
  await gateway.close()
  upstream.closeAllConnections()
  upstream.close()
})

function shake(options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () =>
      resolve(socket),
    )
    socket.on('error', reject)
  })
}

async function nameShown(servername?: string): Promise<string> {
  const socket = await shake(servername === undefined ? {} : { servername })
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

async function serialShown(): Promise<string> {
  const socket = await shake({ servername: 'gateway.test' })
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

function scrape(): Promise<string> {
  return fetch(`${gateway.adminUrl}/metrics`).then((response) => response.text())
}

describe('the certificate', () => {
  it.each([
    ['gateway.test', 'gateway.test'],
    ['GATEWAY.test', 'gateway.test'],
    ['second.test', 'second.test'],
    ['a.many.test', 'second.test'],
    ['a.b.many.test', 'gateway.test'],
    ['elsewhere.test', 'gateway.test'],
  ])('for %s is that of %s', async (asked, shown) => {
    expect(await nameShown(asked)).toBe(shown)
  })

  it('for a client that asks for no name is the first', async () => {
    expect(await nameShown()).toBe('gateway.test')
  })

  it('is one that its authority vouches for', async () => {
    const socket = await shake({ servername: 'gateway.test', ca: authority.certificate, rejectUnauthorized: true })
    expect(socket.authorized).toBe(true)
    socket.destroy()
  })

  it('tells by a metric when it expires', async () => {
    const soon = Math.floor(Date.now() / 1000) + 2 * 86_400
    const values = [
      ...(await scrape()).matchAll(/^gatehouse_certificate_expiry_timestamp_seconds\{certificate="([^"]+)"\} (.+)$/gm),
    ]
    expect(values.map(([, name]) => name)).toEqual(['gateway.test', 'second.test'])
    for (const [, , value] of values) expect(Math.abs(Number(value) - soon)).toBeLessThan(3600)
  })
})

describe('a changed file', () => {
  it('is served to new connections, and those that are open go on', async () => {
    const client = await openHttp2(gateway.port)
    const before = await serialShown()
    const fresh = authority.server(['gateway.test'])
    writeFileSync(join(gateway.directory, 'one.pem'), fresh.certificate)
    writeFileSync(join(gateway.directory, 'one-key.pem'), fresh.key)
    await until(async () => (await serialShown()) !== before, 'the old certificate is still served')
    expect((await client.ask({ path: '/x' })).body).toBe('https')
    expect(await nameShown()).toBe('gateway.test')
    await until(() => gateway.log().includes('the certificates of the listener were read again'))
    client.close()
  })

  it('that does not fit is told of, and changes nothing', async () => {
    const before = await serialShown()
    const [fresh, good] = [authority.server(['gateway.test']), authority.server(['gateway.test'])]
    writeFileSync(join(gateway.directory, 'one.pem'), fresh.certificate)
    await until(async () => /certificates_last_reload_success 0/.test(await scrape()), 'nobody minds')
    expect(await serialShown()).toBe(before)
    await until(() => gateway.log().includes('the certificates of the listener cannot be used, those before serve on'))
    expect(gateway.log()).not.toContain('PRIVATE KEY')
    writeFileSync(join(gateway.directory, 'one.pem'), good.certificate)
    writeFileSync(join(gateway.directory, 'one-key.pem'), good.key)
    await until(async () => /certificates_last_reload_success 1/.test(await scrape()), 'it is still held against it')
    expect(await serialShown()).not.toBe(before)
  })
})

describe('a handshake', () => {
  it.each(['TLSv1', 'TLSv1.1'] as const)('in %s is refused', async (version) => {
    await expect(shake({ minVersion: version, maxVersion: version, ciphers: 'ALL@SECLEVEL=0' })).rejects.toThrow()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('in %s is taken', async (version) => {
    const socket = await shake({ minVersion: version, maxVersion: version })
    expect(socket.getProtocol()).toBe(version)
    socket.destroy()
  })

  it('that wants a cipher without forward secrecy is refused', async () => {
    await expect(shake({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:AES256-GCM-SHA384' })).rejects.toThrow()
  })

  it('that wants a protocol we do not speak is refused', async () => {
    await expect(shake({ ALPNProtocols: ['spdy/3'] })).rejects.toThrow()
  })

  it('that never ends is given up', async () => {
    const socket = connectTcp(gateway.port, '127.0.0.1')
    const trickle = setInterval(() => socket.write('\x16'), 100)
    socket.write('\x16\x03\x01\x02')
    socket.on('error', () => undefined)
    await once(socket, 'close')
    clearInterval(trickle)
  })

  it('that is none at all closes the connection, and others go on', async () => {
    await sendRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n', 5000)
    expect(await sendTls(gateway.port, 'GET / HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  })

  it('without ALPN leads to HTTP/1.1', async () => {
    const socket = await shake()
    socket.write('GET / HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n')
    let received = ''
    for await (const chunk of socket) received += String(chunk)
    expect(received).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('over TLS', () => {
  it('a WebSocket is a WebSocket', async () => {
    const socket = await shake({ servername: 'gateway.test', ALPNProtocols: ['http/1.1'] })
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.write(
      'GET /socket HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await until(() => received.includes('\r\n\r\n'))
    expect(received).toMatch(/^HTTP\/1\.1 101 /)
    received = ''
    const frame = Buffer.from([0x81, 0x82, 1, 2, 3, 4, 0x68 ^ 1, 0x69 ^ 2])
    socket.write(frame)
    await until(() => received.length === frame.length)
    expect(Buffer.from(received, 'latin1')).toEqual(frame)
    socket.destroy()
  })

  it('browsers are told to stay, as the file says', async () => {
    const answer = await sendTls(gateway.port, 'GET / HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^strict-transport-security: max-age=3600; includeSubDomains; preload\r$/m)
  })

  it('a head that comes too slowly is refused with 408', async () => {
    expect(await sendTls(gateway.port, 'GET / HTTP/1.1\r\nHost: ')).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('the default origin is https', async () => {
    const { routes } = (await fetch(`${gateway.adminUrl}/config`).then((response) => response.json())) as { routes: unknown }
    expect(routes).toBeDefined()
  })
})

describe('plain http at the redirect', () => {
  it.each([
    ['gateway.test', '/a/b?c=d', 'https://gateway.test/a/b?c=d'],
    ['gateway.test:80', '/', 'https://gateway.test/'],
    ['second.test', '/x', 'https://second.test/x'],
    ['Second.Test.:8080', '/x', 'https://second.test/x'],
    ['a.many.test', '/x', 'https://a.many.test/x'],
    ['evil.test', '/x', 'https://gateway.test/x'],
    ['many.test', '/x', 'https://gateway.test/x'],
    ['gateway.test@evil.test', '/x', 'https://gateway.test/x'],
    ['evil.test/.many.test', '/x', 'https://gateway.test/x'],
    ['', '/x', 'https://gateway.test/x'],
    ['gateway.test', '//evil.test/x', 'https://gateway.test//evil.test/x'],
    ['gateway.test', '/\\evil.test', 'https://gateway.test/\\evil.test'],
  ])('%s%s leads to %s', async (host, target, location) => {
    const answer = await sendRaw(redirectPort, `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`, 5000)
    expect(answer).toMatch(/^HTTP\/1\.1 308 Permanent Redirect\r\n/)
    expect(/^location: (.*)\r$/m.exec(answer)?.[1]).toBe(location)
    expect(answer).not.toMatch(/strict-transport-security/i)
  })

  it.each(['http://evil.test/x', '*', 'evil.test:443'])('%s is no target to lead to', async (target) => {
    const answer = await sendRaw(redirectPort, `GET ${target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`, 5000)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).not.toMatch(/^location:/im)
  })

  it('takes no more than a head', async () => {
    expect(await sendRaw(redirectPort, `GET /${'x'.repeat(30_000)} HTTP/1.1\r\n`, 5000)).toMatch(/^HTTP\/1\.1 431 /)
  })
})
