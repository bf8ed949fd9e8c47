import { describe, expect, it } from 'vitest'
import { faultsOf, marked, needsOf } from './faults-of.ts'

/** What is wrong; the file, with `§` before what is wrong; what is said about it. */
type Row = readonly [string, string, ...string[]]

const UPSTREAM = 'upstreams: { app: { targets: [http://127.0.0.1:3000] } }\n'

const ROUTES: readonly Row[] = [
  [
    'no authentication',
    `${UPSTREAM}routes: [§{ name: r, match: { path: /a }, upstream: app }]`,
    'routes.r.auth: is required: write required, optional or public',
  ],
  [
    'no target',
    'routes: [§{ name: r, match: { path: /a }, auth: public }]',
    'routes.r.upstream: is required: write upstream: NAME or service: NAME',
  ],
  [
    'two targets',
    `${UPSTREAM}routes: [{ name: r, match: { path: /a }, auth: public, upstream: app, service: §echo }]`,
    'routes.r.service: a route has one target: remove service or upstream',
  ],
  [
    'an unknown upstream',
    `${UPSTREAM}routes: [{ name: r, match: { path: /a }, auth: public, upstream: §apps }]`,
    'routes.r.upstream: there is no such upstream, did you mean app?',
  ],
  [
    'an upstream where there is none',
    'routes: [{ name: r, match: { path: /a }, auth: public, upstream: §app }]',
    'routes.r.upstream: there is no such upstream: there is none, add it',
  ],
  [
    'an unknown service',
    'routes: [{ name: r, match: { path: /a }, service: §ecko }]',
    'routes.r.service: must be accounts, sessions, oauth, revocations, usernames, graphql, discovery, health or echo, did you mean echo?',
  ],
  [
    'an unknown tenant',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, tenants: [§defualt] }]',
    'routes.r.tenants.0: there is no such tenant, did you mean default?',
  ],
  [
    'an unknown issuer',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, issuers: [§okta] }]',
    'routes.r.issuers.0: there is no such issuer: write gateway',
  ],
  [
    'an empty list of tenants',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, tenants: §[] }]',
    'routes.r.tenants: must not be empty: remove it for any tenant',
  ],
  [
    'auth beside a service that says its own',
    'routes: [{ name: r, match: { path: /a }, auth: §public, service: health }]',
    'routes.r.auth: the health service says its own, endpoint by endpoint: remove it',
  ],
  [
    'echo without auth',
    'routes: [§{ name: r, match: { path: /a }, service: echo }]',
    'routes.r.auth: is required: write required, optional or public',
  ],
  [
    'no path',
    'routes: [{ name: r, match: §{}, auth: public, service: echo }]',
    'routes.r.match.path: is required: write a path, such as /api/*',
  ],
  [
    'no match',
    'routes: [§{ name: r, auth: public, service: echo }]',
    'routes.r.match.path: is required: write a path, such as /api/*',
  ],
  [
    'no match, where the route has no name',
    'routes: [§{ auth: public, service: echo }]',
    'routes.0.match.path: is required: write a path, such as /api/*',
  ],
  [
    'a prefix that is not of its path',
    'routes: [{ name: r, match: { path: /a/b/* }, auth: public, service: echo, stripPrefix: §/a/c }]',
    'routes.r.stripPrefix: must be the start of match.path, in whole segments',
  ],
  [
    'half a segment as prefix',
    'routes: [{ name: r, match: { path: /abc/* }, auth: public, service: echo, stripPrefix: §/ab }]',
    'routes.r.stripPrefix: must be the start of match.path, in whole segments',
  ],
  [
    'an empty list of claim values',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, claims: { plan: §[] } }]',
    'routes.r.claims.plan: must not be empty: no token could come in',
  ],
  [
    'a token used once that need not be there',
    'routes: [{ name: r, match: { path: /a }, auth: optional, service: echo, replay: §once }]',
    'routes.r.replay: would let requests without a token pass it: remove it, or write auth: required',
  ],
  [
    'a token used once that nobody looks at',
    'routes: [{ name: r, match: { path: /a }, auth: public, service: echo, replay: §once }]',
    'routes.r.replay: has no effect on a public route: remove it, or write auth: required',
  ],
  [
    'a token used once at a service with its own authentication',
    'routes: [{ name: r, match: { path: /auth/* }, service: accounts, replay: §once }]',
    'routes.r.replay: has no effect on the service accounts: remove it',
  ],
  [
    'a stream that outlives a token that nobody looks at',
    'routes: [{ name: r, match: { path: /a }, auth: public, upstream: u, liveUntil: §session }]\nupstreams: { u: { targets: ["http://u"] } }',
    'routes.r.liveUntil: has no effect on a public route: remove it, or write auth: required',
  ],
  [
    'a stream that outlives its token at a service',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, liveUntil: §session }]',
    'routes.r.liveUntil: has no effect on the service echo: remove it',
  ],
  [
    'a stream that lasts as a session for tokens that have none',
    `routes: [{ name: r, match: { path: /a }, auth: required, issuers: [other], upstream: u, liveUntil: §session }]
upstreams: { u: { targets: ["http://u"] } }
issuers: { other: { issuer: o, tenant: default, audiences: any, algorithms: [ES256], jwks: { uri: "https://o.test/jwks" } } }`,
    'routes.r.liveUntil: has no effect without the issuer gateway: tokens made elsewhere have no session here',
  ],
  [
    'a use that is no use',
    'routes: [{ name: r, match: { path: /a }, auth: required, service: echo, replay: §twice }]',
    'routes.r.replay: must be allowed or once',
  ],
  [
    'a header twice',
    'routes: [{ name: r, match: { path: /a }, auth: public, service: echo, requestHeaders: { set: { X-A: a, x-a: §b } } }]',
    'routes.r.requestHeaders.set.x-a: is the header x-a again: remove one',
  ],
  [
    'a line break in a header',
    'routes: [{ name: r, match: { path: /a }, auth: public, service: echo, requestHeaders: { set: { x-a: §"a\\nb" } } }]',
    'routes.r.requestHeaders.set.x-a: must not have control characters or line breaks',
  ],
  [
    'a number as a header',
    'routes: [{ name: r, match: { path: /a, headers: { x-beta: §1 } }, auth: public, service: echo }]',
    'routes.r.match.headers.x-beta: must be text: put quotes around it',
  ],
  [
    'a header name with a space',
    'routes: [{ name: r, match: { path: /a, headers: { §x beta: a } }, auth: public, service: echo }]',
    'routes.r.match.headers."x beta": a header name is letters, digits and -, such as x-env',
  ],
  [
    'a name that another has',
    'routes:\n  - { name: r, match: { path: /a }, service: health }\n  - { name: §r, match: { path: /b }, service: health }\n',
    'routes.r.name: is the name of the route in line 2 too: choose another',
  ],
  ['a route that is no mapping', 'routes: [§/a]', 'routes.0: must be a mapping: keys and values'],
]

const NO_EFFECT = [
  'scopes: §[a]',
  'claims: §{ a: [b] }',
  'maxAuthAge: §1h',
  'tenants: §[default]',
  'issuers: §[gateway]',
] as const

describe('a route is refused for', () => {
  it.each(ROUTES)('%s', (_, text, ...messages) => {
    const { yaml, faults } = marked(text, messages)
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each(NO_EFFECT)('a rule about tokens on a public route: %s', (rule) => {
    const message = `routes.r.${rule.split(':')[0]}: has no effect on a public route: remove it, or write auth: required`
    const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a }, auth: public, service: echo, ${rule} }]`, [message])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each(NO_EFFECT.slice(0, 3))('a rule that a request without a token would pass: %s', (rule) => {
    const message = `routes.r.${rule.split(':')[0]}: would let requests without a token pass it: remove it, or write auth: required`
    const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a }, auth: optional, service: echo, ${rule} }]`, [
      message,
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each(['connection', 'Transfer_Encoding', 'content-length', 'Host', 'te', 'keep-alive', 'upgrade'])(
    'a header of the connection, however it is spelled: %s',
    (name) => {
      const rules = `requestHeaders: { set: { ${name}: §a } }, responseHeaders: { remove: [§${name}] }`
      const message = 'belongs to the connection or the framing, which the gateway writes: remove it'
      const route = `{ name: r, match: { path: /a }, auth: public, upstream: u, ${rules} }`
      const { yaml, faults } = marked(`upstreams: { u: { targets: ["http://a"] } }\nroutes: [${route}]`, [
        `routes.r.requestHeaders.set.${name}: ${message}`,
        `routes.r.responseHeaders.remove.0: ${message}`,
      ])
      expect(faultsOf(yaml)).toEqual(faults)
    },
  )

  it.each(['host: §preserve', 'websocket: §true', 'responseHeaders: §{ remove: [server] }'])(
    'what only an upstream has, on a service: %s',
    (rule) => {
      const message = `routes.r.${rule.split(':')[0]}: has no effect on the service echo: remove it`
      const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a }, auth: public, service: echo, ${rule} }]`, [
        message,
      ])
      expect(faultsOf(yaml)).toEqual(faults)
    },
  )

  it.each(['scopes: §[a]', 'tenants: §[default]', 'forwardToken: §true', 'stripPrefix: §/a'])(
    'what a service with its own authentication leaves no room for: %s',
    (rule) => {
      const message = `routes.r.${rule.split(':')[0]}: has no effect on the service accounts: remove it`
      const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a/* }, service: accounts, ${rule} }]`, [message])
      expect(faultsOf(yaml)).toEqual(faults)
    },
  )

  it.each([
    ['x-user-id', 'x-user-id'],
    ['X_User_Id', 'X_User_Id'],
    ['x.tenant.id', '"x.tenant.id"'],
    ['X-Gatehouse-Identity', 'X-Gatehouse-Identity'],
  ])('setting an identity header, however it is spelled: %s', (name, label) => {
    const rules = `requestHeaders: { set: { ${name}: §a } }`
    const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a }, auth: public, service: echo, ${rules} }]`, [
      `routes.r.requestHeaders.set.${label}: is an identity header, which only the gateway sets: remove it`,
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

const ISSUERS: readonly Row[] = [
  [
    'nothing at all',
    '§§§§{}',
    'issuers.i.issuer: is required: write the iss of its tokens',
    'issuers.i.tenant: is required: write the tenant its tokens belong to, such as default',
    'issuers.i.audiences: is required: write a list such as [api], or any',
    'issuers.i.algorithms: is required: write a list such as [RS256]',
  ],
  [
    'an unknown tenant',
    '{ issuer: i, tenant: §defaults, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ } }',
    'issuers.i.tenant: there is no such tenant, did you mean default?',
  ],
  [
    'an empty list of audiences',
    '{ issuer: i, tenant: default, audiences: §[], algorithms: [RS256], jwks: { uri: https://i/ } }',
    'issuers.i.audiences: must not be empty: write a list such as [api], or any',
  ],
  [
    'another word for any audience',
    '{ issuer: i, tenant: default, audiences: §all, algorithms: [RS256], jwks: { uri: https://i/ } }',
    'issuers.i.audiences: must be any',
  ],
  [
    'an audience that is a number',
    '{ issuer: i, tenant: default, audiences: [§5], algorithms: [RS256], jwks: { uri: https://i/ } }',
    'issuers.i.audiences.0: must be an audience: put quotes around it',
  ],
  [
    'no keys',
    '§{ issuer: i, tenant: default, audiences: any, algorithms: [RS256] }',
    'issuers.i.jwks: is required: write { uri: https://… } or { file: PATH }',
  ],
  [
    'neither a place nor a file of keys',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: §{} }',
    'issuers.i.jwks.uri: is required: write uri: https://… or file: PATH',
  ],
  [
    'no secrets for HS256',
    '§{ issuer: i, tenant: default, audiences: any, algorithms: [HS256] }',
    'issuers.i.secrets: is required for HS*: write [{ env: NAME }]',
  ],
  [
    'an empty list of secrets',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [HS256], secrets: §[] }',
    'issuers.i.secrets: must not be empty: write [{ env: NAME }]',
  ],
  [
    'public keys for HS256',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [HS256], jwks: §{ uri: https://i/ }, secrets: [{ env: SECRET_32 }] }',
    'issuers.i.jwks: does not go with HS*: remove it, and write secrets',
  ],
  [
    'secrets for RS256',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ }, secrets: §[{ env: SECRET_32 }] }',
    'issuers.i.secrets: works with HS* only: remove it, and write jwks',
  ],
  [
    'HS256 beside RS256',
    '{ issuer: i, tenant: default, audiences: any, algorithms: §[HS256, RS256], secrets: [{ env: SECRET_32 }] }',
    'issuers.i.algorithms: must not mix HS* with others: HS* needs secrets, the others jwks',
  ],
  [
    'a short secret for HS256',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [HS256], secrets: [§{ env: SECRET_31 }] }',
    'issuers.i.secrets.0: the secret is too short: HS256 needs at least 32 bytes',
  ],
  [
    'a short secret for HS384',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [HS256, HS384], secrets: [§{ env: SECRET_32 }] }',
    'issuers.i.secrets.0: the secret is too short: HS384 needs at least 48 bytes',
  ],
  [
    'a short secret for HS512',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [HS512], secrets: [§{ env: SECRET_48 }] }',
    'issuers.i.secrets.0: the secret is too short: HS512 needs at least 64 bytes',
  ],
  [
    'no signature',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [§none], jwks: { uri: https://i/ } }',
    'issuers.i.algorithms.0: must be RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512',
  ],
  [
    'keys over plain http',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: §http://i/ } }',
    'issuers.i.jwks.uri: must be an https:// URL: http to another machine lets anyone on the way choose the keys (allowInsecure: true accepts that)',
  ],
  [
    'a password in the URL of its keys',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: §"https://u:p@i/" } }',
    'issuers.i.jwks.uri: must not hold a user or password: remove them',
  ],
  [
    'a file of keys that is not there',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { file: §keys.json } }',
    'issuers.i.jwks.file: the file cannot be read: no such file',
  ],
  [
    'a file of something else',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { file: §text.txt } }',
    'issuers.i.jwks.file: is not a JWKS file: it has no "keys" list',
  ],
  [
    'a place and a file of keys',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/, file: §jwks.json } }',
    'issuers.i.jwks.file: does not go with uri: remove one of the two',
  ],
  [
    'a refresh of a file',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { file: jwks.json, refresh: §1m } }',
    'issuers.i.jwks.refresh: has no effect on a file: remove it',
  ],
  [
    'keys that stop to serve before they are fetched again',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/, refresh: 10m, staleFor: §5m } }',
    'issuers.i.jwks.staleFor: must not be shorter than refresh: keys have to serve until they are fetched again',
  ],
  [
    "a tenant's issuer",
    '{ issuer: §http://localhost:8080/t/default, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ } }',
    'issuers.i.issuer: is the issuer of tenants.default too: keys of two would verify one token',
  ],
  [
    'a skew of minutes',
    '{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ }, clockSkew: §121s }',
    'issuers.i.clockSkew: must be between 0s and 120s',
  ],
]

describe('an issuer is refused for', () => {
  const environment = { SECRET_32: 's'.repeat(32), SECRET_31: 's'.repeat(31), SECRET_48: 's'.repeat(48) }
  const needs = needsOf(environment, { '/etc/gatehouse/jwks.json': '{"keys": []}', '/etc/gatehouse/text.txt': 'text' })

  it.each(ISSUERS)('%s', (_, text, ...messages) => {
    const { yaml, faults } = marked(`issuers: { i: ${text} }`, messages)
    expect(faultsOf(yaml, needs)).toEqual(faults)
  })

  it('the name of the gateway itself', () => {
    const { yaml, faults } = marked(
      'issuers: { gateway: §{ issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ } } }',
      ['issuers.gateway: gateway is the name of the gateway itself: choose another'],
    )
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('the issuer of another', () => {
    const rest = 'tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i/ } }'
    const { yaml, faults } = marked(`issuers:\n  a: { issuer: i, ${rest}\n  b: { issuer: §i, ${rest}\n`, [
      'issuers.b.issuer: is the issuer of issuers.a too: keys of two would verify one token',
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each([
    'http://127.0.0.1:9/',
    'http://127.9.9.9/',
    'http://localhost/',
    '"http://[::1]:9/"',
    'http://i/, allowInsecure: true',
  ])('nothing when its keys come from %s', (uri) => {
    expect(
      faultsOf(`issuers: { i: { issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: ${uri} } } }`),
    ).toEqual([])
  })
})

const OTHERS: readonly Row[] = [
  [
    'two tenants of one host',
    'tenants: { a: { hosts: [A.example] }, b: { hosts: [§a.example] } }',
    'tenants.b.hosts.0: is a host of tenants.a too: a host belongs to one tenant',
  ],
  [
    'two tenants of one issuer',
    'tenants: { a: { issuer: "http://i/" }, b: { issuer: §"http://i/" } }',
    'tenants.b.issuer: is the issuer of tenants.a too: each tenant has its own',
  ],
  [
    'the default issuer of another tenant',
    'tenants: { a: { issuer: §"http://localhost:8080/t/b" }, b: {} }',
    'tenants.a.issuer: is the issuer of tenants.b too: each tenant has its own',
  ],
  [
    'a wildcard among the hosts of a tenant',
    'tenants: { a: { hosts: [§"*.example"] } }',
    'tenants.a.hosts.0: must be one host: * works in routes only',
  ],
  [
    'a tenant id in upper case',
    'tenants: { §Acme: {} }',
    'tenants.Acme: a tenant id is lower-case letters, digits and -, and starts with a letter or digit',
  ],
  [
    'a tenant id that is too long',
    `tenants: { §${'a'.repeat(64)}: {} }`,
    `tenants.${'a'.repeat(64)}: a tenant id is lower-case letters, digits and -, and starts with a letter or digit`,
  ],
  [
    'an idle time longer than the session',
    'tenants: { a: { refreshToken: { lifetime: 1d, idle: §2d } } }',
    'tenants.a.refreshToken.idle: must not be longer than lifetime',
  ],
  [
    'an open admin listener without a token',
    'listeners: { admin: §{ address: 0.0.0.0:9901 } }',
    'listeners.admin.token: is required, since the address is not loopback: write { env: NAME }, or listen on 127.0.0.1',
  ],
  [
    'a wait for the head longer than for the request',
    'listeners: { public: { timeouts: { headers: §61s } } }',
    'listeners.public.timeouts.headers: timeouts.headers (61000 ms) must not be longer than timeouts.request (60000 ms)',
  ],
  [
    'two identity headers of one folded name',
    'identity: { headers: { user: §X_Tenant.Id } }',
    'identity.headers.user: is the same header as identity.headers.tenant: each fact has its own',
  ],
  [
    'a passport in an identity header',
    'identity: { passport: { header: §x-user-id } }',
    'identity.passport.header: is the same header as identity.headers.user: each fact has its own',
  ],
  [
    'an upstream without targets',
    'upstreams: { a: §{} }',
    'upstreams.a.targets: is required: write a list such as [http://127.0.0.1:9001]',
  ],
  [
    'an upstream with an empty list of targets',
    'upstreams: { a: { targets: §[] } }',
    'upstreams.a.targets: must not be empty: write a list such as [http://127.0.0.1:9001]',
  ],
  [
    'a target of another scheme',
    'upstreams: { a: { targets: [http://b, §"ftp://b"] } }',
    'upstreams.a.targets.1: must be an http:// or https:// URL, such as http://127.0.0.1:9001',
  ],
  [
    'a password in a target',
    'upstreams: { a: { targets: [§"http://u:p@b"] } }',
    'upstreams.a.targets.0: must not hold a user or password: remove them',
  ],
  [
    'a query in a target',
    'upstreams: { a: { targets: [§"http://b/?"] } }',
    'upstreams.a.targets.0: must not have a query or fragment: remove it',
  ],
  [
    'a target without its URL',
    'upstreams: { a: { targets: [§{}] } }',
    'upstreams.a.targets.0.url: is required: write a URL such as http://127.0.0.1:9001',
  ],
  [
    'a client certificate without its key',
    'upstreams: { a: { targets: ["https://b"], tls: §{ certificate: cert.pem } } }',
    'upstreams.a.tls.key: is required beside certificate: write the path of its key',
  ],
  [
    'a certificate authority that is not there',
    'upstreams: { a: { targets: ["https://b"], tls: { ca: §ca.pem } } }',
    'upstreams.a.tls.ca: the file cannot be read: no such file',
  ],
  [
    'a certificate authority that is not PEM',
    'upstreams: { a: { targets: ["https://b"], tls: { ca: §text.txt } } }',
    'upstreams.a.tls.ca: is not a PEM file',
  ],
]

describe('a configuration is refused for', () => {
  it.each(OTHERS)('%s', (_, text, ...messages) => {
    const files = { '/etc/gatehouse/cert.pem': '-----BEGIN CERTIFICATE-----', '/etc/gatehouse/text.txt': 'text' }
    const { yaml, faults } = marked(text, messages)
    expect(faultsOf(yaml, needsOf({}, files))).toEqual(faults)
  })

  it.each([
    'host',
    'Authorization',
    'cookie',
    'x_request_id',
    'forwarded',
    'X-Forwarded-User',
    'traceparent',
    'te',
    'content-length',
  ])('an identity header that means something else: %s', (name) => {
    const { yaml, faults } = marked(`identity: { headers: { user: §${name} } }`, [
      'identity.headers.user: has a meaning of its own: choose another header name',
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
