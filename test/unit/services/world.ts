/** The built-in services on real storage and real keys, with a clock to turn and a count of what hashing costs. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IssuerConfig, TenantConfig } from '../../../src/config/config.ts'
import type { Admitted, Identified, Principal, Route } from '../../../src/exchange/exchange.ts'
import { ANONYMOUS } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import type { Passwords, PasswordsNeeds } from '../../../src/services/accounts/accounts.ts'
import { createAccounts, createPasswords } from '../../../src/services/accounts/accounts.ts'
import { createDiscovery } from '../../../src/services/discovery/discovery.ts'
import { createEcho } from '../../../src/services/echo/echo.ts'
import { createHealth } from '../../../src/services/health/health.ts'
import type { Answer, ServiceIo, Services } from '../../../src/services/services.ts'
import { createServices } from '../../../src/services/services.ts'
import { createSessions } from '../../../src/services/sessions/sessions.ts'
import type { Embedded } from '../../../src/storage/embedded/embedded.ts'
import { openEmbedded } from '../../../src/storage/embedded/embedded.ts'
import type { Tenants } from '../../../src/tenants/tenants.ts'
import { openTenants } from '../../../src/tenants/tenants.ts'

export const NOW = 1_800_000_000
export const ORIGIN = 'http://localhost:8080'

export interface Request {
  readonly service: string
  readonly endpoint: string
  readonly method?: string
  readonly path?: string
  readonly forwardPath?: string
  readonly query?: string
  readonly params?: Readonly<Record<string, string>>
  readonly headers?: readonly string[]
  /** Text and bytes are sent as they are, everything else as JSON. */
  readonly body?: unknown
  readonly contentType?: string
  readonly principal?: Principal
  readonly tenant?: string
  readonly client?: string
  readonly bodyBytes?: number
  readonly forwarded?: readonly string[]
}

export interface World {
  readonly services: Services
  readonly storage: Embedded
  readonly tenants: Tenants
  readonly config: ReadonlyMap<string, TenantConfig>
  readonly clock: { nowSeconds: number; nowMs: number; degraded: boolean }
  /** Runs of the password hash so far. */
  hashRuns(): number
  readonly events: string[]
  /** The answer, or the problem that was thrown. */
  ask(request: Request): Promise<Answer | Problem>
  close(): void
}

export function aTenant(id: string, changes: Partial<TenantConfig> = {}): TenantConfig {
  return {
    id,
    hosts: [],
    issuer: `${ORIGIN}/t/${id}`,
    audience: 'api',
    signing: 'ES256',
    accessToken: { lifetimeSeconds: 900 },
    refreshToken: { lifetimeSeconds: 2_592_000, idleSeconds: 1_209_600 },
    registration: 'open',
    clockSkewSeconds: 2,
    throttle: { loginPerMinute: 20 },
    ...changes,
  }
}

const CORPORATE: IssuerConfig = {
  name: 'corporate',
  issuer: 'https://login.example.com/',
  tenant: 'acme',
  audiences: ['api'],
  algorithms: ['RS256'],
  keys: { kind: 'file', file: '/none' },
  clockSkewSeconds: 30,
  maxLifetimeSeconds: 86_400,
  claims: { user: 'sub', scope: 'scope', session: 'sid', token: 'jti' },
}

/** Stands in for Argon2 where its cost is not what is tested. */
export async function quickly(password: Uint8Array, salt: Uint8Array): Promise<Uint8Array> {
  return createHash('sha256').update(salt).update(password).digest()
}

export async function openWorld(derive: PasswordsNeeds['derive'] = quickly): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-services-'))
  const clock = { nowSeconds: NOW, nowMs: 0, degraded: false }
  const events: string[] = []
  let runs = 0
  const nowSeconds = (): number => clock.nowSeconds
  const config = new Map(
    [
      aTenant('default'),
      aTenant('acme', { hosts: ['acme.localhost'], issuer: 'https://acme.example' }),
      aTenant('closed', { registration: 'closed' }),
    ].map((tenant) => [tenant.id, tenant]),
  )
  const storage = await openEmbedded(
    { nowSeconds },
    { sessions: 'embedded', accounts: 'embedded', directory: join(directory, 'data'), migrate: true },
  )
  const tenants = await openTenants({ store: storage.keys, masterKey: new Uint8Array(32).fill(1), nowSeconds }, config)
  const passwords: Passwords = createPasswords({
    derive: (...values) => {
      runs++
      return derive(...values)
    },
    randomBytes,
    cores: 3,
  })
  const sessions = createSessions(
    {
      store: storage.sessions,
      tokens: tenants,
      nowSeconds,
      randomBytes,
      count: (tenant, event, by) => events.push(`${tenant} ${event} ${by}`),
    },
    { tenants: config, issuers: new Map([['corporate', CORPORATE]]) },
  )
  const services = createServices([
    createAccounts(
      { accounts: storage.accounts, sessions, passwords, nowSeconds, nowMs: () => clock.nowMs, randomBytes },
      { tenants: config },
    ),
    createDiscovery(
      { jwks: (tenant) => tenants.jwks(tenant), passportJwk: tenants.passport.publicJwk },
      { origin: ORIGIN, tenants: config },
    ),
    createHealth({ uptimeSeconds: () => 12.7, isDegraded: () => clock.degraded }),
    createEcho(),
  ])
  return {
    services,
    storage,
    tenants,
    config,
    clock,
    events,
    hashRuns: () => runs,
    ask: (request) => ask(services, request),
    close() {
      storage.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export function anIdentity(changes: Partial<Identified> = {}): Identified {
  return {
    kind: 'identified',
    issuer: 'gateway',
    tenant: 'default',
    user: 'usr_1',
    scopes: [],
    expiresAt: NOW + 900,
    skewSeconds: 2,
    tokenType: 'access',
    algorithm: 'ES256',
    claims: {},
    ...changes,
  }
}

/** The answer as JSON. */
export function bodyOf(answer: Answer | Problem): unknown {
  if (answer instanceof Problem) throw new Error(`a problem: ${answer.kind} ${JSON.stringify(answer.facts)}`)
  return JSON.parse(String(answer.body))
}

/** Kind of a problem, with the fields it names. */
export function refusalOf(answer: Answer | Problem): { kind: string; fields: readonly string[] } {
  if (!(answer instanceof Problem)) throw new Error(`no problem: ${answer.status}`)
  return { kind: answer.kind, fields: (answer.facts.fields ?? []).map((fault) => fault.field) }
}

async function ask(services: Services, request: Request): Promise<Answer | Problem> {
  const bytes = bytesOf(request.body)
  const io: ServiceIo = {
    async readBody(limit) {
      if (bytes.length > limit) throw new Problem('payload_too_large')
      return bytes
    },
    forwardedHeaders: () => request.forwarded ?? [],
  }
  try {
    return await services.serve(admittedOf(request), io)
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body)
  return Buffer.from(JSON.stringify(body))
}

function admittedOf(request: Request): Admitted {
  const contentType = request.contentType ?? (request.body === undefined ? undefined : 'application/json')
  const principal = request.principal ?? ANONYMOUS
  return {
    id: 'r1',
    method: request.method ?? 'POST',
    target: request.path ?? '/',
    host: 'localhost',
    authority: 'localhost:8080',
    rawHeaders: [...(contentType === undefined ? [] : ['Content-Type', contentType]), ...(request.headers ?? [])],
    peer: '127.0.0.1',
    trusted: false,
    client: request.client ?? '192.0.2.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: undefined,
    expectsContinue: false,
    startedMs: 0,
    route: routeOf(request),
    path: request.path ?? '/auth/x',
    forwardPath: request.forwardPath ?? request.path ?? '/auth/x',
    query: request.query ?? '',
    params: new Map(Object.entries(request.params ?? {})),
    principal,
    revocation: principal.kind === 'identified' ? 'checked' : 'none',
    tenant: principal.kind === 'identified' ? principal.tenant : request.tenant,
    admitted: true,
  }
}

function routeOf(request: Request): Route {
  return {
    name: 'test',
    match: { hosts: [], path: '/*', methods: [], headers: new Map() },
    auth: 'public',
    scopes: [],
    claims: new Map(),
    revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
    bodyBytes: request.bodyBytes ?? 10 * 1024 * 1024,
    forwardToken: false,
    host: 'upstream',
    requestHeaders: { set: new Map(), remove: new Set() },
    responseHeaders: { set: new Map(), remove: new Set() },
    websocket: false,
    encodedSlash: 'reject',
    target: { kind: 'service', service: request.service, endpoint: request.endpoint },
  }
}
