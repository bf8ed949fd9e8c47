/** An upstream of either protocol gives the client the same answer, and is asked the same. */
import { createServer as createHttp1, type IncomingMessage } from 'node:http'
import { createServer as createHttp2, type Http2ServerRequest, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { breakOff, type EitherAnswer } from '../support/http2-upstream.ts'
import { readAnswers, statusCode, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire } from '../support/wire.ts'

type Asked = IncomingMessage | Http2ServerRequest

const PROTOCOLS = ['http1', 'http2'] as const
const gateways: TestGateway[] = []
const stops: (() => void)[] = []
/** What the upstream saw of the last request, by protocol. */
const seen = new Map<string, unknown>()

beforeAll(async () => {
  for (const protocol of PROTOCOLS) {
    const serve = (req: Asked, res: EitherAnswer): void => void answer(protocol, req, res)
    const sessions = new Set<ServerHttp2Session>()
    const server =
      protocol === 'http1' ? createHttp1(serve) : createHttp2(serve).on('session', (session) => void sessions.add(session))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve())
    })
    stops.push(() => {
      for (const session of sessions) session.destroy()
      if ('closeAllConnections' in server) server.closeAllConnections()
      server.close()
    })
    gateways.push(
      await openWire((server.address() as AddressInfo).port, {
        upstream: [`protocol: ${protocol}`, 'timeouts: { response: 1s, idle: 1s }'],
        route: ['responseHeaders: { set: { x-set: ours }, remove: [x-gone] }', 'bodyBytes: 1MiB'],
      }),
    )
  }
})
afterAll(async () => {
  for (const gateway of gateways) await gateway.close()
  for (const stop of stops) stop()
})

async function answer(protocol: string, req: Asked, res: EitherAnswer): Promise<void> {
  const chunks: Buffer[] = []
  const path = (req.url ?? '').split('?')[0]
  if (path === '/early') {
    res.writeHead(413, { 'content-type': 'text/plain' })
    res.end('too much')
    return
  }
  for await (const chunk of req) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  seen.set(protocol, { line: `${req.method} ${req.url}`, fields: plainFields(req.headers), body: body.toString('latin1') })
  switch (path) {
    case '/length':
      res.writeHead(200, { 'content-type': 'text/plain', 'content-length': '5' })
      res.end('hello')
      return
    case '/parts':
      res.writeHead(200, { 'content-type': 'text/plain' })
      res.write('hel')
      res.end('lo')
      return
    case '/echo':
      res.writeHead(201, { 'content-type': 'application/octet-stream' })
      res.end(body)
      return
    case '/none':
      res.writeHead(204)
      res.end()
      return
    case '/same':
      res.writeHead(304, { etag: '"a"' })
      res.end()
      return
    case '/fields':
      res.setHeader('set-cookie', ['a=1', 'b=2; path=/'])
      res.setHeader('vary', ['accept', 'origin'])
      res.setHeader('x-set', 'theirs')
      res.setHeader('x-gone', 'secret')
      res.setHeader('x-empty', '')
      res.setHeader('x-latin', 'gr\u00fcn')
      res.setHeader('x-request-id', 'theirs')
      res.setHeader('proxy-authenticate', 'Basic')
      res.writeHead(418)
      res.end('tea')
      return
    case '/early-hints':
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.writeHead(200)
      res.end('page')
      return
    case '/trailers':
      if (protocol === 'http1') res.setHeader('trailer', 'x-sum')
      res.writeHead(200)
      res.write('sum')
      res.addTrailers({ 'x-sum': 'abc', 'content-type': 'text/html' })
      res.end()
      return
    case '/cut':
      res.writeHead(200, { 'content-length': '100' })
      res.write('some')
      setTimeout(() => breakOff(res), 50)
      return
    case '/cut-unsized':
      res.writeHead(200)
      res.write('some')
      setTimeout(() => breakOff(res), 50)
      return
    case '/gone':
      breakOff(res)
      return
    case '/silent':
      return
    case '/stalls':
      res.writeHead(200)
      res.write('some')
      return
    case '/redirect':
      res.writeHead(302, { location: '/elsewhere' })
      res.end()
      return
    default:
      res.writeHead(200)
      res.end()
  }
}

/** Without what is of the connection, of the request, or of the version. */
function plainFields(headers: Readonly<Record<string, unknown>>): unknown {
  const { connection: _, 'x-request-id': __, traceparent: ___, 'transfer-encoding': ____, ...rest } = headers
  const fields = Object.entries(rest).map(([name, value]) => [name === 'host' ? ':authority' : name, value])
  return Object.fromEntries(fields.filter(([name]) => ![':method', ':path', ':scheme'].includes(String(name))))
}

function plain({ start, fields, framing, body, trailers }: Message): unknown {
  const rest = fields.filter(([name]) => !['date', 'x-request-id', 'connection', 'keep-alive'].includes(name))
  return {
    start,
    fields: rest.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    framing,
    body: withoutId(body.toString('latin1')),
    trailers,
  }
}

/** Refusals have the id of their request. */
function withoutId(body: string): string {
  return body.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
}

interface Outcome {
  /** Statuses, and the body of a success or of the upstream's own failure; or `cut`. */
  readonly came: string
  readonly answers: unknown
}

async function ask(gateway: TestGateway, octets: string, method: string): Promise<Outcome> {
  const client = await openClient(gateway.port)
  const read = (): readonly Message[] => readAnswers(client.received(), { methods: [method] }).messages
  client.send(octets)
  await client.until(() => read().some((one) => statusCode(one) >= 200), 8000)
  const messages = read()
  const octetsOfCut = client.received().toString('latin1')
  client.close()
  const last = messages.at(-1)
  if (last === undefined || statusCode(last) < 200) return { came: 'cut', answers: sorted(octetsOfCut) }
  const body = statusCode(last) > 500 ? '' : last.body.toString()
  return { came: [...messages.map(statusCode), body].join(' ').trim(), answers: messages.map(plain) }
}

/** The head with its lines in order, and what came of the body. */
function sorted(octets: string): unknown {
  const [top = '', ...rest] = octets.split('\r\n\r\n')
  const lines = top.split('\r\n').filter((line) => !/^(?:date|x-request-id|keep-alive): /i.test(line))
  return [lines.toSorted(), rest]
}

/** What it is, request line, fields, body, and what the client gets of it: statuses and body. */
const ROWS: readonly (readonly [string, string, readonly string[], string, string])[] = [
  ['a body with its length', 'GET /length', [], '', '200 hello'],
  ['its head alone', 'HEAD /length', [], '', '200'],
  ['a body in parts', 'GET /parts', [], '', '200 hello'],
  ['to HTTP/1.0', 'GET /length', [], '', '200 hello'],
  ['a body that was sent', 'POST /echo?a=1&b', ['content-type: text/plain', 'content-length: 4'], 'body', '201 body'],
  ['a body that was sent in chunks', 'PUT /echo', ['transfer-encoding: chunked'], '2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n', '201 body'],
  ['a body that waited for leave', 'POST /echo', ['expect: 100-continue', 'content-length: 4'], 'body', '100 201 body'],
  ['no body where there could be one', 'POST /any', ['content-length: 0'], '', '200'],
  ['204', 'GET /none', [], '', '204'],
  ['304', 'GET /same', [], '', '304'],
  ['fields', 'GET /fields', ['x-a: 1', 'X-A: 2', 'cookie: a=1; b=2', 'accept: x'], '', '418 tea'],
  ['an interim answer', 'GET /early-hints', [], '', '103 200 page'],
  ['trailers', 'GET /trailers', ['te: trailers'], '', '200 sum'],
  ['a redirect', 'GET /redirect', [], '', '302'],
  ['an answer before the request was read', 'POST /early', ['content-length: 4'], 'body', '413 too much'],
  ['an answer that is cut', 'GET /cut', [], '', 'cut'],
  ['an answer without a length that is cut', 'GET /cut-unsized', [], '', 'cut'],
  ['no answer, and the end', 'GET /gone', [], '', '502'],
  ['no answer', 'GET /silent', [], '', '504'],
  ['an answer that stalls', 'GET /stalls', [], '', 'cut'],
]

describe('over both protocols', () => {
  test.each(ROWS)('%s', async (what, line, fields, body, came) => {
    const [method = 'GET'] = line.split(' ')
    seen.clear()
    const outcomes = []
    for (const gateway of gateways) {
      const octets = head(`${line} HTTP/1.${what === 'to HTTP/1.0' ? 0 : 1}`, ...fields)
      outcomes.push(await ask(gateway, octets + body, method))
    }
    expect(outcomes[1]).toEqual(outcomes[0])
    const [first, second] = [seen.get('http1'), seen.get('http2')]
    expect(withoutPort(second)).toEqual(withoutPort(first))
    expect(outcomes[0]?.came).toBe(came)
  })
})

/** Each upstream has its own port. */
function withoutPort(message: unknown): unknown {
  return message === undefined ? undefined : JSON.parse(JSON.stringify(message).replace(/127\.0\.0\.1:\d+/g, 'HOST'))
}
