/**
 * Logging in: a session is always a new one, an answer never says who has an account, and nothing but the two fields counts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/attack.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const PASSWORD = 'correct horse battery staple'
let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway(`
tenants:
  default: { signing: ES256 }
  acme: { signing: ES256, hosts: [acme.test] }
  closed: { signing: ES256, registration: closed }
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }`)
})
afterAll(() => gateway.close())

async function post(path: string, body: unknown, lines: readonly string[] = [], host = 'gateway.test') {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return ask(gateway.port, {
    method: 'POST',
    target: path,
    host,
    lines: ['Content-Type: application/json', ...lines],
    body: Buffer.from(text).toString('latin1'),
  })
}

describe('session fixation (GHSA-f24x-5g9q-753f)', () => {
  it('a login makes a new session and new tokens, whatever the client brought', async () => {
    const user = await login(gateway.url)
    const lines = [
      `Cookie: __Host-gw_at=${user.access_token}; __Secure-gw_rt=${user.refresh_token}; sid=${user.session_id}; session=fixed`,
      `X-Session-Id: ${user.session_id}`,
      `X_Session_Id: fixed`,
    ]
    const seen = new Set([user.session_id, 'fixed'])
    const tokens = new Set([user.access_token, user.refresh_token])
    for (const more of [[], lines, [`Authorization: Bearer ${user.access_token}`], ['Authorization: Bearer garbage']]) {
      const answer = await post('/auth/login', { email: user.email, password: user.password }, more)
      const pair = answer.json()
      expect([
        answer.status,
        seen.has(String(pair['session_id'])),
        tokens.has(String(pair['access_token'])),
        tokens.has(String(pair['refresh_token'])),
      ]).toEqual([200, false, false, false])
      seen.add(String(pair['session_id']))
    }
    const chosen = await post('/auth/login?session_id=fixed&sid=fixed', { email: user.email, password: user.password })
    expect([chosen.status, chosen.json()['session_id'] === 'fixed']).toEqual([200, false])
    const inBody = await post('/auth/login', { email: user.email, password: user.password, session_id: 'fixed' })
    expect([inBody.status, inBody.json()['error']]).toEqual([400, 'invalid_request'])
  })

  it('the logout of one session leaves the next alone, and does end its own', async () => {
    const first = await login(gateway.url)
    const second = (await (
      await postJson(`${gateway.url}/auth/login`, { email: first.email, password: first.password })
    ).json()) as { access_token: string }
    await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(first.access_token) })
    const statuses = await Promise.all(
      [first, second].map(async (pair) => (await fetch(`${gateway.url}/api/x`, { headers: bearer(pair.access_token) })).status),
    )
    expect(statuses).toEqual([401, 200])
  })
})

describe('an address that is none (GHSA-c5c4-8r6x-56w3)', () => {
  it.each([
    'a@b@c',
    'admin@corp.test@evil.test',
    '@b.test',
    'a@',
    '@',
    '',
    'a',
    'a b@c.test',
    'a@b.test\n',
    'a@b.test\u0000',
    '\u202ea@b.test',
    `${'a'.repeat(65)}@b.test`,
    `a@${'b'.repeat(255)}`,
  ])('«%s» is refused at register and login', async (email) => {
    for (const path of ['/auth/register', '/auth/login']) {
      const answer = await post(path, { email, password: PASSWORD })
      expect([path, answer.status, answer.json()['error']]).toEqual([path, 400, 'invalid_request'])
    }
  })
})

describe('a body that means more than it says', () => {
  const email = `user-${crypto.randomUUID()}@example.com`

  it.each([
    ['a role', { email, password: PASSWORD, role: 'admin' }],
    ['an id', { email, password: PASSWORD, id: 'usr_1' }],
    ['scopes', { email, password: PASSWORD, scope: 'admin' }],
    ['a hash', { email, password: PASSWORD, password_hash: '$argon2id$' }],
    ['a prototype', `{"email":"${email}","password":"${PASSWORD}","__proto__":{"admin":true}}`],
    ['a list', [email, PASSWORD]],
    ['a text', '"text"'],
    ['null', 'null'],
    ['no JSON', '{'],
    ['bad UTF-8', '{"email":"\ud800"}'],
    ['a password that is an object', { email, password: { $ne: '' } }],
    ['an address that is a list', { email: [email], password: PASSWORD }],
    ['SQL', { email: "' OR 1=1 --", password: PASSWORD }],
    ['deep nesting', `${'['.repeat(5000)}${']'.repeat(5000)}`],
  ])('%s is refused', async (_, body) => {
    for (const path of ['/auth/register', '/auth/login']) {
      const answer = await post(path, body)
      expect([path, answer.status, answer.json()['error']]).toEqual([path, 400, 'invalid_request'])
    }
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonp', ''])(
    'a body of the type «%s» is refused: a page of another origin could send it',
    async (type) => {
      const body = JSON.stringify({ email, password: PASSWORD })
      const answer = await ask(gateway.port, {
        method: 'POST',
        target: '/auth/login',
        lines: type === '' ? [] : [`Content-Type: ${type}`],
        body,
      })
      expect([answer.status, answer.json()['error']]).toEqual([415, 'invalid_request'])
    },
  )

  it('65 KiB are refused before they are read as JSON', async () => {
    const answer = await post('/auth/login', { email, password: 'x'.repeat(65 * 1024) })
    expect([answer.status, answer.json()['error']]).toEqual([413, 'payload_too_large'])
  })

  it.each(['GET', 'PUT', 'DELETE', 'PATCH'])('%s is no login', async (method) => {
    const answer = await ask(gateway.port, { method, target: '/auth/login' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, ['POST']])
  })
})

describe('who has an account', () => {
  it('is not told: an unknown user and a wrong password are answered alike', async () => {
    const user = await login(gateway.url)
    const answers = []
    for (const email of [user.email, `nobody-${crypto.randomUUID()}@example.com`])
      answers.push(await post('/auth/login', { email, password: 'wrong password' }))
    const comparable = answers.map(({ status, body, headers }) => {
      const { request_id: _id, instance: _instance, ...rest } = JSON.parse(body) as Record<string, unknown>
      return [status, rest, [...headers.keys()], headers.get('www-authenticate')]
    })
    expect(comparable[0]).toEqual(comparable[1])
    expect([answers[0]?.status, answers[0]?.json()['error']]).toEqual([401, 'unauthorized'])
  })

  it('is each tenant’s own matter', async () => {
    const user = await login(gateway.url)
    const elsewhere = await post('/auth/login', { email: user.email, password: user.password, tenant_id: 'acme' })
    const byHost = await post('/auth/login', { email: user.email, password: user.password }, [], 'acme.test')
    const contradiction = await post(
      '/auth/login',
      { email: user.email, password: user.password, tenant_id: 'default' },
      [],
      'acme.test',
    )
    const unknown = await post('/auth/login', { email: user.email, password: user.password, tenant_id: 'nobody' })
    const closed = await post('/auth/register', { email: user.email, password: user.password, tenant_id: 'closed' })
    expect(
      [elsewhere, byHost, contradiction, unknown, closed].map((answer) => `${answer.status} ${String(answer.json()['error'])}`),
    ).toEqual(['401 unauthorized', '401 unauthorized', '400 invalid_request', '404 tenant_not_found', '403 access_denied'])
  })

  it('CVE-2022-24112: forwarded headers of a stranger buy no further guesses', async () => {
    const user = await login(gateway.url)
    const statuses = []
    for (let guess = 0; guess < 8; guess += 1) {
      const lines = [`X-Forwarded-For: 203.0.113.${guess}`, `Forwarded: for=203.0.113.${guess}`, `X-Real-IP: 203.0.113.${guess}`]
      statuses.push((await post('/auth/login', { email: user.email, password: `guess ${guess}` }, lines)).status)
    }
    expect(statuses.filter((status) => status === 401).length).toBeLessThan(8)
    expect(statuses.at(-1)).toBe(429)
  })
})
