/** The client against a whole gateway, and against servers that behave worse than one. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createClient, GatehouseError, type Client, type ClientOptions, type TokenPair } from '../../src/client/client.ts'
import { startGateway, SERVICE_ROUTES, type TestGateway } from '../support/gateway.ts'

const PASSWORD = 'correct horse battery staple'

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof GatehouseError ? `${error.name} ${error.status} ${error.code}` : String(error)
  }
}

describe('against a gateway', () => {
  let gateway: TestGateway
  let client: Client
  let service: Client

  beforeAll(async () => {
    gateway = await startGateway(
      `
tenants:
  default: {}
  acme: {}
clients:
  billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write, tokens:introspect, orders:read] }
  poor: { tenant: acme, secret: { env: SECRET }, scopes: [orders:read] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
`,
      { environment: { SECRET: 'a secret: with + and % in it, 32.' } },
    )
    client = createClient({ origin: gateway.url })
    service = as('billing')
  })
  afterAll(async () => gateway.close())

  function as(id: string, secret = 'a secret: with + and % in it, 32.'): Client {
    return createClient({ origin: gateway.url, tenant: 'acme', credentials: { id, secret } })
  }

  async function logIn(): Promise<TokenPair & { readonly email: string }> {
    const email = `user-${crypto.randomUUID()}@example.com`
    await client.register({ email, password: PASSWORD })
    return { ...(await client.login({ email, password: PASSWORD })), email }
  }

  it('registers, logs in, changes the profile and the password, and logs out', async () => {
    const email = `ada-${crypto.randomUUID()}@example.com`
    const username = `ada-${crypto.randomUUID().slice(0, 8)}`
    const user = await client.register({ email, password: PASSWORD, username })
    expect(user).toEqual({
      id: expect.stringMatching(/^usr_[0-9a-f]{32}$/),
      tenantId: 'default',
      email,
      username,
      displayName: undefined,
      createdAt: expect.stringMatching(/^\d{4}-/),
    })
    const tokens = await client.login({ username, password: PASSWORD })
    expect(tokens).toEqual({
      accessToken: expect.stringMatching(/^ey/),
      refreshToken: expect.stringMatching(/^gwr_/),
      tokenType: 'Bearer',
      expiresIn: 900,
      refreshExpiresIn: expect.any(Number),
      sessionId: expect.stringMatching(/^[0-9a-f]{32}$/),
      scope: '',
    })
    const ada = client.as(tokens.accessToken)
    expect(await ada.me()).toEqual(user)
    expect(await ada.updateProfile({ displayName: 'Ada' })).toEqual({ ...user, displayName: 'Ada' })
    await ada.changePassword({ currentPassword: PASSWORD, newPassword: `${PASSWORD}!` })
    expect(await refusal(client.login({ email, password: PASSWORD }))).toBe('UnauthorizedError 401 unauthorized')
    await ada.logout()
    expect(await refusal(ada.me())).toBe('TokenRevokedError 401 token_revoked')
  })

  it('lists sessions, ends one of them, the others, and all', async () => {
    const { email, ...first } = await logIn()
    const [second, third] = [await client.login({ email, password: PASSWORD }), await client.login({ email, password: PASSWORD })]
    const user = client.as(() => Promise.resolve(first.accessToken))
    const sessions = await user.sessions()
    expect(sessions.map(({ id }) => id).toSorted()).toEqual([first, second, third].map(({ sessionId }) => sessionId).toSorted())
    expect(sessions.find(({ current }) => current)).toEqual({
      id: first.sessionId,
      current: true,
      device: expect.any(String),
      ip: '127.0.0.1',
      createdAt: expect.any(String),
      lastUsedAt: expect.any(String),
      expiresAt: expect.any(String),
    })
    await user.deleteSession(second.sessionId)
    const gone = await user.deleteSession(second.sessionId).catch((error: unknown) => error)
    expect(gone).toMatchObject({ name: 'InvalidRequestError', status: 404, code: 'invalid_request', reason: 'session_not_found' })
    expect(await user.revokeOthers()).toBe(1)
    expect(await user.logoutAll()).toBe(1)
    expect(await refusal(user.sessions())).toBe('TokenRevokedError 401 token_revoked')
  })

  it('validates, refreshes and revokes; a session that is over is a refresh token that nobody knows', async () => {
    const tokens = await logIn()
    expect(await client.validate(tokens.accessToken)).toMatchObject({ valid: true, claims: { sid: tokens.sessionId } })
    const next = await client.refresh(tokens.refreshToken)
    expect(next).toMatchObject({ sessionId: tokens.sessionId })
    expect(next.refreshToken).not.toBe(tokens.refreshToken)
    await client.revoke(next.refreshToken, 'lost phone')
    expect(await client.validate(next.accessToken)).toMatchObject({ valid: false, error: 'token_revoked' })
    expect(await refusal(client.refresh(next.refreshToken))).toBe('UnknownRefreshTokenError 401 unknown_refresh_token')
    expect(await refusal(client.refresh('gwr_nobody'))).toBe('UnknownRefreshTokenError 401 unknown_refresh_token')
  })

  it('is a service: makes and ends sessions, gets a token of its own, introspects', async () => {
    const tokens = await service.createSession({ userId: 'auth0|42', scope: 'orders:read', metadata: { plan: 'pro' } })
    expect(await service.introspect(tokens.accessToken)).toMatchObject({
      active: true,
      userId: 'auth0|42',
      tenantId: 'acme',
      scope: 'orders:read',
      sessionId: tokens.sessionId,
      clientId: 'billing',
      tokenType: 'Bearer',
    })
    expect(await service.introspect(tokens.refreshToken)).toMatchObject({ active: true, tokenType: 'refresh_token' })
    expect(await service.revokeAll({ userId: 'auth0|42', reason: 'left' })).toBe(1)
    expect(await service.introspect(tokens.accessToken)).toEqual({ active: false })
    const own = await service.clientToken('orders:read')
    expect(own).toEqual({ accessToken: expect.stringMatching(/^ey/), tokenType: 'Bearer', expiresIn: 900, scope: 'orders:read' })
  })

  it('says with a class and a code what was wrong', async () => {
    const short = await client.register({ email: 'no address', password: 'x' }).catch((error: unknown) => error)
    expect(short).toMatchObject({ name: 'InvalidRequestError', status: 400, requestId: expect.stringMatching(/./) })
    expect((short as GatehouseError).fields.map(({ field }) => field).toSorted()).toEqual(['email', 'password'])
    const poor = as('poor')
    expect(await refusal(poor.createSession({ userId: 'u' }))).toBe('InsufficientScopeError 403 insufficient_scope')
    expect(await refusal(service.createSession({ userId: 'u', tenantId: 'default' }))).toBe(
      'TenantMismatchError 403 tenant_mismatch',
    )
    expect(await refusal(as('billing', 'wrong').clientToken())).toBe('UnauthorizedError 401 unauthorized')
    expect(await refusal(service.clientToken('everything'))).toBe('GatehouseError 400 invalid_scope')
    expect(await refusal(client.introspect('x'))).toBe('UnauthorizedError 401 unauthorized')
    const nowhere = createClient({ origin: gateway.url, tenant: 'nowhere' })
    expect(await refusal(nowhere.login({ email: 'a@b.example', password: PASSWORD }))).toBe(
      'TenantNotFoundError 404 tenant_not_found',
    )
    const elsewhere = createClient({ origin: gateway.url, paths: { accounts: '/nowhere' } })
    expect(await refusal(elsewhere.as('x').me())).toBe('GatehouseError 404 no_route')
  })

  it('keeps a session fresh, with one refresh for all that ask', async () => {
    const tokens = await logIn()
    const renewed: TokenPair[] = []
    const session = client.keepFresh({ ...tokens, expiresIn: 0 }, { onRenewed: (next) => void renewed.push(next) })
    const got = await Promise.all(Array.from({ length: 10 }, () => session.accessToken()))
    expect(new Set(got)).toEqual(new Set([session.tokens().accessToken]))
    expect(renewed).toEqual([session.tokens()])
    expect(got[0]).not.toBe(tokens.accessToken)
    expect(await client.as(session.accessToken).me()).toMatchObject({ email: tokens.email })
    await client.revoke(session.tokens().refreshToken)
    const over = client.keepFresh({ ...session.tokens(), expiresIn: 0 })
    expect(await refusal(over.accessToken())).toBe('UnknownRefreshTokenError 401 unknown_refresh_token')
  })
})

describe('against a server that is not well', () => {
  const closers: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  async function against(listener: RequestListener, options: Partial<ClientOptions> = {}): Promise<Client> {
    const server = createServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    })
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return createClient({ origin, credentials: { id: 'billing', secret: 'hush' }, ...options })
  }

  const PAIR = {
    access_token: 'a',
    refresh_token: 'gwr_b',
    token_type: 'Bearer',
    expires_in: 900,
    refresh_expires_in: 1000,
    session_id: 's',
    scope: '',
  }

  it('tries again what can be done twice, and nothing else', async () => {
    const seen: string[] = []
    const client = await against((request, response) => {
      seen.push(`${request.method} ${request.url}`)
      if (seen.length < 3) request.socket.destroy()
      else response.end(JSON.stringify(PAIR))
    })
    expect(await client.refresh('gwr_a')).toMatchObject({ accessToken: 'a' })
    expect(seen).toEqual(Array.from({ length: 3 }, () => 'POST /sessions/refresh'))
    for (const call of [
      (c: Client) => c.login({ email: 'a@b.example', password: 'x' }),
      (c: Client) => c.register({ email: 'a@b.example', password: 'x' }),
      (c: Client) => c.createSession({ userId: 'u' }),
      (c: Client) => c.revokeAll({ userId: 'u' }),
      (c: Client) => c.as('t').logout(),
      (c: Client) => c.as('t').updateProfile({}),
    ]) {
      seen.length = 0
      expect(await refusal(call(client))).toBe('UnreachableError 0 unreachable')
      expect(seen.length).toBe(1)
    }
  })

  it('waits as long as it is asked to, and not for long', async () => {
    const seen: number[] = []
    let wait = '1'
    const client = await against((_, response) => {
      seen.push(performance.now())
      const isWell = seen.length === 2
      response.writeHead(isWell ? 200 : 503, isWell ? {} : { 'retry-after': wait, 'content-type': 'application/problem+json' })
      response.end(isWell ? '{"valid":true,"claims":{}}' : '{"error":"overloaded","error_description":"Try again."}')
    })
    expect(await client.validate('x')).toEqual({ valid: true, claims: {} })
    expect((seen[1] ?? 0) - (seen[0] ?? 0)).toBeGreaterThanOrEqual(990)
    seen.length = 0
    wait = '60'
    const error = await client.validate('x').catch((reason: unknown) => reason)
    expect([seen.length, error]).toEqual([1, expect.objectContaining({ code: 'overloaded', status: 503, retryAfterSeconds: 60 })])
  })

  it('takes a session that is gone at the second attempt for one that it ended', async () => {
    let calls = 0
    const client = await against((request, response) => {
      calls += 1
      if (calls === 1) request.socket.destroy()
      else response.writeHead(404).end('{"error":"session_not_found"}')
    })
    expect(await refusal(client.as('t').deleteSession('s'))).toBe('none')
    expect(await refusal(client.as('t').deleteSession('s'))).toBe('GatehouseError 404 session_not_found')
  })

  it.each<[string, RequestListener]>([
    ['a page in HTML', (_, response) => void response.writeHead(502).end('<html>Bad gateway</html>')],
    ['success without JSON', (_, response) => void response.end('fine')],
    ['success without tokens', (_, response) => void response.end('{"access_token":"a"}')],
    ['an answer that is cut', (_, response) => void response.write('{"acc', () => response.destroy())],
    ['an answer of five megabytes', (_, response) => void response.end(Buffer.alloc(5 * 1024 * 1024, 32))],
    ['a redirect', (_, response) => void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
    ['silence', () => undefined],
  ])('takes %s for no answer of a gateway', async (_, listener) => {
    const client = await against(listener, { timeoutMs: 400, retries: 0 })
    expect(await refusal(client.login({ email: 'a@b.example', password: 'x' }))).toMatch(/^UnreachableError \d+ unreachable$/)
  })

  it('writes no secret into an error', async () => {
    const client = await against((_, response) => void response.writeHead(401).end('{"error":"invalid_client"}'), { retries: 0 })
    for (const work of [client.clientToken(), client.introspect('tok-1'), client.refresh('gwr_tok'), client.as('tok-2').me()]) {
      const error = await work.catch((reason: unknown) => reason)
      expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toMatch(/hush|tok|aHVzaA|YmlsbGluZ/)
    }
  })
})

describe('its options', () => {
  it.each(['api.example.com', 'https://api.example.com/v1', 'ftp://api.example.com', ''])('refuse %j as origin', (origin) => {
    expect(() => createClient({ origin })).toThrow(
      new TypeError('gatehouse/client: origin must be an origin, such as https://api.example.com'),
    )
  })
})
