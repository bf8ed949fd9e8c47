/** GHSA of @fastify/reply-from (CVE-2026-107318) and its kin: the certificate of an upstream is verified unless the operator says no. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { handshake, openWebSocket } from '../support/websocket.ts'
import { head, talk } from '../support/wire.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'))
const servers: Server[] = []
let gateway: TestGateway | undefined
/** Names that clients asked for by SNI, in order; false for none. */
const asked: (string | false | null)[] = []

beforeAll(() => {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA')
  issue('good', 'DNS:localhost,IP:127.0.0.1')
  issue('named', 'DNS:orders.internal')
  issue('expired', 'DNS:localhost,IP:127.0.0.1', ['-days', '-1'])
  issue('client', 'DNS:gateway')
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'self.key', '-out', 'self.pem', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  asked.length = 0
})
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  rmSync(folder, { recursive: true, force: true })
})

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', [...args], { cwd: folder, stdio: 'pipe' })
}

/** A key, and a certificate of the test CA for these names. */
function issue(name: string, names: string, validity: readonly string[] = ['-days', '2']): void {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`)
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy', '-out', `${name}.pem`, ...validity)
}

function read(name: string): string {
  return readFileSync(join(folder, name), 'utf8')
}

async function tlsServer(name: string, clientCa?: string): Promise<number> {
  const server = createServer(
    { key: read(`${name}.key`), cert: read(`${name}.pem`), ...(clientCa === undefined ? {} : { ca: read(clientCa), requestCert: true, rejectUnauthorized: true }) },
    (req, res) => {
      asked.push((req.socket as TLSSocket).servername)
      res.end(`${req.headers.host} ${req.httpVersion}`)
    },
  )
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, req) => {
    asked.push((req.socket as TLSSocket).servername)
    socket.close(4000)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  servers.push(server)
  return (server.address() as AddressInfo).port
}

async function openTls(port: number, tls: string, { host = 'localhost', route = '' } = {}): Promise<TestGateway> {
  gateway = await startGateway(
    `tenants: { default: { signing: ES256 } }
upstreams: { main: { targets: ["https://${host}:${port}"], tls: { ${tls} } } }
routes: [{ name: all, match: { path: /* }, auth: public, upstream: main, websocket: true, ${route} }]`,
    { files: Object.fromEntries(['ca.pem', 'client.pem', 'client.key'].map((name) => [name, read(name)])) },
  )
  return gateway
}

/** Status of a request and of a WebSocket handshake. */
async function both(one: TestGateway, host = 'gateway.test'): Promise<[number, number]> {
  const plain = await talk(one.port, head('GET / HTTP/1.1', `Host: ${host}`))
  const socket = await openWebSocket(one.port, handshake('/', `Host: ${host}`))
  await socket.until(() => false)
  return [statusCode(readAnswers(plain.octets, { closed: plain.closed }).messages[0]), socket.status]
}

describe('an upstream whose certificate', () => {
  test.each([
    ['is signed by itself', 'self', 'localhost', ''],
    ['is of a CA that nobody named', 'good', 'localhost', ''],
    ['is signed by itself, beside a named CA', 'self', 'localhost', 'ca: ca.pem'],
    ['is for another name', 'named', 'localhost', 'ca: ca.pem'],
    ['is for no address', 'named', '127.0.0.1', 'ca: ca.pem'],
    ['has expired', 'expired', 'localhost', 'ca: ca.pem'],
    ['is not for serverName', 'good', 'localhost', 'ca: ca.pem, serverName: orders.internal'],
  ])('%s is not talked to, unless verify is off', async (_, name, host, tls) => {
    const port = await tlsServer(name)
    expect(await both(await openTls(port, tls, { host }))).toEqual([502, 502])
    expect(asked).toEqual([])
    await gateway?.close()
    expect(await both(await openTls(port, `${tls}${tls === '' ? '' : ', '}verify: false`, { host }))).toEqual([200, 101])
  })

  test.each([
    ['is of the named CA', 'good', 'localhost', 'ca: ca.pem'],
    ['is of the named CA, for an address', 'good', '127.0.0.1', 'ca: ca.pem'],
    ['is for serverName', 'named', '127.0.0.1', 'ca: ca.pem, serverName: orders.internal'],
  ])('%s is talked to', async (_, name, host, tls) => {
    expect(await both(await openTls(await tlsServer(name), tls, { host }))).toEqual([200, 101])
  })
})

test('a client certificate is shown where one is configured', async () => {
  const port = await tlsServer('good', 'ca.pem')
  expect(await both(await openTls(port, 'ca: ca.pem, certificate: client.pem, key: client.key'))).toEqual([200, 101])
  await gateway?.close()
  expect(await both(await openTls(port, 'ca: ca.pem'))).toEqual([502, 502])
})

test.each([
  ['a name', 'good', 'localhost', 'ca: ca.pem', 'localhost'],
  ['an address', 'good', '127.0.0.1', 'ca: ca.pem', false],
  ['serverName', 'named', '127.0.0.1', 'ca: ca.pem, serverName: orders.internal', 'orders.internal'],
])("the client's Host has no say in whose certificate is asked for: %s, with host: preserve", async (_, name, host, tls, expected) => {
  const one = await openTls(await tlsServer(name), tls, { host, route: 'host: preserve' })
  expect(await both(one, 'evil.example')).toEqual([200, 101])
  expect(await both(one, 'orders.internal')).toEqual([200, 101])
  expect(new Set(asked.map((sni) => sni ?? false))).toEqual(new Set([expected]))
})

test('HTTP/1.1 is spoken also where the upstream offers HTTP/2', async () => {
  const one = await openTls(await tlsServer('good'), 'ca: ca.pem')
  const { octets } = await talk(one.port, head('GET / HTTP/1.1'))
  expect(octets.toString()).toMatch(/ 1\.1$/)
})
