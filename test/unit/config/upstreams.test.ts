import { describe, expect, it } from 'vitest'
import type { UpstreamConfig } from '../../../src/config/config.ts'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

const TARGETS = 'targets: [http://127.0.0.1:9001]'

/** What stands beside the targets of an upstream, `§` before what is wrong, and what is said about it. */
const REFUSED: readonly (readonly [string, string, ...string[]])[] = [
  ['a balance that there is not', `${TARGETS}, balance: §random`, 'balance: must be roundRobin, leastRequests, ewma or hash'],
  ['a hash of nothing', `§${TARGETS}, balance: hash`, 'hashBy: is required beside balance: hash: write user, ip or header:NAME'],
  [
    'a hashBy without its hash',
    `${TARGETS}, balance: ewma, hashBy: §user`,
    'hashBy: has no effect without balance: hash: write that, or remove it',
  ],
  ...['cookie', '"header:"', 'header', '"header:x y"', 'User', '[]'].map(
    (text) =>
      [
        `hashBy: ${text}`,
        `${TARGETS}, balance: hash, hashBy: §${text}`,
        'hashBy: must be user, ip or header:NAME, such as header:x-cart',
      ] as const,
  ),
  ['a weight below 0', 'targets: [{ url: "http://a", weight: §-1 }]', 'targets.0.weight: must be a whole number from 0 to 1000'],
  [
    'a weight that is no number',
    'targets: [{ url: "http://a", weight: §much }]',
    'targets.0.weight: must be a whole number from 0 to 1000',
  ],
  [
    'targets that take nothing, all of them',
    'targets: §[{ url: "http://a", weight: 0 }, { url: "http://b", weight: 0 }]',
    'targets: must not all have weight 0: nothing could be forwarded',
  ],
  ['no attempts', `${TARGETS}, retries: { attempts: §0 }`, 'retries.attempts: must be a whole number from 1 to 10'],
  [
    'a budget without %',
    `${TARGETS}, retries: { budget: §20 }`,
    'retries.budget: must be a percentage from 0% to 100%, such as 50%',
  ],
  [
    'a retry for nothing',
    `${TARGETS}, retries: { on: §[] }`,
    'retries.on: must not be empty: write a list such as [connect, reset], or remove retries',
  ],
  [
    'a retry on a status that says nothing',
    `${TARGETS}, retries: { on: [connect, §500] }`,
    'retries.on.1: must be connect, reset, 502, 503 or 504',
  ],
  ['a health check without a path', `${TARGETS}, health: §{}`, 'health.path: is required: write a path such as /healthz'],
  ...['healthz', '"/a b"', '"/a#b"', '"/ä"', 'http://a/'].map(
    (text) =>
      [
        `a health check of ${text}`,
        `${TARGETS}, health: { path: §${text} }`,
        'health.path: must be a path that starts with /, such as /healthz',
      ] as const,
  ),
  [
    'health without a unit',
    `${TARGETS}, health: { path: /h, interval: §2 }`,
    'health.interval: must be a duration: write a number and ms, s, m, h or d, such as 15m',
  ],
  [
    'a health check at every moment',
    `${TARGETS}, health: { path: /h, interval: §1ms }`,
    'health.interval: must be between 10ms and 1h',
  ],
  [
    'outliers after no failure',
    `${TARGETS}, outliers: { consecutiveFailures: §0 }`,
    'outliers.consecutiveFailures: must be a whole number from 1 to 1000',
  ],
  ['an outlier for no time', `${TARGETS}, outliers: { ejectFor: §0s }`, 'outliers.ejectFor: must be between 1ms and 1d'],
  [
    'more than all',
    `${TARGETS}, outliers: { maxEjected: §101% }`,
    'outliers.maxEjected: must be a percentage from 0% to 100%, such as 50%',
  ],
  [
    'no request at once',
    `${TARGETS}, breaker: { maxRequests: §0 }`,
    'breaker.maxRequests: must be a whole number from 1 to 1000000',
  ],
  ['a breaker without a window', `${TARGETS}, breaker: { window: §0s }`, 'breaker.window: must be between 100ms and 10m'],
  [
    'an unknown key of a breaker',
    `${TARGETS}, breaker: { §maxRequest: 1 }`,
    'breaker.maxRequest: unknown key, did you mean maxRequests?',
  ],
  ['an exchange that may not last', `${TARGETS}, timeouts: { request: §0s }`, 'timeouts.request: must be between 1ms and 1d'],
]

describe('an upstream is refused for', () => {
  it.each(REFUSED)('%s', (_, text, ...messages) => {
    const { yaml, faults } = marked(
      `upstreams: { u: { ${text} } }`,
      messages.map((message) => `upstreams.u.${message}`),
    )
    const found = faultsOf(yaml).map((fault) => fault)
    expect(found).toHaveLength(1)
    expect(found[0]?.replace(/^\d+:\d+ /, '')).toBe(faults[0]?.replace(/^\d+:\d+ /, ''))
  })

  it('with line and column', () => {
    const { yaml, faults } = marked(
      'upstreams:\n  u:\n    targets: [http://127.0.0.1:1]\n    balance: §best\n    outliers:\n      maxEjected: §half\n',
      [
        'upstreams.u.balance: must be roundRobin, leastRequests, ewma or hash',
        'upstreams.u.outliers.maxEjected: must be a percentage from 0% to 100%, such as 50%',
      ],
    )
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('what is said of an upstream', () => {
  const read = (text: string): UpstreamConfig | undefined => testConfig(`upstreams: { u: { ${text} } }`).upstreams.get('u')

  it('is taken as it is', () => {
    expect(
      read(`targets: ["http://a", { url: "http://b", weight: 2 }, { url: "http://c", weight: 0 }], balance: hash, hashBy: header:X-Cart,
  timeouts: { request: 5m }, retries: { attempts: 2, budget: 10%, on: [connect, 503] },
  health: { path: "/healthz?deep=1", interval: 5s, timeout: 500ms, healthyAfter: 1, unhealthyAfter: 2 },
  outliers: { consecutiveFailures: 3, ejectFor: 10s, maxEjected: 100% },
  breaker: { maxRequests: 10, maxPending: 0, errorThreshold: 25%, minRequests: 5, window: 1s, resetAfter: 2s }`),
    ).toEqual({
      name: 'u',
      targets: [
        { url: new URL('http://a'), weight: 1 },
        { url: new URL('http://b'), weight: 2 },
        { url: new URL('http://c'), weight: 0 },
      ],
      balance: { kind: 'hash', by: 'header', header: 'x-cart' },
      protocol: 'http1',
      client: 'builtin',
      connections: 64,
      timeouts: { connectMs: 1000, responseMs: 30_000, idleMs: 60_000, requestMs: 300_000 },
      retries: { attempts: 2, budget: 0.1, on: new Set(['connect', '503']) },
      health: { path: '/healthz?deep=1', intervalMs: 5000, timeoutMs: 500, healthyAfter: 1, unhealthyAfter: 2 },
      outliers: { consecutiveFailures: 3, ejectForMs: 10_000, maxEjected: 1 },
      breaker: { maxRequests: 10, maxPending: 0, errorThreshold: 0.25, minRequests: 5, windowMs: 1000, resetAfterMs: 2000 },
      tls: { verify: true },
    })
  })

  it('has its defaults inside', () => {
    expect(read(`${TARGETS}, retries: {}, health: { path: /h }, outliers: {}, breaker: {}`)).toMatchObject({
      balance: { kind: 'roundRobin' },
      retries: { attempts: 1, budget: 0.2, on: new Set(['connect', 'reset', '502', '503', '504']) },
      health: { path: '/h', intervalMs: 2000, timeoutMs: 1000, healthyAfter: 2, unhealthyAfter: 3 },
      outliers: { consecutiveFailures: 5, ejectForMs: 30_000, maxEjected: 0.5 },
      breaker: { maxRequests: 1024, maxPending: 256, errorThreshold: 0.5, minRequests: 20, windowMs: 10_000, resetAfterMs: 1000 },
    })
  })

  it.each([
    ['user', { kind: 'hash', by: 'user' }],
    ['ip', { kind: 'hash', by: 'ip' }],
    ['header:a', { kind: 'hash', by: 'header', header: 'a' }],
  ])('by %s is a hash', (text, balance) => {
    expect(read(`${TARGETS}, balance: hash, hashBy: ${text}`)?.balance).toEqual(balance)
  })
})
