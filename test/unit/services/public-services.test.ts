import { routesOf } from '../../../src/gateway.ts'
import { testConfig } from '../../support/config.ts'
import { createLocalJWKSet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Request, World } from './world.ts'
import { anIdentity, bodyOf, openWorld, refusalOf } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const CACHE = 'public, max-age=300, stale-while-revalidate=60, stale-if-error=86400'

function get(endpoint: string, path: string, more: Partial<Request> = {}) {
  return world.ask({ service: 'discovery', endpoint, method: 'GET', path, ...more })
}

describe('discovery', () => {
  test('publishes the keys of a tenant, to be cached', async () => {
    const answer = await get('tenant-jwks', '/t/acme/.well-known/jwks.json', { params: { tenant: 'acme' } })
    expect(answer).toEqual({
      status: 200,
      headers: {
        'content-type': 'application/json',
        'cache-control': CACHE,
        etag: expect.stringMatching(/^"[A-Za-z0-9_-]{43}"$/),
      },
      body: world.tenants.jwks('acme'),
    })
  })

  test('publishes keys that verify what the tenant signs', async () => {
    const answer = await get('tenant-jwks', '/t/acme/.well-known/jwks.json', { params: { tenant: 'acme' } })
    const token = await world.tenants.sign('acme', { sub: 'usr_1' }, 'at+jwt')
    const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(String('body' in answer ? answer.body : ''))))
    expect(payload.sub).toBe('usr_1')
  })

  test('takes the tenant of the host, else the default one', async () => {
    expect(await get('jwks', '/.well-known/jwks.json')).toMatchObject({ body: world.tenants.jwks('default') })
    expect(await get('jwks', '/.well-known/jwks.json', { tenant: 'acme' })).toMatchObject({ body: world.tenants.jwks('acme') })
  })

  test.each([
    ['"other"', 200],
    ['*', 304],
    ['ETAG', 304],
    ['W/ETAG', 304],
    ['"other", ETAG', 304],
    ['"other",W/ETAG ,"third"', 304],
    ['', 200],
  ])('answers If-None-Match: %s with %i', async (header, status) => {
    const first = await get('jwks', '/.well-known/jwks.json')
    const etag = 'headers' in first ? (first.headers?.['etag'] ?? '') : ''
    const again = await get('jwks', '/.well-known/jwks.json', { headers: ['If-None-Match', header.replace('ETAG', etag)] })
    if (status === 200) expect(again).toEqual(first)
    else expect(again).toEqual({ status: 304, headers: { etag, 'cache-control': CACHE } })
  })

  test('publishes the metadata of an issuer where RFC 8414 and OpenID Connect look for it', async () => {
    const expected = {
      issuer: 'https://acme.example',
      jwks_uri: 'http://localhost:8080/t/acme/.well-known/jwks.json',
      response_types_supported: [],
      grant_types_supported: [],
    }
    const params = { tenant: 'acme' }
    const metadata = [
      await get('metadata-of-tenant', '/.well-known/oauth-authorization-server/t/acme', { params }),
      await get('tenant-metadata', '/t/acme/.well-known/oauth-authorization-server', { params }),
      await get('metadata', '/.well-known/oauth-authorization-server', { tenant: 'acme' }),
    ]
    for (const answer of metadata) expect(bodyOf(answer)).toEqual(expected)
    const openid = [
      await get('openid-of-tenant', '/.well-known/openid-configuration/t/acme', { params }),
      await get('tenant-openid', '/t/acme/.well-known/openid-configuration', { params }),
      await get('openid', '/.well-known/openid-configuration', { tenant: 'acme' }),
    ]
    for (const answer of openid) {
      expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json', 'cache-control': CACHE } })
      expect(bodyOf(answer)).toEqual({
        ...expected,
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      })
    }
  })

  test.each(['oauth2', 'oidc'] as const)('is understood by a client that was written elsewhere (%s)', async (algorithm) => {
    const issuer = new URL('http://localhost:8080/t/default')
    const response = await oauth.discoveryRequest(issuer, {
      algorithm,
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (url: string) => {
        const { pathname } = new URL(url)
        const endpoint = algorithm === 'oidc' ? 'tenant-openid' : 'metadata-of-tenant'
        const expected =
          algorithm === 'oidc'
            ? '/t/default/.well-known/openid-configuration'
            : '/.well-known/oauth-authorization-server/t/default'
        expect(pathname).toBe(expected)
        const answer = await get(endpoint, pathname, { params: { tenant: 'default' } })
        return new Response(JSON.stringify(bodyOf(answer)), { headers: { 'content-type': 'application/json' } })
      },
    })
    const server = await oauth.processDiscoveryResponse(issuer, response)
    expect(server).toMatchObject({ issuer: issuer.href, jwks_uri: 'http://localhost:8080/t/default/.well-known/jwks.json' })
  })

  test('publishes the key of the passports, and nothing private anywhere', async () => {
    const answer = await get('passport-jwks', '/.well-known/gatehouse/jwks.json')
    expect(bodyOf(answer)).toEqual({ keys: [world.tenants.passport.publicJwk] })
    expect(JSON.stringify(answer)).not.toMatch(/"d\\?"/)
  })

  test('knows only the configured tenants, and one tenant for each request', async () => {
    const path = '/t/nowhere/.well-known/jwks.json'
    expect(refusalOf(await get('tenant-jwks', path, { params: { tenant: 'nowhere' } })).kind).toBe('tenant_not_found')
    const other = { params: { tenant: 'default' }, tenant: 'acme' }
    expect(refusalOf(await get('tenant-jwks', '/t/default/.well-known/jwks.json', other)).kind).toBe('invalid_request')
  })

  test('has its documents below the mount that they belong to, and nowhere else', () => {
    const config = testConfig(`routes:
  - { name: known, match: { path: /.well-known/* }, service: discovery }
  - { name: tenants, match: { path: /t/* }, service: discovery }`)
    expect(routesOf(config).map((route) => route.match.path)).toEqual([
      '/.well-known/jwks.json',
      '/.well-known/oauth-authorization-server',
      '/.well-known/oauth-authorization-server/t/{tenant}',
      '/.well-known/openid-configuration',
      '/.well-known/openid-configuration/t/{tenant}',
      '/.well-known/gatehouse/jwks.json',
      '/t/{tenant}/.well-known/jwks.json',
      '/t/{tenant}/.well-known/oauth-authorization-server',
      '/t/{tenant}/.well-known/openid-configuration',
    ])
  })
})

describe('health', () => {
  test('says that all is well, or that something is missing', async () => {
    const ask = () => world.ask({ service: 'health', endpoint: 'health', method: 'GET' })
    const answer = await ask()
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
    expect(bodyOf(answer)).toEqual({ status: 'ok', redis: 'embedded', uptime_seconds: 12 })
    world.clock.degraded = true
    expect(bodyOf(await ask())).toEqual({ status: 'degraded', redis: 'embedded', uptime_seconds: 12 })
    world.clock.degraded = false
    world.clock.redis = 'up'
    expect(bodyOf(await ask())).toEqual({ status: 'ok', redis: 'up', uptime_seconds: 12 })
    world.clock.redis = 'down'
    expect(bodyOf(await ask())).toEqual({ status: 'degraded', redis: 'down', uptime_seconds: 12 })
  })
})

describe('echo', () => {
  const request = {
    service: 'echo',
    endpoint: 'below',
    method: 'PUT',
    path: '/api/v1/x%20y',
    forwardPath: '/v1/x%20y',
    query: '?a=1&a=2',
  } as const

  test('shows what an upstream would have received', async () => {
    const principal = anIdentity({ user: 'usr_9', tenant: 'acme', scopes: ['a', 'b'], session: 's1' })
    const forwarded = ['Host', 'x', 'x-user-id', 'usr_9', 'Accept', 'a', 'accept', 'b', '__proto__', 'c']
    const answer = await world.ask({ ...request, body: 'grüß', contentType: 'text/plain', principal, forwarded })
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
    expect(String('body' in answer ? answer.body : '')).toBe(
      '{"method":"PUT","path":"/v1/x%20y","query":"?a=1&a=2",' +
        '"headers":{"host":"x","x-user-id":"usr_9","accept":["a","b"],"__proto__":"c"},' +
        '"body":{"bytes":6,"text":"grüß"},' +
        '"identity":{"user":"usr_9","tenant":"acme","scopes":["a","b"],"session":"s1"}}',
    )
  })

  test('tells of a body that is no text, or a long one, by its size and hash', async () => {
    const binary = await world.ask({ ...request, body: Buffer.from([0xff, 0xfe]) })
    const hash = 'b3d510ef04275ca8e698e5b3cbb0ece3949ef9252f0cdc839e9ee347409a2209'
    expect(bodyOf(binary)).toMatchObject({ body: { bytes: 2, sha256: hash }, identity: null })
    const long = await world.ask({ ...request, body: 'x'.repeat(65_537) })
    expect(bodyOf(long)).toMatchObject({
      body: { bytes: 65_537, sha256: '1abe08ebecf1c18cab71f6fe28aaddf20268f85bad78bb9a72f88ca47c874662' },
    })
    expect(JSON.stringify(bodyOf(long))).not.toContain('xxxx')
  })

  test('takes as large a body as its route does', async () => {
    expect(refusalOf(await world.ask({ ...request, body: 'xxx', bodyBytes: 2 })).kind).toBe('payload_too_large')
    expect(bodyOf(await world.ask({ ...request, endpoint: 'root' }))).toMatchObject({ body: { bytes: 0, text: '' }, headers: {} })
  })
})
