import { describe, expect, it } from 'vitest'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

const UPSTREAMS = `upstreams:
  clear: { targets: ["http://a", "https://b"], protocol: http2 }
  secret: { targets: ["https://a"], protocol: http2 }
  old: { targets: ["http://a"] }
`
const CLEAR =
  'routes.r.websocket: takes HTTP/1.1, and http:// targets of clear speak HTTP/2 alone: write https:// there, or remove it'

describe('the protocol of an upstream', () => {
  it('is http1 where nothing is said', () => {
    expect(testConfig('upstreams: { u: { targets: ["http://a"] } }').upstreams.get('u')?.protocol).toBe('http1')
    expect(testConfig('upstreams: { u: { targets: ["http://a"], protocol: http2 } }').upstreams.get('u')?.protocol).toBe('http2')
  })

  it.each(['h2', 'HTTP2', '2', 'grpc', '[http2]'])('%s is none', (protocol) => {
    const text = `upstreams: { u: { targets: ["http://a"], protocol: §${protocol} } }`
    const { yaml, faults } = marked(text, ['upstreams.u.protocol: must be http1 or http2'])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('is spoken by the client of the gateway, or by a library', () => {
    expect(testConfig('upstreams: { u: { targets: ["http://a"] } }').upstreams.get('u')?.client).toBe('builtin')
    expect(testConfig('upstreams: { u: { targets: ["http://a"], client: undici } }').upstreams.get('u')?.client).toBe('undici')
  })

  it.each(['own', 'Undici', '[undici]', 'true'])('%s is no client', (client) => {
    const text = `upstreams: { u: { targets: ["http://a"], client: §${client} } }`
    const { yaml, faults } = marked(text, ['upstreams.u.client: must be builtin or undici'])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('gets a passport with each request, unless it wants none', () => {
    const passportOf = (more: string) =>
      testConfig(`upstreams: { u: { targets: ["http://a"]${more} } }`).upstreams.get('u')?.passport
    expect(['', ', passport: true', ', passport: false'].map(passportOf)).toEqual([undefined, undefined, false])
  })

  it.each(['no', '{ header: x-me }', '60s'])('%s says nothing about passports', (value) => {
    const text = `upstreams: { u: { targets: ["http://a"], passport: §${value} } }`
    const { yaml, faults } = marked(text, ['upstreams.u.passport: must be true or false'])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('leaves no way for WebSockets without TLS, which the route is told', () => {
    const route = (target: string): string =>
      `routes: [{ name: r, match: { path: / }, auth: public, websocket: §true, ${target} }]`
    for (const [target, isFaulty] of [
      ['upstream: clear', true],
      ['upstream: secret', false],
      ['upstream: old', false],
      ['split: [{ upstream: old, weight: 1 }, { upstream: clear, weight: 1 }]', true],
    ] as const) {
      const { yaml, faults } = marked(UPSTREAMS + route(target), [CLEAR])
      expect(faultsOf(yaml)).toEqual(isFaulty ? faults : [])
    }
    expect(faultsOf(UPSTREAMS + 'routes: [{ name: r, match: { path: / }, auth: public, upstream: clear }]')).toEqual([])
  })
})
