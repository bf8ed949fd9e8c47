import { describe, expect, it } from 'vitest'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

function publicListener(yaml: string) {
  return testConfig(`listeners: { public: ${yaml} }`).listeners.public
}

describe('listeners.public.overload', () => {
  it('has defaults that refuse only what nobody would wait for', () => {
    expect(publicListener('{}').overload).toEqual({
      enabled: true,
      maxRequests: 20_000,
      lagMs: 250,
      memory: 0.95,
      badSignaturesPerMinute: 600,
    })
  })

  it('takes as many requests as connections, unless it says otherwise', () => {
    expect(publicListener('{ limits: { connections: 500 } }').overload.maxRequests).toBe(500)
    expect(publicListener('{ limits: { connections: 500 }, overload: { maxRequests: 50 } }').overload.maxRequests).toBe(50)
  })

  it('is read as it is written', () => {
    const overload = '{ enabled: false, maxRequests: 50, lag: 1s, memory: 80%, badSignatures: 2/s }'
    expect(publicListener(`{ overload: ${overload} }`).overload).toEqual({
      enabled: false,
      maxRequests: 50,
      lagMs: 1000,
      memory: 0.8,
      badSignaturesPerMinute: 120,
    })
  })

  it.each([
    ['enabled', 'off', 'must be true or false'],
    ['maxRequests', '0', 'must be a whole number from 1 to 1000000'],
    ['lag', '4ms', 'must be between 5ms and 10s'],
    ['lag', '100', 'must be a duration: write a number and ms, s, m, h or d, such as 15m'],
    ['memory', '49%', 'must be between 50% and 100%'],
    ['memory', '0.9', 'must be a percentage from 0% to 100%, such as 50%'],
    ['badSignatures', '600', 'must be a rate: write a number and /s, /m or /h, such as 20/m'],
    ['badSignature', '600/m', 'unknown key, did you mean badSignatures?'],
  ])('refuses %s: %s, by line and column', (key, value, message) => {
    const isKey = message.startsWith('unknown')
    const text = `listeners:\n  public:\n    overload:\n      ${isKey ? '§' : ''}${key}: ${isKey ? '' : '§'}${value}\n`
    const { yaml, faults } = marked(text, [`listeners.public.overload.${key}: ${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})

describe('listeners.public.limits.connectionsPerClient', () => {
  it('is absent unless it is written', () => {
    expect(publicListener('{}').limits).not.toHaveProperty('connectionsPerClient')
    expect(publicListener('{ limits: { connectionsPerClient: 100 } }').limits.connectionsPerClient).toBe(100)
  })
})

describe('routes[].priority', () => {
  const routeOf = (key: string) => testConfig(`routes: [{ match: { path: /a }, auth: required, service: echo${key} }]`).routes[0]

  it('is absent unless it is written', () => {
    expect(routeOf('')).not.toHaveProperty('priority')
    expect(routeOf(', priority: high')?.priority).toBe('high')
  })

  it.each(['urgent', '1'])('refuses %s', (value) => {
    const text = `routes: [{ name: r, match: { path: /a }, auth: required, service: echo, priority: §${value} }]`
    const { yaml, faults } = marked(text, ['routes.r.priority: must be low, normal or high'])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('is refused where a service says its own, endpoint by endpoint', () => {
    const text = 'routes: [{ name: r, match: { path: /s/* }, service: sessions, priority: §low }]'
    const { yaml, faults } = marked(text, ['routes.r.priority: has no effect on the service sessions: remove it'])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
