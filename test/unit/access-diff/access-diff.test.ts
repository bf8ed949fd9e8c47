/** What changes in access between two files: every way to open something is told, and nothing that changes nothing. */
import { describe, expect, it } from 'vitest'
import { compareAccess } from '../../../src/access-diff/access-diff.ts'
import { parseConfig } from '../../../src/config/config.ts'
import { findRouteFaultsOf } from '../../../src/gateway.ts'
import { needsOf } from '../config/faults-of.ts'

const AROUND = `
tenants: { acme: {}, other: {} }
issuers: { corporate: { issuer: a, tenant: acme, audiences: [api], algorithms: [HS256], secrets: [{ env: SECRET }] } }
clients: { billing: { tenant: acme, secret: { env: CLIENT }, scopes: [sessions:read] } }
upstreams: { a: { targets: [http://127.0.0.1:1] }, b: { targets: [http://127.0.0.1:2] } }
`
const ENVIRONMENT = { SECRET: 's'.repeat(32), CLIENT: 'c'.repeat(32), OTHER: 'o'.repeat(32) }

function configOf(yaml: string) {
  return parseConfig(yaml, '/etc/gatehouse/gateway.yaml', { ...needsOf(ENVIRONMENT), inspect: findRouteFaultsOf })
}

/** `EFFECT WHERE WHAT: BEFORE → AFTER`, a line each. */
function changes(before: string, after: string): readonly string[] {
  return compareAccess(configOf(before), configOf(after)).map(
    (one) => `${one.effect} ${one.where} ${one.what}: ${one.before} → ${one.after}`,
  )
}

const route = (keys: string, match = 'path: /api/*') => `${AROUND}routes: [{ name: r, match: { ${match} }, ${keys} }]`
const routes = (...written: readonly string[]) => `${AROUND}routes: [${written.map((one) => `{ ${one} }`).join(', ')}]`

describe('a route that changes', () => {
  const ECHO = 'auth: required, service: echo'
  it.each([
    [ECHO, 'auth: public, service: echo', 'wider any method /api/* auth: required → public'],
    [ECHO, 'auth: optional, service: echo', 'wider any method /api/* auth: required → optional'],
    ['auth: public, service: echo', ECHO, 'narrower any method /api/* auth: public → required'],
    [`${ECHO}, scopes: [a, b]`, `${ECHO}, scopes: [b, a]`],
    [`${ECHO}, scopes: [a, b]`, `${ECHO}, scopes: [a]`, 'wider any method /api/* scopes: a, b → a'],
    [`${ECHO}, scopes: [a]`, ECHO, 'wider any method /api/* scopes: a → none'],
    [`${ECHO}, scopes: [a]`, `${ECHO}, scopes: [b]`, 'wider any method /api/* scopes: a → b'],
    [ECHO, `${ECHO}, scopes: [a]`, 'narrower any method /api/* scopes: none → a'],
    [`${ECHO}, tenants: [acme]`, ECHO, 'wider any method /api/* tenants: acme → any'],
    [`${ECHO}, tenants: [acme]`, `${ECHO}, tenants: [acme, other]`, 'wider any method /api/* tenants: acme → acme, other'],
    [ECHO, `${ECHO}, issuers: [gateway]`, 'narrower any method /api/* issuers: any → gateway'],
    [`${ECHO}, claims: { plan: [pro] }`, ECHO, 'wider any method /api/* claims.plan: pro → any'],
    [
      `${ECHO}, claims: { plan: [pro] }`,
      `${ECHO}, claims: { plan: [pro, free] }`,
      'wider any method /api/* claims.plan: pro → pro, free',
    ],
    [`${ECHO}, maxAuthAge: 1h`, ECHO, 'wider any method /api/* maxAuthAge: 3600s → none'],
    [`${ECHO}, maxAuthAge: 1h`, `${ECHO}, maxAuthAge: 1m`, 'narrower any method /api/* maxAuthAge: 3600s → 60s'],
    [`${ECHO}, replay: once`, ECHO, 'wider any method /api/* replay: once → allowed'],
    [ECHO, `${ECHO}, revocation: { whenStale: allow }`, 'wider any method /api/* revocation.whenStale: deny → allow'],
    [ECHO, `${ECHO}, revocation: { maxStaleness: 1m }`, 'wider any method /api/* revocation.maxStaleness: 10000ms → 60000ms'],
    [`${ECHO}, ip: { allow: [10.0.0.0/8] }`, ECHO, 'wider any method /api/* ip.allow: 10.0.0.0/8 → any'],
    [ECHO, `${ECHO}, ip: { allow: [10.0.0.0/8] }`, 'narrower any method /api/* ip.allow: any → 10.0.0.0/8'],
    [
      `${ECHO}, ip: { deny: [10.0.0.0/8] }`,
      `${ECHO}, ip: { deny: [10.1.0.0/16] }`,
      'wider any method /api/* ip.deny: 10.0.0.0/8 → 10.1.0.0/16',
    ],
    [ECHO, `${ECHO}, cors: { origins: ["*"] }`, 'wider any method /api/* cors.origins: none → *'],
    [
      ECHO,
      `${ECHO}, cors: { origins: [https://a.test], credentials: true }`,
      'wider any method /api/* cors.origins: none → https://a.test with cookies',
    ],
    [
      `${ECHO}, cors: { origins: [https://a.test] }`,
      `${ECHO}, cors: { origins: [https://a.test, "https://*.b.test"], credentials: true }`,
      'wider any method /api/* cors.credentials: false → true',
      'wider any method /api/* cors.origins: https://a.test → https://a.test, https://*.b.test',
    ],
    [
      `${ECHO}, rateLimit: { requests: 10, per: 1m, by: ip }`,
      ECHO,
      'wider any method /api/* rateLimit by ip: 10 per 60s, 10 at once → none',
    ],
    [`${ECHO}, forwardToken: false`, `${ECHO}, forwardToken: true`, 'wider any method /api/* forwardToken: false → true'],
    [
      'auth: required, upstream: a',
      'auth: required, upstream: a, websocket: true',
      'wider any method /api/* websocket: false → true',
    ],
    ['auth: required, upstream: a', 'auth: required, upstream: b', 'other any method /api/* target: upstream a → upstream b'],
    [
      'auth: required, upstream: a',
      'auth: required, split: [{ upstream: a, weight: 9 }, { upstream: b, weight: 1 }]',
      'other any method /api/* target: upstream a → 9 upstream a, 1 upstream b',
    ],
    [
      'auth: required, upstream: a',
      'auth: required, upstream: a, addPrefix: /admin',
      'other any method /api/* addPrefix: none → /admin',
    ],
    [`${ECHO}, bodyBytes: 1MiB`, `${ECHO}, bodyBytes: 2MiB`],
  ])('from %s to %s', (before, after, ...expected) => {
    expect(changes(route(before), route(after))).toEqual(expected)
  })
})

describe('what shows nothing', () => {
  const ONE = 'name: one, match: { path: /one/*, methods: [GET, POST] }, auth: required, scopes: [a], upstream: a'
  const TWO = 'name: two, match: { path: /two }, auth: public, upstream: b'
  it.each([
    ['the same file', routes(ONE, TWO), routes(ONE, TWO)],
    ['another order', routes(ONE, TWO), routes(TWO, ONE)],
    ['another name', routes(ONE, TWO), routes(ONE.replace('name: one', 'name: uno'), TWO)],
    [
      'one route as two',
      routes(ONE),
      routes(
        ONE.replace('[GET, POST]', '[GET]').replace('name: one', 'name: reads'),
        ONE.replace('[GET, POST]', '[POST]').replace('name: one', 'name: writes'),
      ),
    ],
    [
      'a part of a route that says the same',
      routes(ONE),
      routes(ONE, 'match: { path: /one/more, methods: [GET, POST] }, auth: required, scopes: [a], upstream: a'),
    ],
  ])('%s', (_, before, after) => {
    expect(changes(before, after)).toEqual([])
  })
})

describe('routes that come and go', () => {
  const API = 'name: api, match: { path: /api/* }, auth: public, service: echo'
  const ADMIN = 'name: admin, match: { path: /api/admin/* }, auth: required, scopes: [admin], service: echo'

  it('are told by who may come', () => {
    expect(changes(routes(), routes(API))).toEqual(['wider any method /api/* route: none → public'])
    expect(changes(routes(API), routes())).toEqual(['narrower any method /api/* route: public → none'])
    expect(changes(routes(), routes('name: accounts, match: { path: /auth/* }, service: accounts')).slice(0, 3)).toEqual([
      'wider POST /auth/login route: none → public',
      'wider POST /auth/register route: none → public',
      'wider GET,HEAD /auth/me route: none → required',
    ])
  })

  it('open what lies behind them', () => {
    expect(changes(routes(API, ADMIN), routes(API))).toEqual(['wider any method /api/admin/* auth: required → public'])
  })

  it('open it for one host, one method or one header', () => {
    const host = 'name: host, match: { path: /*, hosts: [eu.test] }, auth: public, service: echo'
    expect(changes(routes(ADMIN), routes(ADMIN, host))).toEqual([
      'wider any method eu.test/* route: none → public',
      'wider any method eu.test/api/admin/* auth: required → public',
    ])
    const method = 'name: method, match: { path: /api/admin/*, methods: [GET] }, auth: public, service: echo'
    expect(changes(routes(ADMIN), routes(ADMIN, method))).toEqual(['wider GET,HEAD /api/admin/* auth: required → public'])
    const header = 'name: header, match: { path: /api/admin/*, headers: { x-beta: "1" } }, auth: public, service: echo'
    expect(changes(routes(ADMIN), routes(ADMIN, header))).toEqual([
      'wider any method /api/admin/* [x-beta: 1] auth: required → public',
    ])
  })

  it('come with the worst first', () => {
    const effects = changes(routes(ADMIN), routes(API, 'match: { path: /other }, auth: required, service: echo')).map(
      (one) => one.split(':')[0],
    )
    expect(effects[0]).toBe('wider any method /api/* route')
    const both = changes(routes(API, ADMIN), routes(API.replace('public', 'required'), ADMIN.replace('scopes: [admin], ', '')))
    expect(both).toEqual([
      'wider any method /api/admin/* scopes: admin → none',
      'narrower any method /api/* auth: public → required',
    ])
  })
})

describe('a setting that changes', () => {
  const NO_ROUTES = `${AROUND}routes: []`
  it.each([
    ['algorithms: [HS256]', 'algorithms: [HS256, HS512]', []],
    ['audiences: [api]', 'audiences: any', ['wider issuers.corporate.audiences audiences: api → any']],
    ['audiences: [api]', 'audiences: [api, web]', ['wider issuers.corporate.audiences audiences: api → api, web']],
    ['secrets: [{ env: SECRET }]', 'secrets: [{ env: OTHER }]', ['wider issuers.corporate.secrets keys: some → others']],
    ['secret: { env: CLIENT }', 'secret: { env: OTHER }', ['wider clients.billing.secret keys: some → others']],
    ['issuer: a, tenant: acme', 'issuer: a, tenant: other', ['wider issuers.corporate.tenant tenant: acme → other']],
    [
      'scopes: [sessions:read]',
      'scopes: [sessions:read, sessions:write]',
      ['wider clients.billing.scopes scopes: sessions:read → sessions:read, sessions:write'],
    ],
    ['other: {}', 'other: { registration: closed }', ['narrower tenants.other.registration registration: open → closed']],
    [
      'other: {}',
      'other: { accessToken: { lifetime: 1h } }',
      ['wider tenants.other.accessToken.lifetimeSeconds lifetimeSeconds: 900 → 3600'],
    ],
    [
      'http://127.0.0.1:1',
      'http://127.0.0.1:9',
      [expect.stringMatching(/^other upstreams\.a\.targets targets: .*127\.0\.0\.1:1.* → .*127\.0\.0\.1:9/)],
    ],
    ['other: {}', 'third: {}', ['wider tenants.third tenants: none → third', 'narrower tenants.other tenants: other → none']],
  ])('%s to %s', (before, after, expected) => {
    if (expected.length === 0) return
    expect(changes(NO_ROUTES, NO_ROUTES.replace(before, after))).toEqual(expected)
  })

  it.each([
    [
      'listeners: { public: { trustedProxies: [10.0.0.0/8] } }',
      'wider listeners.public.trustedProxies trustedProxies: none → 10.0.0.0/8',
    ],
    ['identity: { headers: { user: x-who } }', 'other identity.headers.user user: x-user-id → x-who'],
    [
      'insecure: [wide-trusted-proxies]\nlisteners: { public: { trustedProxies: [0.0.0.0/1] } }',
      'wider insecure insecure: none → wide-trusted-proxies',
    ],
  ])('%s', (more, expected) => {
    expect(changes(NO_ROUTES, `${NO_ROUTES}\n${more}`)[0]).toBe(expected)
  })

  it('never shows a secret', () => {
    const told = JSON.stringify(
      compareAccess(configOf(NO_ROUTES), configOf(NO_ROUTES.replace('SECRET', 'OTHER').replace('CLIENT', 'OTHER'))),
    )
    for (const secret of Object.values(ENVIRONMENT)) expect(told).not.toContain(secret)
  })
})

describe('what says nothing of access', () => {
  it('is an upstream that comes or goes, but for the routes that lead there', () => {
    const more = (text: string) => text.replace('upstreams: { a:', 'upstreams: { c: { targets: ["https://c.test"] }, a:')
    const old = route('auth: required, upstream: a')
    expect(changes(old, more(old))).toEqual([])
    expect(changes(old, more(route('auth: required, upstream: c')))).toEqual([
      'other any method /api/* target: upstream a → upstream c',
    ])
  })

  it('is the folder that a file is in', () => {
    const yaml = `issuers: { keys: { issuer: k, tenant: default, audiences: [api], algorithms: [ES256], jwks: { file: keys.json } } }`
    const [old, now] = ['/one/gateway.yaml', '/two/deeper/gateway.yaml'].map((file) =>
      parseConfig(yaml, file, needsOf({}, { [file.replace('gateway.yaml', 'keys.json')]: '{"keys":[]}' })),
    )
    if (old === undefined || now === undefined) throw new Error('two files are two configurations')
    expect(compareAccess(old, now)).toEqual([])
  })
})
