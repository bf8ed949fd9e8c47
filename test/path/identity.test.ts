/**
 * What an upstream is told of the caller, and how it can check that the gateway said it.
 */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'
import { login, SERVICE_ROUTES } from '../support/gateway.ts'

let scene: Scene

beforeAll(async () => {
  scene = await openScene({
    upstreams: '  billing: { targets: ["http://127.0.0.1:$PORT"] }',
    routes: `
  - { name: billing, match: { path: /billing/* }, auth: required, upstream: billing }
  - { name: echo, match: { path: /echo/* }, auth: optional, service: echo }
${SERVICE_ROUTES}`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

function last(name: string): string | undefined {
  return valuesOf(scene.upstream.seen.at(-1)?.rawHeaders ?? [], name)[0]
}

describe('the headers of a caller', () => {
  it('of the gateway’s own token: user, tenant, session and token', async () => {
    const user = await login(scene.gateway.url, 'acme')
    await scene.ask({ target: '/admin', token: user.access_token })
    const claims = JSON.parse(Buffer.from(user.access_token.split('.')[1] ?? '', 'base64url').toString()) as Record<
      string,
      unknown
    >
    expect(['x-user-id', 'x-tenant-id', 'x-scopes', 'x-session-id', 'x-token-id'].map(last)).toEqual([
      claims['sub'],
      'acme',
      undefined,
      user.session_id,
      claims['jti'],
    ])
  })

  it('of a foreign token: what its claims say, under the tenant of its issuer', async () => {
    await scene.ask({
      target: '/admin',
      token: scene.token({ sub: 'bob', scope: 'read write', sid: 's-1', jti: 't-1', tenant_id: 'default' }),
    })
    expect(['x-user-id', 'x-tenant-id', 'x-scopes', 'x-session-id', 'x-token-id'].map(last)).toEqual([
      'bob',
      'acme',
      'read write',
      's-1',
      't-1',
    ])
  })

  it('without a token: none', async () => {
    for (const target of ['/public/x', '/optional/x']) {
      await scene.ask({ target })
      expect(['x-user-id', 'x-tenant-id', 'x-scopes', 'x-session-id', 'x-token-id', 'x-gatehouse-identity'].map(last)).toEqual(
        Array.from({ length: 6 }),
      )
    }
  })

  it('on a public route a token is not looked at, and says nothing', async () => {
    for (const token of [scene.token(), 'garbage']) {
      const answer = await scene.ask({ target: '/public/x', token })
      expect([answer.status, last('x-user-id'), last('authorization')]).toEqual([200, undefined, undefined])
    }
  })

  it('are the same for a built-in service', async () => {
    const answer = await scene.ask({ target: '/echo/x', token: scene.token({ sub: 'bob' }), lines: ['X_User_Id: root'] })
    const { headers, identity } = answer.json() as { headers: Record<string, unknown>; identity: unknown }
    expect([headers['x-user-id'], headers['x_user_id'], headers['x-tenant-id'], headers['authorization'], identity]).toEqual([
      'bob',
      undefined,
      'acme',
      undefined,
      { user: 'bob', tenant: 'acme', scopes: ['read'] },
    ])
  })
})

describe('the passport', () => {
  it('is verified by another library with the published key, for this upstream alone', async () => {
    const keys = createRemoteJWKSet(new URL(`${scene.gateway.url}/.well-known/gatehouse/jwks.json`))
    await scene.ask({ target: '/admin', token: scene.token({ sub: 'bob', scope: 'read write', sid: 's-1' }) })
    const passport = last('x-gatehouse-identity') ?? ''
    const { payload, protectedHeader } = await jwtVerify(passport, keys, {
      issuer: 'http://gateway.test',
      audience: 'recorder',
      algorithms: ['ES256'],
    })
    expect(protectedHeader.alg).toBe('ES256')
    expect(payload).toEqual({
      iss: 'http://gateway.test',
      aud: 'recorder',
      sub: 'bob',
      tenant_id: 'acme',
      scope: 'read write',
      sid: 's-1',
      iat: payload.iat,
      exp: (payload.iat ?? 0) + 60,
      jti: payload.jti,
    })
    await scene.ask({ target: '/billing/x', token: scene.token({ sub: 'bob' }) })
    const forBilling = last('x-gatehouse-identity') ?? ''
    await expect(jwtVerify(forBilling, keys, { audience: 'recorder' })).rejects.toThrow(/aud/)
    expect((await jwtVerify(forBilling, keys, { audience: 'billing' })).payload.jti).not.toBe(payload.jti)
  })

  it('is no access token: the upstream that has it cannot call the gateway with it', async () => {
    const user = await login(scene.gateway.url)
    await scene.ask({ target: '/admin', token: user.access_token })
    const passport = last('x-gatehouse-identity') ?? ''
    const seen = scene.upstream.seen.length
    const answer = await scene.ask({ target: '/admin', token: passport })
    expect([answer.status, answer.json()['error'], scene.upstream.seen.length]).toEqual([401, 'invalid_token', seen])
  })

  it('has a key that is none of a tenant, and no private member of it is published', async () => {
    const [own, tenants] = await Promise.all(
      ['/.well-known/gatehouse/jwks.json', '/.well-known/jwks.json'].map(
        async (path) => ((await (await fetch(scene.gateway.url + path)).json()) as { keys: Record<string, unknown>[] }).keys,
      ),
    )
    expect(own?.length).toBe(1)
    expect(own?.[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' })
    expect(Object.keys(own?.[0] ?? {})).not.toContain('d')
    expect(tenants?.map((key) => key['kid'])).not.toContain(own?.[0]?.['kid'])
  })
})

it('a refresh token is no access token', async () => {
  const user = await login(scene.gateway.url)
  const answer = await scene.ask({ target: '/admin', token: user.refresh_token })
  expect([answer.status, answer.json()['error'], scene.upstream.seen]).toEqual([401, 'invalid_token', []])
})
