import { beforeAll, describe, expect, it } from 'vitest'
import { ANONYMOUS } from '../../../src/exchange/exchange.ts'
import { NOW_SECONDS as NOW, createKey, createWorld, encode, exchange, foreignClaims, issuer, ownClaims, sign } from './world.ts'
import type { Claims, World } from './world.ts'

const key = createKey('k-1', 'RS256')
let world: World

beforeAll(async () => {
  world = createWorld({
    issuers: [
      issuer(),
      issuer({
        name: 'custom',
        issuer: 'custom',
        tenant: 'default',
        audiences: 'any',
        claims: { user: 'user_id', scope: 'scp', session: 'session', token: 'tid' },
      }),
    ],
    tenants: [],
  })
  world.web.pages.set('https://login.example.com/jwks.json', [key.jwk])
  await world.authenticator.start()
})

const ask = async (changes: Claims) => world.ask(await sign(key, foreignClaims(changes)))

describe('the claims of a foreign token', () => {
  it.each<[string, Claims, string]>([
    ['an unknown issuer', { iss: 'https://evil.example/' }, 'issuer'],
    ['an issuer without its slash', { iss: 'https://login.example.com' }, 'issuer'],
    ['an issuer in other case', { iss: 'https://LOGIN.example.com/' }, 'issuer'],
    ['no issuer', { iss: undefined }, 'issuer'],
    ['a list of issuers', { iss: ['https://login.example.com/', 'evil'] }, 'claim_type'],
    ['a boolean as issuer', { iss: true }, 'claim_type'],
    ['a member of Object as issuer', { iss: 'constructor' }, 'issuer'],
    ['no exp', { exp: undefined }, 'expiry_missing'],
    ['exp as text', { exp: String(NOW + 60) }, 'claim_type'],
    ['exp as null', { exp: null }, 'claim_type'],
    ['exp below zero', { exp: -1 }, 'claim_type'],
    ['exp beyond all', { exp: 2e206 }, 'claim_type'],
    ['another audience', { aud: 'other' }, 'audience'],
    ['no audience', { aud: undefined }, 'audience'],
    ['an empty list of audiences', { aud: [] }, 'audience'],
    ['audiences that are numbers', { aud: [1, 2] }, 'claim_type'],
    ['a mixed list of audiences', { aud: ['api', 1] }, 'claim_type'],
    ['an object as audience', { aud: { api: true } }, 'claim_type'],
    ['nbf ahead', { nbf: NOW + 31 }, 'not_before'],
    ['nbf as text', { nbf: '0' }, 'claim_type'],
    ['iat ahead', { iat: NOW + 31 }, 'issued_at'],
    ['iat as text', { iat: 'now' }, 'claim_type'],
    ['a longer life than allowed', { exp: NOW + 86_401, iat: NOW }, 'lifetime'],
    ['a long life and no iat', { exp: NOW + 86_431, iat: undefined }, 'lifetime'],
    ['no user', { sub: undefined }, 'user'],
    ['an empty user', { sub: '' }, 'user'],
    ['a number as user', { sub: 7 }, 'claim_type'],
    ['a user with a line break', { sub: 'u\r\nx-admin: 1' }, 'user'],
    ['a user with a C1 control', { sub: 'u\u0085' }, 'user'],
    ['a user that cannot be encoded', { sub: 'u\uD800' }, 'user'],
    ['a long user', { sub: 'u'.repeat(257) }, 'user'],
    ['a number as session', { sid: 7 }, 'session'],
    ['an empty session', { sid: '' }, 'session'],
    ['a number as jti', { jti: 7 }, 'claim_type'],
    ['a jti with a control character', { jti: 'j\n' }, 'token_id'],
    ['an object as scope', { scope: {} }, 'scope'],
    ['a list of scopes with a space in one', { scope: ['a b'] }, 'scope'],
    ['a list of scopes with a number', { scope: ['a', 1] }, 'scope'],
    ['a scope with a tab', { scope: 'a\tb' }, 'scope'],
  ])('refuse %s', async (_, changes, step) => {
    expect(await ask(changes)).toBe(`invalid_token: ${step}`)
  })

  it('are compared with the clock, give or take the skew', async () => {
    expect(await ask({ exp: NOW - 30, iat: NOW - 60 })).toBe('token_expired: expired')
    expect(await ask({ exp: NOW - 29, iat: NOW - 60 })).toBe('ok u-1')
    expect(await ask({ nbf: NOW + 30 })).toBe('ok u-1')
    expect(await ask({ iat: NOW + 30 })).toBe('ok u-1')
    expect(await ask({ exp: NOW + 86_400, iat: NOW })).toBe('ok u-1')
    expect(await ask({ exp: NOW + 86_430, iat: undefined })).toBe('ok u-1')
  })

  it('tell of expiry before a signature is looked at', async () => {
    const token = await sign(createKey('k-1', 'RS256'), foreignClaims({ exp: NOW - 60, iat: NOW - 90 }))
    expect(await world.ask(token)).toBe('token_expired: expired')
  })

  it('are an object, with each member once', async () => {
    const header = encode({ alg: 'RS256', kid: 'k-1' })
    for (const payload of ['[]', '"x"', 'null', 'x', '{"iss":"a","iss":"https://login.example.com/"}']) {
      expect(await world.ask(`${header}.${encode(payload)}.AAAA`)).toBe('invalid_token: payload')
    }
  })

  it('may list audiences, one of which is ours', async () => {
    expect(await ask({ aud: ['other', 'api'] })).toBe('ok u-1')
  })

  it('become a frozen principal', async () => {
    const token = await sign(key, foreignClaims({ auth_time: NOW - 9, uv: 8, plan: 'pro' }), { typ: 'JWT' })
    const { principal } = await world.authenticator.authenticate(exchange(['Authorization', `Bearer ${token}`]))
    expect(principal).toEqual({
      kind: 'identified',
      issuer: 'corporate',
      tenant: 'acme',
      user: 'u-1',
      scopes: ['orders:read', 'orders:write'],
      session: 's-1',
      tokenId: 'j-1',
      // Its clock may be ahead of ours by the skew.
      issuedAt: NOW - 30,
      expiresAt: NOW + 600,
      authTime: NOW - 9,
      skewSeconds: 30,
      tokenType: 'jwt',
      algorithm: 'RS256',
      claims: foreignClaims({ auth_time: NOW - 9, uv: 8, plan: 'pro' }),
    })
    expect(Object.isFrozen(principal)).toBe(true)
    expect(world.events.decided.at(-1)).toEqual(['acme', 'accepted', 'ok'])
  })

  it('are read under the names that the issuer is configured with', async () => {
    const claims = { iss: 'custom', exp: NOW + 60, user_id: 'Jörg', scp: ['a', 'b'], session: 's', tid: 't', sub: 'other' }
    const { principal } = await world.authenticator.authenticate(exchange(['Authorization', `Bearer ${await sign(key, claims)}`]))
    expect(principal).toMatchObject({
      issuer: 'custom',
      tenant: 'default',
      user: 'Jörg',
      scopes: ['a', 'b'],
      session: 's',
      tokenId: 't',
    })
  })
})

describe('the claims of our own token', () => {
  const own = createKey('own-1', 'ES256')
  let gateway: World
  beforeAll(async () => {
    gateway = createWorld({ issuers: [] })
    gateway.ownKeys.set('acme', [own.jwk])
    await gateway.authenticator.start()
  })

  it('become a principal of the tenant, with its epoch', async () => {
    const token = await sign(own, ownClaims())
    const { principal } = await gateway.authenticator.authenticate(exchange(['Authorization', `Bearer ${token}`]))
    expect(principal).not.toBe(ANONYMOUS)
    expect(principal).toMatchObject({
      issuer: 'gateway',
      tenant: 'acme',
      user: 'u-1',
      session: 's-1',
      tokenId: 'j-1',
      epoch: 3,
      authTime: NOW - 5,
      skewSeconds: 2,
      tokenType: 'access',
      algorithm: 'ES256',
    })
  })

  it.each<[string, Claims, string]>([
    ['another tenant', { tenant_id: 'other' }, 'invalid_token: tenant'],
    ['no tenant', { tenant_id: undefined }, 'invalid_token: tenant'],
    ['a refresh token', { token_type: 'refresh' }, 'invalid_token: token_type'],
    ['no token type', { token_type: undefined }, 'invalid_token: token_type'],
    ['no epoch', { uv: undefined }, 'invalid_token: epoch'],
    ['an epoch as text', { uv: '3' }, 'invalid_token: epoch'],
    ['no jti', { jti: undefined }, 'invalid_token: token_id'],
    ['no iat', { iat: undefined }, 'invalid_token: issued_at'],
    ['no session', { sid: undefined }, 'invalid_token: session'],
    ['no session for a service', { sid: undefined, sub: 'billing', client_id: 'billing' }, 'ok billing'],
    ['an expiry past the skew', { exp: NOW - 2, iat: NOW - 60 }, 'token_expired: expired'],
    ['an expiry within the skew', { exp: NOW - 1, iat: NOW - 60 }, 'ok u-1'],
  ])('with %s', async (_, changes, answer) => {
    expect(await gateway.ask(await sign(own, ownClaims(changes)))).toBe(answer)
  })
})
