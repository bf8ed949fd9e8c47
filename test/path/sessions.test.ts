/** The sessions service through a real gateway: what ends is refused by every other route from the answer on. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { startRedis, startRedisCluster } from '../support/redis.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const SECRETS = { ACME: 'the secret of acme', GLOBEX: 'the secret of globex', READER: 'the secret of the reader' }
const YAML = `
tenants:
  default: {}
  acme: { hosts: [acme.test], signing: ES256 }
  globex: { hosts: [globex.test], signing: ES256 }
clients:
  acme-backend: { tenant: acme, secret: { env: ACME }, scopes: [sessions:write] }
  globex-backend: { tenant: globex, secret: { env: GLOBEX }, scopes: [sessions:write] }
  acme-reader: { tenant: acme, secret: { env: READER }, scopes: [] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

/** Lines of the configuration for a storage, and the way to stop its servers. */
const STORAGES = {
  embedded: async () => ({ lines: '', stop: async () => undefined }),
  async redis() {
    const server = await startRedis()
    return { lines: remote(JSON.stringify(server.url)), stop: () => server.stop() }
  },
  async cluster() {
    const servers = await startRedisCluster()
    return { lines: remote(`{ cluster: ${JSON.stringify(servers.urls)} }`), stop: () => servers.stop() }
  },
} as const

function remote(sessions: string): string {
  return `storage: { sessions: ${sessions}, directory: ./data }\nmasterKey: { env: MASTER_KEY }\n`
}

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
  readonly expires_in: number
}

describe.each(['embedded', 'redis', 'cluster'] as const)('with %s storage', (storage) => {
  let gateway: TestGateway
  let stopServers: () => Promise<unknown>
  beforeAll(async () => {
    const { lines, stop } = await STORAGES[storage]()
    stopServers = stop
    gateway = await startGateway(lines + YAML, { environment: { ...SECRETS, MASTER_KEY: 'ab'.repeat(32) } })
  }, 30_000)
  afterAll(async () => {
    await gateway.close()
    await stopServers()
  })

  const ACME = { authorization: basic('acme-backend', SECRETS.ACME) }
  const GLOBEX = { authorization: basic('globex-backend', SECRETS.GLOBEX) }

  function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return postJson(`${gateway.url}${path}`, body, headers)
  }

  async function create(user: string, tenant: 'acme' | 'globex' = 'acme', agent = 'test'): Promise<Pair> {
    const body = { tenant_id: tenant, user_id: user, scope: 'orders:read' }
    const response = await post('/sessions', body, { ...(tenant === 'acme' ? ACME : GLOBEX), 'user-agent': agent })
    expect(response.status).toBe(201)
    return (await response.json()) as Pair
  }

  /** Status and error of a call of another route with the token. */
  async function callApi(token: string): Promise<string> {
    const response = await fetch(`${gateway.url}/api/orders`, { headers: bearer(token) })
    const body = (await response.json()) as { error?: string }
    return response.status === 200 ? '200' : `${response.status} ${body.error}`
  }

  async function refusal(response: Response): Promise<string> {
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const body = (await response.json()) as { error: string; fields?: { field: string }[] }
    return [response.status, body.error, ...(body.fields ?? []).map((fault) => fault.field)].join(' ')
  }

  const user = (): string => `user-${randomUUID()}`

  describe('a session', () => {
    it('is made by a client, called with, refreshed, and revoked, and is refused from then on', async () => {
      const who = user()
      const first = await create(who)
      expect(await callApi(first.access_token)).toBe('200')
      const refreshed = await post('/sessions/refresh', { refresh_token: first.refresh_token })
      expect([refreshed.status, refreshed.headers.get('cache-control')]).toEqual([200, 'no-store'])
      const second = (await refreshed.json()) as Pair
      expect(second).toMatchObject({ session_id: first.session_id, token_type: 'Bearer', expires_in: 900 })
      expect(await callApi(second.access_token)).toBe('200')
      const revoked = await post('/sessions/revoke', { token: second.refresh_token, reason: 'lost' })
      expect([revoked.status, await revoked.json()]).toEqual([200, { revoked: true }])
      expect(await callApi(first.access_token)).toBe('401 token_revoked')
      expect(await callApi(second.access_token)).toBe('401 token_revoked')
      const late = await post('/sessions/refresh', { refresh_token: second.refresh_token })
      expect(late.headers.get('www-authenticate')).toContain('Bearer')
      expect(await refusal(late)).toBe('401 invalid_token')
    })

    it('loses an access token that is revoked, and nothing else', async () => {
      const pair = await create(user())
      const other = (await (await post('/sessions/refresh', { refresh_token: pair.refresh_token })).json()) as Pair
      expect((await post('/sessions/revoke', { token: pair.access_token })).status).toBe(200)
      expect(await callApi(pair.access_token)).toBe('401 token_revoked')
      expect(await callApi(other.access_token)).toBe('200')
      const validated = await post('/sessions/validate', { access_token: pair.access_token })
      expect(await validated.json()).toEqual({
        valid: false,
        error: 'token_revoked',
        error_description: 'The access token was revoked. Log in again.',
      })
    })

    it('of a login is one like any other: its user lists, deletes and revokes', async () => {
      const tokens = await login(gateway.url)
      const mine = bearer(tokens.access_token)
      const list = async (): Promise<{ id: string; current: boolean }[]> => {
        const response = await fetch(`${gateway.url}/sessions`, { headers: mine })
        expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
        return ((await response.json()) as { sessions: { id: string; current: boolean }[] }).sessions
      }
      expect(await list()).toEqual([
        {
          id: tokens.session_id,
          current: true,
          device: expect.any(String),
          device_name: expect.any(String),
          ip: '127.0.0.1',
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          last_used_at: expect.stringMatching(/Z$/),
          expires_at: expect.stringMatching(/Z$/),
        },
      ])
      const { email, password } = tokens
      const again = async (): Promise<Pair> => (await (await post('/auth/login', { email, password })).json()) as Pair
      const [second, third] = [await again(), await again()]
      expect(await list()).toHaveLength(3)
      const deleted = await fetch(`${gateway.url}/sessions/${second.session_id}`, { method: 'DELETE', headers: mine })
      expect([deleted.status, await deleted.text()]).toEqual([204, ''])
      expect(await callApi(second.access_token)).toBe('401 token_revoked')
      const gone = await fetch(`${gateway.url}/sessions/${second.session_id}`, { method: 'DELETE', headers: mine })
      expect(await refusal(gone)).toBe('404 invalid_request')
      const others = await post('/sessions/revoke-others', {}, mine)
      expect([others.status, await others.json()]).toEqual([200, { revoked_count: 1 }])
      expect(await callApi(third.access_token)).toBe('401 token_revoked')
      expect(await callApi(tokens.access_token)).toBe('200')
      expect((await list()).map((session) => session.id)).toEqual([tokens.session_id])
    })

    it('ends with all others of its user, who are counted exactly', async () => {
      const who = user()
      const pairs = [await create(who), await create(who), await create(who)]
      const [neighbour, foreign] = [await create(user()), await create(who, 'globex')]
      const response = await post('/sessions/revoke-all', { user_id: who, tenant_id: 'acme', reason: 'fired' }, ACME)
      expect([response.status, await response.json()]).toEqual([200, { revoked_count: 3 }])
      for (const pair of pairs) {
        expect(await callApi(pair.access_token)).toBe('401 token_revoked')
        expect((await post('/sessions/refresh', { refresh_token: pair.refresh_token })).status).toBe(401)
      }
      for (const pair of [neighbour, foreign]) expect(await callApi(pair.access_token)).toBe('200')
      expect(await callApi((await create(who)).access_token)).toBe('200')
    })
  })

  describe('rotation over HTTP', () => {
    it('answers 200 refreshes of one token with one successor', async () => {
      const pair = await create(user())
      const answers = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const response = await post('/sessions/refresh', { refresh_token: pair.refresh_token })
          return { status: response.status, pair: (await response.json()) as Pair }
        }),
      )
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
      const successors = [...new Set(answers.map((answer) => answer.pair.refresh_token))]
      expect(successors).toHaveLength(1)
      expect(successors[0]).not.toBe(pair.refresh_token)
      const next = await post('/sessions/refresh', { refresh_token: successors[0] })
      expect(next.status).toBe(200)
    })

    it('ends the session of a token that comes a second time after its successor was used', async () => {
      const first = await create(user())
      const second = (await (await post('/sessions/refresh', { refresh_token: first.refresh_token })).json()) as Pair
      const third = (await (await post('/sessions/refresh', { refresh_token: second.refresh_token })).json()) as Pair
      expect(await refusal(await post('/sessions/refresh', { refresh_token: first.refresh_token }))).toBe('401 invalid_token')
      for (const pair of [first, second, third]) expect(await callApi(pair.access_token)).toBe('401 token_revoked')
      expect(await refusal(await post('/sessions/refresh', { refresh_token: third.refresh_token }))).toBe('401 invalid_token')
    })
  })

  describe('who may not', () => {
    it('is told so, without a word about what is there', async () => {
      const who = user()
      const pair = await create(who)
      const reader = { authorization: basic('acme-reader', SECRETS.READER) }
      const wrong = { authorization: basic('acme-backend', 'wrong') }
      const body = { tenant_id: 'acme', user_id: who, scope: '' }
      const all = { tenant_id: 'acme', user_id: who }
      const rows: [string, Promise<Response>][] = [
        ['401 unauthorized', post('/sessions', body)],
        ['401 unauthorized', post('/sessions', body, wrong)],
        ['401 unauthorized', post('/sessions', body, bearer(pair.access_token))],
        ['403 insufficient_scope', post('/sessions', body, reader)],
        ['403 tenant_mismatch', post('/sessions', body, GLOBEX)],
        ['403 tenant_mismatch', post('/sessions', { ...body, tenant_id: 'nowhere' }, ACME)],
        ['400 invalid_request scope', post('/sessions', { tenant_id: 'acme', user_id: who }, ACME)],
        ['401 unauthorized', post('/sessions/revoke-all', all)],
        ['401 unauthorized', post('/sessions/revoke-all', all, wrong)],
        ['403 insufficient_scope', post('/sessions/revoke-all', all, reader)],
        ['403 tenant_mismatch', post('/sessions/revoke-all', all, GLOBEX)],
        ['403 access_denied', post('/sessions/revoke-all', all, bearer((await create(user())).access_token))],
        ['401 unauthorized', post('/sessions/revoke-others', {})],
        ['401 unauthorized', fetch(`${gateway.url}/sessions`)],
        ['401 unauthorized', fetch(`${gateway.url}/sessions/${pair.session_id}`, { method: 'DELETE' })],
        ['405 method_not_allowed', fetch(`${gateway.url}/sessions/validate`)],
      ]
      for (const [expected, answer] of rows) expect(await refusal(await answer)).toBe(expected)
      expect(await callApi(pair.access_token)).toBe('200')
    })
  })

  describe('logs', () => {
    it('hold nothing of any token, nor of a secret', async () => {
      const who = user()
      const pair = await create(who)
      await post('/sessions/validate', { access_token: `${pair.access_token}x` })
      await post('/sessions/refresh', { refresh_token: `${pair.refresh_token}x` })
      await post('/sessions/revoke', { token: pair.access_token })
      await post('/sessions/revoke', { token: pair.refresh_token })
      await fetch(`${gateway.url}/sessions?access_token=${pair.access_token}`)
      const log = gateway.log()
      expect(log.length).toBeGreaterThan(0)
      const [, payload = '', signature = ''] = pair.access_token.split('.')
      for (const secret of [payload, signature, pair.refresh_token.slice(10), SECRETS.ACME, btoa(SECRETS.ACME)]) {
        expect(log).not.toContain(secret)
      }
    })
  })
})
