/** The rate limits of routes, and how they are counted. */
import { describe, expect, it } from 'vitest'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

const UPSTREAM = 'upstreams: { a: { targets: [http://127.0.0.1:1] } }\n'
const routeWith = (keys: string, target = 'auth: required, upstream: a') =>
  `${UPSTREAM}routes: [{ name: r, match: { path: /api/* }, ${target}, ${keys} }]`
const limitsOf = (text: string, target?: string) => testConfig(routeWith(`rateLimit: ${text}`, target)).routes[0]?.rateLimit

describe('rateLimit', () => {
  it('is one limit, whose burst is its number of requests', () => {
    expect(limitsOf('{ requests: 100, per: 1m, by: ip }')).toEqual({
      when: 'arrival',
      limits: [{ route: 'r', policy: 'ip', by: 'ip', requests: 100, perSeconds: 60, burst: 100 }],
    })
  })

  it('is a list of limits, told apart by what they count by', () => {
    const text = `[{ requests: 10, per: 1s, by: ip, burst: 20 }, { requests: 1000, per: 1h, by: user },
      { requests: 100, per: 1h, by: ip, burst: 200 }, { requests: 1, per: 30d, by: tenant, burst: 3 }]`
    expect(limitsOf(text)).toMatchObject({
      when: 'admission',
      limits: [
        { policy: 'ip', requests: 10, perSeconds: 1, burst: 20 },
        { policy: 'user', requests: 1_000, perSeconds: 3_600, burst: 1_000 },
        { policy: 'ip-2', requests: 100, perSeconds: 3_600, burst: 200 },
        { policy: 'tenant', requests: 1, perSeconds: 2_592_000, burst: 3 },
      ],
    })
  })

  it('is counted on arrival where all of it is by address', () => {
    expect(limitsOf('[{ requests: 10, per: 1s, by: ip }, { requests: 100, per: 1h, by: ip, burst: 500 }]')?.when).toBe('arrival')
    expect(limitsOf('{ requests: 10, per: 1s, by: tenant }')?.when).toBe('admission')
  })

  it('is on services, by what they can tell', () => {
    expect(limitsOf('{ requests: 9, per: 1m, by: ip }', 'service: accounts')?.limits[0]?.by).toBe('ip')
    expect(limitsOf('{ requests: 9, per: 1m, by: client }', 'service: sessions')?.limits[0]?.by).toBe('client')
    expect(limitsOf('{ requests: 9, per: 1m, by: client }', 'service: oauth')?.limits[0]?.by).toBe('client')
    expect(limitsOf('{ requests: 9, per: 1m, by: tenant }', 'service: health')?.limits[0]?.by).toBe('tenant')
    expect(limitsOf('{ requests: 9, per: 1m, by: user }', 'auth: optional, service: echo')?.limits[0]?.by).toBe('user')
  })

  const L = 'requests: 1, per: 1s'
  const BY = 'must be ip, user, tenant, token or client'
  it.each([
    ['rateLimit: §10', 'rateLimit: must be a mapping: keys and values'],
    ['§rateLimit: ', 'rateLimit: is empty: write a value, or remove the key'],
    ['rateLimit: §[]', 'rateLimit: must not be empty: remove it for no limit'],
    ['rateLimit: [§10]', 'rateLimit.0: must be a mapping: keys and values'],
    [`rateLimit: { ${L}, by: §address }`, `rateLimit.by: ${BY}`],
    [`rateLimit: [{ ${L}, by: ip }, { ${L}, by: §7 }]`, `rateLimit.1.by: ${BY}`],
    ['rateLimit: §{ per: 1s, by: ip }', 'rateLimit.requests: is required: write a number, such as 100'],
    ['rateLimit: §{ requests: 1, by: ip }', 'rateLimit.per: is required: write a duration, such as 1m'],
    ['rateLimit: [§{ requests: 1, per: 1s }]', 'rateLimit.0.by: is required: write ip, user, tenant, token or client'],
    ['rateLimit: { requests: §0, per: 1s, by: ip }', 'rateLimit.requests: must be a whole number from 1 to 1000000'],
    ['rateLimit: { requests: §1.5, per: 1s, by: ip }', 'rateLimit.requests: must be a whole number from 1 to 1000000'],
    ['rateLimit: { requests: 1, per: §500ms, by: ip }', 'rateLimit.per: must be whole seconds'],
    ['rateLimit: { requests: 1, per: §31d, by: ip }', 'rateLimit.per: must be between 1s and 30d'],
    [
      'rateLimit: { requests: 1, per: §60, by: ip }',
      'rateLimit.per: must be a duration: write a number and s, m, h or d, such as 15m',
    ],
    [`rateLimit: { ${L}, by: ip, burst: §0 }`, 'rateLimit.burst: must be a whole number from 1 to 1000000'],
    [
      'rateLimit: { requests: 1, per: 1d, by: ip, burst: §367 }',
      'rateLimit.burst: would take longer than a year to come back: write less',
    ],
    [`rateLimit: { ${L}, by: ip, §brust: 3 }`, 'rateLimit.brust: unknown key, did you mean burst?'],
    [`rateLimit: [{ ${L}, by: ip, §limit: 3 }]`, 'rateLimit.0.limit: unknown key, remove it: known are requests, per, by, burst'],
    [`§ratelimit: { ${L}, by: ip }`, 'ratelimit: unknown key, did you mean rateLimit?'],
  ])('%s', (keys, message) => {
    const { yaml, faults } = marked(routeWith(keys), [`routes.r.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('has no more than eight limits', () => {
    const many = Array.from({ length: 9 }, (_, at) => `{ requests: ${at + 1}, per: ${at + 1}s, by: ip, burst: ${9 - at} }`).join(
      ', ',
    )
    expect(faultsOf(routeWith(`rateLimit: [${many}]`)).join()).toContain('must not have more than 8 limits')
  })

  it.each([
    [
      'auth: public, upstream: a',
      'user',
      'has no effect on a public route, which reads no token: write ip or tenant, or auth: optional',
    ],
    [
      'auth: public, upstream: a',
      'client',
      'has no effect on a public route, which reads no token: write ip or tenant, or auth: optional',
    ],
    ['service: health', 'token', 'has no effect on the service health, which reads no token: write ip or tenant'],
    ['service: discovery', 'client', 'has no effect on the service discovery, which reads no token: write ip or tenant'],
    ['service: oauth', 'user', 'has no effect on the service oauth, which reads no token: write ip, tenant or client'],
    [
      'auth: required, replay: once, upstream: a',
      'token',
      'has no effect where each token is taken once: write user, or remove replay',
    ],
  ])('on %s is not by %s', (target, by, message) => {
    const { yaml, faults } = marked(routeWith(`rateLimit: { ${L}, by: §${by} }`, target), [`routes.r.rateLimit.by: ${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each([
    [
      '[{ requests: 10, per: 1s, by: ip }, §{ requests: 20, per: 1s, by: ip }]',
      'has no effect beside another limit by ip, which is reached before it: remove it',
    ],
    [
      '[{ requests: 10, per: 1s, by: ip }, §{ requests: 10, per: 1s, by: ip }]',
      'has no effect beside another limit by ip, which is reached before it: remove it',
    ],
    [
      '[{ requests: 10, per: 1s, by: ip }, §{ requests: 9, per: 1m, by: ip }]',
      'leaves another limit by ip without effect, since this one is reached before it: remove one',
    ],
  ])('%s', (text, message) => {
    const { yaml, faults } = marked(routeWith(`rateLimit: ${text}`), [`routes.r.rateLimit.1: ${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('rateLimits', () => {
  it('has defaults', () => {
    expect(testConfig('tenants: {}').rateLimits).toEqual({ entries: 131_072, timeoutMs: 50 })
    expect(testConfig('rateLimits: { entries: 1000, timeout: 200ms }').rateLimits).toEqual({ entries: 1_000, timeoutMs: 200 })
  })

  it.each([
    ['rateLimits: { entries: §10 }', 'rateLimits.entries: must be a whole number from 256 to 4194304'],
    ['rateLimits: { timeout: §3s }', 'rateLimits.timeout: must be between 1ms and 2s'],
    ['rateLimits: { §enties: 300 }', 'rateLimits.enties: unknown key, did you mean entries?'],
  ])('%s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
