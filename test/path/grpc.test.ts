/** gRPC end to end: a client of HTTP/2 over TLS, the gateway, and a server of HTTP/2 without it. */
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { claims, compact, hs } from '../support/foreign.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { grpcClient, grpcUpstream, type GrpcUpstream, type OctetsClient } from '../support/grpc.ts'
import { until } from '../support/until.ts'

const SECRET = 'a secret of thirty-two characters'
const { certificate, key } = selfSigned('DNS:localhost')
let upstream: GrpcUpstream
let gateway: TestGateway
let client: OctetsClient

beforeAll(async () => {
  upstream = await grpcUpstream()
  gateway = await startGateway(
    `listeners:
  public:
    address: 127.0.0.1:0
    origin: https://localhost
    tls: { certificate: cert.pem, key: key.pem }
  admin: { address: 127.0.0.1:0 }
issuers:
  other:
    issuer: https://other.example
    tenant: default
    audiences: any
    algorithms: [HS256]
    secrets: [{ env: SECRET }]
upstreams:
  octets: { targets: ['http://127.0.0.1:${upstream.port}'], protocol: http2 }
  nobody: { targets: ['http://127.0.0.1:1'], protocol: http2 }
  half: { targets: ['http://127.0.0.1:1', 'http://127.0.0.1:${upstream.port}'], protocol: http2, retries: {} }
routes:
  - { name: octets, match: { path: /test.Octets/* }, auth: public, upstream: octets }
  - { name: private, match: { path: /test.Octets/Echo, headers: { x-who: user } }, auth: required, upstream: octets }
  - { name: scoped, match: { path: /test.Octets/Echo, headers: { x-who: admin } }, auth: required, scopes: [admin], upstream: octets }
  - { name: nobody, match: { path: /test.Octets/Echo, headers: { x-who: nobody } }, auth: public, upstream: nobody }
  - { name: half, match: { path: /test.Octets/Echo, headers: { x-who: half } }, auth: public, upstream: half }
  - { name: small, match: { path: /test.Octets/Echo, headers: { x-who: small } }, auth: public, upstream: octets, bodyBytes: 1KiB }`,
    { environment: { SECRET }, files: { 'cert.pem': certificate, 'key.pem': key } },
  )
  client = grpcClient(gateway.port, certificate)
})
afterAll(async () => {
  client.close()
  await gateway.close()
  upstream.close()
})

function token(scope: string): string {
  return compact({ alg: 'HS256', typ: 'JWT' }, claims('https://other.example', { scope }), hs('HS256', SECRET))
}

describe('calls', () => {
  test('of one message: metadata, message and status both ways', async () => {
    const { outcome } = client.unary('echo', Buffer.from('hello'), { 'x-mine': 'a', 'x-mine-bin': Buffer.from([1, 254]) })
    expect(await outcome).toMatchObject({
      messages: [Buffer.from('hello')],
      code: status.OK,
      head: { 'x-initial': 'first', 'x-octets-bin': Buffer.from([0, 255]) },
      tail: { 'x-final': 'last' },
    })
    expect(upstream.metadata()).toMatchObject({ 'x-mine': 'a', 'x-mine-bin': Buffer.from([1, 254]) })
  })

  test('that are answered by a stream', async () => {
    const message = Buffer.alloc(4)
    message.writeUInt32BE(500)
    const numbers: number[] = []
    for await (const one of client.stream('count', message)) numbers.push((one as Buffer).readUInt32BE(0))
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, index) => index))
  })

  test('that are a stream themselves', async () => {
    const { messages, code } = await client.sum(Array.from({ length: 200 }, () => Buffer.alloc(4096)))
    expect([messages.map(String), code]).toEqual([[String(200 * 4096)], status.OK])
  })

  test('with a stream each way, one message at a time', async () => {
    const chat = client.chat()
    const heard: string[] = []
    const over = new Promise<number>((resolve) => {
      chat.on('status', ({ code }) => resolve(code))
    })
    chat.on('data', (message: Buffer) => {
      heard.push(message.toString())
      if (heard.length < 20) chat.write(Buffer.from(String(heard.length)))
      else chat.end()
    })
    chat.write(Buffer.from('0'))
    expect(await over).toBe(status.OK)
    expect(heard).toEqual(Array.from({ length: 20 }, (_, index) => `re: ${index}`))
  })

  test('with messages of 3 MiB, many times larger than any window', async () => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'x')
    const { messages, code } = await client.unary('echo', large).outcome
    expect([messages[0]?.equals(large), code]).toEqual([true, status.OK])
  })

  test('300 at once', async () => {
    const calls = Array.from({ length: 300 }, (_, index) => client.unary('echo', Buffer.from(String(index))).outcome)
    const outcomes = await Promise.all(calls)
    expect(outcomes.map(({ messages }) => String(messages[0]))).toEqual(outcomes.map((_, index) => String(index)))
  })

  test('that fail: code, message and metadata are those of the server', async () => {
    expect(await client.unary('fail', Buffer.alloc(1)).outcome).toMatchObject({
      code: status.ALREADY_EXISTS,
      details: 'schon da: gr\u00fcn',
      tail: { 'x-reason': 'taken' },
    })
  })

  test('to a target that is not there go to another one', async () => {
    for (let turn = 0; turn < 6; turn += 1) {
      const { messages, code } = await client.unary('echo', Buffer.from(`call ${turn}`), { 'x-who': 'half' }).outcome
      expect([messages.map(String), code]).toEqual([[`call ${turn}`], status.OK])
    }
  })

  test('of what the server does not know', async () => {
    expect(await client.unary('missing', Buffer.alloc(1)).outcome).toMatchObject({ code: status.UNIMPLEMENTED })
  })
})

describe('time', () => {
  test('the deadline is passed on, and when it is over the server is told', async () => {
    const before = upstream.cancelled()
    const { outcome } = client.unary('wait', Buffer.alloc(1), {}, { deadline: Date.now() + 400 })
    expect((await outcome).code).toBe(status.DEADLINE_EXCEEDED)
    expect(upstream.leftMs()).toBeLessThanOrEqual(400)
    await until(() => upstream.cancelled() > before)
  })

  test('whoever cancels a call cancels it at the server', async () => {
    const before = upstream.cancelled()
    upstream.forget()
    const { call, outcome } = client.unary('wait', Buffer.alloc(1))
    await until(() => Object.keys(upstream.metadata()).length > 0)
    call.cancel()
    expect((await outcome).code).toBe(status.CANCELLED)
    await until(() => upstream.cancelled() > before)
  })

  test('a server that drops its connections fails the calls on them', async () => {
    const other = await grpcUpstream()
    const dropping = await gatewayTo(other.port)
    const caller = grpcClient(dropping.port, certificate)
    const { outcome } = caller.unary('wait', Buffer.alloc(1))
    await until(() => Object.keys(other.metadata()).length > 0)
    other.close()
    expect(await outcome).toMatchObject({ code: status.UNAVAILABLE, tail: { 'x-gatehouse-error': 'upstream_unreachable' } })
    caller.close()
    await dropping.close()
  })
})

function gatewayTo(port: number): Promise<TestGateway> {
  return startGateway(
    `listeners:
  public: { address: '127.0.0.1:0', origin: 'https://localhost', tls: { certificate: cert.pem, key: key.pem } }
  admin: { address: 127.0.0.1:0 }
upstreams: { octets: { targets: ['http://127.0.0.1:${port}'], protocol: http2 } }
routes: [{ name: octets, match: { path: /* }, auth: public, upstream: octets }]`,
    { files: { 'cert.pem': certificate, 'key.pem': key } },
  )
}

describe('what the gateway refuses', () => {
  test.each([
    ['no token', { 'x-who': 'user' }, status.UNAUTHENTICATED, 'unauthorized'],
    ['a token that is none', { 'x-who': 'user', authorization: 'Bearer x' }, status.UNAUTHENTICATED, 'invalid_token'],
    ['an upstream that is not there', { 'x-who': 'nobody' }, status.UNAVAILABLE, 'upstream_unreachable'],
    ['too large a message', { 'x-who': 'small' }, status.UNKNOWN, 'payload_too_large'],
  ])('%s has a status of gRPC, and the code of the refusal', async (_, metadata, code, error) => {
    const outcome = await client.unary('echo', Buffer.alloc(2048), { ...metadata }).outcome
    expect(outcome).toMatchObject({ code, messages: [], tail: { 'x-gatehouse-error': error } })
    expect(outcome.details).toMatch(/^[A-Z].*\.$/)
    expect(outcome.tail['x-request-id']).toBeDefined()
  })

  test('a token without the scope, and one with it', async () => {
    const as = (scope: string) => ({ 'x-who': 'admin', authorization: `Bearer ${token(scope)}` })
    expect(await client.unary('echo', Buffer.from('x'), as('read')).outcome).toMatchObject({
      code: status.PERMISSION_DENIED,
      tail: { 'x-gatehouse-error': 'insufficient_scope' },
    })
    expect((await client.unary('echo', Buffer.from('x'), as('admin')).outcome).code).toBe(status.OK)
    expect(upstream.metadata()).toMatchObject({ 'x-user-id': 'alice', 'x-tenant-id': 'default' })
    expect(upstream.metadata()['authorization']).toBeUndefined()
  })

  test('what only calls itself gRPC is refused by the status that everybody counts', async () => {
    const session = connectHttp2(`https://localhost:${gateway.port}`, { ca: certificate })
    const stream = session.request({ ':path': '/test.Octets/Echo', 'content-type': 'application/grpc', 'x-who': 'user' })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers).toMatchObject({ ':status': 401, 'content-type': 'application/problem+json' })
    session.destroy()
  })

  test('a service that no route is for', async () => {
    const { Client, credentials } = await import('@grpc/grpc-js')
    const other = new Client(`localhost:${gateway.port}`, credentials.createSsl(Buffer.from(certificate)))
    const error = await new Promise<{ code?: number } | null>((resolve) => {
      other.makeUnaryRequest(
        '/other.Service/Do',
        (x: Buffer) => x,
        (x: Buffer) => x,
        Buffer.alloc(1),
        resolve,
      )
    })
    expect(error?.code).toBe(status.UNIMPLEMENTED)
    other.close()
  })
})
