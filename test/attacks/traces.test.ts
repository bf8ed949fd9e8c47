/** Attacks by way of traces: what a client can put into them, and what a receiver can do. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'
import { startReceiver, type ReceivedSpan, type Receiver } from '../support/otlp.ts'
import { until } from '../support/until.ts'

const FORGED = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const TOKEN = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'

let receiver: Receiver
let scene: Scene | undefined

beforeEach(async () => {
  receiver = await startReceiver()
})
afterEach(async () => {
  await scene?.close()
  scene = undefined
  await receiver.close()
})

async function open(traces = '', listener = ''): Promise<Scene> {
  scene = await openScene({
    listener,
    more: `telemetry: { traces: { otlp: "${receiver.url}", sample: 100%${traces} } }`,
  })
  return scene
}

async function serverSpans(count: number): Promise<readonly ReceivedSpan[]> {
  await until(() => receiver.spans.filter(({ kind }) => kind === 'server').length >= count, 'no spans came')
  return receiver.spans.filter(({ kind }) => kind === 'server')
}

const told = (): string => receiver.exports.map(({ body }) => body.toString('latin1')).join('')

describe('a client', () => {
  test.each([
    ['traceparent', [`traceparent: 00-${FORGED.trace}-${FORGED.span}-01`]],
    ['traceparent in another spelling', [`TraceParent: 00-${FORGED.trace}-${FORGED.span}-01`, 'TraceState: a=1']],
    ['traceparent that two spellings could mean', [`trace_parent: 00-${FORGED.trace}-${FORGED.span}-01`]],
    ['tracestate alone', ['tracestate: vendor=forged']],
  ])('cannot join a trace of others by %s', async (_, headers) => {
    const { ask, upstream } = await open()
    await ask({ target: '/public/a', lines: headers })
    const [span] = await serverSpans(1)
    expect([span?.traceId === FORGED.trace, span?.parentId, span?.state]).toEqual([false, '', ''])
    const raw = upstream.seen.at(-1)?.rawHeaders ?? []
    expect(valuesOf(raw, 'traceparent')).toEqual([expect.stringMatching(`^00-${span?.traceId}-[0-9a-f]{16}-01$`)])
    expect(valuesOf(raw, 'tracestate')).toEqual([])
  })

  test('cannot choose the name of a span, and so make as many as it likes', async () => {
    const { ask } = await open()
    for (const [method, target] of [
      ['GET', '/public/1'],
      ['GET', '/public/2'],
      ['FORGED', '/public/3'],
      ['GET', '/nowhere-1'],
      ['GET', '/nowhere-2'],
    ] as const)
      await ask({ method, target })
    const names = (await serverSpans(4)).map(({ name }) => name)
    for (const name of names) expect(name).not.toMatch(/[123]|FORGED/)
  })

  test('finds no token, password or query in spans, wherever it put them', async () => {
    const { ask } = await open(', include: [client, user, session, userAgent]')
    await ask({
      target: `/public/${TOKEN}?access_token=${TOKEN}&password=hidden-1`,
      lines: [`authorization: Bearer ${TOKEN}`, 'cookie: session=hidden-2', `user-agent: curl Bearer hidden-3 ${TOKEN}`],
    })
    await ask({ target: '/public/a', lines: ['x-request-id: hidden-4'] })
    await serverSpans(2)
    expect(told()).not.toMatch(/hidden-\d|eyJzdWIi|access_token/)
  })

  test('cannot make a trusted proxy’s state longer than it may be', async () => {
    const { ask, upstream } = await open('', '    trustedProxies: [127.0.0.0/8]')
    const state = Array.from({ length: 40 }, (_, index) => `v${index}=1`).join(',')
    await ask({ target: '/public/a', lines: [`traceparent: 00-${FORGED.trace}-${FORGED.span}-01`, `tracestate: ${state}`] })
    const [span] = await serverSpans(1)
    expect([span?.traceId, span?.state]).toEqual([FORGED.trace, ''])
    expect(valuesOf(upstream.seen.at(-1)?.rawHeaders ?? [], 'tracestate')).toEqual([])
  })

  test('is answered while a flood of spans finds no room', async () => {
    receiver.answer = 'hang'
    const { ask, port, gateway } = await open('', '    overload: { enabled: false }')
    for (let round = 0; round < 8; round += 1)
      await Promise.all(Array.from({ length: 250 }, () => fetch(`http://127.0.0.1:${port}/public/a`).then((one) => one.text())))
    expect((await ask({ target: '/public/a' })).status).toBe(200)
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(Number(/^gatehouse_trace_spans_total\{result="dropped"\} (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0)
  })
})

describe('a receiver', () => {
  let hostile: Server
  let asked: string[] = []

  beforeEach(async () => {
    asked = []
    hostile = createServer((req, res) => {
      asked.push(`${req.headers.host} ${req.url}`)
      req.resume()
      if (req.url === '/redirect/v1/traces') res.writeHead(307, { location: `${receiver.url}/stolen` }).end()
      else if (req.url === '/endless/v1/traces') {
        const write = (): void => void (res.destroyed || res.write(Buffer.alloc(65536), () => setImmediate(write)))
        res.writeHead(200)
        write()
      } else res.writeHead(500, { 'content-type': 'text/plain' }).end('Bearer hidden-of-the-receiver')
    })
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve))
  })
  afterEach(async () => {
    hostile.closeAllConnections()
    await new Promise((resolve) => hostile.close(resolve))
  })

  test.each(['redirect', 'endless', 'failing'])('that is %s gets nothing more, and hurts no request', async (kind) => {
    const { port } = hostile.address() as AddressInfo
    scene = await openScene({ more: `telemetry: { traces: { otlp: "http://127.0.0.1:${port}/${kind}", sample: 100% } }` })
    expect((await scene.ask({ target: '/public/a' })).status).toBe(200)
    const { adminUrl } = scene.gateway
    await until(async () => /spans_total\{result="failed"\} [1-9]/.test(await (await fetch(`${adminUrl}/metrics`)).text()))
    expect((await scene.ask({ target: '/public/a' })).status).toBe(200)
    expect(asked.every((one) => one.endsWith(`/${kind}/v1/traces`))).toBe(true)
    expect(receiver.exports).toEqual([])
    expect(scene.gateway.log()).not.toContain('hidden-of-the-receiver')
  })
})
