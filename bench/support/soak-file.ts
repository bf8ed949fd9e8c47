/** The configuration of a soak, each time another one: what may change while a gateway runs changes in turn. */

export interface SoakPlaces {
  readonly port: number
  readonly adminPort: number
  readonly chatPort: number
  readonly targetPorts: readonly number[]
  readonly redisUrl: string
}

export interface SoakFile {
  /** `isGood`: it has no fault. */
  next(): { readonly text: string; readonly isGood: boolean }
}

/** More than those that take turns. */
export const CACHED_TOKENS = 300

interface Change {
  /** Keys of the upstream `app`. */
  readonly app?: string
  /** Of the route that counts. */
  readonly rate?: number
  readonly tenants?: string
  readonly issuers?: string
  readonly routes?: string
  readonly isBad?: boolean
}

/** In turn. Where nothing is said it is as in the first one, so that all that is added goes again. */
export const CHANGES: readonly Change[] = [
  {},
  { routes: '  - { name: more, match: { path: /more/* }, auth: required, scopes: [more], upstream: app }' },
  // Other connections to the same servers.
  { app: ', timeouts: { idle: 50s }' },
  { rate: 200_000 },
  { routes: '  - { name: faulty, match: { path: /faulty }, upstream: nowhere }', isBad: true },
  { tenants: '  guests: { accessToken: { lifetime: 5m } }' },
  { app: ', balance: leastRequests, breaker: {}', rate: 300_000 },
  {
    issuers: `issuers:
  elsewhere: { issuer: "https://elsewhere.test/", tenant: main, audiences: [api], algorithms: [HS256], secrets: [{ env: SOAK_SECRET }] }`,
  },
]

export function createSoakFile(places: SoakPlaces): SoakFile {
  let turn = 0
  return {
    next() {
      const change = CHANGES[turn % CHANGES.length] ?? {}
      turn += 1
      return { text: textOf(places, change, turn), isGood: change.isBad !== true }
    },
  }
}

function textOf(places: SoakPlaces, change: Change, turn: number): string {
  const { port, adminPort, chatPort, targetPorts, redisUrl } = places
  const targets = targetPorts.map((target) => `"http://127.0.0.1:${target}"`).join(', ')
  return `# ${turn}
listeners:
  # Late is also who has to wait for a core that something else uses; what is refused when there is too much to do is measured elsewhere.
  public: { address: 127.0.0.1:${port}, overload: { lag: 2s } }
  admin: { address: 127.0.0.1:${adminPort} }
reload: { interval: 500ms }
storage: { sessions: '${redisUrl}', directory: ./data }
masterKey: { env: SOAK_MASTER_KEY }
# Full within a minute: what a memory with a limit takes until it is full is no growth.
tokenCache: { entries: ${CACHED_TOKENS} }
tenants:
  main: { signing: ES256, accessToken: { lifetime: 2h } }
  # Short enough that what is revoked is soon forgotten.
  brief: { signing: ES256, accessToken: { lifetime: 60s }, refreshToken: { lifetime: 60s, idle: 60s } }
${change.tenants ?? ''}
${change.issuers ?? ''}
clients:
  soak-main: { tenant: main, secret: { env: SOAK_SECRET }, scopes: [sessions:write] }
  soak-brief: { tenant: brief, secret: { env: SOAK_SECRET }, scopes: [sessions:write] }
upstreams:
  app:
    { targets: [${targets}], health: { path: /healthz, interval: 500ms }, outliers: { ejectFor: 1s }, retries: {}${change.app ?? ''} }
  chat: { targets: ["http://127.0.0.1:${chatPort}"] }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
  - { name: public, match: { path: /public/* }, auth: public, stripPrefix: /public, upstream: app }
  - { name: api, match: { path: /api/* }, auth: required, stripPrefix: /api, upstream: app, websocket: true }
  - { name: counted, match: { path: /counted/* }, auth: required, stripPrefix: /counted, upstream: app, rateLimit: { requests: ${change.rate ?? 100_000}, per: 1s, by: user } }
  - { name: greedy, match: { path: /greedy/* }, auth: required, stripPrefix: /greedy, upstream: app, rateLimit: { requests: 10, per: 1s, by: user } }
  - { name: chat, match: { path: /chat }, auth: required, upstream: chat, websocket: true }
${change.routes ?? ''}
`
}
