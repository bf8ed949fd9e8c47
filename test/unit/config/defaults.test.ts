import { describe, expect, it } from 'vitest'
import { describeConfig, parseConfig } from '../../../src/config/config.ts'
import { testConfig } from '../../support/config.ts'
import { needsOf } from './faults-of.ts'

describe('what is not said', () => {
  it('has the default of the manual', () => {
    const { version: _version, ...described } = {
      version: '',
      ...Object(describeConfig(parseConfig('{}', '/etc/gatehouse/gateway.yaml', needsOf()))),
    }
    expect(described).toEqual({
      file: '/etc/gatehouse/gateway.yaml',
      listeners: {
        public: {
          host: '0.0.0.0',
          port: 8080,
          origin: 'http://localhost:8080',
          trustedProxies: [],
          limits: { headerBytes: 16384, headers: 100, urlBytes: 8192, bodyBytes: 10485760, streams: 100, connections: 20000 },
          proxyProtocol: false,
          overload: { enabled: true, maxRequests: 20000, lagMs: 250, memory: 0.95, badSignaturesPerMinute: 600 },
          timeouts: { headersMs: 10000, requestMs: 60000, keepAliveMs: 65000, drainMs: 15000, drainDelayMs: 0 },
        },
        admin: { host: '127.0.0.1', port: 9901 },
      },
      storage: {
        sessions: { kind: 'embedded' },
        accounts: { kind: 'embedded' },
        directory: '/etc/gatehouse/data',
        migrate: true,
      },
      masterKeys: [],
      rateLimits: { entries: 131_072, timeoutMs: 50 },
      tenants: {
        default: {
          id: 'default',
          name: 'default',
          hosts: [],
          issuer: 'http://localhost:8080/t/default',
          audience: 'api',
          signing: 'RS256',
          accessToken: { lifetimeSeconds: 900, jitter: 0 },
          refreshToken: { lifetimeSeconds: 2592000, idleSeconds: 1209600, rotation: true, graceSeconds: 10 },
          sessionsPerUser: 100,
          loginScopes: [],
          keys: { rotateEverySeconds: 7776000, publishBeforeSeconds: 600 },
          registration: 'open',
          clockSkewSeconds: 2,
          throttle: { loginPerMinute: 20, usernamesPerMinute: 10, usernamesTotalPerMinute: 3_000_000 },
          usernames: { reserved: [], protected: [] },
        },
      },
      issuers: {},
      clients: {},
      revocation: {
        maxStalenessMs: 10000,
        whenStale: 'deny',
        breaker: { timeoutMs: 50, errorThreshold: 0.5, resetAfterMs: 1000 },
      },
      accounts: {},
      usernames: { cacheSeconds: 300 },
      workers: 1,
      reload: { watch: true, intervalMs: 1000 },
      tokenCache: { entries: 20000, lifetimeMs: 3600000 },
      identity: {
        headers: {
          user: 'x-user-id',
          tenant: 'x-tenant-id',
          scopes: 'x-scopes',
          session: 'x-session-id',
          token: 'x-token-id',
          certificate: 'x-client-subject',
        },
        passport: { header: 'x-gatehouse-identity', lifetimeSeconds: 60 },
      },
      upstreams: {},
      routes: [],
      telemetry: { accessLog: { sample: 1 }, metrics: { tenants: 200 } },
      insecure: [],
    })
  })

  it('of an issuer has its default', () => {
    const config = testConfig(
      'issuers: { i: { issuer: i, tenant: default, audiences: [b, a], algorithms: [RS256], jwks: { uri: https://i/keys } } }',
    )
    expect(config.issuers.get('i')).toEqual({
      name: 'i',
      issuer: 'i',
      tenant: 'default',
      audiences: ['b', 'a'],
      algorithms: ['RS256'],
      keys: {
        kind: 'uri',
        uri: 'https://i/keys',
        refreshMs: 600_000,
        minIntervalMs: 30_000,
        staleForMs: 86_400_000,
        timeoutMs: 2000,
      },
      clockSkewSeconds: 30,
      maxLifetimeSeconds: 86_400,
      claims: { user: 'sub', scope: 'scope', session: 'sid', token: 'jti' },
    })
  })

  it('of an upstream has its default', () => {
    const config = testConfig('upstreams: { u: { targets: ["http://u/base", { url: "https://v" }] } }')
    expect(config.upstreams.get('u')).toEqual({
      name: 'u',
      targets: [
        { url: new URL('http://u/base'), weight: 1 },
        { url: new URL('https://v'), weight: 1 },
      ],
      balance: { kind: 'roundRobin' },
      protocol: 'http1',
      client: 'builtin',
      connections: 64,
      timeouts: { connectMs: 1000, responseMs: 30_000, idleMs: 60_000 },
      tls: { verify: true },
    })
  })

  it('of a route has its default', () => {
    expect(testConfig('routes: [{ match: { path: /a/* }, auth: required, service: echo }]').routes).toEqual([
      {
        name: '/a/*',
        match: { hosts: [], path: '/a/*', methods: [], headers: new Map() },
        auth: 'required',
        scopes: [],
        claims: new Map(),
        revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
        bodyBytes: 10 * 1024 ** 2,
        forwardToken: false,
        host: 'upstream',
        requestHeaders: { set: new Map(), remove: new Set() },
        responseHeaders: { set: new Map(), remove: new Set() },
        websocket: false,
        encodedSlash: 'reject',
        target: { kind: 'service', service: 'echo' },
      },
    ])
  })

  it('takes a token any number of times, unless the route says once', () => {
    const route = (replay: string) => `{ match: { path: /${replay} }, auth: required, service: echo, replay: ${replay} }`
    const { routes } = testConfig(`routes: [${route('allowed')}, ${route('once')}]`)
    expect(routes.map((one) => one.replay)).toEqual([undefined, 'once'])
  })

  it('ends a stream with its token, unless the route says that the session carries it', () => {
    const route = (live: string) => `{ match: { path: /${live} }, auth: required, upstream: u, liveUntil: ${live} }`
    const { routes } = testConfig(
      `routes: [${route('token')}, ${route('session')}]\nupstreams: { u: { targets: ["http://127.0.0.1:1"] } }`,
    )
    expect(routes.map((one) => one.liveUntil)).toEqual([undefined, 'session'])
  })

  it('in one place is what another place says', () => {
    const config = testConfig(`
listeners: { public: { address: "[::1]:80", limits: { bodyBytes: 1KiB } } }
tenants: { acme: { refreshToken: { lifetime: 1d } } }
revocation: { maxStaleness: 1m, whenStale: verify }
routes:
  - { match: { path: /a }, auth: public, service: echo, revocation: { whenStale: allow } }
  - { match: { path: /a, methods: [POST, GET], hosts: [A.example] }, auth: public, service: echo }
  - { match: { path: /a, headers: { X-B: "1" } }, auth: public, service: echo }
`)
    expect(config.listeners.public).toMatchObject({ host: '::1', port: 80, origin: 'http://localhost' })
    expect([...config.tenants.keys()]).toEqual(['default', 'acme'])
    expect(config.tenants.get('acme')).toMatchObject({
      issuer: 'http://localhost/t/acme',
      refreshToken: { lifetimeSeconds: 86_400, idleSeconds: 86_400 },
    })
    expect(config.routes.map((route) => [route.name, route.bodyBytes, route.revocation])).toEqual([
      ['/a', 1024, { whenStale: 'allow', maxStalenessMs: 60_000 }],
      ['POST,GET a.example/a', 1024, { whenStale: 'verify', maxStalenessMs: 60_000 }],
      ['/a #2', 1024, { whenStale: 'verify', maxStalenessMs: 60_000 }],
    ])
  })
})

describe('what is said', () => {
  it('of a route is all in it', () => {
    const config = testConfig(`
tenants: { acme: {} }
upstreams: { u: { targets: ["http://u"] } }
routes:
  - name: orders
    match: { hosts: [API.example.com, "*.example.org"], path: /api/orders/*, methods: [GET, POST, GET], headers: { X-Beta: "1" } }
    auth: required
    tenants: [acme, default]
    issuers: [gateway]
    scopes: [orders:read]
    claims: { plan: [pro, team] }
    maxAuthAge: 12h
    revocation: { whenStale: safe-methods, maxStaleness: 60s }
    bodyBytes: 1MiB
    timeouts: { response: 5s }
    stripPrefix: /api
    forwardToken: true
    host: preserve
    requestHeaders: { set: { X-Env: " prod " }, remove: [X_Debug] }
    responseHeaders: { set: { x-frame-options: DENY }, remove: [Server] }
    websocket: true
    paths: { encodedSlash: keep }
    upstream: u
`)
    expect(config.routes).toEqual([
      {
        name: 'orders',
        match: {
          hosts: ['api.example.com', '*.example.org'],
          path: '/api/orders/*',
          methods: ['GET', 'POST'],
          headers: new Map([['x-beta', '1']]),
        },
        auth: 'required',
        tenants: new Set(['acme', 'default']),
        issuers: new Set(['gateway']),
        scopes: ['orders:read'],
        claims: new Map([['plan', new Set(['pro', 'team'])]]),
        maxAuthAgeSeconds: 43_200,
        revocation: { whenStale: 'safe-methods', maxStalenessMs: 60_000 },
        bodyBytes: 1024 ** 2,
        responseTimeoutMs: 5000,
        stripPrefix: '/api',
        forwardToken: true,
        host: 'preserve',
        requestHeaders: { set: new Map([['x-env', 'prod']]), remove: new Set(['x-debug']) },
        responseHeaders: { set: new Map([['x-frame-options', 'DENY']]), remove: new Set(['server']) },
        websocket: true,
        encodedSlash: 'keep',
        target: { kind: 'upstream', upstream: 'u' },
      },
    ])
  })

  it.each([
    ['20/m', 20],
    ['1/s', 60],
    ['30/h', 0.5],
  ])('as a rate is counted per minute: %s', (written, perMinute) => {
    expect(
      testConfig(`tenants: { default: { throttle: { login: ${written} } } }`).tenants.get('default')?.throttle.loginPerMinute,
    ).toBe(perMinute)
  })

  it.each([
    ['50ms', 50],
    ['10s', 10_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['1d', 86_400_000],
  ])('as a duration is counted in milliseconds: %s', (written, ms) => {
    expect(testConfig(`revocation: { maxStaleness: ${written} }`).revocation.maxStalenessMs).toBe(ms)
  })

  it.each([
    ['0B', 0],
    ['16KiB', 16_384],
    ['10MiB', 10_485_760],
    ['2GiB', 2_147_483_648],
  ])('as a size is counted in bytes: %s', (written, bytes) => {
    expect(testConfig(`listeners: { public: { limits: { bodyBytes: ${written} } } }`).listeners.public.limits.bodyBytes).toBe(
      bytes,
    )
  })
})
