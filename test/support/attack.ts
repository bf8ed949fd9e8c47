/** The usual scene of an attack: a gateway with a required, an optional and a public route in front of one recording upstream. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'
import { claims, createSigner, type Json, type Signer } from './foreign.ts'
import { startGateway, type GatewayOptions, type TestGateway } from './gateway.ts'
import { sendRaw } from './raw.ts'

/** A request as the upstream got it. */
export interface Seen {
  readonly method: string
  /** The request target, as received. */
  readonly target: string
  /** Name, value, name, value …, as received. */
  readonly rawHeaders: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

export interface Recorder {
  readonly port: number
  readonly seen: Seen[]
  close(): Promise<void>
}

/** An upstream that writes down every request and answers `200 ok`. */
export async function recordingUpstream(): Promise<Recorder> {
  const seen: Seen[] = []
  const server = createServer({ insecureHTTPParser: true, requireHostHeader: false }, (req, res) => {
    void bodyOf(req).then((body) => {
      seen.push({
        method: req.method ?? '',
        target: req.url ?? '',
        rawHeaders: req.rawHeaders,
        body,
        trailers: req.rawTrailers,
      })
      res.end('ok')
    })
  })
  server.on('upgrade', (req, socket) => {
    seen.push({ method: `UPGRADE ${req.method}`, target: req.url ?? '', rawHeaders: req.rawHeaders, body: '', trailers: [] })
    socket.end('HTTP/1.1 200 OK\r\nupgrade: websocket\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok')
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer)
  } catch {
    // Broken off: what came is what is recorded.
  }
  return Buffer.concat(chunks).toString('latin1')
}

export interface Ask {
  /** Default GET. */
  readonly method?: string
  /** The request target, octet by octet (latin1). */
  readonly target: string
  /** Default `gateway.test`; undefined leaves the field out. */
  readonly host?: string | undefined
  readonly token?: string | undefined
  /** Whole header lines, octet by octet (latin1), without line ends. */
  readonly lines?: readonly string[]
  /** Sent with its length. */
  readonly body?: string
  /** Sent as it is, after the empty line; the lines say the framing. */
  readonly rawBody?: string
}

export interface Answered {
  readonly status: number
  /** Lower-case name → values. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
  readonly raw: string
  json(): Record<string, unknown>
}

/** One request on a connection of its own, written octet by octet. */
export async function ask(
  port: number,
  { method = 'GET', target, token, lines = [], body, rawBody, ...rest }: Ask,
): Promise<Answered> {
  const host = 'host' in rest ? rest.host : 'gateway.test'
  const head = [`${method} ${target} HTTP/1.1`]
  if (host !== undefined) head.push(`Host: ${host}`)
  if (token !== undefined) head.push(`Authorization: Bearer ${token}`)
  head.push(...lines)
  if (!lines.some((line) => /^connection:/i.test(line))) head.push('Connection: close')
  if (body !== undefined) head.push(`Content-Length: ${Buffer.byteLength(body, 'latin1')}`)
  const raw = await sendRaw(port, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body ?? rawBody ?? ''}`, 'latin1'), 8000)
  return readAnswer(raw)
}

export function readAnswer(raw: string): Answered {
  const end = raw.indexOf('\r\n\r\n')
  const [statusLine = '', ...fields] = raw.slice(0, end === -1 ? raw.length : end).split('\r\n')
  const headers = new Map<string, string[]>()
  for (const field of fields) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), field.slice(colon + 1).trim()])
  }
  const body = end === -1 ? '' : raw.slice(end + 4)
  return {
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? 0),
    headers,
    body,
    raw,
    json: () => JSON.parse(Buffer.from(body, 'latin1').toString('utf8')) as Record<string, unknown>,
  }
}

/** All values of a field in a list of name, value, name, value …, compared by folded name. */
export function valuesOf(raw: readonly string[], folded: string): readonly string[] {
  return raw.filter((_, index) => index % 2 === 1 && fold(raw[index - 1] ?? '') === folded)
}

/** Lower case, each non-alphanumeric `-`: as servers make CGI variables of header names. */
export function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}

export interface Scene {
  readonly gateway: TestGateway
  readonly port: number
  readonly upstream: Recorder
  readonly signer: Signer
  /** A good token of the foreign issuer, user `alice` of the tenant `acme`, scope `read`. */
  token(more?: Json, header?: Json): string
  ask(request: Ask): Promise<Answered>
  close(): Promise<void>
}

export interface SceneOptions extends GatewayOptions {
  /** Further routes, as lines of YAML below `routes:`; `$PORT` is the upstream's. */
  readonly routes?: string
  /** Further keys of the file. */
  readonly more?: string
  /** Further tenants, as lines of YAML below `tenants:`. */
  readonly tenants?: string
  /** Further issuers, as lines of YAML below `issuers:`. */
  readonly issuers?: string
  /** Further upstreams, as lines of YAML below `upstreams:`. */
  readonly upstreams?: string
  /** Further keys of the public listener, as lines of YAML. */
  readonly listener?: string
  /** The admin listener's keys; default a free port on loopback, without a token. */
  readonly admin?: string
}

export const FOREIGN = 'https://foreign.test/'

export async function openScene(options: SceneOptions = {}): Promise<Scene> {
  const upstream = await recordingUpstream()
  const signer = createSigner('ES256', 'foreign-1')
  const yaml = sceneYaml(options).replaceAll('$PORT', String(upstream.port))
  const files = { 'foreign.json': JSON.stringify({ keys: [signer.jwk] }), ...options.files }
  const gateway = await startGateway(yaml, { ...options, files }).catch(async (error: unknown) => {
    await upstream.close()
    throw error
  })
  return {
    gateway,
    port: gateway.port,
    upstream,
    signer,
    token: (more, header) => signer.token(claims(FOREIGN, more), header),
    ask: (request) => ask(gateway.port, request),
    async close() {
      await gateway.close()
      await upstream.close()
    },
  }
}

function sceneYaml({
  routes = '',
  more = '',
  tenants = '',
  issuers = '',
  upstreams = '',
  listener = '',
  admin = 'address: 127.0.0.1:0',
}: SceneOptions): string {
  return `listeners:
  public:
    {{public}}
${listener}
  admin: { ${admin} }
tenants:
  default: { signing: ES256 }
  acme: { signing: ES256, hosts: [acme.test] }
${tenants}
issuers:
  foreign:
    issuer: ${FOREIGN}
    tenant: acme
    audiences: [api]
    algorithms: [ES256]
    jwks: { file: foreign.json }
    clockSkew: 0s
${issuers}
upstreams:
  recorder: { targets: ["http://127.0.0.1:$PORT"] }
${upstreams}
routes:
  - { name: admin, match: { path: /admin/* }, auth: required, upstream: recorder }
  - { name: public, match: { path: /public/* }, auth: public, upstream: recorder, websocket: true }
  - { name: optional, match: { path: /optional/* }, auth: optional, upstream: recorder }
  - { name: api, match: { path: /api/* }, auth: public, stripPrefix: /api, upstream: recorder }
${routes}
${more}`
}

/** The access line of a request, once it is written; everything before it is written then too. */
export async function lineOf(gateway: TestGateway, answer: Answered): Promise<Record<string, unknown>> {
  const id = answer.headers.get('x-request-id')?.[0]
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const line = gateway.lines().find((one) => one['request_id'] === id)
    if (line !== undefined) return line
    await setTimeout(10)
  }
  throw new Error(`no line for the request ${id}`)
}

/** What may come back where nothing may pass. */
export const REFUSED: ReadonlySet<number> = new Set([400, 401, 404])

/**
 * No pass: refused, and the upstream saw nothing that any backend could read as the protected path.
 */
export function expectNoPass(answer: Answered, upstream: Recorder): void {
  expect({
    refused: REFUSED.has(answer.status),
    status: answer.status,
    upstream: upstream.seen.map(({ method, target }) => `${method} ${target}`),
  }).toEqual({
    refused: true,
    status: answer.status,
    upstream: [],
  })
}
