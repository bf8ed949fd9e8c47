/** One gateway beside an older authentication service, on its Redis. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import {
  CHANNEL,
  channelCounts,
  hearing,
  LEGACY_ISSUER,
  LEGACY_PREVIOUS,
  LEGACY_SECRET,
  legacyToken,
  olderService,
  type OlderService,
} from '../support/legacy.ts'
import { waitFor } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const CLIENT_SECRET = 'the secret of a backend'
const ENVIRONMENT = {
  JWT_SECRET: LEGACY_SECRET,
  JWT_SECRET_PREVIOUS: LEGACY_PREVIOUS,
  CLIENT_SECRET,
  MASTER_KEY: 'ab'.repeat(32),
}

let redis: RedisServer
let older: OlderService
let gateway: TestGateway
let loud: TestGateway

beforeAll(async () => {
  redis = await startRedis()
  older = await olderService(redis)
  gateway = await start('{}')
  loud = await start('{ publishRawToken: true }', 'raw')
  await hearing(redis, 2)
})
afterAll(async () => {
  older.close()
  await Promise.all([gateway.close(), loud.close()])
  await redis.stop()
})

/** Another channel keeps the two apart where a test listens to one. */
function start(channel: string, name = ''): Promise<TestGateway> {
  const named = name === '' ? channel : channel.replace('{', `{ name: ${CHANNEL}_${name},`)
  return startGateway(
    `storage: { sessions: "${redis.url}", directory: ./data }
masterKey: { env: MASTER_KEY }
revocation: { legacyChannel: ${named} }
tenants: { default: { signing: ES256, sessionsPerUser: 2 } }
clients: { backend: { tenant: default, secret: { env: CLIENT_SECRET }, scopes: [sessions:write] } }
issuers:
  legacy:
    issuer: ${LEGACY_ISSUER}
    tenant: default
    audiences: any
    algorithms: [HS256]
    secrets: [{ env: JWT_SECRET }, { env: JWT_SECRET_PREVIOUS }]
    maxLifetime: 12h
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    { environment: ENVIRONMENT },
  )
}

async function ask(at: TestGateway, token: string): Promise<string> {
  const response = await fetch(`${at.url}/api/x`, { headers: bearer(token) })
  const body = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${body.error}`
}

function told(message: string | undefined): Readonly<Record<string, unknown>> {
  return JSON.parse(message ?? '') as Readonly<Record<string, unknown>>
}

describe('a token of the older service', () => {
  it('is taken, signed with its current secret or its previous one, and its user is told to the upstream', async () => {
    for (const secret of [LEGACY_SECRET, LEGACY_PREVIOUS]) {
      const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(legacyToken({ sub: 'bob' }, secret)) })
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({
        headers: { 'x-user-id': 'bob', 'x-tenant-id': 'default', 'x-token-id': expect.stringMatching(/^sha256\.[\w-]{43}$/) },
      })
    }
  })

  it('is over after a logout here, and the older service hears of it without the token', async () => {
    const token = legacyToken({ sub: randomUUID() })
    const before = older.heard.length
    const response = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
    expect(response.status).toBe(204)
    expect(await ask(gateway, token)).toBe('401 token_revoked')
    const [message] = (await older.hears(before + 1)).slice(before)
    const now = Math.floor(Date.now() / 1000)
    expect(told(message)).toEqual({
      v: 1,
      t: expect.any(Number),
      typ: 'token',
      tenant: 'default',
      id: expect.stringMatching(/^sha256\.[\w-]{43}$/),
      exp: expect.any(Number),
      reason: 'logout',
    })
    expect(Math.abs(Number(told(message)['t']) - now)).toBeLessThan(60)
    expect(Number(told(message)['exp']) - now).toBeGreaterThan(43_000)
    expect(message).not.toContain(token.split('.')[2])
  })

  it('is in no published key set', async () => {
    for (const path of ['/.well-known/jwks.json', '/t/default/.well-known/jwks.json']) {
      const text = await (await fetch(`${gateway.url}${path}`)).text()
      expect(text).toContain('"keys"')
      expect(text).not.toMatch(/oct|HS256/)
      expect(text).not.toContain(Buffer.from(LEGACY_SECRET).toString('base64url'))
    }
  })
})

describe('what the older service publishes', () => {
  it('ends its token here', async () => {
    const token = legacyToken()
    expect(await ask(gateway, token)).toBe('200')
    await older.publish(token)
    await waitFor(async () => (await ask(gateway, token)) === '401 token_revoked')
    // Its own message is no news to it: nothing is published again.
    const before = older.heard.length
    await older.publish(token)
    await waitFor(async () => ((await channelCounts(gateway.adminUrl))['in known'] ?? 0) > 0)
    expect(older.heard.length).toBe(before)
  })

  it('ends a token with an id, a token of the previous secret, and a session token of ours', async () => {
    const { access_token: ours } = await login(gateway.url)
    for (const token of [legacyToken({ jti: randomUUID() }), legacyToken({}, LEGACY_PREVIOUS), `Bearer ${ours}`]) {
      const text = token.replace('Bearer ', '')
      expect(await ask(gateway, text)).toBe('200')
      await older.publish(token)
      await waitFor(async () => (await ask(gateway, text)) === '401 token_revoked')
    }
  })

  it('is written to the log, so that a gateway that starts later knows it too', async () => {
    const token = legacyToken()
    await older.publish(token)
    await waitFor(async () => (await ask(gateway, token)) === '401 token_revoked')
    const later = await start('{}')
    expect(await ask(later, token)).toBe('401 token_revoked')
    await later.close()
  })
})

describe('what ends here is told', () => {
  async function tells(act: () => Promise<unknown>, count = 1): Promise<Readonly<Record<string, unknown>>[]> {
    const before = older.heard.length
    await act()
    return (await older.hears(before + count)).slice(before, before + count).map(told)
  }

  it('for a logout, a logout everywhere and a session that is deleted', async () => {
    const first = await login(gateway.url)
    const end = (path: string, method = 'POST', token = first.access_token) =>
      fetch(`${gateway.url}${path}`, { method, headers: bearer(token) })
    const [logout] = await tells(() => end('/auth/logout'))
    expect(logout).toMatchObject({ v: 1, typ: 'session', tenant: 'default', id: first.session_id, reason: 'logout' })
    const second = await login(gateway.url)
    const [everywhere] = await tells(() => end('/auth/logout-all', 'POST', second.access_token))
    expect(everywhere).toMatchObject({ typ: 'user', tenant: 'default', id: expect.stringMatching(/^usr_/), reason: 'logout-all' })
    const third = await login(gateway.url)
    const [deleted] = await tells(() => end(`/sessions/${third.session_id}`, 'DELETE', third.access_token))
    expect(deleted).toMatchObject({ typ: 'session', id: third.session_id, reason: 'deleted' })
  })

  it('for sessions that have to go for a new one, and those that the user ends elsewhere', async () => {
    const user = randomUUID()
    const create = async (): Promise<{ readonly session_id: string; readonly access_token: string }> => {
      const body = { tenant_id: 'default', user_id: user, scope: 'read' }
      const response = await postJson(`${gateway.url}/sessions`, body, { authorization: basic('backend', CLIENT_SECRET) })
      return (await response.json()) as { readonly session_id: string; readonly access_token: string }
    }
    const [first, second] = [await create(), await create()]
    const made: Awaited<ReturnType<typeof create>>[] = []
    const [evicted] = await tells(async () => made.push(await create()))
    expect(evicted).toMatchObject({ typ: 'session', reason: 'evicted' })
    const gone = evicted?.['id']
    expect([first.session_id, second.session_id]).toContain(gone)
    const left = gone === first.session_id ? second : first
    const others = await tells(() =>
      fetch(`${gateway.url}/sessions/revoke-others`, { method: 'POST', headers: bearer(left.access_token) }),
    )
    expect(others).toEqual([expect.objectContaining({ typ: 'session', id: made[0]?.session_id, reason: 'revoke-others' })])
  })

  it('for a token that is revoked alone, with the reason', async () => {
    const { access_token: token } = await login(gateway.url)
    const [message] = await tells(() => postJson(`${gateway.url}/sessions/revoke`, { token, reason: 'lost phone' }))
    expect(message).toMatchObject({ typ: 'token', reason: 'lost phone' })
  })
})

describe('publishRawToken', () => {
  it('says so at the start', () => {
    const warning = loud.lines().find((line) => String(line['msg']).startsWith('tokens that end are published as they are'))
    expect(warning).toMatchObject({ level: 'warn', channel: `${CHANNEL}_raw` })
    expect(gateway.log()).not.toContain('published as they are')
  })

  it('adds the token of a logout, of /sessions/revoke and of /oauth/revoke', async () => {
    const raw = await olderService(redis, `${CHANNEL}_raw`)
    await hearing(redis, 2, `${CHANNEL}_raw`)
    const [loggedOut, revoked, byClient] = [legacyToken({ sub: 'a' }), legacyToken({ sub: 'b' }), legacyToken({ sub: 'c' })]
    await fetch(`${loud.url}/auth/logout`, { method: 'POST', headers: bearer(loggedOut) })
    await postJson(`${loud.url}/sessions/revoke`, { token: revoked })
    await fetch(`${loud.url}/oauth/revoke`, {
      method: 'POST',
      headers: { authorization: basic('backend', CLIENT_SECRET) },
      body: new URLSearchParams({ token: byClient }),
    })
    const heard = [...(await raw.hears(6))]
    expect(heard.filter((message) => !message.startsWith('{'))).toEqual([loggedOut, revoked, byClient])
    expect(heard.filter((message) => message.startsWith('{')).map((message) => told(message)['typ'])).toEqual(
      Array(3).fill('token'),
    )
    // They come back to the gateway that published them, and are known.
    await waitFor(async () => (await channelCounts(loud.adminUrl))['in known'] === 3)
    raw.close()
  })
})

describe('the channel', () => {
  it('is counted by direction and result', async () => {
    await older.publish('not a token')
    await waitFor(async () => ((await channelCounts(gateway.adminUrl))['in refused'] ?? 0) > 0)
    const counts = await channelCounts(gateway.adminUrl)
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(['in own', 'in known', 'in revoked', 'in refused', 'out ok']))
  })

  it('is heard again after its connection was cut', async () => {
    const lines = (): number => gateway.lines().filter((line) => line['msg'] === 'the legacy channel is heard').length
    const before = lines()
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await waitFor(() => lines() > before)
    const token = legacyToken()
    await older.publish(token)
    await waitFor(async () => (await ask(gateway, token)) === '401 token_revoked')
  })

  it('leaves no token and no secret in log, metrics or Redis', async () => {
    const token = legacyToken({ sub: randomUUID() })
    await older.publish(token)
    await waitFor(async () => (await ask(gateway, token)) === '401 token_revoked')
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    const config = await (await fetch(`${gateway.adminUrl}/config`)).text()
    await redis.admin.config('SET', 'rdbcompression', 'no')
    const keys = await redis.admin.keys('*')
    const dump = await Promise.all(keys.map(async (key) => `${key} ${(await redis.admin.dumpBuffer(key))?.toString('latin1')}`))
    const everything = [gateway.log(), loud.log(), metrics, config, ...dump].join('\n')
    for (const secret of [token, token.split('.')[2] ?? '', LEGACY_SECRET, LEGACY_PREVIOUS]) {
      expect(everything.includes(secret)).toBe(false)
    }
  })
})
