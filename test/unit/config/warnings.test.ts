/** What is allowed and seldom meant, and what has to be named before it is allowed. */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { findRouteFaultsOf, findRouteWarningsOf } from '../../../src/gateway.ts'
import { faultsOf, marked, needsOf, type Files } from './faults-of.ts'

/** The warnings of a file, a line each. */
function warningsOf(yaml: string, environment: Readonly<Record<string, string>> = {}, files: Files = {}): readonly string[] {
  const needs = { ...needsOf(environment, files), inspect: findRouteFaultsOf, warn: findRouteWarningsOf }
  const { warnings = [] } = parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needs)
  return warnings.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)
}

const ECHO = 'auth: required, service: echo'
const HS = 'algorithms: [HS256], secrets: [{ env: SECRET }]'
const SECRET = { SECRET: 's'.repeat(32), MASTER: 'a'.repeat(64) }

describe('a setting that gives something away is warned about', () => {
  it.each([
    [
      'listeners: { public: { origin: §"http://api.example.com" } }',
      'listeners.public.origin: is http: tokens and cookies go to clients in the clear',
    ],
    [
      `issuers: { old: { issuer: a, tenant: default, audiences: §any, ${HS} } }`,
      'issuers.old.audiences: takes tokens that were made for others',
    ],
    [
      'issuers: { old: { issuer: a, tenant: default, audiences: [b], algorithms: [RS256], jwks: { uri: "http://a.example/jwks", allowInsecure: §true } } }',
      'issuers.old.jwks.allowInsecure: fetches keys over http: whoever is on the way chooses them',
    ],
    [
      'tenants: { default: { refreshToken: { rotation: §false } } }',
      'tenants.default.refreshToken.rotation: is off: a refresh token that was stolen is never noticed',
    ],
    [
      'revocation: { whenStale: §allow }',
      'revocation.whenStale: lets revoked tokens in while the copy of the revocations is old',
    ],
    [
      `routes: [{ name: r, match: { path: /a }, ${ECHO}, revocation: { whenStale: §allow, maxStaleness: 60s } }]`,
      'routes.r.revocation.whenStale: lets revoked tokens in while the copy of the revocations is older than 60s',
    ],
    [
      'masterKey: { env: MASTER }\nstorage: { sessions: redis://127.0.0.1 }\nrevocation: { legacyChannel: { publishRawToken: §true } }',
      'revocation.legacyChannel.publishRawToken: tells tokens to everyone who hears the channel',
    ],
    [
      `routes: [{ name: r, match: { path: /a }, ${ECHO}, cors: { origins: §["https://*.example.com"], credentials: true } }]`,
      'routes.r.cors.origins: has a * with credentials: whoever gets a page on one of those hosts acts as its visitors',
    ],
    [
      `routes: [{ name: r, match: { path: /a }, ${ECHO}, cors: { origins: §["http://app.example.com"] } }]`,
      'routes.r.cors.origins: has an http:// origin: whoever is on the way writes its pages',
    ],
    [
      `insecure: [upstream-tls]\nupstreams: { u: { targets: ["https://a.example"], tls: { verify: §false } } }\nroutes: [{ match: { path: /a }, auth: public, upstream: u }]`,
      'upstreams.u.tls.verify: takes any certificate: whoever is on the way reads and changes everything',
    ],
    [
      'insecure: [wide-trusted-proxies]\nlisteners: { public: { trustedProxies: [10.0.0.0/8, §0.0.0.0/1] } }',
      'listeners.public.trustedProxies.1: is wider than any network of proxies: clients in it choose their address',
    ],
  ])('%s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(warningsOf(yaml, SECRET)).toEqual(faults)
  })
})

describe('a rule that can never hold is warned about', () => {
  const TENANTS = 'tenants: { acme: { hosts: [acme.test] }, other: { hosts: [other.test] } }\n'
  const NOBODY = 'routes.r: admits nobody: its tenants, issuers and hosts have no tenant in common'
  it.each([
    ['upstreams: { u: §{ targets: ["http://a.example"] } }', 'upstreams.u: is used by no route'],
    [`${TENANTS}routes: [§{ name: r, match: { path: /a, hosts: [acme.test] }, tenants: [other], ${ECHO} }]`, NOBODY],
    [
      `${TENANTS}issuers: { old: { issuer: a, tenant: acme, audiences: [b], ${HS} } }\nroutes: [§{ name: r, match: { path: /a }, tenants: [other], issuers: [old], ${ECHO} }]`,
      NOBODY,
    ],
    [
      `${TENANTS}issuers: { old: { issuer: a, tenant: acme, audiences: [b], ${HS} } }\nroutes: [§{ name: r, match: { path: /a, hosts: [other.test] }, issuers: [old], ${ECHO} }]`,
      NOBODY,
    ],
    [
      `routes: [{ name: r, match: { path: /a, headers: §{ x-beta: "1", X_Beta: "2" } }, ${ECHO} }]`,
      'routes.r.match.headers: has x_beta in two spellings: no request has both',
    ],
    [
      `routes: [{ name: r, match: { path: /a }, ${ECHO}, ip: { allow: [192.0.2.0/24, §10.1.0.0/16], deny: [10.0.0.0/8] } }]`,
      'routes.r.ip.allow.1: lets nobody in: deny has all of it',
    ],
    [
      `routes: [{ name: r, match: { path: /a, methods: [GET] }, ${ECHO}, cors: { origins: ["*"], methods: §[GET, HEAD, PUT, DELETE] } }]`,
      'routes.r.cors.methods: has PUT, DELETE, which match.methods does not take',
    ],
    [
      `routes: [{ name: r, match: { path: §/shop/*, methods: [GET, POST] }, ${ECHO} }, { name: cart, match: { path: /shop/cart/*, methods: [GET] }, ${ECHO} }]`,
      'routes.r.match.path: does not get POST of /shop/cart/*: cart takes that path, and answers 405',
    ],
  ])('%s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(warningsOf(yaml, SECRET)).toEqual(faults)
  })
})

describe('nothing is said about', () => {
  it.each([
    'listeners: { public: { origin: "http://localhost:8080", trustedProxies: [10.0.0.0/8, "fd00::/8", "fc00::/7"] } }',
    `routes: [{ match: { path: /a }, ${ECHO}, cors: { origins: ["http://localhost:3000", "https://*.example.com"] } }]`,
    `routes: [{ match: { path: /a }, ${ECHO}, cors: { origins: ["https://a.example"], credentials: true } }]`,
    `routes: [{ match: { path: /shop/* }, ${ECHO} }, { match: { path: /shop/cart, methods: [GET] }, ${ECHO} }]`,
    `routes: [{ match: { path: /shop/*, methods: [GET] }, ${ECHO} }, { match: { path: /shop/*, methods: [POST] }, ${ECHO} }]`,
    `routes: [{ match: { path: /shop/*, methods: [POST] }, ${ECHO} }, { match: { path: /shop/cart, methods: [GET] }, ${ECHO} }, { match: { path: /shop/cart, methods: [POST] }, ${ECHO} }]`,
    `routes: [{ match: { path: /shop/*, methods: [POST] }, ${ECHO} }, { match: { path: /shop/cart, methods: [GET], hosts: [a.test] }, ${ECHO} }]`,
    `tenants: { acme: { hosts: [acme.test] } }\nroutes: [{ match: { path: /a, hosts: [acme.test, other.test] }, tenants: [acme], ${ECHO} }]`,
    `routes: [{ match: { path: /a }, auth: public, service: echo, revocation: { whenStale: allow } }]`,
  ])('%s', (yaml) => {
    expect(warningsOf(yaml)).toEqual([])
  })
})

describe('insecure', () => {
  const ROUTE = 'routes: [{ match: { path: /a }, auth: public, upstream: u }]'
  const UPSTREAM = 'upstreams: { u: { targets: ["https://a.example"], tls: { verify: §false } } }'
  const WIDE =
    'believes clients what they say of themselves: it is wider than any network of proxies: remove it, or write insecure: [wide-trusted-proxies] at the top of the file'
  it.each([
    [
      `${UPSTREAM}\n${ROUTE}`,
      'upstreams.u.tls.verify: takes any certificate: remove it, or write insecure: [upstream-tls] at the top of the file',
    ],
    ['listeners: { public: { trustedProxies: [§0.0.0.0/1] } }', `listeners.public.trustedProxies.0: ${WIDE}`],
    ['listeners: { public: { trustedProxies: [10.0.0.0/8, §"2000::/3"] } }', `listeners.public.trustedProxies.1: ${WIDE}`],
    ['insecure: [§upstream-tls]', 'insecure.0: stands for nothing in this file: remove it'],
    ['insecure: [§tls]', 'insecure.0: must be upstream-tls or wide-trusted-proxies'],
  ])('refuses %s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('is in the effective configuration', () => {
    const yaml = `insecure: [upstream-tls]\n${UPSTREAM.replace('§', '')}\n${ROUTE}`
    expect(parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needsOf()).insecure).toEqual(['upstream-tls'])
  })
})

it('a warning changes neither the version of a configuration nor repeats what came from the environment', () => {
  const version = (yaml: string) => parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needsOf()).version
  const odd = 'revocation: { whenStale: allow }'
  expect(version(`\n\n${odd}`)).toBe(version(odd))
  const yaml = `routes: [{ name: r, match: { path: "/\${PLACE}/*", methods: [GET, PUT] }, ${ECHO} }, { match: { path: "/\${PLACE}/cart", methods: [GET] }, ${ECHO} }]`
  expect(warningsOf(yaml, { PLACE: 'hidden-place' }).join()).not.toContain('hidden-place')
})
