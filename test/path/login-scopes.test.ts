/** Routes that ask for scopes, for people who log in with a password. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway(`
tenants:
  default: { signing: ES256 }
  acme: { signing: ES256, loginScopes: [orders:read] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: read, match: { path: /orders/* }, auth: required, scopes: [orders:read], service: echo }
  - { name: write, match: { path: /admin/* }, auth: required, scopes: [orders:read, orders:write], service: echo }
`)
})
afterAll(() => gateway.close())

async function statusOf(path: string, token: string): Promise<string> {
  const response = await fetch(`${gateway.url}${path}`, { headers: bearer(token) })
  const body = (await response.json()) as { readonly error?: string }
  return [response.status, body.error].filter(Boolean).join(' ')
}

it('a login carries the scopes of its tenant, before and after a refresh', async () => {
  const pair = await login(gateway.url, 'acme')
  const refreshed = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token: pair.refresh_token })
  const next = (await refreshed.json()) as { readonly access_token: string; readonly scope: string }
  expect(next.scope).toBe('orders:read')
  for (const token of [pair.access_token, next.access_token]) {
    expect(await statusOf('/orders/1', token)).toBe('200')
    expect(await statusOf('/admin/1', token)).toBe('403 insufficient_scope')
  }
})

it('a login of a tenant without any carries none', async () => {
  const { access_token: token } = await login(gateway.url)
  expect(await statusOf('/orders/1', token)).toBe('403 insufficient_scope')
})
