import { describe, expect, it } from 'vitest'
import { figuresOf, trafficOf } from '../../../src/console/figures.ts'

const gauge = (name: string, value: number, labels: Record<string, string> = {}) => ({
  name: `gatehouse_${name}`,
  values: [{ value, labels }],
})

describe('traffic', () => {
  it('is read by route, of all tenants and codes together', () => {
    const requests = [
      { value: 5, labels: { route: 'a', tenant: 'x', code: '200' } },
      { value: 2, labels: { route: 'a', tenant: 'y', code: '404' } },
      { value: 1, labels: { route: 'a', tenant: 'y', code: '499' } },
      { value: 3, labels: { route: 'b', tenant: 'none', code: '503' } },
      { value: 1, labels: { route: 'b', tenant: 'none', code: '0' } },
    ]
    const buckets = [
      { metricName: 'gatehouse_request_duration_seconds_bucket', value: 4, labels: { route: 'a', le: 0.1 } },
      { metricName: 'gatehouse_request_duration_seconds_bucket', value: 8, labels: { route: 'a', le: '+Inf' } },
      { metricName: 'gatehouse_request_duration_seconds_sum', value: 9, labels: { route: 'a' } },
      'no sample',
      null,
    ]
    const traffic = trafficOf([
      { name: 'gatehouse_requests_total', values: requests },
      { name: 'gatehouse_request_duration_seconds', values: buckets },
      { name: 'gatehouse_something_else', values: requests },
    ])
    expect([...traffic]).toEqual([
      [
        'a',
        {
          requests: 8,
          refused: 3,
          failed: 0,
          durations: new Map([
            [0.1, 4],
            [Number.POSITIVE_INFINITY, 8],
          ]),
        },
      ],
      ['b', { requests: 4, refused: 0, failed: 3, durations: new Map() }],
    ])
  })
})

describe('the figures of several processes', () => {
  it('are sums of what each has, and the worst of what all know', () => {
    const process = (factor: number) => [
      gauge('requests_in_flight', 2 * factor),
      gauge('connections', 3 * factor),
      gauge('live_connections', factor),
      gauge('shed_share', factor / 10),
      gauge('revocation_staleness_seconds', factor / 100),
      gauge('revocation_entries', 7),
      gauge('redis_up', factor === 1 ? 1 : 0),
      gauge('breaker_state', factor, { dependency: 'redis' }),
      gauge('breaker_state', 0, { dependency: 'revocation_store' }),
      gauge('jwks_age_seconds', factor * 60, { issuer: 'corporate' }),
    ]
    expect(figuresOf([process(1), process(2)])).toEqual({
      in_flight: 6,
      connections: 9,
      live_connections: 3,
      shed_share: 0.2,
      revocation: { staleness_seconds: 0.02, entries: 7, lag: { count: 0, p50_ms: null, p99_ms: null } },
      redis_up: 0,
      database_up: null,
      breakers: [
        { name: 'redis', value: 2 },
        { name: 'revocation_store', value: 0 },
      ],
      issuers: [{ name: 'corporate', value: 120 }],
    })
  })

  it('are nothing where nobody answers', () => {
    expect(figuresOf([])).toMatchObject({ in_flight: 0, shed_share: null, revocation: { staleness_seconds: null }, breakers: [] })
  })
})
