import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS_COOKIE } from '../../src/exchange/exchange.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway(`
tenants:
  default: { signing: ES256 }
  acme: { signing: ES256, hosts: [acme.test] }
routes:${SERVICE_ROUTES}
  - { name: graphql, match: { path: /graphql }, service: graphql }`)
})
afterAll(() => gateway.close())

function ask(query: string, variables: unknown = {}, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return postJson(`${gateway.url}/graphql`, { query, variables }, headers)
}

const UPDATE = 'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { username displayName } }'

describe('GraphQL through the gateway', () => {
  it('knows who asks by the token, and refuses a bad one before it reads the query', async () => {
    const user = await login(gateway.url)
    const me = await ask('{ me { email username } }', {}, bearer(user.access_token))
    expect([me.status, await me.json()]).toEqual([200, { data: { me: { email: user.email, username: null } } }])
    const forged = await ask('{ me { email } }', {}, bearer(`${user.access_token.slice(0, -4)}AAAA`))
    expect([forged.status, forged.headers.get('content-type')]).toEqual([401, 'application/problem+json'])
  })

  it('changes a profile, which both doors then show', async () => {
    const user = await login(gateway.url)
    const name = `ada_${Date.now() % 1_000_000}`
    const changed = await ask(UPDATE, { input: { username: name, displayName: 'Ada' } }, bearer(user.access_token))
    expect(await changed.json()).toEqual({ data: { updateProfile: { username: name, displayName: 'Ada' } } })
    const me = await fetch(`${gateway.url}/auth/me`, { headers: bearer(user.access_token) })
    expect(await me.json()).toMatchObject({ username: name, display_name: 'Ada' })
    const check = await ask(`{ checkUsernameAvailability(username: "${name.toUpperCase()}") { available reason } }`)
    expect(await check.json()).toEqual({ data: { checkUsernameAvailability: { available: false, reason: 'taken' } } })
  })

  it('takes the cookie of a page of ours, and of no other', async () => {
    const user = await login(gateway.url)
    const cookie = { cookie: `${ACCESS_COOKIE}=${user.access_token}` }
    const own = await ask(
      UPDATE,
      { input: { displayName: 'Mine' } },
      { ...cookie, origin: 'http://gateway.test', 'sec-fetch-site': 'same-origin' },
    )
    expect(await own.json()).toEqual({ data: { updateProfile: { username: null, displayName: 'Mine' } } })
    for (const headers of [
      { ...cookie, origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
      { ...cookie, origin: 'http://neighbour.gateway.test', 'sec-fetch-site': 'same-site' },
      cookie,
    ]) {
      const other = await ask(UPDATE, { input: { displayName: 'Theirs' } }, headers)
      expect([other.status, await other.json()]).toEqual([403, expect.objectContaining({ error: 'access_denied' })])
    }
    const me = await ask('{ me { displayName } }', {}, bearer(user.access_token))
    expect(await me.json()).toEqual({ data: { me: { displayName: 'Mine' } } })
  })

  it('answers POST alone', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await fetch(`${gateway.url}/graphql?query=%7Bme%7Bid%7D%7D`, { method })
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'POST'])
    }
  })
})

describe('GraphQL of the admin listener', () => {
  it('has a page whose own script and style alone may run', async () => {
    const page = await fetch(`${gateway.adminUrl}/graphql`)
    const html = await page.text()
    const policy = page.headers.get('content-security-policy') ?? ''
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    for (const [tag, directive] of [
      ['script', 'script-src'],
      ['style', 'style-src'],
    ]) {
      const [, text = ''] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(html) ?? []
      expect(policy).toContain(`${directive} 'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    }
    expect(policy).toContain("default-src 'none'")
    expect(html).not.toMatch(/(?:src|href)=|https?:\/\//)
    expect(html).toContain('type UsernameAvailability {')
  })

  it('runs queries, with introspection, for those who send the header of operators', async () => {
    const query = '{ __schema { mutationType { fields { name } } } }'
    const without = await postJson(`${gateway.adminUrl}/graphql`, { query })
    expect(without.status).toBe(403)
    const answer = await postJson(`${gateway.adminUrl}/graphql?tenant=acme`, { query }, { 'x-gatehouse-admin': '1' })
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { data: { __schema: { mutationType: { fields: [{ name: 'updateProfile' }] } } } },
    ])
    const wrong = await postJson(`${gateway.adminUrl}/graphql`, ['x'], { 'x-gatehouse-admin': '1' })
    expect(wrong.status).toBe(400)
    const unknown = await postJson(
      `${gateway.adminUrl}/graphql?tenant=nobody`,
      { query: '{ checkUsernameAvailability(username: "ada") { available } }' },
      { 'x-gatehouse-admin': '1' },
    )
    expect(unknown.status).toBe(404)
  })
})
