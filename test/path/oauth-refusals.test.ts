/** What RFC 6749 §5.2, RFC 7662 and RFC 7009 say of refusals, and what holds between tenants and between clients. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/attack.ts'
import { assertion, assertionClaims, ASSERTION_TYPE, basic } from '../support/clients.ts'
import { bearer, login, postJson } from '../support/gateway.ts'
import { claimsIn, openOAuth, postForm, SECRETS, type Answered, type ClientName, type OAuthScene } from '../support/oauth.ts'

let scene: OAuthScene
beforeAll(async () => {
  scene = await openOAuth()
})
afterAll(() => scene.close())

const OWN = { grant_type: 'client_credentials' }

describe('the token endpoint', () => {
  it.each<[string, ClientName | undefined, Record<string, string>, number, string]>([
    ['no client', undefined, OWN, 401, 'invalid_client'],
    ['an id alone', undefined, { ...OWN, client_id: 'billing' }, 401, 'invalid_client'],
    ['a wrong secret', undefined, { ...OWN, client_id: 'billing', client_secret: 'x' }, 401, 'invalid_client'],
    ['an unknown client', undefined, { ...OWN, client_id: 'nobody', client_secret: 'x' }, 401, 'invalid_client'],
    ['two proofs', 'billing', { ...OWN, client_secret: SECRETS.billing }, 400, 'invalid_request'],
    ['no grant', 'billing', {}, 400, 'invalid_request'],
    ['an empty grant', 'billing', { grant_type: '' }, 400, 'invalid_request'],
    ['another grant', 'billing', { grant_type: 'password', username: 'a', password: 'b' }, 400, 'unsupported_grant_type'],
    ['a code', 'billing', { grant_type: 'authorization_code', code: 'x' }, 400, 'unsupported_grant_type'],
    ['a scope of somebody else', 'reader', { ...OWN, scope: 'tokens:introspect' }, 400, 'invalid_scope'],
    ['one scope too many', 'reader', { ...OWN, scope: 'orders:read x' }, 400, 'invalid_scope'],
    ['no refresh token', 'billing', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ['garbage for a refresh token', 'billing', { grant_type: 'refresh_token', refresh_token: 'gwr_x' }, 400, 'invalid_grant'],
  ])('refuses %s', async (_, client, form, status, error) => {
    const answer = await scene.post('token', client, form)
    expect(refusal(answer)).toEqual({ status, error })
    expectOAuth(answer)
  })

  it.each<[string, string, Record<string, string>, number, string]>([
    ['JSON', '{"grant_type":"client_credentials"}', { 'content-type': 'application/json' }, 400, 'invalid_request'],
    ['text', 'grant_type=client_credentials', { 'content-type': 'text/plain' }, 400, 'invalid_request'],
    ['a parameter twice', 'grant_type=client_credentials&grant_type=client_credentials', {}, 400, 'invalid_request'],
    ['a parameter twice, once empty', 'grant_type=client_credentials&scope=&scope=orders:read', {}, 400, 'invalid_request'],
    ['an unknown parameter twice', 'grant_type=client_credentials&x=1&x=2', {}, 400, 'invalid_request'],
    ['a lone percent', 'grant_type=client_credentials&x=%', {}, 400, 'invalid_request'],
    ['what is no UTF-8', 'grant_type=client_credentials&x=%ff', {}, 400, 'invalid_request'],
    ['a zero', 'grant_type=client_credentials&x=%00', {}, 400, 'invalid_request'],
    ['a bare space', 'grant_type=client credentials', {}, 400, 'invalid_request'],
    ['fifty-one parameters', Array.from({ length: 51 }, (_, i) => `p${i}=1`).join('&'), {}, 400, 'invalid_request'],
    ['64 KiB and a byte', 'x'.repeat(64 * 1024 + 1), {}, 413, 'payload_too_large'],
  ])('refuses a body of %s', async (_, body, headers, status, error) => {
    const answer = await postForm(`${scene.url}/oauth/token`, 'billing', body, headers)
    expect(refusal(answer)).toEqual({ status, error })
  })

  it('refuses parameters in the URL, which logs keep', async () => {
    const answer = await postForm(`${scene.url}/oauth/token?grant_type=client_credentials`, 'billing', '')
    expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_request' })
  })

  it('takes POST alone', async () => {
    const response = await fetch(`${scene.url}/oauth/token`)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  it('passes over what it does not know, and over what has no value', async () => {
    const answer = await scene.post('token', 'billing', { ...OWN, scope: '', audience: 'x', resource: 'https://x' })
    expect(answer).toMatchObject({ status: 200, body: { scope: 'sessions:write tokens:introspect orders:read' } })
  })

  it('gives a client a token of its own, and no refresh token', async () => {
    const answer = await scene.post('token', 'billing', { ...OWN, scope: 'orders:read orders:read' })
    expectOAuth(answer)
    expect({ status: answer.status, ...answer.body }).toEqual({
      status: 200,
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'orders:read',
    })
    const claims = claimsIn(answer.body['access_token'])
    expect(claims).toEqual({
      iss: scene.issuer('acme'),
      sub: 'billing',
      aud: 'api',
      exp: Number(claims['iat']) + 900,
      iat: expect.any(Number),
      nbf: claims['iat'],
      jti: expect.stringMatching(/^[0-9a-f]{32}$/),
      tenant_id: 'acme',
      scope: 'orders:read',
      metadata: {},
      token_type: 'access',
      client_id: 'billing',
    })
    const response = await fetch(`${scene.url}/api/x`, { headers: bearer(String(answer.body['access_token'])) })
    expect(await response.json()).toMatchObject({ identity: { user: 'billing', tenant: 'acme', scopes: ['orders:read'] } })
  })

  it('challenges with Basic', async () => {
    const answer = await scene.post('token', undefined, OWN)
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="gatehouse", charset="UTF-8"')
  })

  it('answers an unknown client and a wrong secret alike', async () => {
    const [unknown, wrong] = await Promise.all(
      ['nobody', 'reader'].map((id) => postForm(`${scene.url}/oauth/token`, undefined, OWN, { authorization: basic(id, 'x') })),
    )
    expect(unknown?.body).toEqual(wrong?.body)
    expect(unknown?.status).toBe(wrong?.status)
  })

  it('takes an assertion once', async () => {
    const [signer] = scene.signers
    if (signer === undefined) throw new Error('no signer')
    const form = {
      ...OWN,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: assertion(signer, assertionClaims('reports', scene.issuer('acme'))),
    }
    expect((await scene.post('token', undefined, form)).status).toBe(200)
    expect(refusal(await scene.post('token', undefined, form))).toEqual({ status: 401, error: 'invalid_client' })
  })

  it('does not know a client at the host of another tenant', async () => {
    const lines = ['Content-Type: application/x-www-form-urlencoded']
    const body = 'grant_type=client_credentials&client_id=rival&client_secret=the-secret-of-the-rival'
    const request = { method: 'POST', target: '/oauth/token', lines, body }
    const here = await ask(scene.gateway.port, { ...request, host: '127.0.0.1' })
    const there = await ask(scene.gateway.port, { ...request, host: 'acme.test' })
    expect([here.status, there.status, there.json()['error']]).toEqual([200, 401, 'invalid_client'])
  })
})

describe('a refresh token', () => {
  it('is for the client that it was given to', async () => {
    const session = await scene.session('billing')
    const form = { grant_type: 'refresh_token', refresh_token: session.refresh_token }
    expect(refusal(await scene.post('token', 'reader', form))).toEqual({ status: 400, error: 'invalid_grant' })
    expect(refusal(await scene.post('token', 'rival', form))).toEqual({ status: 400, error: 'invalid_grant' })
    // Nothing moved by the attempts of the others.
    expect(await scene.post('token', 'billing', form)).toMatchObject({ status: 200, body: { session_id: session.session_id } })
  })

  it('of a login belongs to no client, so that any of the tenant may use it for its holder', async () => {
    const tokens = await login(scene.url, 'acme')
    const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }
    expect(refusal(await scene.post('token', 'rival', form))).toEqual({ status: 400, error: 'invalid_grant' })
    expect(await scene.post('token', 'reader', form)).toMatchObject({ status: 200, body: { session_id: tokens.session_id } })
  })

  it('gives no more than was granted, and is not used up by asking', async () => {
    const session = await scene.session('billing')
    const form = { grant_type: 'refresh_token', refresh_token: session.refresh_token }
    const wider = await scene.post('token', 'billing', { ...form, scope: 'orders:read admin' })
    expect(refusal(wider)).toEqual({ status: 400, error: 'invalid_scope' })
    const narrowed = await scene.post('token', 'billing', { ...form, scope: 'orders:write' })
    expect(narrowed).toMatchObject({ status: 200, body: { scope: 'orders:write' } })
    const whole = await scene.post('token', 'billing', { ...form, refresh_token: String(narrowed.body['refresh_token']) })
    expect(whole).toMatchObject({ status: 200, body: { scope: 'orders:read orders:write' } })
  })

  it('is no access token, and an access token is no refresh token', async () => {
    const session = await scene.session('billing')
    const form = { grant_type: 'refresh_token', refresh_token: session.access_token }
    expect(refusal(await scene.post('token', 'billing', form))).toEqual({ status: 400, error: 'invalid_grant' })
    const response = await fetch(`${scene.url}/api/x`, { headers: bearer(session.refresh_token) })
    expect(response.status).toBe(401)
  })
})

describe('introspection', () => {
  it('is for clients with the scope tokens:introspect', async () => {
    const { access_token: token } = await scene.session('billing')
    expect(refusal(await scene.post('introspect', undefined, { token }))).toEqual({ status: 401, error: 'invalid_client' })
    expect(refusal(await scene.post('introspect', 'reader', { token }))).toEqual({ status: 403, error: 'unauthorized_client' })
    expect(refusal(await scene.post('introspect', 'billing', {}))).toEqual({ status: 400, error: 'invalid_request' })
  })

  it('tells of a good token what it stands for', async () => {
    const session = await scene.session('billing', 'grace')
    const answer = await scene.post('introspect', 'billing', { token: session.access_token })
    const { iss, sub, aud, exp, iat, nbf, jti, auth_time: authTime } = claimsIn(session.access_token)
    expectOAuth(answer)
    expect(answer.body).toEqual({
      active: true,
      token_type: 'Bearer',
      scope: 'orders:read orders:write',
      client_id: 'billing',
      sid: session.session_id,
      tenant_id: 'acme',
      auth_time: authTime,
      iss,
      sub,
      aud,
      exp,
      iat,
      nbf,
      jti,
    })
    expect(sub).toBe('grace')
  })

  it('tells nothing of a token of another tenant, of what is no token, and of one that was used', async () => {
    const session = await scene.session('billing')
    await scene.post('token', 'billing', { grant_type: 'refresh_token', refresh_token: session.refresh_token })
    const asked: readonly (readonly [ClientName, string])[] = [
      ['rival', session.access_token],
      ['rival', session.refresh_token],
      ['billing', session.refresh_token],
      ['billing', 'x'],
      ['billing', 'gwr_x'],
      ['billing', `${session.access_token}x`],
      ['billing', 'é'.repeat(5_000)],
    ]
    for (const [client, token] of asked) {
      const answer = await scene.post('introspect', client, { token })
      expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: { active: false } })
    }
  })

  it('never answers past a revocation, however often it was asked before', async () => {
    const session = await scene.session('billing')
    const tokens = [session.access_token, session.refresh_token]
    for (const token of [...tokens, ...tokens]) {
      expect((await scene.post('introspect', 'billing', { token })).body['active']).toBe(true)
    }
    await postJson(`${scene.url}/sessions/revoke`, { token: session.refresh_token })
    for (const token of tokens) {
      expect((await scene.post('introspect', 'billing', { token })).body).toEqual({ active: false })
    }
  })
})

describe('revocation', () => {
  it('ends an access token alone', async () => {
    const session = await scene.session('billing')
    const answer = await scene.post('revoke', 'billing', { token: session.access_token, token_type_hint: 'refresh_token' })
    const type = answer.headers.get('content-type')
    expect({ status: answer.status, body: answer.body, type }).toEqual({ status: 200, body: {}, type: null })
    expect((await fetch(`${scene.url}/api/x`, { headers: bearer(session.access_token) })).status).toBe(401)
    const form = { grant_type: 'refresh_token', refresh_token: session.refresh_token }
    expect((await scene.post('token', 'billing', form)).status).toBe(200)
  })

  it('ends the session of a refresh token', async () => {
    const session = await scene.session('billing')
    expect((await scene.post('revoke', 'reader', { token: session.refresh_token })).status).toBe(200)
    expect((await fetch(`${scene.url}/api/x`, { headers: bearer(session.access_token) })).status).toBe(401)
    const form = { grant_type: 'refresh_token', refresh_token: session.refresh_token }
    expect(refusal(await scene.post('token', 'billing', form))).toEqual({ status: 400, error: 'invalid_grant' })
  })

  it('answers 200 for what is no token, and needs a client and a token', async () => {
    for (const token of ['x', 'gwr_x', 'a.b.c']) expect((await scene.post('revoke', 'billing', { token })).status).toBe(200)
    expect(refusal(await scene.post('revoke', undefined, { token: 'x' }))).toEqual({ status: 401, error: 'invalid_client' })
    expect(refusal(await scene.post('revoke', 'billing', {}))).toEqual({ status: 400, error: 'invalid_request' })
  })

  it('does nothing to the tokens of another tenant', async () => {
    const session = await scene.session('billing')
    for (const token of [session.access_token, session.refresh_token]) {
      expect((await scene.post('revoke', 'rival', { token })).status).toBe(200)
    }
    expect((await fetch(`${scene.url}/api/x`, { headers: bearer(session.access_token) })).status).toBe(200)
    const form = { grant_type: 'refresh_token', refresh_token: session.refresh_token }
    expect((await scene.post('token', 'billing', form)).status).toBe(200)
  })
})

describe('the log', () => {
  it('holds no secret, no token and no assertion', async () => {
    const session = await scene.session('billing')
    await scene.post('introspect', 'billing', { token: session.access_token })
    const log = scene.gateway.log()
    for (const secret of [...Object.values(SECRETS), session.access_token, session.refresh_token])
      expect(log).not.toContain(secret)
  })
})

function refusal({ status, body }: Answered): { status: number; error: unknown } {
  expect(typeof body['error_description']).toBe('string')
  return { status, error: body['error'] }
}

/** RFC 6749 §5.1, §5.2. */
function expectOAuth({ headers }: Answered): void {
  expect({
    type: headers.get('content-type'),
    cache: headers.get('cache-control'),
    pragma: headers.get('pragma'),
  }).toEqual({ type: 'application/json', cache: 'no-store', pragma: 'no-cache' })
}
