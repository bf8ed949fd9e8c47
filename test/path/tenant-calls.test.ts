/** What operators do to a user of a gateway that runs, whichever way they name the user. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { login, startGateway, type TestGateway } from '../support/gateway.ts'

const HEADERS = { 'x-gatehouse-admin': '1', 'content-type': 'application/json' }

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway(`routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
`)
})
afterAll(() => gateway.close())

it('ends the sessions of a user who is named by an e-mail address', async () => {
  const { email, access_token: token } = await login(gateway.url)
  const id = await whoIs(token)
  const ended = await post(`${email}/sessions/revoke`)
  expect(ended).toEqual({ status: 200, body: { tenant: 'default', user: email, revoked_count: 1 } })
  expect(await whoIs(token)).toBeUndefined()
  expect(id).toMatch(/^usr_/)
})

it('ends one session of a user who is named so, and none of anybody else', async () => {
  const [tokens, other] = [await login(gateway.url), await login(gateway.url)]
  expect((await post(`${other.email}/sessions/${tokens.session_id}/revoke`)).status).toBe(404)
  expect(await whoIs(tokens.access_token)).toMatch(/^usr_/)
  expect((await post(`${tokens.email}/sessions/${tokens.session_id}/revoke`)).status).toBe(200)
  expect(await whoIs(tokens.access_token)).toBeUndefined()
  expect(await whoIs(other.access_token)).toMatch(/^usr_/)
})

async function post(call: string): Promise<{ status: number; body: unknown }> {
  const url = `${gateway.adminUrl}/tenants/default/users/${call}`
  const response = await fetch(url, { method: 'POST', headers: HEADERS, body: '{"reason":"lost phone"}' })
  return { status: response.status, body: await response.json() }
}

async function whoIs(token: string): Promise<string | undefined> {
  const response = await fetch(`${gateway.url}/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  return ((await response.json()) as { readonly id?: string }).id
}
