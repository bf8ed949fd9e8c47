import { describe, expect, it } from 'vitest'
import { describeConfig, parseConfig } from '../../../src/config/config.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

const PUBLIC = { kty: 'OKP', crv: 'Ed25519', kid: 'a', x: 'x' }
const files = {
  '/etc/gatehouse/keys.json': JSON.stringify({ keys: [PUBLIC, { ...PUBLIC, kid: 'b' }] }),
  '/etc/gatehouse/private.json': JSON.stringify({ keys: [{ ...PUBLIC, d: 'canary-d' }] }),
  '/etc/gatehouse/secret.json': JSON.stringify({ keys: [{ kty: 'oct', k: 'canary-k' }] }),
  '/etc/gatehouse/unnamed.json': JSON.stringify({ keys: [PUBLIC, { kty: 'EC' }] }),
  '/etc/gatehouse/twice.json': JSON.stringify({ keys: [PUBLIC, PUBLIC] }),
  '/etc/gatehouse/none.json': JSON.stringify({ keys: [] }),
  '/etc/gatehouse/broken.json': '{"keys":[{"d":"canary-d"',
}
const needs = needsOf({ SECRET: 'canary-0123456789', SHORT: 'canary-01234567' }, files)

describe('a client', () => {
  it('has a tenant, scopes, and a secret or keys', () => {
    const yaml = `
tenants: { acme: {} }
clients:
  billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write, "tokens:introspect", sessions:write] }
  reports: { tenant: default, keys: { file: keys.json }, scopes: [] }
`
    const config = parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needs)
    expect([...config.clients]).toEqual([
      [
        'billing',
        {
          id: 'billing',
          tenant: 'acme',
          secret: new TextEncoder().encode('canary-0123456789'),
          scopes: ['sessions:write', 'tokens:introspect'],
        },
      ],
      ['reports', { id: 'reports', tenant: 'default', keys: [PUBLIC, { ...PUBLIC, kid: 'b' }], scopes: [] }],
    ])
    expect(describeConfig(config)).toMatchObject({ clients: { billing: { secret: '[redacted]' } } })
    expect(JSON.stringify(describeConfig(config))).not.toContain('canary')
  })

  it.each([
    [
      'c: §{}',
      [
        'tenant: is required: write the tenant that it may act for, such as default',
        'scopes: is required: write a list such as [sessions:write], or []',
        'secret: is required: write { env: NAME } or { file: PATH }, or keys: { file: PATH }',
      ],
    ],
    ['c: { tenant: §acme, secret: { env: SECRET }, scopes: [] }', ['tenant: there is no such tenant: write default']],
    [
      'c: { tenant: default, secret: { env: SECRET }, scopes: [§"a b"] }',
      ['scopes.0: must be a scope: visible ASCII without spaces, quotes and \\'],
    ],
    [
      'c: { tenant: default, secret: §hunter2hunter2hunter2, scopes: [] }',
      ['secret: a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
    ],
    [
      'c: { tenant: default, secret: §{ env: SHORT }, scopes: [] }',
      ['secret: the secret is too short: it needs at least 16 bytes; gatehouse clients create makes one'],
    ],
    [
      'c: { tenant: default, secret: { env: SECRET }, keys: §{ file: keys.json }, scopes: [] }',
      ['keys: does not go with secret: remove one of the two'],
    ],
    ['c: { tenant: default, keys: §{}, scopes: [] }', ['keys.file: is required: write the path of a JWKS file']],
    ['c: { tenant: default, keys: { file: §nowhere.json }, scopes: [] }', ['keys.file: the file cannot be read: no such file']],
    [
      'c: { tenant: default, keys: { file: §broken.json }, scopes: [] }',
      ['keys.file: is not a JWKS file: it has no "keys" list'],
    ],
    ['c: { tenant: default, keys: { file: §none.json }, scopes: [] }', ['keys.file: must hold 1 to 16 keys']],
    [
      'c: { tenant: default, keys: { file: §private.json }, scopes: [] }',
      ['keys.file: holds a private key: write the public part alone'],
    ],
    [
      'c: { tenant: default, keys: { file: §secret.json }, scopes: [] }',
      ['keys.file: must hold keys of kty RSA, EC or OKP only'],
    ],
    ['c: { tenant: default, keys: { file: §unnamed.json }, scopes: [] }', ['keys.file: must name each of several keys by a kid']],
    ['c: { tenant: default, keys: { file: §twice.json }, scopes: [] }', ['keys.file: must not name two keys by one kid']],
  ])('is refused, and its secret not repeated, when it is %s', (written, messages) => {
    const text = `clients: { ${written} }`
    const place = text.indexOf('§') + 1
    const found = faultsOf(text.replace('§', ''), needs)
    expect(found).toEqual(messages.map((message) => `1:${place} clients.c.${message}`))
    expect(found.join()).not.toMatch(/hunter2|canary/)
  })

  it('is not named like the gateway itself, whose logins it would seem to have made', () => {
    const { yaml, faults } = marked('clients: { gatehouse: §{ tenant: default, secret: { env: SECRET }, scopes: [] } }', [
      'clients.gatehouse: is what the gateway calls itself: choose another id',
    ])
    expect(faultsOf(yaml, needs)).toEqual(faults)
  })

  it('is named like a route', () => {
    const { yaml, faults } = marked('clients: { §"a:b": { tenant: default, secret: { env: SECRET }, scopes: [] } }', [
      'clients."a:b": a name is letters, digits, _ and -, and starts with a letter or digit',
    ])
    expect(faultsOf(yaml, needs)).toEqual(faults)
  })
})

describe('a route to sessions or oauth', () => {
  it.each(['sessions', 'oauth'])('says no auth: %s says its own', (service) => {
    expect(faultsOf(`routes: [{ name: r, match: { path: /a/* }, service: ${service} }]`)).toEqual([])
    for (const auth of ['required', 'optional', 'public']) {
      const { yaml, faults } = marked(`routes: [{ name: r, match: { path: /a/* }, auth: §${auth}, service: ${service} }]`, [
        `routes.r.auth: the ${service} service says its own, endpoint by endpoint: remove it`,
      ])
      expect(faultsOf(yaml)).toEqual(faults)
    }
  })
})

describe('a tenant', () => {
  it('takes all that is said of its sessions and keys', () => {
    const yaml = `tenants: { acme: { accessToken: { lifetime: 5m, jitter: 5% }, refreshToken: { rotation: true, grace: 0s }, sessionsPerUser: 10000, loginScopes: [orders:read, orders:write, orders:read], keys: { rotateEvery: 30d, publishBefore: 1h } } }`
    expect(parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needs).tenants.get('acme')).toMatchObject({
      accessToken: { lifetimeSeconds: 300, jitter: 0.05 },
      refreshToken: { rotation: true, graceSeconds: 0 },
      sessionsPerUser: 10_000,
      loginScopes: ['orders:read', 'orders:write'],
      keys: { rotateEverySeconds: 30 * 86_400, publishBeforeSeconds: 3600 },
    })
  })

  it.each([
    [
      'keys: { rotateEvery: §1h, publishBefore: 31m }',
      'keys.rotateEvery: rotateEvery must be at least twice as long as publishBefore',
    ],
    ['refreshToken: { rotation: false, grace: §10s }', 'refreshToken.grace: has no effect without rotation: remove it'],
  ])('is refused with %s', (written, message) => {
    const { yaml, faults } = marked(`tenants: { acme: { ${written} } }`, [`tenants.acme.${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })
})
