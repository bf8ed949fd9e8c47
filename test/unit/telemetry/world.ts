/** A telemetry room with a clock, a timer and an output that the test holds in its hand. */
import type { Admitted, Arrived, Identified, Route } from '../../../src/exchange/exchange.ts'
import { createTelemetry } from '../../../src/telemetry/telemetry.ts'
import type { Telemetry, TelemetryConfig } from '../../../src/telemetry/telemetry.ts'

export const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 7)

export interface World {
  readonly telemetry: Telemetry
  /** What was written so far, one element a write. */
  readonly writes: string[]
  /** Delays of the timers that are armed. */
  readonly timers: { delayMs: number; run: () => void }[]
  readonly clock: { monotonicMs: number; random: number; fails: boolean }
  /** Flushes, and the lines parsed. */
  lines(): Record<string, unknown>[]
}

export function createWorld(sample = 1): World {
  const writes: string[] = []
  const timers: World['timers'] = []
  const clock = { monotonicMs: 1000, random: 0, fails: false }
  const telemetry = createTelemetry(
    {
      write(lines) {
        if (clock.fails) throw new Error('no space left')
        writes.push(lines)
      },
      nowMs: () => NOW_MS,
      monotonicMs: () => clock.monotonicMs,
      random: () => clock.random,
      schedule(delayMs, run) {
        const timer = { delayMs, run }
        timers.push(timer)
        return () => void timers.splice(timers.indexOf(timer), 1)
      },
    },
    configOf(sample),
  )
  return { telemetry, writes, timers, clock, lines }

  function lines(): Record<string, unknown>[] {
    telemetry.flush()
    return writes
      .join('')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }
}

export const ROUTE: Route = {
  name: 'orders',
  match: { hosts: [], path: '/api/*', methods: [], headers: new Map() },
  auth: 'required',
  scopes: [],
  claims: new Map(),
  revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
  bodyBytes: 1024,
  forwardToken: false,
  host: 'upstream',
  requestHeaders: { set: new Map(), remove: new Set() },
  responseHeaders: { set: new Map(), remove: new Set() },
  websocket: false,
  encodedSlash: 'reject',
  target: { kind: 'upstream', upstream: 'orders' },
}

export const ARRIVED: Arrived = {
  id: 'r-1',
  method: 'GET',
  target: '/api/orders?token=hidden',
  host: 'api.example.com',
  authority: 'api.example.com:8080',
  rawHeaders: ['Host', 'api.example.com', 'User-Agent', 'curl/8.0', 'Authorization', 'Bearer hidden'],
  peer: '10.0.0.1',
  trusted: false,
  client: '10.0.0.1',
  scheme: 'http',
  upgrade: false,
  startedMs: 1000,
  bodyLength: 0,
  expectsContinue: false,
}

export const PRINCIPAL: Identified = {
  kind: 'identified',
  issuer: 'gateway',
  tenant: 'acme',
  user: 'u-1',
  scopes: [],
  expiresAt: 0,
  skewSeconds: 0,
  tokenType: 'access',
  algorithm: 'RS256',
  claims: { email: 'hidden@example.com' },
}

export const ADMITTED: Admitted = {
  ...ARRIVED,
  route: ROUTE,
  path: '/api/orders',
  forwardPath: '/api/orders',
  query: '?token=hidden',
  params: new Map(),
  principal: PRINCIPAL,
  revocation: 'checked',
  tenant: 'acme',
  admitted: true,
}

export function configOf(
  sample: number,
  accessLog: Omit<TelemetryConfig['telemetry']['accessLog'], 'sample'> = {},
): TelemetryConfig {
  return {
    version: '0123456789abcdef',
    telemetry: { accessLog: { sample, ...accessLog }, metrics: { tenants: 200 } },
    routes: [
      { ...ROUTE, target: { kind: 'upstream', upstream: 'orders' } },
      { ...ROUTE, name: 'auth', target: { kind: 'service', service: 'accounts' } },
    ],
    tenants: new Map([
      [
        'acme',
        {
          id: 'acme',
          name: 'acme',
          hosts: [],
          issuer: 'http://localhost/t/acme',
          audience: 'api',
          signing: 'RS256',
          accessToken: { lifetimeSeconds: 900, jitter: 0 },
          refreshToken: { lifetimeSeconds: 1, idleSeconds: 1, rotation: true, graceSeconds: 10 },
          sessionsPerUser: 100,
          loginScopes: [],
          keys: { rotateEverySeconds: 7_776_000, publishBeforeSeconds: 600 },
          registration: 'open',
          clockSkewSeconds: 2,
          throttle: { loginPerMinute: 20, usernamesPerMinute: 10, usernamesTotalPerMinute: 3_000_000 },
          usernames: { reserved: [], protected: [] },
        },
      ],
    ]),
    upstreams: new Map([
      [
        'orders',
        {
          name: 'orders',
          targets: [{ url: new URL('http://10.9.8.7:9001'), weight: 1 }],
          balance: { kind: 'roundRobin' },
          protocol: 'http1',
          client: 'builtin',
          connections: 1,
          timeouts: { connectMs: 1, responseMs: 1, idleMs: 1 },
          tls: { verify: true },
        },
      ],
    ]),
    issuers: new Map([
      [
        'corporate',
        {
          name: 'corporate',
          issuer: 'https://login.example.com/',
          tenant: 'acme',
          audiences: 'any',
          algorithms: ['RS256'],
          keys: { kind: 'file', file: '/dev/null' },
          clockSkewSeconds: 0,
          maxLifetimeSeconds: 1,
          claims: { user: 'sub', scope: 'scope', session: 'sid', token: 'jti' },
        },
      ],
    ]),
  }
}
