/** What the tests of this room share: a clock, issuers with keys, exchanges, a recorder of events. */
import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { createAuthenticator } from '../../../src/authenticator/authenticator.ts'
import type {
  Authenticator,
  AuthenticatorConfig,
  AuthenticatorNeeds,
  PublicJwk,
} from '../../../src/authenticator/authenticator.ts'
import type { IssuerConfig, JwsAlgorithm, KeySourceConfig, TenantConfig } from '../../../src/config/config.ts'
import type { Auth, Authenticated, Routed } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'

export const NOW_SECONDS = 1_800_000_000
export const ISSUER = 'https://login.example.com/'
export const ORIGIN = 'https://api.example.com'
export const OWN_ISSUER_URL = 'http://localhost:8080/t/acme'

export interface Clock {
  nowMs(): number
  schedule(delayMs: number, run: () => void): () => void
  /** Delays of the timers that wait now, soonest first, from now. */
  pending(): number[]
  /** Lets time pass, running what is due and letting promises settle after each. */
  advance(ms: number): Promise<void>
}

export function createClock(): Clock {
  let nowMs = NOW_SECONDS * 1000
  const timers = new Set<{ readonly at: number; readonly run: () => void }>()
  const soonest = () => [...timers].toSorted((a, b) => a.at - b.at)
  return {
    nowMs: () => nowMs,
    schedule(delayMs, run) {
      const timer = { at: nowMs + delayMs, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    pending: () => soonest().map((timer) => timer.at - nowMs),
    async advance(ms) {
      const end = nowMs + ms
      for (let next = soonest()[0]; next !== undefined && next.at <= end; next = soonest()[0]) {
        nowMs = Math.max(nowMs, next.at)
        timers.delete(next)
        next.run()
        await settle()
      }
      nowMs = end
      await settle()
    },
  }
}

/** Lets everything that waits for no timer happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

const CURVES = new Map<JwsAlgorithm, string>([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
])

export interface TestKey {
  readonly kid: string
  readonly alg: JwsAlgorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: PublicJwk & Readonly<Record<string, unknown>>
}

export function createKey(kid: string, alg: JwsAlgorithm = 'ES256'): TestKey {
  const { privateKey, publicKey } = generate(alg)
  return {
    kid,
    alg,
    privateKey,
    publicKey,
    jwk: { kty: '', ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
  }
}

function generate(alg: JwsAlgorithm) {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  const namedCurve = CURVES.get(alg)
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve })
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

export type Claims = Record<string, unknown>

export function foreignClaims(changes: Claims = {}): Claims {
  const claims: Claims = {
    iss: ISSUER,
    sub: 'u-1',
    aud: 'api',
    exp: NOW_SECONDS + 600,
    iat: NOW_SECONDS,
    scope: 'orders:read orders:write',
    jti: 'j-1',
    sid: 's-1',
    ...changes,
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

export function ownClaims(changes: Claims = {}): Claims {
  return foreignClaims({
    iss: OWN_ISSUER_URL,
    tenant_id: 'acme',
    token_type: 'access',
    client_id: 'web',
    auth_time: NOW_SECONDS - 5,
    uv: 3,
    ...changes,
  })
}

/** What of the header is other than usual; `undefined` leaves the member out. */
export interface HeaderChanges {
  readonly typ?: string | undefined
  readonly kid?: undefined
}

export function sign(key: TestKey, claims: Claims, changes: HeaderChanges = {}): Promise<string> {
  const usualType = claims['iss'] === OWN_ISSUER_URL ? 'at+jwt' : undefined
  const typ = 'typ' in changes ? changes.typ : usualType
  const header = {
    alg: key.alg,
    ...('kid' in changes ? {} : { kid: key.kid }),
    ...(typ === undefined ? {} : { typ }),
  }
  return new SignJWT(claims).setProtectedHeader(header).sign(key.privateKey)
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

export function tenant(changes: Partial<TenantConfig> = {}): TenantConfig {
  return {
    id: 'acme',
    name: 'acme',
    hosts: [],
    issuer: OWN_ISSUER_URL,
    audience: 'api',
    signing: 'RS256',
    accessToken: { lifetimeSeconds: 900, jitter: 0 },
    refreshToken: { lifetimeSeconds: 86_400, idleSeconds: 3600, rotation: true, graceSeconds: 10 },
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

export function remote(uri: string, changes: Partial<KeySourceConfig & { kind: 'uri' }> = {}): KeySourceConfig {
  return {
    kind: 'uri',
    uri,
    refreshMs: 600_000,
    minIntervalMs: 30_000,
    staleForMs: 86_400_000,
    timeoutMs: 2000,
    ...changes,
  }
}

export function issuer(changes: Partial<IssuerConfig> = {}): IssuerConfig {
  return {
    name: 'corporate',
    issuer: ISSUER,
    tenant: 'acme',
    audiences: ['api'],
    algorithms: ['ES256', 'RS256'],
    keys: remote('https://login.example.com/jwks.json'),
    clockSkewSeconds: 30,
    maxLifetimeSeconds: 86_400,
    claims: { user: 'sub', scope: 'scope', session: 'sid', token: 'jti' },
    ...changes,
  }
}

export interface Recorded {
  readonly decided: (readonly [string | undefined, string, string])[]
  readonly cache: string[]
  readonly validated: string[]
  readonly fetched: string[]
  readonly dropped: string[]
  readonly seconds: number[]
}

/** A `fetch` that answers from a table and counts. */
export interface Web {
  readonly fetch: typeof globalThis.fetch
  /** Address → the keys it publishes, or what it does instead. */
  readonly pages: Map<string, readonly unknown[] | ((signal: AbortSignal) => Promise<Response>)>
  readonly requests: { readonly uri: string; readonly init: RequestInit }[]
}

export function createWeb(): Web {
  const pages: Web['pages'] = new Map()
  const requests: Web['requests'] = []
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const uri = input instanceof Request ? input.url : String(input)
    requests.push({ uri, init })
    const page = pages.get(uri)
    if (page === undefined) throw new TypeError('fetch failed')
    return typeof page === 'function' ? page(init.signal ?? AbortSignal.abort()) : Response.json({ keys: page })
  }
  return { fetch, pages, requests }
}

export interface World {
  readonly clock: Clock
  readonly web: Web
  readonly events: Recorded
  readonly ownKeys: Map<string, PublicJwk[]>
  readonly files: Map<string, string>
  readonly authenticator: Authenticator
  /** `ok USER`, or the kind of the problem and the step that refused. */
  readonly ask: (token: string, auth?: Auth) => Promise<string>
}

export interface WorldOptions {
  readonly issuers?: readonly IssuerConfig[]
  readonly tenants?: readonly TenantConfig[]
  readonly needs?: Partial<AuthenticatorNeeds>
  readonly tokenCache?: Partial<AuthenticatorConfig['tokenCache']>
}

export function createWorld(options: WorldOptions = {}): World {
  const clock = createClock()
  const web = createWeb()
  const events: Recorded = { decided: [], cache: [], validated: [], fetched: [], dropped: [], seconds: [] }
  const ownKeys = new Map<string, PublicJwk[]>()
  const files = new Map<string, string>()
  const needs: AuthenticatorNeeds = {
    fetch: web.fetch,
    nowMs: () => clock.nowMs(),
    random: () => 0.5,
    schedule: (delayMs, run) => clock.schedule(delayMs, run),
    async readFile(path) {
      const text = files.get(path)
      if (text === undefined) throw new Error('ENOENT')
      return text
    },
    ownKeys: (tenant) => ownKeys.get(tenant) ?? [],
    events: {
      decided: (...all) => void events.decided.push(all),
      cache: (result) => void events.cache.push(result),
      validated: (type, algorithm) => void events.validated.push(`${type} ${algorithm}`),
      validationSeconds: (seconds) => void events.seconds.push(seconds),
      jwksFetched: (name, result) => void events.fetched.push(`${name} ${result}`),
      keyDropped: (name, reason) => void events.dropped.push(`${name} ${reason}`),
    },
    ...options.needs,
  }
  const authenticator = createAuthenticator(needs, {
    tenants: new Map((options.tenants ?? [tenant()]).map((one) => [one.id, one])),
    issuers: new Map((options.issuers ?? [issuer()]).map((one) => [one.name, one])),
    listeners: { public: { origin: ORIGIN } },
    tokenCache: { entries: 20_000, lifetimeMs: 3_600_000, ...options.tokenCache },
  })
  const ask = (token: string, auth: Auth = 'required') =>
    outcome(() => authenticator.authenticate(exchange([`Authorization`, `Bearer ${token}`], auth)))
  return { clock, web, events, ownKeys, files, authenticator, ask }
}

export async function outcome(run: () => Authenticated | Promise<Authenticated>): Promise<string> {
  try {
    const { principal } = await run()
    return principal.kind === 'identified' ? `ok ${principal.user}` : 'anonymous'
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return `${error.kind}: ${error.facts.detail ?? ''}`
  }
}

export function exchange(rawHeaders: readonly string[], auth: Auth = 'required', changes: Partial<Routed> = {}): Routed {
  return {
    id: 'r-1',
    method: 'GET',
    target: '/orders?access_token=x',
    host: 'api.example.com',
    authority: 'api.example.com',
    rawHeaders,
    peer: '127.0.0.1',
    trusted: false,
    client: '127.0.0.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
    path: '/orders',
    forwardPath: '/orders',
    query: '?access_token=x',
    params: new Map(),
    route: {
      name: 'orders',
      match: { hosts: [], path: '/*', methods: [], headers: new Map() },
      auth,
      scopes: [],
      claims: new Map(),
      revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
      bodyBytes: 0,
      forwardToken: false,
      host: 'upstream',
      requestHeaders: { set: new Map(), remove: new Set() },
      responseHeaders: { set: new Map(), remove: new Set() },
      websocket: false,
      encodedSlash: 'reject',
      target: { kind: 'service', service: 'echo', endpoint: 'echo' },
    },
    ...changes,
  }
}
