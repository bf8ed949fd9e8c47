/**
 * The operator's side door: how the gateway is, what it counts, which routes and which configuration it runs; and what
 * operators change: signing keys, users, the tokens of a tenant.
 *
 * It has a listener of its own and never shares a path, a port or a token with the public one. Off the loopback interface
 * it always has a token; on it without one, it answers only those who name it by a loopback name, so that no web page can
 * reach it by a name of its own (DNS rebinding), and changes something only for those who send a header that no web page
 * can (CSRF).
 *
 * @module
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminListenerConfig } from '../config/config.ts'
import { Problem, describeProblem } from '../problem/problem.ts'
import { readObject, readReason } from './body.ts'
import { createGraphqlPage } from './graphql-page.ts'
import { createGuard } from './guard.ts'
import { findTenantCall } from './tenant-calls.ts'
import type { ChangingCall, TenantCalls } from './tenant-calls.ts'

export type { Act, TenantCalls } from './tenant-calls.ts'

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'starting' | 'draining'
  readonly [fact: string]: unknown
}

export interface AdminNeeds {
  /** Whether requests should be sent here, and what is degraded. */
  readiness(): Readiness
  /** The metrics, as text. */
  scrape(): Promise<{ readonly contentType: string; readonly body: string }>
  /** Anything that JSON can say; without secrets. */
  routes(): unknown
  /** Anything that JSON can say; without secrets. */
  config(): unknown
  /** The OpenAPI document of what the gateway answers itself. */
  openApi(): unknown
  /** What usernames are asked for, without names or persons. */
  usernames(): unknown
  /** GraphQL for operators. Absent: there is no such path. */
  readonly graphql?: OperatorGraphql
  readonly tenants: TenantCalls
  /** Told of faults of ours behind a 500. */
  failed?(cause: unknown): void
  /** Whether no replica of the store is known to have all that was written. Absent: there is none. */
  isUnconfirmed?(): boolean
}

export interface OperatorGraphql {
  /** The schema as text. */
  readonly sdl: string
  /** Answers a request in the name of nobody. @throws Problem */
  ask(body: unknown, tenant: string): Promise<{ readonly status: number; readonly body: unknown }>
}

export interface Admin {
  /** Rejects when the address cannot be had. */
  listen(): Promise<{ readonly host: string; readonly port: number }>
  /** Stops listening and cuts every connection. */
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

type Endpoint = () => Answer | Promise<Answer>

const JSON_TYPE = 'application/json; charset=utf-8'
const READING = 'GET, HEAD'
const UNCONFIRMED = { 'gatehouse-replication': 'unconfirmed' } as const
/** For probes, which carry no token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])
/** Its page carries nothing that the sources of the gateway do not, and asks for the token itself. */
const GRAPHQL = '/graphql'
const NO_PATH = { description: 'The admin listener has no such path.' } as const
const SAFETY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
} as const
/** Operators and their machines, not clients. */
const LIMITS = {
  connections: 128,
  headerBytes: 16 * 1024,
  headersMs: 5000,
  requestMs: 10_000,
  keepAliveMs: 75_000,
  idleMs: 30_000,
} as const

/** Makes the listener; it listens after `listen`. */
export function createAdmin(needs: AdminNeeds, config: AdminListenerConfig): Admin {
  const guard = createGuard(config)
  const endpoints = createEndpoints(needs)
  const server = createLimitedServer((req, res) => void serve(req, res))
  let requests = 0
  return { listen, close }

  function listen(): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: config.host, port: config.port }, () => {
        server.off('error', reject)
        server.on('error', (cause) => needs.failed?.(cause))
        resolve(addressOf(server.address(), config))
      })
    })
  }

  function close(): Promise<void> {
    return new Promise((resolve) => {
      // Called when it was never listening, it reports so; there is nothing left to do either way.
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  /** Never rejects. */
  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    requests += 1
    const requestId = `admin-${requests}`
    // Few of the endpoints take a body, and nothing waits for the rest of one.
    if (hasBody(req)) res.shouldKeepAlive = false
    try {
      write(req, res, await answer(req, requestId))
    } catch (thrown) {
      refuse(req, res, Problem.from(thrown), requestId)
    }
  }

  function answer(req: IncomingMessage, requestId: string): Answer | Promise<Answer> {
    guard.checkHost(req.rawHeaders)
    const path = pathOf(req.url ?? '')
    const isGraphqlPage = path === GRAPHQL && (req.method === 'GET' || req.method === 'HEAD')
    if (!OPEN_PATHS.has(path) && !isGraphqlPage) guard.checkToken(req.rawHeaders)
    if (path === GRAPHQL && req.method === 'POST' && needs.graphql !== undefined) {
      guard.checkChange(req.rawHeaders)
      return askGraphql(req, needs.graphql)
    }
    const call = findTenantCall(needs.tenants, path)
    const endpoint = call?.method === 'GET' ? async () => json(200, await call.run()) : endpoints.get(path)
    if (call?.method === 'POST') {
      if (req.method !== 'POST') throw new Problem('method_not_allowed', { headers: { allow: 'POST' } })
      guard.checkChange(req.rawHeaders)
      return change(req, requestId, call)
    }
    if (endpoint === undefined) throw new Problem('no_route', NO_PATH)
    if (req.method !== 'GET' && req.method !== 'HEAD') throw new Problem('method_not_allowed', { headers: { allow: READING } })
    return endpoint()
  }

  async function askGraphql(req: IncomingMessage, graphql: OperatorGraphql): Promise<Answer> {
    const tenant = new URLSearchParams((req.url ?? '').slice(GRAPHQL.length + 1)).get('tenant') ?? 'default'
    const { status, body } = await graphql.ask(await readObject(req), tenant)
    return json(status, body)
  }

  async function change(req: IncomingMessage, requestId: string, call: ChangingCall): Promise<Answer> {
    const reason = (await readReason(req)) ?? 'operator'
    const answer = json(200, await call.run({ actor: 'admin', reason, ip: req.socket.remoteAddress ?? '', requestId }))
    return needs.isUnconfirmed?.() === true ? { ...answer, headers: UNCONFIRMED } : answer
  }

  function refuse(req: IncomingMessage, res: ServerResponse, problem: Problem, requestId: string): void {
    if (problem.status >= 500) needs.failed?.(problem.facts.cause)
    const { status, headers, body } = describeProblem(problem, requestId)
    res.writeHead(status, { ...SAFETY_HEADERS, ...headers })
    res.end(req.method === 'HEAD' ? undefined : body)
  }
}

function createEndpoints(needs: AdminNeeds): ReadonlyMap<string, Endpoint> {
  return new Map<string, Endpoint>([
    ['/healthz', () => json(200, { status: 'ok' })],
    ['/readyz', () => ready(needs.readiness())],
    ['/metrics', async () => ({ status: 200, ...(await needs.scrape()) })],
    ['/routes', () => json(200, needs.routes())],
    ['/config', () => json(200, needs.config())],
    ['/openapi.json', () => json(200, needs.openApi())],
    ['/usernames/analytics', () => json(200, needs.usernames())],
    ...graphqlPage(needs.graphql),
  ])
}

function graphqlPage(graphql: OperatorGraphql | undefined): readonly (readonly [string, Endpoint])[] {
  if (graphql === undefined) return []
  const { html: body, policy } = createGraphqlPage(graphql.sdl)
  const headers = { 'content-security-policy': policy }
  return [[GRAPHQL, () => ({ status: 200, contentType: 'text/html; charset=utf-8', body, headers })]]
}

function ready(readiness: Readiness): Answer {
  return json(readiness.status === 'ready' || readiness.status === 'degraded' ? 200 : 503, readiness)
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: JSON_TYPE, body: `${JSON.stringify(value ?? null, null, 2)}\n` }
}

function createLimitedServer(serve: (req: IncomingMessage, res: ServerResponse) => void): Server {
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
      connectionsCheckingInterval: 1000,
    },
    serve,
  )
  server.maxConnections = LIMITS.connections
  server.setTimeout(LIMITS.idleMs)
  return server
}

function write(req: IncomingMessage, res: ServerResponse, { status, contentType, body, headers }: Answer): void {
  res.writeHead(status, {
    ...SAFETY_HEADERS,
    ...headers,
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length']
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

function addressOf(address: AddressInfo | string | null, config: AdminListenerConfig): { host: string; port: number } {
  if (address === null || typeof address === 'string') return { host: config.host, port: config.port }
  return { host: address.address, port: address.port }
}
