/**
 * What was done to sessions elsewhere, tried at two gateways that share a storage: refresh tokens used twice, tokens used after
 * their end, and ids that look alike.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { admin, callApi } from '../fleet/fleet.ts'
import { basic } from '../support/clients.ts'
import { claims, compact, hs } from '../support/foreign.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { closeCode, handshake, openWebSocket } from '../support/websocket.ts'
import { temporaryFolder } from '../support/process.ts'

const SECRET = 'the secret of a backend, long enough'
const CLIENT = { authorization: basic('backend', SECRET) }
const SOON = { timeout: 10_000, interval: 5 }

const yaml = (sessions: string, upstream: number): string => `
storage: { sessions: ${JSON.stringify(sessions)}, directory: ./data }
masterKey: { env: MASTER_KEY }
tenants:
  default: { signing: ES256 }
  strict: { signing: ES256, refreshToken: { grace: 0s } }
issuers:
  shared: { issuer: shared, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: SECRET }] }
clients:
  backend: { tenant: default, secret: { env: SECRET }, scopes: [sessions:write, tokens:introspect] }
upstreams: { sockets: { targets: ["http://127.0.0.1:${upstream}"] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: sockets, match: { path: /sockets/* }, auth: required, upstream: sockets, websocket: true }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

describe.each(['redis', 'embedded'] as const)('on %s storage', (storage) => {
  let redis: RedisServer | undefined
  let sockets: RawUpstream
  let start: () => Promise<TestGateway>
  let gateways: [TestGateway, TestGateway]

  beforeAll(async () => {
    redis = storage === 'redis' ? await startRedis() : undefined
    sockets = await rawUpstream(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n',
    )
    const options = { directory: temporaryFolder(), environment: { SECRET, MASTER_KEY: 'ab'.repeat(32) } }
    start = () => startGateway(yaml(redis?.url ?? 'embedded', sockets.port), options)
    gateways = [await start(), await start()]
  })
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()))
    await Promise.all([redis?.stop(), sockets.close()])
  })

  const at = (number: number): TestGateway => gateways[number % 2 === 0 ? 0 : 1]

  async function refresh(token: string, number = 0): Promise<readonly [number, Partial<Tokens> & { readonly error?: string }]> {
    const answer = await postJson(`${at(number).url}/sessions/refresh`, { refresh_token: token })
    return [answer.status, (await answer.json()) as Partial<Tokens>]
  }

  async function sessionOf(user: string): Promise<Tokens> {
    const answer = await postJson(`${at(0).url}/sessions`, { tenant_id: 'default', user_id: user, scope: '' }, CLIENT)
    expect(answer.status).toBe(201)
    return (await answer.json()) as Tokens
  }

  /** At both gateways; the second one hears of it a moment later. */
  async function refusedEverywhere(token: string): Promise<void> {
    expect(await callApi(at(0), token)).toBe('401 token_revoked')
    await expect.poll(() => callApi(at(1), token), SOON).toBe('401 token_revoked')
  }

  it('CVE-2026-1035, CVE-2026-53517, CVE-2026-50631, CVE-2026-126280: 200 refreshes of one token at once have one successor', async () => {
    const first = await login(at(0).url)
    const answers = await Promise.all(Array.from({ length: 200 }, (_, number) => refresh(first.refresh_token, number)))
    const [statuses, successors] = [new Set<number>(), new Set<string | undefined>()]
    for (const [status, body] of answers) {
      statuses.add(status)
      successors.add(body.refresh_token)
    }
    expect([[...statuses], successors.size, successors.has(first.refresh_token)]).toEqual([[200], 1, false])
  })

  it('django-oauth-toolkit 1617: a grandparent ends the session at any time, its newest tokens included', async () => {
    const first = await login(at(0).url)
    const [, second] = await refresh(first.refresh_token)
    const [, third] = await refresh(second.refresh_token ?? '')
    expect(await callApi(at(1), third.access_token ?? '')).toBe('200')
    const [status, { error }] = await refresh(first.refresh_token)
    expect([status, error]).toEqual([401, 'invalid_token'])
    await refusedEverywhere(third.access_token ?? '')
    expect((await refresh(third.refresh_token ?? '', 1))[0]).toBe(401)
    const metrics = await (await fetch(`${at(0).adminUrl}/metrics`)).text()
    expect(metrics).toMatch(/gatehouse_sessions_total\{[^}]*event="reused"[^}]*\} 1\n/)
  })

  it('django-oauth-toolkit 1617: so does a parent once the grace is over', async () => {
    const first = await login(at(0).url, 'strict')
    const [, second] = await refresh(first.refresh_token)
    expect((await refresh(first.refresh_token))[0]).toBe(401)
    await refusedEverywhere(second.access_token ?? '')
    expect((await refresh(second.refresh_token ?? '', 1))[0]).toBe(401)
  })

  it('CVE-2026-68481, CVE-2025-0326: what was revoked is not active for anyone, anywhere, nor after a restart', async () => {
    const { access_token: token, refresh_token: newer } = await sessionOf(`user-${randomUUID()}`)
    expect(await callApi(at(1), token)).toBe('200')
    expect(await introspected(1, token)).toMatchObject({ active: true })
    expect((await postJson(`${at(0).url}/sessions/revoke`, { token: newer })).status).toBe(200)
    await refusedEverywhere(token)
    for (const number of [0, 1]) {
      expect(await introspected(number, token)).toEqual({ active: false })
      expect(await introspected(number, newer)).toEqual({ active: false })
      const validated = await postJson(`${at(number).url}/sessions/validate`, { access_token: token })
      expect(await validated.json()).toMatchObject({ valid: false, error: 'token_revoked' })
    }
    await at(1).close()
    gateways = [at(0), await start()]
    expect(await callApi(at(1), token)).toBe('401 token_revoked')
  })

  async function introspected(number: number, token: string): Promise<unknown> {
    const answer = await fetch(`${at(number).url}/oauth/introspect`, {
      method: 'POST',
      headers: CLIENT,
      body: new URLSearchParams({ token }),
    })
    return answer.json()
  }

  it('CVE-2023-22492: a user who is disabled refreshes nothing, calls nothing and loses what is open', async () => {
    const tokens = await login(at(0).url)
    const socket = await openWebSocket(at(1).port, handshake('/sockets/x', `Authorization: Bearer ${tokens.access_token}`))
    expect(socket.status).toBe(101)
    const me = await fetch(`${at(0).url}/auth/me`, { headers: bearer(tokens.access_token) })
    const { id } = (await me.json()) as { readonly id: string }
    await admin(at(0), `/tenants/default/users/${id}/disable`)
    expect((await refresh(tokens.refresh_token, 1))[0]).toBe(401)
    await refusedEverywhere(tokens.access_token)
    await socket.until(() => false, SOON.timeout)
    expect([socket.isClosed(), closeCode(socket.frames())]).toEqual([true, 1008])
  })

  it('CVE-2026-16158: users whose ids look alike are as many users', async () => {
    const hex = randomUUID().replaceAll('-', '')
    const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    const packed = Buffer.from(hex, 'hex').toString('base64url')
    const forms = [hex, hex.toUpperCase(), uuid, uuid.toUpperCase(), `~g${packed}`, `~u${packed}`, `~~g${packed}`, `~${uuid}`]
    const users = [...forms, ...forms.flatMap((form) => [`${form}:`, `:${form}`, `{0}:${form}`]), `${hex} `, `a:${hex}`, `a`]
    const distinct = [...new Set(users)]
    const sessions = await Promise.all(distinct.map(async (user) => ({ user, ...(await sessionOf(user)) })))
    const ended = new Set<string>()
    for (const { user } of sessions.filter((_, index) => index % 3 === 0)) {
      const body = { tenant_id: 'default', user_id: user }
      const answer = await postJson(`${at(0).url}/sessions/revoke-all`, body, CLIENT)
      expect([user, await answer.json()]).toEqual([user, { revoked_count: 1 }])
      ended.add(user)
    }
    for (const { user, access_token: token } of sessions) {
      expect([user, await callApi(at(0), token)]).toEqual([user, ended.has(user) ? '401 token_revoked' : '200'])
    }
  })

  it('CVE-2026-16158: tokens whose ids look alike are as many tokens', async () => {
    const hex = randomUUID().replaceAll('-', '')
    const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    const ids = [
      hex,
      hex.toUpperCase(),
      uuid,
      uuid.toUpperCase(),
      `{${uuid}}`,
      `urn:uuid:${uuid}`,
      `${hex} `,
      hex.slice(1),
      `0${hex}`,
    ]
    const tokens = ids.map((jti) => compact({ alg: 'HS256' }, claims('shared', { jti, sid: undefined }), hs('HS256', SECRET)))
    for (const [index, token] of tokens.entries()) {
      expect((await postJson(`${at(0).url}/sessions/revoke`, { token })).status).toBe(200)
      const answers = await Promise.all(tokens.map((one) => callApi(at(0), one)))
      expect(answers).toEqual(ids.map((_, other) => (other <= index ? '401 token_revoked' : '200')))
    }
  })

  it.each(['/sessions/revoke-all', '/tenants/default/revoke'])(
    '%s ends what an issuer dated ahead, within its skew',
    async (end) => {
      const user = `user-${randomUUID()}`
      const iat = Math.floor(Date.now() / 1000) + 20
      const token = compact({ alg: 'HS256' }, claims('shared', { sub: user, iat, nbf: undefined }), hs('HS256', SECRET))
      expect(await callApi(at(0), token)).toBe('200')
      if (end.startsWith('/tenants')) await admin(at(0), end)
      else await postJson(`${at(0).url}${end}`, { tenant_id: 'default', user_id: user }, CLIENT)
      await refusedEverywhere(token)
    },
  )
})
