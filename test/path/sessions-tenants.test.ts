/** A token, a refresh token or a client of one tenant at the host of the other: refused everywhere, and nothing has changed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { postJson, startGateway, type TestGateway } from '../support/gateway.ts'
import { sendRaw } from '../support/raw.ts'

const TENANTS = ['acme', 'globex'] as const
type Tenant = (typeof TENANTS)[number]
const SECRETS: Readonly<Record<Tenant, string>> = { acme: 'the secret of acme', globex: 'the secret of globex' }

const YAML = `
tenants:
  acme: { hosts: [acme.test], signing: ES256 }
  globex: { hosts: [globex.test], signing: ES256 }
clients:
  acme: { tenant: acme, secret: { env: acme }, scopes: [sessions:write] }
  globex: { tenant: globex, secret: { env: globex }, scopes: [sessions:write] }
routes:
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
}

let gateway: TestGateway
let pairs: Readonly<Record<Tenant, Pair>>
beforeAll(async () => {
  gateway = await startGateway(YAML, { environment: SECRETS })
  pairs = { acme: await create('acme'), globex: await create('globex') }
})
afterAll(() => gateway.close())

async function create(tenant: Tenant): Promise<Pair> {
  const body = { tenant_id: tenant, user_id: 'u1', scope: '' }
  const response = await postJson(`${gateway.url}/sessions`, body, { authorization: basic(tenant, SECRETS[tenant]) })
  return (await response.json()) as Pair
}

interface Asked {
  readonly method?: string
  readonly path: string
  readonly authorization?: string
  readonly body?: unknown
}

/** Status and body of a request to the host of a tenant. */
async function ask(host: Tenant, { method = 'POST', path, authorization, body }: Asked): Promise<[number, unknown]> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}.test`,
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
    ...(body === undefined ? [] : ['Content-Type: application/json']),
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ]
  const answer = await sendRaw(gateway.port, `${lines.join('\r\n')}\r\n\r\n${text}`)
  const [head = '', rest = ''] = answer.split('\r\n\r\n', 2)
  const json = rest.slice(rest.indexOf('{'), rest.lastIndexOf('}') + 1)
  return [Number(head.slice(9, 12)), json === '' ? undefined : JSON.parse(json)]
}

const bearer = (tenant: Tenant): string => `Bearer ${pairs[tenant].access_token}`
const client = (tenant: Tenant): string => basic(tenant, SECRETS[tenant])

/** Every endpoint with what `mine` has: at the host of `other`, or about what `other` has. */
const CALLS: Readonly<Record<string, (mine: Tenant, other: Tenant) => [Tenant, Asked]>> = {
  'another route': (mine, other) => [other, { method: 'GET', path: '/api/x', authorization: bearer(mine) }],
  list: (mine, other) => [other, { method: 'GET', path: '/sessions', authorization: bearer(mine) }],
  'delete at the other’s host': (mine, other) => [
    other,
    { method: 'DELETE', path: `/sessions/${pairs[mine].session_id}`, authorization: bearer(mine) },
  ],
  'delete the other’s': (mine, other) => [
    mine,
    { method: 'DELETE', path: `/sessions/${pairs[other].session_id}`, authorization: bearer(mine) },
  ],
  'revoke others': (mine, other) => [other, { path: '/sessions/revoke-others', authorization: bearer(mine) }],
  'log out': (mine, other) => [other, { path: '/auth/logout', authorization: bearer(mine) }],
  'log out everywhere': (mine, other) => [other, { path: '/auth/logout-all', authorization: bearer(mine) }],
  'create at the other’s host': (mine, other) => [
    other,
    { path: '/sessions', authorization: client(mine), body: { tenant_id: mine, user_id: 'u1', scope: '' } },
  ],
  'create in the other': (mine, other) => [
    mine,
    { path: '/sessions', authorization: client(mine), body: { tenant_id: other, user_id: 'u1', scope: '' } },
  ],
  'create in the other at its host': (mine, other) => [
    other,
    { path: '/sessions', authorization: client(mine), body: { tenant_id: other, user_id: 'u1', scope: '' } },
  ],
  'refresh at the other’s host': (mine, other) => [
    other,
    { path: '/sessions/refresh', body: { refresh_token: pairs[mine].refresh_token } },
  ],
  'revoke an access token at the other’s host': (mine, other) => [
    other,
    { path: '/sessions/revoke', body: { token: pairs[mine].access_token } },
  ],
  'revoke a refresh token at the other’s host': (mine, other) => [
    other,
    { path: '/sessions/revoke', body: { token: pairs[mine].refresh_token } },
  ],
  'revoke the other’s token as a client': (mine, other) => [
    mine,
    { path: '/sessions/revoke', authorization: client(mine), body: { token: pairs[other].access_token } },
  ],
  'revoke all of the other as a client': (mine, other) => [
    mine,
    { path: '/sessions/revoke-all', authorization: client(mine), body: { tenant_id: other, user_id: 'u1' } },
  ],
  'revoke all of the other as a client at its host': (mine, other) => [
    other,
    { path: '/sessions/revoke-all', authorization: client(mine), body: { tenant_id: other, user_id: 'u1' } },
  ],
  'revoke all of the other as a user': (mine, other) => [
    other,
    { path: '/sessions/revoke-all', authorization: bearer(mine), body: { tenant_id: other, user_id: 'u1' } },
  ],
}

async function stateOf(): Promise<unknown> {
  return Promise.all(TENANTS.map((tenant) => ask(tenant, { method: 'GET', path: '/sessions', authorization: bearer(tenant) })))
}

describe('two tenants', () => {
  it.each(Object.keys(CALLS))('%s: refused with 401, 403 or 404, and nothing has changed', async (name) => {
    const before = await stateOf()
    expect(before).toMatchObject([
      [200, { sessions: [{ current: true }] }],
      [200, { sessions: [{ current: true }] }],
    ])
    for (const [mine, other] of [
      ['acme', 'globex'],
      ['globex', 'acme'],
    ] as const) {
      const [host, asked] = CALLS[name]?.(mine, other) ?? ['acme', { path: '/' }]
      const [status, body] = await ask(host, asked)
      expect([401, 403, 404]).toContain(status)
      expect(body).toMatchObject({ error: expect.any(String) })
      expect(JSON.stringify(body)).not.toContain('u1')
    }
    expect(await stateOf()).toEqual(before)
  })

  it('validate a token of the other as not valid here, and say no more', async () => {
    expect(await ask('acme', { path: '/sessions/validate', body: { access_token: pairs.globex.access_token } })).toEqual([
      200,
      { valid: false, error: 'tenant_mismatch', error_description: expect.any(String) },
    ])
  })
})
