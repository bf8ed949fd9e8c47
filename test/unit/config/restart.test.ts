/** What a running gateway cannot take on, and what it can. */
import { describe, expect, it } from 'vitest'
import { restartRemarks } from '../../../src/config/config.ts'
import { testConfig } from '../../support/config.ts'

const KEY = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
const ENVIRONMENT = { KEY, OTHER: KEY.replaceAll('a', 'b'), TOKEN: 'a-token-of-sixteen-bytes', REDIS: 'redis://127.0.0.1/0' }

/** Of two files that lie in the same folder. */
function remarks(before: string, after: string): readonly string[] {
  const [running, next] = [testConfig(before, ENVIRONMENT), testConfig(after, ENVIRONMENT)]
  const storage = before.includes('storage') || after.includes('storage') ? next.storage : running.storage
  return restartRemarks(running, { ...next, storage }).map(({ path }) => path.join('.'))
}

describe('a restart is needed for', () => {
  it.each([
    ['listeners.public.address', '{}', 'listeners: { public: { address: 127.0.0.1:9 } }'],
    ['listeners.admin', '{}', 'listeners: { admin: { address: 127.0.0.1:9 } }'],
    ['listeners.admin', '{}', 'listeners: { admin: { token: { env: TOKEN } } }'],
    ['listeners.public.proxyProtocol', '{}', 'listeners: { public: { proxyProtocol: true, trustedProxies: [10.0.0.0/8] } }'],
    ['workers', '{}', 'workers: 2'],
    ['storage', 'storage: { directory: /a }', 'storage: { directory: /b }'],
    ['masterKey', 'masterKey: { env: KEY }', 'masterKey: [{ env: OTHER }, { env: KEY }]'],
    ['rateLimits', '{}', 'rateLimits: { entries: 4096 }'],
  ])('%s', (key, before, after) => {
    expect(remarks(before, after)).toContain(key)
  })
})

it.each([
  ['routes', 'routes: [{ name: r, match: { path: /a }, auth: public, service: echo }]'],
  ['tenants', 'tenants: { acme: {} }'],
  [
    'issuers',
    'issuers: { i: { issuer: i, tenant: default, audiences: any, algorithms: [RS256], jwks: { uri: https://i.example.com/k } } }',
  ],
  ['upstreams', 'upstreams: { u: { targets: ["http://127.0.0.1:1"] } }'],
  ['limits and timeouts', 'listeners: { public: { limits: { headers: 50 }, timeouts: { drain: 1s, drainDelay: 1s } } }'],
  ['trusted proxies and the origin', 'listeners: { public: { origin: "https://a.example.com", trustedProxies: [10.0.0.0/8] } }'],
  ['what is remembered', 'tokenCache: { entries: 10 }\nusernames: { cache: 10s }'],
  ['how files are watched', 'reload: { watch: false }'],
  [
    'revocation and telemetry',
    'revocation: { whenStale: allow, breaker: { timeout: 80ms } }\ntelemetry: { accessLog: { sample: 1% } }',
  ],
  ['identity', 'identity: { headers: { user: x-who } }'],
])('no restart is needed for %s', (_, yaml) => {
  expect(remarks('{}', yaml)).toEqual([])
})
