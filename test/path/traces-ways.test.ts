/** Traces of what does not come by HTTP/1.1 alone, and of what does not end as it should. */
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { createAuthority } from '../support/authority.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2 } from '../support/http2.ts'
import { startReceiver, type ReceivedSpan, type Receiver } from '../support/otlp.ts'
import { until } from '../support/until.ts'
import { handshake, openWebSocket } from '../support/websocket.ts'

let receiver: Receiver
let server: Server
let sockets: WebSocketServer
let gateway: TestGateway | undefined
let parents: unknown[] = []

beforeEach(async () => {
  receiver = await startReceiver()
  parents = []
  server = createServer((req, res) => {
    parents.push(req.headers['traceparent'])
    if (req.url === '/cut') {
      res.writeHead(200, { 'content-length': '10' })
      res.write('half', () => res.destroy())
    } else if (req.url === '/silent') {
      res.writeHead(200)
      res.write('and then nothing')
    } else res.end('ok')
  })
  sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, req) => {
    parents.push(req.headers['traceparent'])
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await receiver.close()
  for (const socket of sockets.clients) socket.terminate()
  sockets.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function open(tls?: { readonly certificate: string; readonly key: string }): Promise<TestGateway> {
  const { port } = server.address() as AddressInfo
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    overload: { enabled: false } # Clients, servers and the gateway share this process.
${tls === undefined ? '' : '    tls: { certificate: cert.pem, key: key.pem }'}
  admin: { address: 127.0.0.1:0 }
telemetry: { traces: { otlp: "${receiver.url}", sample: 100% } }
upstreams: { app: { targets: ["http://127.0.0.1:${port}"] } }
routes:
  - { name: app, match: { path: /* }, auth: public, websocket: true, upstream: app }
`,
    tls === undefined ? {} : { files: { 'cert.pem': tls.certificate, 'key.pem': tls.key } },
  )
  return gateway
}

async function spans(): Promise<{ readonly server: ReceivedSpan; readonly client: ReceivedSpan }> {
  await until(() => receiver.spans.some(({ kind }) => kind === 'server'), 'no spans came')
  const [server] = receiver.spans.filter(({ kind }) => kind === 'server')
  const [client] = receiver.spans.filter(({ kind }) => kind === 'client')
  if (server === undefined || client === undefined) throw new Error('a span is missing')
  expect(client.parentId).toBe(server.spanId)
  expect(parents).toEqual([`00-${server.traceId}-${client.spanId}-01`])
  return { server, client }
}

describe('a trace', () => {
  test('of a request over HTTP/2 is like any other', async () => {
    const { port } = await open(createAuthority().server(['gateway.test']))
    const client = await openHttp2(port)
    expect((await client.ask({ path: '/a?b=c' })).body).toBe('ok')
    client.close()
    const { server: span } = await spans()
    expect(span.name).toBe('GET /*')
    expect(span.attributes).toMatchObject({ 'network.protocol.version': '2', 'url.scheme': 'https', 'url.path': '/a' })
  })

  test('of a WebSocket is told when it is closed', async () => {
    const { port } = await open()
    const socket = await openWebSocket(port, handshake('/socket'))
    await until(() => parents.length === 1)
    expect(receiver.spans).toEqual([])
    socket.close()
    const { server: span, client } = await spans()
    expect([span.name, span.attributes['http.response.status_code']]).toEqual(['GET /*', 101])
    expect([client.attributes['http.response.status_code'], client.isError]).toEqual([101, false])
    expect(client.endNano <= span.endNano).toBe(true)
  })

  test('says that an answer was cut', async () => {
    const { url } = await open()
    await expect(fetch(`${url}/cut`).then((answer) => answer.text())).rejects.toThrow()
    const { server: span, client } = await spans()
    expect([client.isError, client.attributes['error.type'], client.attributes['http.response.status_code']]).toEqual([
      true,
      'upstream_unreachable',
      200,
    ])
    expect(span.attributes['gatehouse.aborted']).toBe('true')
  })

  test('says that a client went away', async () => {
    const { port } = await open()
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /silent HTTP/1.1\r\nhost: a\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
    const { server: span, client } = await spans()
    expect([client.isError, client.attributes['error.type']]).toEqual([true, 'aborted'])
    expect([span.isError, span.attributes['gatehouse.aborted']]).toEqual([false, 'true'])
  })
})
