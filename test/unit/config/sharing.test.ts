/** What a route says of addresses, of pages of other origins, of several upstreams and of the request that an upstream sees. */
import { describe, expect, it } from 'vitest'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

const UPSTREAMS = 'upstreams: { a: { targets: [http://127.0.0.1:1] }, b: { targets: [http://127.0.0.1:2] } }\n'
const routeWith = (keys: string, target = 'upstream: a') =>
  `${UPSTREAMS}routes: [{ name: r, match: { path: /api/* }, auth: public, ${target}, ${keys} }]`
const one = (keys: string, target?: string) => testConfig(routeWith(keys, target)).routes[0]

describe('ip', () => {
  it('has networks and addresses as they are written, each once', () => {
    const route = one('ip: { allow: [10.0.0.0/8, 192.0.2.7, 10.0.0.0/8, "2001:DB8::/32", "::ffff:10.0.0.0/104"] }')
    expect(route?.ip).toEqual({ allow: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::ffff:10.0.0.0/104'], deny: [] })
  })

  it('is on a service too', () => {
    expect(one('ip: { deny: [10.0.0.0/8] }', 'service: echo')?.ip).toEqual({ allow: [], deny: ['10.0.0.0/8'] })
  })

  const NETWORK = 'must be a network or an address, such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32'
  const FIRST = 'must be the first address of its network: it has bits behind the prefix, or the prefix is too long'
  it.each([
    ['ip: { allow: [§10/8] }', `ip.allow.0: ${NETWORK}`],
    ['ip: { allow: [10.0.0.0/8, §office] }', `ip.allow.1: ${NETWORK}`],
    ['ip: { deny: [§10.0.0.1/8] }', `ip.deny.0: ${FIRST}`],
    ['ip: { deny: [§10.0.0.0/33] }', `ip.deny.0: ${FIRST}`],
    ['ip: { deny: [§"2001:db8::1/64"] }', `ip.deny.0: ${FIRST}`],
    ['ip: { allow: §10.0.0.0/8 }', 'ip.allow: must be a list, such as [a, b]'],
    ['ip: §{}', 'ip: has no effect: write allow or deny, or remove it'],
    ['ip: §{ allow: [], deny: [] }', 'ip: has no effect: write allow or deny, or remove it'],
    ['ip: { §alow: [] }', 'ip.alow: unknown key, did you mean allow?'],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(routeWith(keys), [`routes.r.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('cors', () => {
  it('has defaults for all but its origins', () => {
    expect(one('cors: { origins: [https://app.example.com] }')?.cors).toEqual({
      any: false,
      origins: new Set(['https://app.example.com']),
      patterns: [],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      headers: ['authorization', 'content-type'],
      exposedHeaders: ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy'],
      credentials: false,
      maxAgeSeconds: 600,
      privateNetwork: false,
    })
  })

  it('allows the methods that the route takes', () => {
    const text = 'routes: [{ match: { path: /a, methods: [GET, PUT] }, auth: public, service: echo, cors: { origins: ["*"] } }]'
    expect(testConfig(text).routes[0]?.cors).toMatchObject({ any: true, methods: ['GET', 'PUT'] })
  })

  it.each([
    ['https://App.Example.com', 'https://app.example.com'],
    ['https://app.example.com:443/', 'https://app.example.com'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['http://127.0.0.1:80', 'http://127.0.0.1'],
  ])('has %s as browsers write it', (written, origin) => {
    expect([...(one(`cors: { origins: ["${written}"] }`)?.cors?.origins ?? [])]).toEqual([origin])
  })

  it.each([
    ['https://*.Example.com', { start: 'https://', end: '.example.com' }],
    ['https://*.example.com:443', { start: 'https://', end: '.example.com' }],
    ['http://*.example.com:8080', { start: 'http://', end: '.example.com:8080' }],
  ])('has %s as a pattern', (written, pattern) => {
    expect(one(`cors: { origins: ["${written}"] }`)?.cors?.patterns).toEqual([pattern])
  })

  const SUCH = 'such as https://app.example.com or https://*.example.com'
  const ORIGIN = `must be an origin, ${SUCH}`
  it.each([
    ['cors: §{}', 'cors.origins: is required: write a list such as [https://app.example.com]'],
    ['cors: { origins: §[] }', 'cors.origins: must not be empty: remove cors where no page of another origin may call'],
    ['cors: { origins: [§app.example.com] }', `cors.origins.0: ${ORIGIN}`],
    ['cors: { origins: [§https://app.example.com/path] }', `cors.origins.0: ${ORIGIN}`],
    ['cors: { origins: [§https://user@app.example.com] }', `cors.origins.0: ${ORIGIN}`],
    ['cors: { origins: [§"https://app.example.com:99999"] }', `cors.origins.0: ${ORIGIN}`],
    ['cors: { origins: [§file:///] }', `cors.origins.0: ${ORIGIN}`],
    [
      'cors: { origins: [§"null"] }',
      `cors.origins.0: must not be null: every page can make itself one without an origin. Write an origin, ${SUCH}`,
    ],
    ['cors: { origins: [§https://*.com] }', 'cors.origins.0: must name a domain behind *., such as https://*.example.com'],
    ['cors: { origins: [§"https://*.0.0.1"] }', 'cors.origins.0: must name a domain behind *., such as https://*.example.com'],
    [
      'cors: { origins: [§https://*] }',
      'cors.origins.0: must be an origin: * stands for whole labels in front, as in https://*.example.com',
    ],
    [
      'cors: { origins: [§https://a*.example.com] }',
      'cors.origins.0: must be an origin: * stands for whole labels in front, as in https://*.example.com',
    ],
    ['cors: { origins: [§https://bücher.example] }', 'cors.origins.0: must be in ASCII: write the xn-- form'],
    [
      'cors: { origins: [§"*"], credentials: true }',
      'cors.origins.0: is not for every origin with credentials: name the origins, or remove credentials',
    ],
    ['cors: { origins: [https://a.test, §"*"] }', 'cors.origins.1: is every origin already: remove it, or the others'],
    ['cors: { origins: ["*"], methods: §[] }', 'cors.methods: must not be empty: remove it for the methods of the route'],
    [
      'cors: { origins: ["*"], methods: [§get] }',
      'cors.methods.0: must be in upper case, such as GET: methods are compared to the letter',
    ],
    [
      'cors: { origins: ["*"], headers: [§"*"] }',
      'cors.headers.0: must be the name of a header: with credentials * means nothing, and it never means authorization',
    ],
    [
      'cors: { origins: ["*"], headers: [§host] }',
      'cors.headers.0: belongs to the connection, and no page can set it: remove it',
    ],
    ['cors: { origins: ["*"], exposedHeaders: [§"a b"] }', 'cors.exposedHeaders.0: must be a header name, such as authorization'],
    ['cors: { origins: ["*"], maxAge: §2d }', 'cors.maxAge: must be between 0s and 1d'],
    [
      'cors: { origins: ["*"] }, responseHeaders: { set: { Access-Control-Allow-Origin: §"*" } }',
      'responseHeaders.set.Access-Control-Allow-Origin: is said by cors: remove it',
    ],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(routeWith(keys), [`routes.r.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('split', () => {
  it('is a target of its own', () => {
    expect(one('split: [{ upstream: a, weight: 95 }, { upstream: b, weight: 5 }]', 'websocket: true')?.target).toEqual({
      kind: 'split',
      sides: [
        { upstream: 'a', weight: 95 },
        { upstream: 'b', weight: 5 },
      ],
    })
  })

  const B = '{ upstream: b, weight: 5 }'
  it.each([
    [`split: §[${B}]`, 'split: must have two sides or more: write upstream: NAME for one'],
    ['split: §[]', 'split: must have two sides or more: write upstream: NAME for one'],
    [`split: [${B}, §{ upstream: a }]`, 'split.1.weight: is required: write its share, such as 5'],
    [`split: [${B}, §{ weight: 1 }]`, 'split.1.upstream: is required: write the name of an upstream'],
    [`split: [${B}, { upstream: §c, weight: 1 }]`, 'split.1.upstream: there is no such upstream: write a or b'],
    [`split: [${B}, { upstream: §b, weight: 1 }]`, 'split.1.upstream: has a side already: remove one'],
    [`split: [${B}, { upstream: a, weight: §-1 }]`, 'split.1.weight: must be a whole number from 0 to 1000000'],
    [
      'split: §[{ upstream: a, weight: 0 }, { upstream: b, weight: 0 }]',
      'split: must not all have weight 0: nothing could be forwarded',
    ],
    [`split: §[${B}, { upstream: a, weight: 1 }], upstream: a`, 'split: a route has one target: remove upstream or split'],
    [`split: §[${B}, { upstream: a, weight: 1 }], service: echo`, 'split: a route has one target: remove service or split'],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(routeWith(keys, 'bodyBytes: 1MiB'), [`routes.r.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('what the upstream sees', () => {
  it('is under a prefix, by a name and for a time that the route says', () => {
    const route = one(
      'stripPrefix: /api, addPrefix: /v2, host: { set: Orders.internal:8443 }, timeouts: { idle: 5m, response: 2s }',
    )
    expect(route).toMatchObject({
      stripPrefix: '/api',
      addPrefix: '/v2',
      host: 'upstream',
      hostName: 'orders.internal:8443',
      idleTimeoutMs: 300_000,
      responseTimeoutMs: 2000,
    })
  })

  it.each([
    ['addPrefix: §v2', 'addPrefix: must be a path that starts with /, such as /api'],
    ['addPrefix: §/v2/', 'addPrefix: must name a segment and not end in /, such as /api'],
    ['addPrefix: §/a/../b', 'addPrefix: must not have . or .. segments: write the path they lead to'],
    ['addPrefix: §/a%2Fb', 'addPrefix: must not be percent-encoded: write the canonical path'],
    ['host: §{}', 'host: must say which one: write { set: NAME }'],
    ['host: §both', 'host: must be upstream or preserve'],
    [
      'host: { set: §"https://orders.internal" }',
      'host.set: must be a host name, such as orders.internal or orders.internal:8443',
    ],
    ['host: { set: §"orders.internal:99999" }', 'host.set: must be a host name, such as orders.internal or orders.internal:8443'],
    ['host: { set: §"orders internal" }', 'host.set: must be a host name, such as orders.internal or orders.internal:8443'],
    ['timeouts: { idle: §5 }', 'timeouts.idle: must be a duration: write a number and ms, s, m, h or d, such as 15m'],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(routeWith(keys), [`routes.r.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each(['host: §preserve', 'timeouts: { idle: §5m }'])('is nothing on a service: %s', (keys) => {
    const { yaml, faults } = marked(routeWith(keys, 'service: echo'), [
      `routes.r.${keys.startsWith('host') ? 'host' : 'timeouts.idle'}: has no effect on the service echo: remove it`,
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('is no path on a service that says who may call it', () => {
    const { yaml, faults } = marked('routes: [{ name: r, match: { path: /auth/* }, service: accounts, addPrefix: §/v2 }]', [
      'routes.r.addPrefix: has no effect on the service accounts: remove it',
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
