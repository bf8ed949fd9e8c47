/** Access tokens as a service beside the gateway verifies them, with tokens and revocations of a whole gateway. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createClient, type Client, type TokenPair } from '../../src/client/client.ts'
import { createValidator, type Validator, type ValidatorEvent, type ValidatorOptions } from '../../src/validator/validator.ts'
import { startGateway, SERVICE_ROUTES, type TestGateway } from '../support/gateway.ts'
import { makeKey, signJwt, startKeyServer, tokenClaims } from '../support/passports.ts'
import { freePort } from '../support/ports.ts'
import { startRedis, startRedisCluster, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'

const ORIGIN = 'http://gateway.test'
const TENANTS = `
tenants:
  default: { loginScopes: [orders:read] }
  acme: { signing: ES256, audience: acme-api }
clients:
  orders: { tenant: default, secret: { env: ORDERS_SECRET }, scopes: [sessions:write, tokens:introspect] }
  snoop: { tenant: default, secret: { env: SNOOP_SECRET }, scopes: [] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
`
const environment = { ORDERS_SECRET: 'orders-secret-of-32-characters!!', SNOOP_SECRET: 'snoop-secret-of-32-characters!!!' }
const credentials = { id: 'orders', secret: environment.ORDERS_SECRET }

let gate: Validator | undefined
afterEach(async () => {
  await gate?.close()
  gate = undefined
})

async function logIn(client: Client): Promise<TokenPair> {
  const user = { email: `user-${crypto.randomUUID()}@example.com`, password: 'correct horse battery staple' }
  await client.register(user)
  return client.login(user)
}

describe('beside a gateway on embedded storage', () => {
  let gateway: TestGateway
  let client: Client

  beforeAll(async () => {
    gateway = await startGateway(TENANTS, { environment })
    client = createClient({ origin: gateway.url, credentials })
  })
  afterAll(async () => gateway.close())

  const introspection = { clientId: 'orders', clientSecret: environment.ORDERS_SECRET, rememberMs: 200 }

  function open(options: Partial<ValidatorOptions> = {}): Validator {
    gate = createValidator({ origin: ORIGIN, reachAt: gateway.url, tokens: { revocations: { introspection } }, ...options })
    return gate
  }

  it('takes a token of the gateway, until it is revoked', async () => {
    const validator = open()
    const tokens = await logIn(client)
    const request = { rawHeaders: ['Authorization', `Bearer ${tokens.accessToken}`] }
    expect(await validator.authenticate(request)).toMatchObject({
      proof: 'token',
      userId: expect.stringMatching(/^usr_[0-9a-f]{32}$/),
      tenantId: 'default',
      scopes: ['orders:read'],
      sessionId: tokens.sessionId,
      tokenId: expect.any(String),
    })
    await client.revoke(tokens.refreshToken)
    await until(async () => (await validator.authenticate(request).catch((error: unknown) => error)) instanceof Error)
    const error = await validator.authenticate(request).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'TokenRevokedError', code: 'token_revoked', status: 401, reason: 'inactive' })
  })

  it('takes tokens of the tenants that it names, by their issuer and audience', async () => {
    const { accessToken } = await logIn(createClient({ origin: gateway.url, tenant: 'acme' }))
    const revocations = 'unchecked' as const
    expect(await refusal(open({ tokens: { revocations } }).verifyToken(accessToken))).toBe('tenant_not_found issuer')
    await gate?.close()
    expect(await refusal(open({ tokens: { revocations }, tenants: ['acme'] }).verifyToken(accessToken))).toBe(
      'invalid_token audience',
    )
    await gate?.close()
    const acme = open({ tokens: { revocations }, tenants: ['default', { id: 'acme', audience: 'acme-api' }] })
    expect(await acme.verifyToken(accessToken)).toMatchObject({ tenantId: 'acme' })
    await acme.ready()
    expect(Object.keys(acme.state().keyAgeSeconds)).toEqual(['default', 'acme'])
  })

  it('takes a token of a service that acts for itself, which has no session', async () => {
    const { accessToken } = await client.clientToken()
    const identity = await open().verifyToken(accessToken)
    expect(identity).toMatchObject({ userId: 'orders', tenantId: 'default' })
    expect('sessionId' in identity).toBe(false)
  })

  it('takes both: the passport where there is one, and never the token in its place', async () => {
    const { accessToken } = await logIn(client)
    const validator = open({ service: 'orders' })
    const both = { rawHeaders: ['authorization', `Bearer ${accessToken}`, 'x-gatehouse-identity', 'x.y.z'] }
    expect(await validator.authenticate({ rawHeaders: both.rawHeaders.slice(0, 2) })).toMatchObject({ proof: 'token' })
    expect(await refusal(validator.authenticate(both))).toBe('invalid_token malformed')
    expect(await refusal(validator.verifyPassport(accessToken))).toBe('tenant_not_found issuer')
  })

  it('refuses with 503 when the gateway will not tell, and asks about no token that is not good anyway', async () => {
    const asked: string[] = []
    const counting: typeof fetch = (input, init) => {
      asked.push(new URL(new Request(input).url).pathname)
      return fetch(input, init)
    }
    const wrong = { clientId: 'snoop', clientSecret: environment.SNOOP_SECRET }
    const validator = open({ tokens: { revocations: { introspection: wrong } }, fetch: counting })
    const { accessToken } = await logIn(client)
    expect(await refusal(validator.verifyToken(accessToken))).toBe('revocation_unavailable introspection')
    expect(await refusal(validator.verifyToken(`${accessToken.slice(0, -8)}AAAAAAAA`))).toMatch(/^invalid_/)
    expect(asked).toEqual(['/t/default/.well-known/jwks.json', '/oauth/introspect'])
  })

  it('asks once for all that wait, and again when the answer is old', async () => {
    const asked: string[] = []
    const counting: typeof fetch = (input, init) => {
      if (new Request(input).url.endsWith('/introspect')) asked.push('asked')
      return fetch(input, init)
    }
    const validator = open({ fetch: counting })
    const { accessToken } = await logIn(client)
    await Promise.all(Array.from({ length: 20 }, () => validator.verifyToken(accessToken)))
    expect(asked).toEqual(['asked'])
    await until(async () => {
      await validator.verifyToken(accessToken)
      return asked.length > 1
    })
  })
})

describe('beside a gateway on Redis', () => {
  let redis: RedisServer
  let gateway: TestGateway
  let client: Client

  beforeAll(async () => {
    redis = await startRedis()
    gateway = await startGateway(`storage: { sessions: ${redis.url}, directory: ./data }\nmasterKey: { env: KEY }\n${TENANTS}`, {
      environment: { ...environment, KEY: Buffer.alloc(32, 7).toString('base64') },
    })
    client = createClient({ origin: gateway.url, credentials })
    // What docs/validator.md says is enough.
    const rules = [
      'on',
      '>reader-password',
      '~revocations:*',
      '~storage:*',
      '+@read',
      '+@connection',
      '+eval',
      '+evalsha',
      '+info',
    ]
    await redis.admin.call('ACL', 'SETUSER', 'reader', 'reset', ...rules)
  })
  afterAll(async () => {
    await gateway.close()
    await redis.stop()
  })

  function open(more: object = {}, options: Partial<ValidatorOptions> = {}): Validator {
    const url = redis.url.replace('redis://', 'redis://reader:reader-password@')
    gate = createValidator({
      origin: ORIGIN,
      reachAt: gateway.url,
      tokens: { revocations: { redis: url, ...more } },
      ...options,
    })
    return gate
  }

  it('refuses tokens, sessions and users as they are revoked, as a user of Redis who may only read', async () => {
    const validator = open()
    await validator.ready()
    const [one, two, three] = await Promise.all([logIn(client), logIn(client), logIn(client)])
    for (const { accessToken } of [one, two, three]) expect(await validator.verifyToken(accessToken)).toBeDefined()
    await client.revoke(one.accessToken)
    await client.revoke(two.refreshToken)
    const { userId } = await validator.verifyToken(three.accessToken)
    expect(await client.revokeAll({ userId })).toBe(1)
    for (const { accessToken } of [one, two, three]) {
      await until(
        async () => (await refusal(validator.verifyToken(accessToken))) === 'token_revoked -',
        'it was not revoked here',
      )
    }
    expect(validator.state().revocations).toEqual({ entries: 3, stalenessMs: expect.any(Number) })
    const renewed = await client.refresh(one.refreshToken)
    expect(await validator.verifyToken(renewed.accessToken)).toMatchObject({ sessionId: one.sessionId })
  })

  it('knows at its start what was revoked before', async () => {
    const { accessToken, refreshToken } = await logIn(client)
    await client.revoke(refreshToken)
    expect(await refusal(open().verifyToken(accessToken))).toBe('token_revoked -')
  })

  it('refuses with 503 when Redis was away for too long, but what is known to be revoked with 401', async () => {
    const events: ValidatorEvent[] = []
    const validator = open({ maxStalenessMs: 300 }, { onEvent: (event) => void events.push(event) })
    await validator.ready()
    const [good, bad] = await Promise.all([logIn(client), logIn(client)])
    await client.revoke(bad.refreshToken)
    await until(async () => (await refusal(validator.verifyToken(bad.accessToken))) === 'token_revoked -')
    redis.pause()
    try {
      await until(async () => (await refusal(validator.verifyToken(good.accessToken))) === 'revocation_unavailable stale')
      expect(await refusal(validator.verifyToken(bad.accessToken))).toBe('token_revoked -')
      await until(() => events.some((event) => event.kind === 'revocations' && event.state === 'down'))
    } finally {
      redis.resume()
    }
    await until(async () => (await refusal(validator.verifyToken(good.accessToken))) === 'none')
    await until(() => events.some((event) => event.kind === 'revocations' && event.state === 'up'))
  })
})

it('beside a gateway on a cluster of Redis, refuses what is revoked in any of its parts', async () => {
  const servers = await startRedisCluster()
  const key = Buffer.alloc(32, 7).toString('base64')
  const storage = `storage: { sessions: { cluster: ${JSON.stringify(servers.urls)} }, directory: ./data }\nmasterKey: { env: KEY }`
  const gateway = await startGateway(`${storage}\n${TENANTS}`, { environment: { ...environment, KEY: key } })
  try {
    const client = createClient({ origin: gateway.url, credentials })
    const revocations = { redis: { cluster: servers.urls } }
    gate = createValidator({ origin: ORIGIN, reachAt: gateway.url, tokens: { revocations } })
    const validator = gate
    await validator.ready(15_000)
    const users = ['a', 'b', 'c', 'd', 'e', 'f'].map((userId) => ({ userId, scope: '' }))
    const all = await Promise.all(users.map((user) => client.createSession(user)))
    for (const { accessToken } of all) expect(await refusal(validator.verifyToken(accessToken))).toBe('none')
    await Promise.all(all.slice(1).map(({ refreshToken }) => client.revoke(refreshToken)))
    for (const { accessToken } of all.slice(1)) {
      await until(async () => (await refusal(validator.verifyToken(accessToken))) === 'token_revoked -')
    }
    expect(await refusal(validator.verifyToken(all[0]?.accessToken ?? ''))).toBe('none')
  } finally {
    await gate?.close()
    await gateway.close()
    await servers.stop()
  }
}, 60_000)

it('beside a Redis that is laid out for another kind of it, refuses every token and says why', async () => {
  const redis = await startRedis()
  const key = makeKey()
  const keys = await startKeyServer([key])
  try {
    await redis.admin.set('storage:buckets', '16')
    const events: ValidatorEvent[] = []
    gate = createValidator({
      origin: keys.origin,
      tokens: { revocations: { redis: redis.url } },
      onEvent: (event) => {
        events.push(event)
        throw new Error('a listener that fails')
      },
    })
    const token = signJwt(key, tokenClaims(keys.origin), { typ: 'at+jwt' })
    expect(await refusal(gate.verifyToken(token))).toBe('revocation_unavailable stale')
    const causes = events.flatMap((event) =>
      event.kind === 'revocations' && event.cause instanceof Error ? [event.cause.message] : [],
    )
    expect(causes).toContain('the revocations in this Redis are laid out for another kind of it, not in 1 buckets')
  } finally {
    await keys.close()
    await redis.stop()
  }
})

describe('with no Redis there', () => {
  it('refuses every token, unless it was told to allow', async () => {
    const key = makeKey()
    const keys = await startKeyServer([key])
    try {
      const token = signJwt(key, tokenClaims(keys.origin), { typ: 'at+jwt' })
      const redis = `redis://127.0.0.1:${await freePort()}`
      gate = createValidator({ origin: keys.origin, tokens: { revocations: { redis } } })
      expect(await refusal(gate.verifyToken(token))).toBe('revocation_unavailable stale')
      await expect(gate.ready(50)).rejects.toMatchObject({ name: 'RevocationUnavailableError' })
      await gate.close()
      gate = createValidator({ origin: keys.origin, tokens: { revocations: { redis, whenStale: 'allow' } } })
      expect(await gate.verifyToken(token)).toMatchObject({ userId: 'usr_1', tokenId: 't1' })
    } finally {
      await keys.close()
    }
  })

  it('takes no token that lacks what every token of a gateway has', async () => {
    const key = makeKey()
    const keys = await startKeyServer([key])
    try {
      gate = createValidator({ origin: keys.origin, tokens: { revocations: 'unchecked' } })
      const sign = (more: object, header: object = { typ: 'at+jwt' }): string =>
        signJwt(key, tokenClaims(keys.origin, more), header)
      expect(await gate.verifyToken(sign({}))).toMatchObject({ userId: 'usr_1' })
      expect(await refusal(gate.verifyToken(sign({}, { typ: 'JWT' })))).toBe('invalid_token type')
      expect(await refusal(gate.verifyToken(sign({ tenant_id: 'acme' })))).toBe('invalid_token tenant')
      expect(await refusal(gate.verifyToken(sign({ token_type: 'refresh' })))).toBe('invalid_token token_type')
      expect(await refusal(gate.verifyToken(sign({ uv: undefined })))).toBe('invalid_token epoch')
      expect(await refusal(gate.verifyToken(sign({ sid: undefined })))).toBe('invalid_token session')
      expect(await refusal(gate.verifyToken(sign({ aud: 'orders' })))).toBe('invalid_token audience')
    } finally {
      await keys.close()
    }
  })
})

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    const { code, reason } = error as { readonly code?: string; readonly reason?: string }
    return `${code} ${reason ?? '-'}`
  }
}
