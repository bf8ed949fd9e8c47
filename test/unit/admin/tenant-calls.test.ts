import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createAdmin } from '../../../src/admin/admin.ts'
import type { Admin, TenantCalls } from '../../../src/admin/admin.ts'
import { Problem } from '../../../src/problem/problem.ts'

const TOKEN = 'correct-horse-battery-staple'
const MARK = { 'x-gatehouse-admin': '1' }
const JSON_BODY = { ...MARK, 'content-type': 'application/json' }
const admins: Admin[] = []

afterEach(async () => {
  await Promise.all(admins.splice(0).map((admin) => admin.close()))
})

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

interface Asked {
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** An admin listener over tenants that note what is asked of them. */
async function start(token?: string, isUnconfirmed = false) {
  const asked: unknown[][] = []
  const note = (...call: unknown[]): void => void asked.push(call)
  const admin = createAdmin(
    {
      readiness: () => ({ status: 'ready' }),
      scrape: async () => ({ contentType: 'text/plain', body: '' }),
      routes: () => [],
      config: () => ({}),
      upstreams: () => [],
      openApi: () => ({}),
      usernames: () => ({}),
      tenants: noting(note),
      isUnconfirmed: () => isUnconfirmed,
    },
    { host: '127.0.0.1', port: 0, ...(token === undefined ? {} : { token }) },
  )
  admins.push(admin)
  const { port } = await admin.listen()
  return { asked, call: (method: string, path: string, what: Asked = {}) => call(port, method, path, what) }
}

const ACME = {
  id: 'acme',
  name: 'Acme Ltd',
  issuer: 'https://gw.test/t/acme',
  hosts: ['acme.test'],
  signing: 'ES256',
  registration: 'open',
  accessTokenSeconds: 900,
  refreshTokenSeconds: 86_400,
  rotateEverySeconds: 7_776_000,
  secret: 'never',
} as const
const ADA = { email: 'ada@example.com', username: 'Ada', status: 'active' } as const
const SESSION = {
  id: 's1',
  device: '<b>curl</b>',
  deviceName: 'curl',
  country: 'PT',
  ip: '10.0.0.1',
  clientId: 'gatehouse',
  scope: 'a b',
  createdAt: 1,
  lastUsedAt: 2,
  expiresAt: 4,
  idleExpiresAt: 3,
  metadata: { secret: 'never' },
} as const

function noting(note: (...call: unknown[]) => void): TenantCalls {
  const known = (tenant: string): void => {
    if (tenant !== 'acme') throw new Problem('tenant_not_found')
  }
  return {
    keys: {
      async list(tenant) {
        known(tenant)
        note('list', tenant)
        const key = { kid: 'k1', alg: 'ES256', state: 'current', createdAt: 1, since: 2, until: 3, privateKey: 'never' }
        return [key]
      },
      async rotate(tenant, act) {
        known(tenant)
        note('rotate', tenant, act)
        return { outcome: 'published', kid: 'k2', currentAt: 4 }
      },
      async revoke(tenant, kid, act) {
        known(tenant)
        if (kid === 'gone') throw new Problem('key_not_found')
        note('revoke', tenant, kid, act)
        return { current: 'k2' }
      },
    },
    users: {
      async setStatus(tenant, user, status, act) {
        known(tenant)
        note('setStatus', tenant, user, status, act)
        return user !== 'nobody'
      },
    },
    list: () => [ACME],
    times: async () => ({ createdAt: 5, updatedAt: 6, digest: 'never' }),
    sessions: {
      async list(tenant, user) {
        known(tenant)
        note('sessions', tenant, user)
        return user === 'ada@example.com' ? { user: 'usr_1', account: ADA, sessions: [SESSION] } : { user, sessions: [] }
      },
      async end(tenant, user, id, act) {
        known(tenant)
        note('end', tenant, user, id, act)
        return id !== 'gone'
      },
      async endAll(tenant, user, act) {
        known(tenant)
        note('endAll', tenant, user, act)
        return 3
      },
    },
    async revokeTenant(tenant, act) {
      known(tenant)
      note('revokeTenant', tenant, act)
    },
  }
}

async function call(port: number, method: string, path: string, { headers = {}, body }: Asked): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of incoming) text += String(chunk)
  return { status: incoming.statusCode, headers: incoming.headers, body: text === '' ? {} : JSON.parse(text) }
}

const act = (reason: string, requestId = 'admin-1') => ({ actor: 'admin', reason, ip: '127.0.0.1', requestId })

/** Path, answer, what was asked of the tenants with the reason `leaked`. */
const CHANGES = [
  ['/tenants/acme/keys/rotate', { outcome: 'published', kid: 'k2', current_at: 4 }, ['rotate', 'acme', act('leaked')]],
  ['/tenants/acme/keys/k1/revoke', { revoked: 'k1', current: 'k2' }, ['revoke', 'acme', 'k1', act('leaked')]],
  [
    '/tenants/acme/users/usr_1/disable',
    { tenant: 'acme', user: 'usr_1', status: 'disabled' },
    ['setStatus', 'acme', 'usr_1', 'disabled', act('leaked')],
  ],
  [
    '/tenants/acme/users/auth0%7C1/enable',
    { tenant: 'acme', user: 'auth0|1', status: 'active' },
    ['setStatus', 'acme', 'auth0|1', 'active', act('leaked')],
  ],
  ['/tenants/acme/revoke', { tenant: 'acme', revoked: true }, ['revokeTenant', 'acme', act('leaked')]],
  [
    '/tenants/acme/users/auth0%7C1/sessions/s1/revoke',
    { tenant: 'acme', user: 'auth0|1', session: 's1', revoked: true },
    ['end', 'acme', 'auth0|1', 's1', act('leaked')],
  ],
  [
    '/tenants/acme/users/usr_1/sessions/revoke',
    { tenant: 'acme', user: 'usr_1', revoked_count: 3 },
    ['endAll', 'acme', 'usr_1', act('leaked')],
  ],
] as const

describe('a call that changes something', () => {
  it.each(CHANGES)('POST %s does it, and says who and why', async (path, answer, asked) => {
    const admin = await start()
    const said = await admin.call('POST', path, { headers: JSON_BODY, body: '{"reason":"leaked"}' })
    expect([said.status, said.body, admin.asked]).toEqual([200, answer, [asked]])
    expect(said.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })

  it.each(CHANGES)('POST %s says when no replica of the store is known to have it', async (path) => {
    for (const isUnconfirmed of [true, false]) {
      const admin = await start(undefined, isUnconfirmed)
      const { status, headers } = await admin.call('POST', path, { headers: MARK })
      expect([status, headers['gatehouse-replication']]).toEqual([200, isUnconfirmed ? 'unconfirmed' : undefined])
    }
    const reading = await (await start(undefined, true)).call('GET', '/tenants/acme/keys')
    expect(reading.headers['gatehouse-replication']).toBeUndefined()
  })

  it.each(CHANGES)('POST %s needs no reason and no body', async (path) => {
    const admin = await start()
    expect((await admin.call('POST', path, { headers: MARK })).status).toBe(200)
    expect(admin.asked[0]?.at(-1)).toEqual(act('operator'))
  })

  it.each(CHANGES)('POST %s is refused to a web page, which cannot send the header', async (path) => {
    const admin = await start()
    const cases = [{}, { 'x-gatehouse-admin': '0' }, { 'x-gatehouse-admin': '1, 1' }, { ...MARK, host: 'evil.example' }]
    for (const headers of cases) {
      const said = await admin.call('POST', path, { headers })
      expect([said.status, said.body['error']]).toEqual([403, 'access_denied'])
    }
    expect(admin.asked).toEqual([])
  })

  it.each(CHANGES)('POST %s needs the token where there is one, and no header then', async (path) => {
    const admin = await start(TOKEN)
    expect((await admin.call('POST', path, { headers: MARK })).status).toBe(401)
    expect((await admin.call('POST', path, { headers: { ...MARK, authorization: 'Bearer wrong' } })).status).toBe(401)
    expect(admin.asked).toEqual([])
    expect((await admin.call('POST', path, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200)
  })

  it.each(CHANGES)('%s is no GET', async (path) => {
    const admin = await start()
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const said = await admin.call(method, path, { headers: MARK })
      expect([said.status, said.headers.allow]).toEqual([405, 'POST'])
    }
    expect(admin.asked).toEqual([])
  })

  it.each([
    ['{', 400, { error_description: 'The body is not JSON in UTF-8.' }],
    ['[]', 400, { error_description: 'The body must be a JSON object.' }],
    ['{"reason":5}', 400, { fields: [{ field: 'reason', message: 'must be text of 1 to 256 characters, in one line' }] }],
    ['{"reason":""}', 400, { fields: [{ field: 'reason', message: 'must be text of 1 to 256 characters, in one line' }] }],
    [
      `{"reason":"${'x'.repeat(257)}"}`,
      400,
      { fields: [{ field: 'reason', message: 'must be text of 1 to 256 characters, in one line' }] },
    ],
    ['{"reason":"a\\nb"}', 400, { fields: [{ field: 'reason', message: 'must be text of 1 to 256 characters, in one line' }] }],
    [
      '{"raeson":"x","force":true}',
      400,
      {
        fields: [
          { field: 'raeson', message: 'unknown, remove it' },
          { field: 'force', message: 'unknown, remove it' },
        ],
      },
    ],
    [`{"reason":"${'x'.repeat(65_536)}"}`, 413, { error: 'payload_too_large' }],
  ])('with a body that cannot be used changes nothing: %.40s', async (body, status, facts) => {
    const admin = await start()
    const said = await admin.call('POST', '/tenants/acme/keys/rotate', { headers: JSON_BODY, body })
    expect(said.status).toBe(status)
    expect(said.body).toMatchObject(facts)
    expect(admin.asked).toEqual([])
  })

  it('with a body of another type changes nothing', async () => {
    const admin = await start()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      const said = await admin.call('POST', '/tenants/acme/keys/rotate', {
        headers: { ...MARK, 'content-type': type },
        body: '{"reason":"x"}',
      })
      expect(said.status).toBe(415)
    }
    expect(admin.asked).toEqual([])
  })

  it.each([
    ['/tenants/nobody/keys/rotate', 404, 'tenant_not_found'],
    ['/tenants/nobody/revoke', 404, 'tenant_not_found'],
    ['/tenants/acme/keys/gone/revoke', 404, 'invalid_request'],
    ['/tenants/acme/users/nobody/disable', 404, 'invalid_request'],
    ['/tenants/acme/users/%zz/disable', 400, 'invalid_request'],
    ['/tenants/nobody/users/u/sessions/revoke', 404, 'tenant_not_found'],
    ['/tenants/acme/users/u/sessions/gone/revoke', 404, 'invalid_request'],
  ])('POST %s is %i %s', async (path, status, error) => {
    const admin = await start()
    const said = await admin.call('POST', path, { headers: MARK })
    expect([said.status, said.body['error']]).toEqual([status, error])
  })
})

describe('the tenants', () => {
  it('are listed with their keys, without anything but what is shown', async () => {
    const admin = await start()
    const said = await admin.call('GET', '/tenants')
    const acme = {
      id: 'acme',
      name: 'Acme Ltd',
      created_at: 5,
      updated_at: 6,
      issuer: 'https://gw.test/t/acme',
      hosts: ['acme.test'],
      signing: 'ES256',
      registration: 'open',
      access_token_seconds: 900,
      refresh_token_seconds: 86_400,
      rotate_every_seconds: 7_776_000,
      keys: [{ kid: 'k1', alg: 'ES256', state: 'current', created_at: 1, since: 2, until: 3 }],
    }
    expect([said.status, said.body]).toEqual([200, { tenants: [acme] }])
    const one = await admin.call('GET', '/tenants/acme')
    expect([one.status, one.body]).toEqual([200, acme])
    const none = await admin.call('GET', '/tenants/nobody')
    expect([none.status, none.body['error']]).toEqual([404, 'tenant_not_found'])
    for (const path of ['/tenants', '/tenants/acme'])
      expect((await admin.call('POST', path, { headers: MARK })).headers.allow).toBe('GET, HEAD')
  })
})

describe('the sessions of a user', () => {
  it('are listed by e-mail address too, without anything but what is shown', async () => {
    const admin = await start()
    const said = await admin.call('GET', '/tenants/acme/users/ada%40example.com/sessions')
    expect([said.status, said.body]).toEqual([
      200,
      {
        tenant: 'acme',
        user: 'usr_1',
        account: ADA,
        sessions: [
          {
            id: 's1',
            device: '<b>curl</b>',
            device_name: 'curl',
            country: 'PT',
            ip: '10.0.0.1',
            client_id: 'gatehouse',
            scope: 'a b',
            created_at: 1,
            last_used_at: 2,
            expires_at: 4,
            idle_expires_at: 3,
          },
        ],
      },
    ])
    expect(admin.asked).toEqual([['sessions', 'acme', 'ada@example.com']])
  })

  it('may be none, of a user who is nobody here', async () => {
    const admin = await start()
    expect((await admin.call('GET', '/tenants/acme/users/auth0%7C9/sessions')).body).toEqual({
      tenant: 'acme',
      user: 'auth0|9',
      sessions: [],
    })
    expect((await admin.call('GET', '/tenants/beta/users/u/sessions')).body).toMatchObject({ error: 'tenant_not_found' })
  })
})

describe('the keys of a tenant', () => {
  it('are listed without anything but what is shown', async () => {
    const admin = await start()
    const said = await admin.call('GET', '/tenants/acme/keys')
    expect([said.status, said.body]).toEqual([
      200,
      { tenant: 'acme', keys: [{ kid: 'k1', alg: 'ES256', state: 'current', created_at: 1, since: 2, until: 3 }] },
    ])
    expect((await admin.call('HEAD', '/tenants/acme/keys')).status).toBe(200)
    expect((await admin.call('POST', '/tenants/acme/keys', { headers: MARK })).headers.allow).toBe('GET, HEAD')
    expect((await admin.call('GET', '/tenants/beta/keys')).body).toMatchObject({ error: 'tenant_not_found' })
  })

  it('are shown to those with the token only', async () => {
    const admin = await start(TOKEN)
    expect((await admin.call('GET', '/tenants/acme/keys')).status).toBe(401)
    expect(admin.asked).toEqual([])
  })
})

it.each([
  '/tenants/',
  '/tenants//keys',
  '/tenants/acme/',
  '/tenants/acme/keys/',
  '/tenants/acme/keys//revoke',
  '/tenants/acme/keys/k1',
  '/tenants/acme/keys/k1/retire',
  '/tenants/acme/users/u',
  '/tenants/acme/users//sessions',
  '/tenants/acme/users/u/sessions/',
  '/tenants/acme/users/u/sessions/s1',
  '/tenants/acme/users/u/sessions/s1/end',
  '/tenants/acme/users/u/sessions/s1/revoke/x',
  '/tenants/acme/users/u/delete',
  '/tenants/acme/users/u/disable/x',
  '/Tenants/acme/revoke',
])('%s is no path', async (path) => {
  const admin = await start()
  for (const method of ['GET', 'POST']) expect((await admin.call(method, path, { headers: MARK })).status).toBe(404)
  expect(admin.asked).toEqual([])
})
