/** What a receiver of traces is told of a request, and what it is not. */
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bearer, login, SERVICE_ROUTES, startGateway, type GatewayOptions, type TestGateway } from '../support/gateway.ts'
import { startReceiver, type ReceivedSpan, type Receiver } from '../support/otlp.ts'
import { sendRaw } from '../support/raw.ts'
import { freePort } from '../support/ports.ts'
import { startServer, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const REMOTE = '0af7651916cd43dd8448eb211c80319c'
const REMOTE_SPAN = 'b7ad6b7169203331'
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/

let receiver: Receiver
let app: TestServer
let gateway: TestGateway | undefined
/** Headers of the requests that the upstream saw. */
const asked: IncomingMessage['headers'][] = []

beforeEach(async () => {
  receiver = await startReceiver()
  app = await startServer('app')
  asked.length = 0
  app.setReply((req, res) => {
    asked.push(req.headers)
    res.end('app')
  })
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await receiver.close()
  await app.kill()
})

interface Wanted {
  readonly traces?: string
  readonly targets?: readonly string[]
  readonly trusted?: boolean
  readonly more?: string
}

function configOf({ traces = 'sample: 100%', targets = [app.url], trusted = false, more = '' }: Wanted): string {
  const proxies = trusted ? '\n    trustedProxies: [127.0.0.0/8]' : ''
  const tracing = traces === 'none' ? '' : `telemetry: { traces: { otlp: "${receiver.url}", ${traces} } }`
  return `listeners:
  public:
    {{public}}${proxies}
    overload: { enabled: false } # Clients, servers and the gateway share this process.
  admin: { address: 127.0.0.1:0 }
${tracing}
upstreams:
  app: { targets: [${targets.map((url) => `"${url}"`).join(', ')}], retries: { attempts: 1, on: [connect, "503"] } }
routes:${SERVICE_ROUTES}
  - { name: open, match: { path: /open/* }, auth: public, upstream: app }
  - { name: closed, match: { path: /closed/* }, auth: required, upstream: app }
  - { name: paced, match: { path: /paced }, auth: public, upstream: app, rateLimit: { requests: 1, per: 1h, by: ip } }
${more}`
}

async function open(wanted: Wanted = {}, options: GatewayOptions = {}): Promise<TestGateway> {
  gateway = await startGateway(configOf(wanted), options)
  return gateway
}

/** Waits for the spans of so many requests. */
async function spansOf(requests: number): Promise<readonly ReceivedSpan[]> {
  await until(() => receiver.spans.filter(({ kind }) => kind === 'server').length >= requests, 'no spans came')
  return receiver.spans
}

function serverSpan(spans: readonly ReceivedSpan[]): ReceivedSpan {
  const [span] = spans.filter(({ kind }) => kind === 'server')
  if (span === undefined) throw new Error('there is no span of a server')
  return span
}

async function metricOf(name: string): Promise<number> {
  const text = await (await fetch(`${gateway?.adminUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.split(' ').at(-1))
}

describe('beside the share', () => {
  const NONE = 'sample: 0%, keep: { errors: true, slowerThan: 1s }'

  test('requests that end in an error are kept, whole, and good ones are not', async () => {
    const { url } = await open({ traces: NONE })
    expect((await fetch(`${url}/open/good`)).status).toBe(200)
    expect((await fetch(`${url}/closed/nobody`)).status).toBe(401)
    app.setReply((_, res) => void res.writeHead(500).end('oh'))
    const failed = await fetch(`${url}/open/bad`)
    expect(failed.status).toBe(500)
    const spans = await spansOf(1)
    expect(spans.map(({ name, isError }) => [name, isError])).toEqual([
      ['authenticate', false],
      ['GET app', true],
      ['GET /open/*', true],
    ])
    expect(serverSpan(spans).traceId).toBe(String(failed.headers.get('x-request-id')).replaceAll('-', ''))
    // The upstream is not asked to record what may be thrown away.
    expect(asked.map(({ traceparent }) => TRACEPARENT.exec(String(traceparent))?.[3])).toEqual(['00'])
  })

  test('requests that were sent again because of a failure are kept, though their answer is good', async () => {
    const { url } = await open({ traces: NONE, targets: [`http://127.0.0.1:${await freePort()}`, app.url] })
    await until(async () => {
      await (await fetch(`${url}/open/again`)).text()
      return receiver.spans.some(({ kind }) => kind === 'server')
    })
    const { traceId, name, isError } = serverSpan(await spansOf(1))
    expect([name, isError]).toEqual(['GET /open/*', false])
    const sent = receiver.spans.filter((span) => span.kind === 'client' && span.traceId === traceId)
    expect(sent.map((span) => span.isError)).toEqual([true, false])
  })

  test('slow requests are kept, and a client that goes away is no error', async () => {
    const { url } = await open({ traces: NONE })
    app.setReply((req, res) => void setTimeout(() => res.end('app'), req.url === '/open/slow' ? 1200 : 10))
    await fetch(`${url}/open/gone`, { signal: AbortSignal.timeout(5) }).catch(() => undefined)
    expect((await fetch(`${url}/open/quick`)).status).toBe(200)
    expect((await fetch(`${url}/open/slow`)).status).toBe(200)
    const spans = await spansOf(1)
    expect(spans.filter(({ kind }) => kind === 'server').map(({ attributes }) => attributes['url.path'])).toEqual(['/open/slow'])
  })

  test('none is kept for being slow where that was not asked for', async () => {
    const { url } = await open({ traces: 'sample: 0%, keep: { errors: true }' })
    app.setReply((req, res) => void setTimeout(() => res.writeHead(req.url === '/open/bad' ? 500 : 200).end(), 50))
    expect((await fetch(`${url}/open/slow`)).status).toBe(200)
    expect((await fetch(`${url}/open/bad`)).status).toBe(500)
    expect(serverSpan(await spansOf(1)).attributes['url.path']).toBe('/open/bad')
  })
})

describe('a request that is recorded', () => {
  test('is a span of a server, with one for each step and for the request to the upstream below it', async () => {
    const { url } = await open()
    const { access_token } = await login(url)
    await spansOf(2)
    receiver.spans.length = 0
    const answer = await fetch(`${url}/closed/orders?token=hidden`, { headers: bearer(access_token) })
    expect([answer.status, await answer.text()]).toEqual([200, 'app'])
    const spans = await spansOf(1)
    const server = serverSpan(spans)
    expect({ ...server, startNano: 0n, endNano: 0n }).toEqual({
      traceId: String(answer.headers.get('x-request-id')).replaceAll('-', ''),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
      parentId: '',
      state: '',
      name: 'GET /closed/*',
      kind: 'server',
      startNano: 0n,
      endNano: 0n,
      attributes: {
        'http.request.method': 'GET',
        'url.scheme': 'http',
        'url.path': '/closed/orders',
        'network.protocol.version': '1.1',
        'server.address': '127.0.0.1',
        'http.response.status_code': 200,
        'http.route': '/closed/*',
        'gatehouse.route': 'closed',
        'gatehouse.tenant': 'default',
        'gatehouse.upstream': 'app',
        'gatehouse.request_id': answer.headers.get('x-request-id'),
      },
      events: ['routed', 'permitted'],
      isError: false,
      isParentRemote: false,
      resource: { 'service.name': 'gatehouse', 'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/) },
    })
    const children = spans.filter(({ kind }) => kind !== 'server')
    expect(children.map(({ name, kind, attributes }) => [name, kind, attributes])).toEqual([
      ['authenticate', 'internal', { 'gatehouse.issuer': 'gateway' }],
      ['revocation', 'internal', { 'gatehouse.revocation': 'checked' }],
      [
        'GET app',
        'client',
        {
          'http.request.method': 'GET',
          'url.full': `${app.url}/closed/orders`,
          'server.address': '127.0.0.1',
          'server.port': app.port,
          'gatehouse.upstream': 'app',
          'http.response.status_code': 200,
        },
      ],
    ])
    for (const child of children) {
      expect([child.traceId, child.parentId]).toEqual([server.traceId, server.spanId])
      expect(child.startNano >= server.startNano && child.endNano <= server.endNano && child.startNano <= child.endNano).toBe(
        true,
      )
    }
    const client = children.find(({ kind }) => kind === 'client')
    expect(asked.map(({ traceparent, tracestate }) => [traceparent, tracestate])).toEqual([
      [`00-${server.traceId}-${client?.spanId}-01`, undefined],
    ])
    const now = BigInt(Date.now()) * 1_000_000n
    expect(now - server.endNano < 60_000_000_000n).toBe(true)
  })

  test('of a built-in service has a span of that, and none of its body, tokens or user', async () => {
    const { url } = await open()
    const tokens = await login(url)
    const spans = await spansOf(2)
    const names = spans.map(({ name }) => name)
    expect(names).toContain('POST /auth/login')
    expect(names).toContain('accounts.login')
    const told = receiver.exports.map(({ body }) => body.toString('latin1')).join('')
    for (const secret of [tokens.access_token, tokens.refresh_token, tokens.session_id, tokens.email, tokens.password])
      expect(told.includes(secret)).toBe(false)
  })

  test('says why it was refused, and where', async () => {
    const { url } = await open()
    const answer = await fetch(`${url}/closed/orders`, { headers: bearer('no-token') })
    expect(answer.status).toBe(401)
    await fetch(`${url}/nowhere`)
    const spans = await spansOf(2)
    const [closed, nowhere] = spans.filter(({ kind }) => kind === 'server')
    expect([closed?.name, closed?.attributes['error.type'], closed?.isError]).toEqual(['GET /closed/*', 'invalid_token', false])
    expect([nowhere?.name, nowhere?.attributes['error.type'], nowhere?.events]).toEqual(['GET', 'no_route', []])
    const steps = spans.filter(({ kind }) => kind === 'internal')
    expect(steps.map(({ name, isError, attributes }) => [name, isError, attributes])).toEqual([
      ['authenticate', true, { 'error.type': 'invalid_token' }],
    ])
    expect(asked).toEqual([])
  })

  test('names each request to an upstream, those that were in vain too', async () => {
    const dead = await freePort()
    const { url } = await open({ targets: [`http://127.0.0.1:${dead}`, app.url] })
    await fetch(`${url}/open/a`)
    await fetch(`${url}/open/b`)
    const spans = await spansOf(2)
    const attempts = spans.filter(({ kind }) => kind === 'client')
    expect(
      attempts.map(({ attributes }) => [
        attributes['server.port'],
        attributes['error.type'],
        attributes['http.request.resend_count'],
      ]),
    ).toEqual(
      expect.arrayContaining([
        [dead, 'upstream_unreachable', undefined],
        [app.port, undefined, 1],
      ]),
    )
    const sent = asked.map(({ traceparent }) => TRACEPARENT.exec(String(traceparent))?.[2])
    expect(sent.every((id) => attempts.some(({ spanId }) => spanId === id))).toBe(true)
  })

  test('is in error where the answer is ours and 5xx', async () => {
    const { url } = await open({ targets: [`http://127.0.0.1:${await freePort()}`] })
    expect((await fetch(`${url}/open/a`)).status).toBe(502)
    const server = serverSpan(await spansOf(1))
    expect([server.isError, server.attributes['error.type'], server.attributes['http.response.status_code']]).toEqual([
      true,
      'upstream_unreachable',
      502,
    ])
  })

  test('notes a rate limit only where the route has one', async () => {
    const { url } = await open()
    await fetch(`${url}/paced`)
    expect((await fetch(`${url}/paced`)).status).toBe(429)
    const spans = await spansOf(2)
    expect(spans.filter(({ name }) => name === 'quota').map(({ attributes }) => attributes['error.type'])).toEqual([
      undefined,
      'rate_limited',
    ])
  })

  test('names people where it is asked for', async () => {
    const { url } = await open({ traces: 'sample: 100%, include: [client, user, session, userAgent]' })
    const { access_token, session_id } = await login(url)
    await spansOf(2)
    receiver.spans.length = 0
    await fetch(`${url}/closed/a`, { headers: { ...bearer(access_token), 'user-agent': 'test/1' } })
    const { attributes } = serverSpan(await spansOf(1))
    expect(attributes).toMatchObject({ 'client.address': '127.0.0.1', 'user_agent.original': 'test/1', 'session.id': session_id })
    expect(attributes['user.id']).toMatch(/\w/)
  })

  test('counts other methods as one', async () => {
    const { port } = await open()
    await sendRaw(port, 'PROPFIND /open/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    const server = serverSpan(await spansOf(1))
    expect([server.name, server.attributes['http.request.method']]).toEqual(['HTTP /open/*', '_OTHER'])
  })
})

describe('the trace of another', () => {
  const given = { traceparent: `00-${REMOTE}-${REMOTE_SPAN}-01`, tracestate: 'vendor=a, other=b' }

  test('goes on when a trusted proxy brings it', async () => {
    const { url } = await open({ trusted: true, traces: 'sample: 0%' })
    await fetch(`${url}/open/a`, { headers: given })
    const server = serverSpan(await spansOf(1))
    expect([server.traceId, server.parentId, server.isParentRemote, server.state]).toEqual([
      REMOTE,
      REMOTE_SPAN,
      true,
      'vendor=a,other=b',
    ])
    expect(asked[0]?.['tracestate']).toBe('vendor=a,other=b')
    expect(TRACEPARENT.exec(String(asked[0]?.['traceparent']))?.slice(1, 4)).toEqual([
      REMOTE,
      expect.not.stringContaining(REMOTE_SPAN),
      '01',
    ])
  })

  test('is not recorded when the trusted proxy does not record it', async () => {
    const { url } = await open({ trusted: true })
    await fetch(`${url}/open/a`, { headers: { ...given, traceparent: `00-${REMOTE}-${REMOTE_SPAN}-00` } })
    await fetch(`${url}/open/b`)
    const spans = await spansOf(1)
    expect(spans.map(({ traceId }) => traceId)).not.toContain(REMOTE)
    expect([asked[0]?.['traceparent'], asked[0]?.['tracestate']]).toEqual([`00-${REMOTE}-${REMOTE_SPAN}-00`, 'vendor=a,other=b'])
  })

  test('is not believed of anybody else', async () => {
    const { url } = await open()
    const answer = await fetch(`${url}/open/a`, { headers: given })
    const server = serverSpan(await spansOf(1))
    expect(server.traceId).toBe(String(answer.headers.get('x-request-id')).replaceAll('-', ''))
    expect([server.parentId, server.state]).toEqual(['', ''])
    expect(asked[0]?.['tracestate']).toBeUndefined()
  })
})

describe('what is sampled', () => {
  test('is told to the upstream either way', async () => {
    const { url } = await open({ traces: 'sample: 50%' })
    for (let sent = 0; sent < 40; sent += 1) await fetch(`${url}/open/a`)
    const flags = asked.map(({ traceparent }) => TRACEPARENT.exec(String(traceparent))?.[3])
    expect(new Set(flags)).toEqual(new Set(['00', '01']))
    await gateway?.close()
    gateway = undefined
    const recorded = receiver.spans.filter(({ kind }) => kind === 'server').map(({ traceId }) => traceId)
    const said = asked.flatMap(({ traceparent }) =>
      String(traceparent).endsWith('-01') ? [String(traceparent).slice(3, 35)] : [],
    )
    expect(recorded.toSorted()).toEqual(said.toSorted())
  })
})

describe('a receiver', () => {
  test('gets the headers of the configuration at its path, and what the resource is to be called', async () => {
    await open(
      {
        traces:
          'sample: 100%, serviceName: edge, resource: { deployment.environment.name: test }, headers: { x-key: { env: KEY } }',
      },
      { environment: { KEY: 'a secret of the receiver' } },
    )
    await fetch(`${gateway?.url}/open/a`)
    const server = serverSpan(await spansOf(1))
    expect(server.resource).toMatchObject({ 'service.name': 'edge', 'deployment.environment.name': 'test' })
    expect(receiver.exports.map(({ path, headers }) => [path, headers['x-key'], headers['content-type']])[0]).toEqual([
      '/v1/traces',
      'a secret of the receiver',
      'application/x-protobuf',
    ])
    const shown = await (await fetch(`${gateway?.adminUrl}/config`)).text()
    expect(shown.includes('a secret of the receiver')).toBe(false)
  })

  test('that takes nothing is said once, is counted, and costs no request', async () => {
    receiver.answer = 400
    const { url, lines } = await open()
    for (let sent = 0; sent < 3; sent += 1) expect((await fetch(`${url}/open/a`)).status).toBe(200)
    await until(async () => (await metricOf('gatehouse_trace_spans_total{result="failed"}')) > 0)
    await fetch(`${url}/open/a`)
    await until(async () => (await metricOf('gatehouse_trace_spans_total{result="failed"}')) >= 12)
    receiver.answer = 200
    await fetch(`${url}/open/a`)
    await spansOf(1)
    await until(async () => (await metricOf('gatehouse_trace_spans_total{result="exported"}')) === 3)
    gateway?.gateway.log.info('flush')
    await until(() => lines().some(({ msg }) => msg === 'traces are taken again'))
    expect(lines().filter(({ msg }) => String(msg).startsWith('traces are not taken')).length).toBe(1)
  })

  test('that does not answer holds up neither requests nor the end', async () => {
    receiver.answer = 'hang'
    const { url } = await open()
    for (let sent = 0; sent < 5; sent += 1) expect((await fetch(`${url}/open/a`)).status).toBe(200)
    await until(() => receiver.exports.length === 1)
    const startedMs = performance.now()
    await gateway?.close()
    gateway = undefined
    // Two seconds, and what a loaded machine takes.
    expect(performance.now() - startedMs).toBeLessThan(15_000)
  })

  test('gets what is left when the gateway stops', async () => {
    const { url } = await open()
    await fetch(`${url}/open/a`)
    await gateway?.close()
    gateway = undefined
    expect(receiver.spans.map(({ name }) => name)).toEqual(['authenticate', 'GET app', 'GET /open/*'])
  })
})

describe('a change of the configuration', () => {
  test('begins traces, changes where they go, and ends them', async () => {
    const running = await open({ traces: 'none' })
    await fetch(`${running.url}/open/a`)
    expect(asked[0]?.['traceparent']).toMatch(TRACEPARENT)
    await running.reload(configOf({}))
    await fetch(`${running.url}/open/b`)
    await spansOf(1)
    const other = await startReceiver()
    try {
      const first = receiver
      receiver = other
      await running.reload(configOf({}))
      await fetch(`${running.url}/open/c`)
      await spansOf(1)
      expect(first.spans.filter(({ kind }) => kind === 'server').length).toBe(1)
      await running.reload(configOf({ traces: 'none' }))
      await fetch(`${running.url}/open/d`)
      await running.close()
      gateway = undefined
      expect(other.spans.filter(({ kind }) => kind === 'server').length).toBe(1)
      receiver = first
    } finally {
      await other.close()
    }
  })
})
