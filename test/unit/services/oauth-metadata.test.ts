import { describe, expect, it } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { createDiscovery } from '../../../src/services/discovery/discovery.ts'
import { endpointsOfTenant } from '../../../src/services/oauth-endpoints.ts'
import { admittedFrom } from '../../support/clients.ts'
import { testConfig } from '../../support/config.ts'

const TENANTS = `
tenants:
  acme: { hosts: [acme.example.com] }
  globex: {}
clients:
  billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write, orders:read] }
  reports: { tenant: acme, secret: { env: SECRET }, scopes: [orders:read, reports:read] }
  rival: { tenant: globex, secret: { env: SECRET }, scopes: [other] }
`

function config(routes: string, origin = 'https://id.example.com'): Config {
  const listeners = `listeners: { public: { address: "127.0.0.1:0", origin: "${origin}" } }\n`
  return testConfig(`${listeners}${TENANTS}\nroutes:\n${routes}`, { SECRET: 'a secret of enough bytes' })
}

const found = (routes: string, tenant: string, origin?: string): string | undefined => {
  const parsed = config(routes, origin)
  const one = parsed.tenants.get(tenant)
  return one === undefined ? undefined : endpointsOfTenant(one, parsed)?.token
}

describe('the OAuth endpoints of a tenant', () => {
  const mounted = (match: string): string => `  - { name: oauth, match: { ${match} }, service: oauth }\n`

  it.each<[string, string, string, string | undefined]>([
    ['at the origin', mounted('path: /oauth/*'), 'acme', 'https://id.example.com/oauth/token'],
    ['wherever they are mounted', mounted('path: /a/b/*'), 'globex', 'https://id.example.com/a/b/token'],
    [
      'at the host of the tenant',
      mounted('path: /oauth/*, hosts: [acme.example.com]'),
      'acme',
      'https://acme.example.com/oauth/token',
    ],
    [
      'at a host of a pattern',
      mounted('path: /oauth/*, hosts: ["*.example.com"]'),
      'globex',
      'https://id.example.com/oauth/token',
    ],
    ['at no host of another tenant', mounted('path: /oauth/*, hosts: [acme.example.com]'), 'globex', undefined],
    ['not where POST is not taken', mounted('path: /oauth/*, methods: [GET]'), 'acme', undefined],
    ['not behind a header', mounted('path: /oauth/*, headers: { x-beta: "1" }'), 'acme', undefined],
    ['nowhere', '  - { name: health, match: { path: /health }, service: health }\n', 'acme', undefined],
  ])('are %s', (_, routes, tenant, expected) => {
    expect(found(routes, tenant)).toBe(expected)
  })

  it('are never at an origin that belongs to another tenant', () => {
    const routes = mounted('path: /oauth/*')
    expect(found(routes, 'acme', 'https://acme.example.com:8443')).toBe('https://acme.example.com:8443/oauth/token')
    expect(found(routes, 'globex', 'https://acme.example.com:8443')).toBeUndefined()
  })
})

describe('the metadata', () => {
  const show = (parsed: Config, endpoint: 'metadata-of-tenant' | 'openid-of-tenant') => async (tenant: string) => {
    const { endpoints } = createDiscovery({ jwks: () => '{"keys":[]}', passportJwks: () => '{}' }, parsed)
    const admitted = { ...admittedFrom([]), params: new Map([['tenant', tenant]]) }
    const io = { readBody: async () => Buffer.alloc(0), forwardedHeaders: () => [] }
    const answer = await endpoints[endpoint].handle({ admitted, io })
    return JSON.parse(String(answer.body)) as Record<string, unknown>
  }
  const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt']
  const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']

  it('names what is mounted, how clients prove themselves, and the scopes of the tenant alone', async () => {
    const parsed = config('  - { name: oauth, match: { path: /oauth/* }, service: oauth }\n')
    const expected = {
      issuer: 'https://id.example.com/t/acme',
      jwks_uri: 'https://id.example.com/t/acme/.well-known/jwks.json',
      response_types_supported: [],
      grant_types_supported: ['client_credentials', 'refresh_token'],
      scopes_supported: ['orders:read', 'reports:read', 'sessions:write'],
      token_endpoint: 'https://id.example.com/oauth/token',
      token_endpoint_auth_methods_supported: methods,
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      introspection_endpoint: 'https://id.example.com/oauth/introspect',
      introspection_endpoint_auth_methods_supported: methods,
      introspection_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint: 'https://id.example.com/oauth/revoke',
      revocation_endpoint_auth_methods_supported: methods,
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    }
    expect(await show(parsed, 'metadata-of-tenant')('acme')).toEqual(expected)
    expect(await show(parsed, 'openid-of-tenant')('acme')).toEqual({
      ...expected,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    })
    expect(await show(parsed, 'metadata-of-tenant')('globex')).toMatchObject({ scopes_supported: ['other'] })
  })

  it('names nothing of OAuth where it is not mounted', async () => {
    const parsed = config('  - { name: health, match: { path: /health }, service: health }\n')
    expect(await show(parsed, 'metadata-of-tenant')('acme')).toEqual({
      issuer: 'https://id.example.com/t/acme',
      jwks_uri: 'https://id.example.com/t/acme/.well-known/jwks.json',
      response_types_supported: [],
      grant_types_supported: [],
    })
  })
})
