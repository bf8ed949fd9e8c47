/** While Redis is away, what needs it says so and changes nothing, and everything else goes on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const SECRET = 'the secret of acme'

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
}

let redis: RedisServer
let gateway: TestGateway
beforeAll(async () => {
  redis = await startRedis()
  gateway = await startGateway(
    `storage: { sessions: "${redis.url}", directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { acme: { signing: ES256 } }
clients: { acme: { tenant: acme, secret: { env: ACME }, scopes: [sessions:write] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    { environment: { ACME: SECRET, MASTER_KEY: 'ab'.repeat(32) } },
  )
})
afterAll(async () => {
  await gateway.close()
  await redis.stop()
})

function post(path: string, body: unknown): Promise<Response> {
  return postJson(`${gateway.url}${path}`, body, { authorization: basic('acme', SECRET) })
}

const create = (): Promise<Response> => post('/sessions', { tenant_id: 'acme', user_id: 'u1', scope: '' })

async function callApi(token: string): Promise<number> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

async function expectUnavailable(asked: Promise<Response>): Promise<void> {
  const response = await asked
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await response.json()).toMatchObject({ error: 'storage_unavailable' })
}

async function health(): Promise<unknown> {
  const { status, redis: state } = (await (await fetch(`${gateway.url}/health`)).json()) as { status: string; redis: string }
  return { status, redis: state }
}

describe('in Redis', () => {
  it('the public keys of a tenant are those that it publishes, and nothing private is in clear', async () => {
    const published = await fetch(`${gateway.url}/t/acme/.well-known/jwks.json`)
    const publicKeys = (): Promise<string | null> => redis.admin.get('tenant:acme:keys:public')
    const text = await published.text()
    await expect.poll(publicKeys).toBe(text)
    expect(await redis.admin.get('tenant:acme:keys:private')).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(Object.keys(JSON.parse(text).keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  })
})

describe('while Redis is away', () => {
  it('creating, refreshing and revoking answer 503, validating goes on, and afterwards all is as it was', async () => {
    const pair = (await (await create()).json()) as Pair
    expect(await health()).toEqual({ status: 'ok', redis: 'up' })
    await redis.kill()
    await expectUnavailable(create())
    await expectUnavailable(post('/sessions/refresh', { refresh_token: pair.refresh_token }))
    await expectUnavailable(post('/sessions/revoke', { token: pair.access_token }))
    await expectUnavailable(post('/sessions/revoke', { token: pair.refresh_token }))
    await expectUnavailable(post('/sessions/revoke-all', { tenant_id: 'acme', user_id: 'u1' }))
    const validated = await post('/sessions/validate', { access_token: pair.access_token })
    expect(await validated.json()).toMatchObject({ valid: true })
    expect(await callApi(pair.access_token)).toBe(200)
    expect(await health()).toEqual({ status: 'degraded', redis: 'down' })

    await redis.restart()
    await expect.poll(health).toEqual({ status: 'ok', redis: 'up' })
    const refreshed = await post('/sessions/refresh', { refresh_token: pair.refresh_token })
    expect(refreshed.status).toBe(200)
    expect(await callApi(pair.access_token)).toBe(200)
    const ended = await post('/sessions/revoke-all', { tenant_id: 'acme', user_id: 'u1' })
    expect(await ended.json()).toEqual({ revoked_count: 1 })
    expect(await callApi(pair.access_token)).toBe(401)
    const said = (): unknown[] => gateway.lines().flatMap(({ msg }) => (String(msg).startsWith('Redis is') ? [msg] : []))
    await expect.poll(said).toEqual(['Redis is away', 'Redis is there again'])
  }, 30_000)
})
