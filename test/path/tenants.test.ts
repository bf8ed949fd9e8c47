/**
 * Tenants: each has its own users, keys and hosts, and a token of one is none of another.
 */
import { createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'
import { bearer, login, postJson, SERVICE_ROUTES } from '../support/gateway.ts'
import { claims, compact, createSigner, hs } from '../support/foreign.ts'

let scene: Scene

beforeAll(async () => {
  scene = await openScene({
    tenants:
      '  globex: { signing: EdDSA, hosts: [globex.test, www.globex.test], audience: globex-api, issuer: "https://login.globex.test" }',
    routes: `
  - { name: only-acme, match: { path: /only-acme/* }, auth: required, tenants: [acme], upstream: recorder }
  - { name: both, match: { path: /both/* }, auth: required, tenants: [acme, globex], upstream: recorder }
${SERVICE_ROUTES}`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

async function outcome(target: string, token: string, host = 'gateway.test'): Promise<string> {
  const answer = await scene.ask({ target, token, host })
  return answer.status === 200 ? 'passed' : `${answer.status} ${String(answer.json()['error'])}`
}

async function jwksOf(tenant: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${scene.gateway.url}/t/${tenant}/.well-known/jwks.json`)
  return ((await response.json()) as { keys: Record<string, unknown>[] }).keys
}

function parts(token: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', payload = ''] = token.split('.')
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>
  return { header: read(header), claims: read(payload) }
}

describe('a token of a tenant', () => {
  it('says whose it is, and is signed by a key of that tenant', async () => {
    const found = []
    for (const tenant of ['default', 'acme', 'globex']) {
      const { access_token: token } = await login(scene.gateway.url, tenant)
      const { header, claims: said } = parts(token)
      const kids = (await jwksOf(tenant)).map((key) => key['kid'])
      found.push([said['tenant_id'], said['iss'], said['aud'], header['alg'], header['typ'], kids.includes(header['kid'])])
    }
    expect(found).toEqual([
      ['default', 'http://gateway.test/t/default', 'api', 'ES256', 'at+jwt', true],
      ['acme', 'http://gateway.test/t/acme', 'api', 'ES256', 'at+jwt', true],
      ['globex', 'https://login.globex.test', 'globex-api', 'EdDSA', 'at+jwt', true],
    ])
    const kids = (await Promise.all(['default', 'acme', 'globex'].map(jwksOf))).flat().map((key) => key['kid'])
    expect(new Set(kids).size).toBe(kids.length)
  })

  it('reaches the upstream with its tenant, on a host of its own or of nobody', async () => {
    const { access_token: token } = await login(scene.gateway.url, 'acme')
    for (const host of ['gateway.test', 'acme.test', 'ACME.test:8080', 'nobody.test'])
      expect(await outcome('/admin', token, host)).toBe('passed')
    expect(scene.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'x-tenant-id').join())).toEqual([
      'acme',
      'acme',
      'acme',
      'acme',
    ])
  })

  it('is refused on a host of another, and on a route that lacks it', async () => {
    const acme = (await login(scene.gateway.url, 'acme')).access_token
    const globex = (await login(scene.gateway.url, 'globex')).access_token
    const usual = (await login(scene.gateway.url)).access_token
    expect([
      await outcome('/admin', acme, 'globex.test'),
      await outcome('/admin', globex, 'acme.test'),
      await outcome('/admin', usual, 'www.globex.test'),
    ]).toEqual(Array.from({ length: 3 }, () => '403 tenant_mismatch'))
    expect([
      await outcome('/only-acme/x', acme),
      await outcome('/only-acme/x', globex),
      await outcome('/only-acme/x', usual),
      await outcome('/both/x', globex),
    ]).toEqual(['passed', '403 tenant_mismatch', '403 tenant_mismatch', 'passed'])
    expect(await outcome('/optional/x', acme, 'globex.test')).toBe('403 tenant_mismatch')
    expect(scene.upstream.seen.length).toBe(2)
  })

  it('relabelled as another’s is refused', async () => {
    const { access_token: token } = await login(scene.gateway.url, 'acme')
    const { header, claims: said } = parts(token)
    const signature = token.split('.')[2] ?? ''
    const relabelled = (more: object, kid = header['kid']) =>
      compact({ ...header, kid }, { ...said, ...more }, () => Buffer.from(signature, 'base64url'))
    const kid = (await jwksOf('default'))[0]?.['kid']
    expect(await outcome('/admin', relabelled({ tenant_id: 'default' }))).toBe('401 invalid_signature')
    expect(await outcome('/admin', relabelled({ iss: 'http://gateway.test/t/default', tenant_id: 'default' }))).toBe(
      '401 invalid_token',
    )
    expect(await outcome('/admin', relabelled({ iss: 'http://gateway.test/t/default', tenant_id: 'default' }, kid))).toBe(
      '401 invalid_signature',
    )
    expect(await outcome('/admin', relabelled({ aud: 'globex-api', iss: 'https://login.globex.test' }))).toBe('401 invalid_token')
  })

  it('cannot be forged with what the tenant publishes', async () => {
    const [jwk = {}] = await jwksOf('acme')
    const said = claims('http://gateway.test/t/acme', {
      tenant_id: 'acme',
      token_type: 'access',
      uv: 0,
      sid: 's',
      client_id: 'gatehouse',
      nbf: 0,
    })
    const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const header = { alg: 'HS256', kid: jwk['kid'], typ: 'at+jwt' }
    expect(await outcome('/admin', compact(header, said, hs('HS256', pem)))).toBe('401 invalid_token')
    expect(await outcome('/admin', createSigner('ES256', String(jwk['kid'])).token(said))).toBe('401 invalid_signature')
    expect(await outcome('/admin', scene.signer.token(said))).toBe('401 invalid_token')
  })
})

describe('a user of a tenant', () => {
  it('is another one than the user of the same address elsewhere', async () => {
    const email = `user-${crypto.randomUUID()}@example.com`
    const ids = []
    for (const tenant of ['acme', 'globex']) {
      const registered = await postJson(`${scene.gateway.url}/auth/register`, {
        email,
        password: `password of ${tenant}`,
        tenant_id: tenant,
      })
      const { user } = (await registered.json()) as { user: { id: string; tenant_id: string } }
      expect([registered.status, user.tenant_id]).toEqual([201, tenant])
      ids.push(user.id)
    }
    expect(new Set(ids).size).toBe(2)
    const wrong = await postJson(`${scene.gateway.url}/auth/login`, { email, password: 'password of acme', tenant_id: 'globex' })
    const right = await postJson(`${scene.gateway.url}/auth/login`, {
      email,
      password: 'password of globex',
      tenant_id: 'globex',
    })
    const nowhere = await postJson(`${scene.gateway.url}/auth/login`, { email, password: 'password of acme' })
    expect([wrong.status, right.status, nowhere.status]).toEqual([401, 200, 401])
  })

  it('is logged in by the host of the tenant', async () => {
    const { email, password } = await login(scene.gateway.url, 'acme')
    const body = JSON.stringify({ email, password })
    const answer = await scene.ask({
      method: 'POST',
      target: '/auth/login',
      host: 'acme.test',
      lines: ['Content-Type: application/json'],
      body,
    })
    expect([answer.status, parts(String(answer.json()['access_token'])).claims['tenant_id']]).toEqual([200, 'acme'])
  })

  it('ends nobody else’s sessions', async () => {
    const acme = await login(scene.gateway.url, 'acme')
    const globex = await login(scene.gateway.url, 'globex')
    const response = await fetch(`${scene.gateway.url}/auth/logout-all`, { method: 'POST', headers: bearer(acme.access_token) })
    expect([response.status, await outcome('/admin', acme.access_token), await outcome('/admin', globex.access_token)]).toEqual([
      200,
      '401 token_revoked',
      'passed',
    ])
  })
})

describe('a document of a tenant', () => {
  it('is its own, and there is none of a tenant that does not exist', async () => {
    const metadata = (await (
      await fetch(`${scene.gateway.url}/t/globex/.well-known/oauth-authorization-server`)
    ).json()) as Record<string, unknown>
    expect(metadata['issuer']).toBe('https://login.globex.test')
    for (const name of ['nobody', '__proto__', 'constructor', 'GLOBEX']) {
      const answer = await scene.ask({ target: `/t/${name}/.well-known/jwks.json` })
      expect([name, answer.status]).toEqual([name, 404])
    }
  })

  it('holds no private member', async () => {
    for (const tenant of ['default', 'acme', 'globex']) {
      for (const key of await jwksOf(tenant))
        for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) expect(Object.hasOwn(key, member)).toBe(false)
    }
  })
})

it('a request without a token on a tenant’s host tells the upstream no tenant', async () => {
  await scene.ask({ target: '/public/x', host: 'acme.test', lines: ['X-Tenant-Id: globex'] })
  expect(valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-tenant-id')).toEqual([])
})
