/** GHSA of @fastify/reply-from (CVE-2026-107318) and its kin: the certificate of an upstream is verified unless the operator says no. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createSecureServer, type Http2SecureServer, type Http2ServerRequest, type ServerHttp2Session } from 'node:http2'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { until } from '../support/until.ts'
import { handshake, openWebSocket } from '../support/websocket.ts'
import { head, talk } from '../support/wire.ts'

interface Scene {
  readonly what: string
  /** Whose key and certificate the upstream shows. */
  readonly shows: string
  readonly host: string
  /** Lines of `tls`. */
  readonly tls: readonly string[]
  /** Name that is asked for by SNI; false for none. */
  readonly sni?: string | false
  /** What the log says of it. */
  readonly why?: string
}

const CA = 'ca: ca.pem'
const REFUSED: readonly Scene[] = [
  { what: 'is signed by itself', shows: 'self', host: 'localhost', tls: [], why: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  { what: 'is of a CA that nobody named', shows: 'good', host: 'localhost', tls: [], why: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
  {
    what: 'is signed by itself, beside a named CA',
    shows: 'self',
    host: 'localhost',
    tls: [CA],
    why: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  },
  { what: 'is for another name', shows: 'named', host: 'localhost', tls: [CA], why: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  { what: 'is for no address', shows: 'named', host: '127.0.0.1', tls: [CA], why: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  { what: 'has expired', shows: 'expired', host: 'localhost', tls: [CA], why: 'CERT_HAS_EXPIRED' },
  {
    what: 'is not for serverName',
    shows: 'good',
    host: 'localhost',
    tls: [CA, 'serverName: orders.internal'],
    why: 'ERR_TLS_CERT_ALTNAME_INVALID',
  },
  {
    what: 'is right, but wants one of ours',
    shows: 'strict',
    host: 'localhost',
    tls: [CA],
    why: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  },
]
const TAKEN: readonly Scene[] = [
  { what: 'is of the named CA', shows: 'good', host: 'localhost', tls: [CA], sni: 'localhost' },
  { what: 'is of the named CA, for an address', shows: 'good', host: '127.0.0.1', tls: [CA], sni: false },
  {
    what: 'is for serverName',
    shows: 'named',
    host: '127.0.0.1',
    tls: [CA, 'serverName: orders.internal'],
    sni: 'orders.internal',
  },
  {
    what: 'is right, and gets ours',
    shows: 'strict',
    host: 'localhost',
    tls: [CA, 'certificate: client.pem', 'key: client.key'],
    sni: 'localhost',
  },
]
/** The log is written in batches. */
async function lineOf(route: string): Promise<Record<string, unknown> | undefined> {
  const find = () => gateway.lines().findLast((one) => one['route'] === route)
  await until(() => find() !== undefined)
  return find()
}

const UNVERIFIED = REFUSED.slice(0, -1).map((scene) => ({ ...scene, tls: [...scene.tls, 'verify: false'] }))
const SCENES = [...REFUSED, ...TAKEN, ...UNVERIFIED]

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'))
const PROTOCOLS = ['http1', 'http2'] as const
type Protocol = (typeof PROTOCOLS)[number]

const servers: Http2SecureServer[] = []
const sessions = new Set<ServerHttp2Session>()
const ports = new Map<string, number>()
/** Names that were asked for by SNI; false for none. */
const asked: (string | false)[] = []
let gateway: TestGateway

beforeAll(async () => {
  selfSigned('ca', 'basicConstraints=CA:TRUE')
  selfSigned('self', 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  issue('good', 'DNS:localhost,IP:127.0.0.1')
  issue('strict', 'DNS:localhost')
  issue('named', 'DNS:orders.internal')
  issue('expired', 'DNS:localhost,IP:127.0.0.1', -1)
  issue('client', 'DNS:gateway')
  for (const name of ['self', 'good', 'strict', 'named', 'expired']) ports.set(name, await tlsServer(name))
  const upstreams: string[] = []
  const routes: string[] = []
  for (const [index, { shows, host, tls }] of SCENES.entries()) {
    for (const protocol of PROTOCOLS) {
      const name = `${protocol}-${index}`
      const target = `https://${host}:${ports.get(shows)}`
      upstreams.push(`  ${name}: { targets: ["${target}"], protocol: ${protocol}, tls: { ${tls.join(', ')} } }`)
      routes.push(
        `  - { name: ${name}, match: { path: /${protocol}/${index}/* }, auth: public, upstream: ${name}, websocket: true, host: preserve }`,
      )
    }
  }
  gateway = await startGateway(
    [
      'insecure: [upstream-tls]',
      'tenants: { default: { signing: ES256 } }',
      'upstreams:',
      ...upstreams,
      'routes:',
      ...routes,
    ].join('\n'),
    {
      files: Object.fromEntries(['ca.pem', 'client.pem', 'client.key'].map((name) => [name, read(name)])),
    },
  )
})
afterAll(async () => {
  await gateway.close()
  for (const session of sessions) session.destroy()
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true, force: true })
})

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', [...args], { cwd: folder, stdio: 'pipe' })
}

function selfSigned(name: string, extension: string): void {
  openssl(
    'req',
    '-x509',
    ...KEY,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-addext',
    extension,
  )
}

/** A key, and a certificate of the test CA for these names. */
function issue(name: string, names: string, days = 2): void {
  const extension = ['-addext', `subjectAltName=${names}`]
  openssl('req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, ...extension)
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy']
  openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-days', String(days))
}

function read(name: string): string {
  return readFileSync(join(folder, name), 'utf8')
}

/** Answers with the Host and version it was asked with. `strict` wants a certificate of the test CA. */
async function tlsServer(name: string): Promise<number> {
  const wants = name === 'strict' ? { ca: read('ca.pem'), requestCert: true, rejectUnauthorized: true } : {}
  const options = { key: read(`${name}.key`), cert: read(`${name}.pem`), allowHTTP1: true, ...wants }
  const server = createSecureServer(options, (req, res) => {
    asked.push(nameAsked(req))
    res.end(`${req.headers.host ?? req.headers[':authority']} ${req.httpVersion}`)
  })
  server.on('session', (session) => sessions.add(session))
  const webSockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, rest: Buffer) => {
    webSockets.handleUpgrade(req, socket, rest, (one) => webSockets.emit('connection', one, req))
  })
  webSockets.on('connection', (socket, req) => {
    asked.push((req.socket as TLSSocket).servername ?? false)
    socket.terminate()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  servers.push(server)
  return (server.address() as AddressInfo).port
}

function nameAsked(req: IncomingMessage | Http2ServerRequest): string | false {
  const socket = 'stream' in req ? req.stream.session?.socket : req.socket
  return (socket as TLSSocket).servername ?? false
}

/** Status of a request and of a WebSocket handshake, which is of HTTP/1.1 always, and the body. */
async function both(protocol: Protocol, scene: Scene, host: string): Promise<{ statuses: readonly number[]; body: string }> {
  const path = `/${protocol}/${SCENES.indexOf(scene)}`
  const plain = await talk(gateway.port, head(`GET ${path} HTTP/1.1`, `Host: ${host}`))
  const [answer] = readAnswers(plain.octets, { closed: plain.closed }).messages
  const socket = await openWebSocket(gateway.port, handshake(path, `Host: ${host}`))
  socket.close()
  return { statuses: [statusCode(answer), socket.status], body: answer?.body.toString() ?? '' }
}

describe.each(PROTOCOLS)('over %s an upstream whose certificate', (protocol) => {
  test.each(REFUSED.map((scene) => [scene.what, scene] as const))('%s is not talked to', async (_, scene) => {
    asked.length = 0
    const { statuses, body } = await both(protocol, scene, 'gateway.test')
    expect({ statuses, error: (JSON.parse(body) as { error: string }).error, asked }).toEqual({
      statuses: [502, 502],
      error: 'upstream_unreachable',
      asked: [],
    })
    const line = await lineOf(`${protocol}-${SCENES.indexOf(scene)}`)
    expect(line?.['detail']).toBe(scene.why)
  })

  test.each(UNVERIFIED.map((scene) => [scene.what, scene] as const))('%s is talked to where verify is off', async (_, scene) => {
    expect((await both(protocol, scene, 'gateway.test')).statuses).toEqual([200, 101])
  })

  test.each(TAKEN.map((scene) => [scene.what, scene] as const))(
    "%s is talked to, and the client's Host has no say in it",
    async (_, scene) => {
      asked.length = 0
      const version = protocol === 'http1' ? '1.1' : '2.0'
      for (const host of ['gateway.test', 'evil.example', 'orders.internal:444', '127.0.0.2']) {
        expect(await both(protocol, scene, host)).toEqual({ statuses: [200, 101], body: `${host} ${version}` })
      }
      expect(new Set(asked)).toEqual(new Set([scene.sni]))
    },
  )
})
