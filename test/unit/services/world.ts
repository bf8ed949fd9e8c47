/** The built-in services on real storage and real keys, with a clock to turn and a count of what hashing costs. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { audited, expiries } from '../../../src/audited.ts'
import { createAuthenticator, createJwtVerifier } from '../../../src/authenticator/authenticator.ts'
import type { ClientConfig, Config, IssuerConfig, TenantConfig } from '../../../src/config/config.ts'
import type { Admitted, Identified, Principal, Route } from '../../../src/exchange/exchange.ts'
import { ANONYMOUS } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import type { AccountEvent, Passwords, PasswordsNeeds } from '../../../src/services/accounts/accounts.ts'
import {
  createAccounts,
  createPasswordRules,
  createPasswords,
  createProfiles,
  createUserDirectory,
  type UserDirectory,
} from '../../../src/services/accounts/accounts.ts'
import { createRevocation, type RevocationRoom } from '../../../src/revocation/revocation.ts'
import { createClients } from '../../../src/services/clients/clients.ts'
import { createDiscovery } from '../../../src/services/discovery/discovery.ts'
import { createEcho } from '../../../src/services/echo/echo.ts'
import { createGraphql, type Graphql } from '../../../src/services/graphql/graphql.ts'
import { createHealth } from '../../../src/services/health/health.ts'
import { createOAuth } from '../../../src/services/oauth/oauth.ts'
import type { Answer, ServiceIo, Services } from '../../../src/services/services.ts'
import { createRevocationFeed } from '../../../src/services/revocations/revocations.ts'
import { createServices } from '../../../src/services/services.ts'
import {
  createSessionEndpoints,
  createSessions,
  type Sessions,
  type SessionStore,
} from '../../../src/services/sessions/sessions.ts'
import { createUsernames, type Usernames } from '../../../src/services/usernames/usernames.ts'
import type { AuditEvent } from '../../../src/storage/audit/audit.ts'
import type { Embedded } from '../../../src/storage/embedded/embedded.ts'
import { openEmbedded } from '../../../src/storage/embedded/embedded.ts'
import { openSql, type Sql } from '../../../src/storage/sql/sql.ts'
import type { Tenants } from '../../../src/tenants/tenants.ts'
import { openTenants } from '../../../src/tenants/tenants.ts'
import { enforced } from '../../../src/stores.ts'
import { testConfig } from '../../support/config.ts'

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
  readonly byCookie?: true
}

/** Secret of each client of the world. */
export const SECRETS = {
  'acme-backend': 'the secret of acme-backend',
  'default-backend': 'the secret of default-backend',
  reader: 'the secret of the reader',
} as const

export interface World {
  readonly services: Services
  readonly storage: Embedded & Pick<Sql, 'accounts' | 'usernames'>
  readonly tenants: Tenants
  readonly sessions: Sessions
  readonly users: UserDirectory
  /** Without a cache; its filters are not loaded. `admin` is reserved. */
  readonly usernames: Usernames
  readonly graphql: Graphql
  /** SHA-1 of passwords that were found in breaches. */
  readonly breached: Set<string>
  /** What accounts told for the audit record. */
  readonly told: AccountEvent[]
  readonly revocation: RevocationRoom
  /** Stands between the services and the real store; the tests may make it fail. */
  readonly store: { current: SessionStore }
  /** From 0, below 1. */
  readonly chance: { now: number }
  /** What the path would make of a token now. */
  identify(token: string): Promise<Identified | Problem>
  readonly config: ReadonlyMap<string, TenantConfig>
  /** Moves the wall clock, and lets the keys be read again as they are each second. */
  pass(seconds: number): Promise<void>
  readonly clock: { nowSeconds: number; nowMs: number; degraded: boolean; redis: 'up' | 'down' | 'embedded' }
  /** Runs of the password hash so far. */
  hashRuns(): number
  readonly events: string[]
  /** What went to the audit record so far, but for sessions that began. */
  readonly recorded: AuditEvent[]
  /** What the accounts service gave to the record. */
  readonly accountEvents: AuditEvent[]
  /** Refreshes after the end of a session, as they were given to the record. */
  readonly expired: AuditEvent[]
  /** The answer, or the problem that was thrown. */
  ask(request: Request): Promise<Answer | Problem>
  close(): void
}

export function aTenant(id: string, changes: Partial<TenantConfig> = {}): TenantConfig {
  return {
    id,
    name: id,
    hosts: [],
    issuer: `${ORIGIN}/t/${id}`,
    audience: 'api',
    signing: 'ES256',
    accessToken: { lifetimeSeconds: 900, jitter: 0 },
    refreshToken: { lifetimeSeconds: 2_592_000, idleSeconds: 1_209_600, rotation: true, graceSeconds: 10 },
    sessionsPerUser: 100,
    loginScopes: [],
    keys: { rotateEverySeconds: 7_776_000, publishBeforeSeconds: 600 },
    registration: 'open',
    clockSkewSeconds: 2,
    throttle: { loginPerMinute: 20, usernamesPerMinute: 10, usernamesTotalPerMinute: 3_000_000 },
    usernames: { reserved: [], protected: [] },
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

function clientOf(id: keyof typeof SECRETS, tenant: string, scopes: readonly string[]): [string, ClientConfig] {
  return [id, { id, tenant, secret: Buffer.from(SECRETS[id]), scopes }]
}

/** The configuration of the world; `changes` are those of the tenant acme. */
function configOf(changes: Partial<TenantConfig>): Config {
  const tenants = [
    aTenant('default'),
    aTenant('acme', { hosts: ['acme.localhost'], issuer: 'https://acme.example', ...changes }),
    aTenant('closed', { registration: 'closed' }),
  ]
  return {
    ...testConfig('{}'),
    tenants: new Map(tenants.map((tenant) => [tenant.id, tenant])),
    issuers: new Map([['corporate', CORPORATE]]),
    clients: new Map([
      clientOf('acme-backend', 'acme', ['sessions:write', 'sessions:read']),
      clientOf('default-backend', 'default', ['sessions:write']),
      clientOf('reader', 'acme', ['sessions:read']),
    ]),
  }
}

export async function openWorld(derive: PasswordsNeeds['derive'] = quickly, changes: Partial<TenantConfig> = {}): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-services-'))
  const clock: World['clock'] = { nowSeconds: NOW, nowMs: 0, degraded: false, redis: 'embedded' }
  const chance = { now: 0 }
  const events: string[] = []
  const recorded: AuditEvent[] = []
  const record = (event: AuditEvent): void => void (event.event !== 'session_created' && recorded.push(event))
  const accountEvents: AuditEvent[] = []
  const expired: AuditEvent[] = []
  let runs = 0
  const nowSeconds = (): number => clock.nowSeconds
  const nowMs = (): number => clock.nowSeconds * 1_000
  const random = (): number => chance.now
  const never = (): (() => void) => () => undefined
  const config = configOf(changes)
  const embedded = { accounts: { kind: 'embedded' }, directory: join(directory, 'data'), migrate: true } as const
  const files = await openEmbedded({ nowSeconds }, embedded)
  const sql = await openSql({ nowSeconds, nowMs: () => 0, random, schedule: never }, embedded)
  const storage = {
    ...files,
    accounts: sql.accounts,
    usernames: sql.usernames,
    close() {
      files.close()
      void sql.close()
    },
  }
  const revocation = createRevocation(
    {
      log: storage.log,
      lookup: storage.log,
      nowMs,
      monotonicMs: () => 0,
      random,
      schedule: never,
      events: {
        checked() {},
        lag() {},
        breaker() {},
        feed() {},
        listenerFailed() {},
        restored() {},
        copyLoaded() {},
        copyRefused() {},
        copyKept() {},
      },
    },
    config.revocation,
  )
  const store = { current: storage.sessions }
  const tenants = await openTenants(
    {
      store: storage.keys,
      masterKeys: [new Uint8Array(32).fill(1)],
      nowSeconds,
      random,
      schedule: never,
      revokeKey: (tenant, id, ending) => storage.sessions.revoke({ kind: 'key', tenant, id }, ending),
    },
    config.tenants,
  )
  const authenticator = createAuthenticator(
    {
      fetch: globalThis.fetch,
      nowMs,
      random,
      schedule: never,
      readFile: async () => '{"keys":[]}',
      ownKeys: tenants.publicKeys,
      events: { decided() {}, cache() {}, validated() {}, validationSeconds() {}, jwksFetched() {}, keyDropped() {} },
    },
    {
      tenants: config.tenants,
      issuers: new Map(),
      listeners: { public: { origin: ORIGIN } },
      tokenCache: config.tokenCache,
    },
  )
  await Promise.all([authenticator.start(), revocation.start()])
  const passwords: Passwords = createPasswords({
    derive: (...values) => {
      runs++
      return derive(...values)
    },
    randomBytes,
    cores: 3,
  })
  const users = createUserDirectory(storage.accounts, () => sessions)
  const sessions = createSessions(
    {
      store: enforced(audited(passedOn(store), record), revocation.synced),
      users,
      tokens: tenants,
      nowSeconds,
      random,
      randomBytes,
      expired: expiries((event) => void expired.push(event)),
      count: (tenant, event, by) => events.push(`${tenant} ${event} ${by}`),
    },
    config,
  )
  const clients = createClients({ nowSeconds, nowMs: () => clock.nowMs, verifier: createJwtVerifier, used: storage.used }, config)
  const verify = async (token: string): Promise<Identified> => authenticator.verify(token)
  const { checkOrigin } = authenticator
  const check = async (admitted: Admitted, principal: Identified): Promise<void> => {
    await revocation.check({ ...admitted, principal })
  }
  const usernames = createUsernames(
    {
      store: storage.usernames,
      reserved: ['admin'],
      nowSeconds,
      monotonicMs: () => clock.nowMs,
      random: Math.random,
      randomBytes,
      schedule: soon,
      events: SILENT,
      record,
    },
    config,
  )
  const breached = new Set<string>()
  const told: AccountEvent[] = []
  const tell = (event: AccountEvent): void => void (told.push(event) + accountEvents.push(event))
  const rules = createPasswordRules({ has: async (sha1) => breached.has(sha1) })
  const profiles = createProfiles({ accounts: storage.accounts, names: usernames, nowSeconds, record: tell }, config)
  const graphql = createGraphql({ names: usernames, profiles }, config)
  const devices = tenants.deviceTokens
  const ofAccounts = { accounts: storage.accounts, sessions, passwords, rules, profiles, devices, checkOrigin, record: tell }
  const services = createServices([
    createAccounts(
      { ...ofAccounts, nowSeconds, nowMs: () => clock.nowMs, randomBytes, areSessionsAway: () => clock.redis === 'down' },
      config,
    ),
    usernames.service,
    graphql.service,
    createSessionEndpoints({ sessions, clients, verify, check, checkOrigin }, config),
    createOAuth(
      {
        sessions,
        clients,
        tokens: tenants,
        verify,
        check,
        isRevoked: revocation.lists,
        nowSeconds,
        nowMs: () => clock.nowMs,
        random,
        randomBytes,
      },
      config,
    ),
    createRevocationFeed({
      clients,
      source: { ...revocation, readAfter: storage.log.readAfter },
      nowMs: () => clock.nowMs,
      schedule: (_, run) => {
        queueMicrotask(run)
        return () => undefined
      },
    }),
    createDiscovery({ jwks: (tenant) => tenants.jwks(tenant), passportJwks: () => tenants.passport.jwks() }, config),
    createHealth({ uptimeSeconds: () => 12.7, redis: () => clock.redis, isDegraded: () => clock.degraded }),
    createEcho(),
  ])
  return {
    services,
    storage,
    tenants,
    sessions,
    users,
    usernames,
    graphql,
    breached,
    told,
    revocation,
    store,
    chance,
    config: config.tenants,
    clock,
    async pass(seconds) {
      clock.nowSeconds += seconds
      await tenants.reload()
    },
    events,
    recorded,
    accountEvents,
    expired,
    hashRuns: () => runs,
    ask: (request) => ask(services, request),
    async identify(token) {
      try {
        const principal = await authenticator.verify(token)
        if (revocation.lists(principal)) throw new Problem('token_revoked')
        return principal
      } catch (error) {
        if (error instanceof Problem) return error
        throw error
      }
    },
    close() {
      usernames.stop()
      void revocation.stop()
      authenticator.stop()
      storage.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function soon(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs)
  return () => clearTimeout(timer)
}

const SILENT = {
  checked() {},
  checkSeconds() {},
  queried() {},
  conflict() {},
  probing() {},
  squatting() {},
  breaker() {},
  feed() {},
}

/** A store whose calls go to whatever is current. */
function passedOn(store: { readonly current: SessionStore }): SessionStore {
  return {
    create: (...values) => store.current.create(...values),
    rotate: (...values) => store.current.rotate(...values),
    peek: (...values) => store.current.peek(...values),
    find: (...values) => store.current.find(...values),
    findByToken: (...values) => store.current.findByToken(...values),
    list: (...values) => store.current.list(...values),
    end: (...values) => store.current.end(...values),
    endAll: (...values) => store.current.endAll(...values),
    endOthers: (...values) => store.current.endOthers(...values),
    revoke: (...values) => store.current.revoke(...values),
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

/** The request as the steps before hand it to a service. */
export function admittedOf(request: Request): Admitted {
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
    bodyLength: request.body === undefined ? 0 : undefined,
    expectsContinue: false,
    startedMs: 0,
    route: routeOf(request),
    path: request.path ?? '/auth/x',
    forwardPath: request.forwardPath ?? request.path ?? '/auth/x',
    query: request.query ?? '',
    params: new Map(Object.entries(request.params ?? {})),
    principal,
    revocation: principal.kind === 'identified' ? 'checked' : 'none',
    ...(request.byCookie === undefined ? {} : { byCookie: request.byCookie }),
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
