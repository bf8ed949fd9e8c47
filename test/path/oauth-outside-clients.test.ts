/** The calls of clients that others wrote, unchanged: they find the gateway by its metadata and take its answers. */
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claimsIn, openOAuth, SECRETS, type OAuthScene } from '../support/oauth.ts'

let scene: OAuthScene
beforeAll(async () => {
  scene = await openOAuth()
})
afterAll(() => scene.close())

const OVER_HTTP = { execute: [openid.allowInsecureRequests] }

describe('openid-client', () => {
  const discover = (auth: openid.ClientAuth, id = 'billing', algorithm: 'oidc' | 'oauth2' = 'oauth2') =>
    openid.discovery(new URL(scene.issuer('acme')), id, undefined, auth, { ...OVER_HTTP, algorithm })

  it.each(['oidc', 'oauth2'] as const)('discovers the endpoints of a tenant the %s way', async (algorithm) => {
    const metadata = (await discover(openid.ClientSecretBasic(SECRETS.billing), 'billing', algorithm)).serverMetadata()
    expect(metadata).toMatchObject({
      issuer: scene.issuer('acme'),
      token_endpoint: `${scene.url}/oauth/token`,
      introspection_endpoint: `${scene.url}/oauth/introspect`,
      revocation_endpoint: `${scene.url}/oauth/revoke`,
      grant_types_supported: ['client_credentials', 'refresh_token'],
      response_types_supported: [],
    })
  })

  it.each([
    ['client_secret_basic', () => openid.ClientSecretBasic(SECRETS.billing)],
    ['client_secret_post', () => openid.ClientSecretPost(SECRETS.billing)],
  ])('gets, refreshes, introspects and revokes by %s', async (_, auth) => {
    const config = await discover(auth())
    const own = await openid.clientCredentialsGrant(config, { scope: 'orders:read' })
    expect(own).toMatchObject({ token_type: 'bearer', expires_in: 900, scope: 'orders:read' })
    expect(own.refresh_token).toBeUndefined()
    expect(await openid.tokenIntrospection(config, own.access_token)).toMatchObject({
      active: true,
      sub: 'billing',
      client_id: 'billing',
      scope: 'orders:read',
      tenant_id: 'acme',
    })

    const session = await scene.session('billing', 'ada')
    const refreshed = await openid.refreshTokenGrant(config, session.refresh_token)
    expect(refreshed).toMatchObject({ token_type: 'bearer', scope: 'orders:read orders:write', session_id: session.session_id })
    expect(refreshed.refresh_token).not.toBe(session.refresh_token)
    const narrowed = await openid.refreshTokenGrant(config, refreshed.refresh_token ?? '', { scope: 'orders:read' })
    expect(claimsIn(narrowed.access_token)).toMatchObject({ sub: 'ada', scope: 'orders:read', sid: session.session_id })

    expect(await openid.tokenIntrospection(config, narrowed.refresh_token ?? '')).toMatchObject({
      active: true,
      token_type: 'refresh_token',
      sub: 'ada',
    })
    await openid.tokenRevocation(config, narrowed.refresh_token ?? '')
    for (const token of [narrowed.refresh_token ?? '', narrowed.access_token, session.access_token]) {
      expect(await openid.tokenIntrospection(config, token)).toEqual({ active: false })
    }
    await openid.tokenRevocation(config, own.access_token)
    expect(await openid.tokenIntrospection(config, own.access_token)).toEqual({ active: false })
  })

  it.each(['ES256', 'RS256', 'PS256', 'EdDSA'])('proves itself by a key under %s', async (alg) => {
    const signer = scene.signers.find((one) => one.alg === alg)
    const key = await webKey(alg, signer?.privateKey.export({ format: 'jwk' }) ?? {})
    const config = await discover(openid.PrivateKeyJwt({ key, kid: `reports-${alg}` }), 'reports')
    const own = await openid.clientCredentialsGrant(config)
    expect(own).toMatchObject({ scope: 'reports:read tokens:introspect' })
    expect(await openid.tokenIntrospection(config, own.access_token)).toMatchObject({ active: true, sub: 'reports' })
    await openid.tokenRevocation(config, own.access_token)
    expect(await openid.tokenIntrospection(config, own.access_token)).toEqual({ active: false })
  })

  it('reads the errors of the gateway', async () => {
    const config = await discover(openid.ClientSecretPost(SECRETS.billing))
    await expect(openid.clientCredentialsGrant(config, { scope: 'everything' })).rejects.toMatchObject({
      error: 'invalid_scope',
      status: 400,
    })
    await expect(openid.refreshTokenGrant(config, 'gwr_none')).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
    await expect(openid.genericGrantRequest(config, 'password', { username: 'a', password: 'b' })).rejects.toMatchObject({
      error: 'unsupported_grant_type',
    })
    const wrong = await discover(openid.ClientSecretBasic('wrong'))
    await expect(openid.clientCredentialsGrant(wrong)).rejects.toMatchObject({ status: 401 })
  })
})

describe('oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true }

  async function discovered(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(scene.issuer('acme'))
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
    return oauth.processDiscoveryResponse(issuer, response)
  }

  it('gets a token, and a server that is called with it validates it as RFC 9068 says', async () => {
    const as = await discovered()
    const client = { client_id: 'billing' }
    const auth = oauth.ClientSecretBasic(SECRETS.billing)
    const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: 'orders:read' }, insecure)
    const { access_token: token } = await oauth.processClientCredentialsResponse(as, client, response)
    const request = new Request('https://orders.example.com/', { headers: { authorization: `Bearer ${token}` } })
    const claims = await oauth.validateJwtAccessToken(as, request, 'api', insecure)
    expect(claims).toMatchObject({ iss: scene.issuer('acme'), sub: 'billing', client_id: 'billing', scope: 'orders:read' })
    expect(claims['sid']).toBeUndefined()
  })

  it('refreshes, introspects and revokes', async () => {
    const as = await discovered()
    const client = { client_id: 'billing' }
    const auth = oauth.ClientSecretPost(SECRETS.billing)
    const session = await scene.session('billing')
    const answer = await oauth.refreshTokenGrantRequest(as, client, auth, session.refresh_token, insecure)
    const refreshed = await oauth.processRefreshTokenResponse(as, client, answer)
    const introspect = async (token: string) =>
      oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, insecure))
    expect(await introspect(refreshed.access_token)).toMatchObject({ active: true, token_type: 'Bearer' })
    const revoked = await oauth.revocationRequest(as, client, auth, refreshed.refresh_token ?? '', insecure)
    await oauth.processRevocationResponse(revoked)
    expect(await introspect(refreshed.access_token)).toEqual({ active: false })
  })
})

describe('@badgateway/oauth2-client', () => {
  const client = (secret: string = SECRETS.billing): OAuth2Client =>
    new OAuth2Client({
      server: scene.url,
      discoveryEndpoint: '/.well-known/oauth-authorization-server/t/acme',
      clientId: 'billing',
      clientSecret: secret,
    })

  it('discovers, gets a token, introspects and revokes', async () => {
    const token = await client().clientCredentials({ scope: ['orders:read'] })
    expect(token).toMatchObject({ refreshToken: null, scope: ['orders:read'] })
    expect(await client().introspect(token)).toMatchObject({ active: true, sub: 'billing' })
    await client().revoke(token)
    expect(await client().introspect(token)).toEqual({ active: false })
  })

  it('refreshes, and ends the session by its refresh token', async () => {
    const session = await scene.session('billing')
    const token = { accessToken: session.access_token, refreshToken: session.refresh_token, expiresAt: null }
    const next = await client().refreshToken(token)
    expect(next.refreshToken).not.toBe(session.refresh_token)
    await client().revoke(next, 'refresh_token')
    expect(await client().introspect(next)).toEqual({ active: false })
    await expect(client().refreshToken(next)).rejects.toMatchObject({ oauth2Code: 'invalid_grant', httpCode: 400 })
  })

  it('fetches with a token of its own', async () => {
    const fetcher = new OAuth2Fetch({ client: client(), getNewToken: () => client().clientCredentials() })
    const response = await fetcher.fetch(`${scene.url}/api/x`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ identity: { user: 'billing', tenant: 'acme' } })
  })

  it('is told that its secret is wrong', async () => {
    await expect(client('wrong').clientCredentials()).rejects.toMatchObject({ oauth2Code: 'invalid_client', httpCode: 401 })
  })
})

function webKey(alg: string, jwk: object): Promise<CryptoKey> {
  const algorithms = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
    EdDSA: { name: 'Ed25519' },
  }
  return crypto.subtle.importKey('jwk', jwk, algorithms[alg as keyof typeof algorithms], false, ['sign'])
}
