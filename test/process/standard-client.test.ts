import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { startGatewayProcess, type GatewayProcess } from '../support/process.ts'

/** A loopback gateway speaks plain HTTP. */
const PLAIN = { [oauth.allowInsecureRequests]: true }

let gateway: GatewayProcess
beforeAll(async () => {
  gateway = await startGatewayProcess(`tenants: { default: {}, acme: { audience: orders } }\nroutes:${SERVICE_ROUTES}`)
})
afterAll(() => gateway.end())

it.each([
  ['default', 'api'],
  ['acme', 'orders'],
])('lets a standard client discover the issuer of %s and verify its tokens', async (tenant, audience) => {
  const server = await discover(tenant)
  expect(server).toMatchObject({ issuer: `${gateway.url}/t/${tenant}` })
  const { access_token: token, session_id: session } = await login(gateway.url, tenant)

  const claims = await verify(server, token, audience)
  expect(claims).toMatchObject({ iss: server.issuer, aud: audience, tenant_id: tenant, sid: session, client_id: 'gatehouse' })
  expect(claims.exp - claims.iat).toBe(15 * 60)
})

it('is refused by that client for another audience, another issuer and a changed signature', async () => {
  const server = await discover('default')
  const { access_token: token } = await login(gateway.url)
  const changed = `${token.slice(0, -8)}${token.at(-8) === 'A' ? 'B' : 'A'}${token.slice(-7)}`

  await expect(verify(server, token, 'orders')).rejects.toMatchObject({ code: oauth.JWT_CLAIM_COMPARISON })
  await expect(verify(await discover('acme'), token, 'api')).rejects.toThrow()
  await expect(verify(server, changed, 'api')).rejects.toThrow()
})

async function discover(tenant: string): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(`${gateway.url}/t/${tenant}`)
  const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...PLAIN })
  return oauth.processDiscoveryResponse(issuer, answer)
}

function verify(server: oauth.AuthorizationServer, token: string, audience: string): Promise<oauth.JWTAccessTokenClaims> {
  const request = new Request('http://service.example/', { headers: bearer(token) })
  return oauth.validateJwtAccessToken(server, request, audience, PLAIN)
}
