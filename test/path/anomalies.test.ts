/** Devices and travel through a whole gateway: what a login from elsewhere leaves behind, and what its user sees of it. */
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0'
const PASSWORD = 'correct horse battery staple'
const YAML = `
listeners:
  public:
    {{public}}
    trustedProxies: [127.0.0.0/8]
  admin: { address: 127.0.0.1:0 }
geography: { header: cf-ipcountry }
tenants:
  default: { signing: ES256, anomalies: { newDevice: record, impossibleTravel: record } }
  strict: { signing: ES256, anomalies: { impossibleTravel: refuse } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }`

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway(YAML)
})
afterAll(() => gateway.close())

interface From {
  readonly country: string
  readonly client: string
  readonly agent?: string
  readonly device?: string | null
}

const fieldsOf = ({ country, client, agent = FIREFOX, device }: From): Record<string, string> => ({
  'cf-ipcountry': country,
  'x-forwarded-for': client,
  'user-agent': agent,
  ...(typeof device === 'string' && { 'gatehouse-device': device }),
})

async function register(
  tenant: string,
): Promise<{ readonly email: string; readonly password: string; readonly tenant_id: string }> {
  const who = { email: `user-${crypto.randomUUID()}@example.com`, password: PASSWORD, tenant_id: tenant }
  expect((await postJson(`${gateway.url}/auth/register`, who)).status).toBe(201)
  return who
}

it('tells users of their devices, and operators of new ones and of travel that nobody can make', async () => {
  const who = await register('default')
  const login = (from: From) => postJson(`${gateway.url}/auth/login`, who, fieldsOf(from))
  const home = { country: 'NO', client: '192.0.2.1' }
  const first = await login(home)
  const device = first.headers.get('gatehouse-device')
  const again = await login({ ...home, client: '198.51.100.9', device })
  const elsewhere = await login({ country: 'AU', client: '203.0.113.5', agent: 'curl/8' })
  expect([first.status, again.status, elsewhere.status]).toEqual([200, 200, 200])
  const { access_token: token } = (await elsewhere.json()) as { access_token: string }
  const { sessions } = (await (await fetch(`${gateway.url}/sessions`, { headers: bearer(token) })).json()) as {
    sessions: { device_name: string; country: string; current: boolean }[]
  }
  const seen = sessions.map((one) => `${one.device_name}, ${one.country}, ${one.current}`).toSorted()
  expect(seen).toEqual(['Firefox on Linux, NO, false', 'Firefox on Linux, NO, false', 'curl, AU, true'])
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  expect(text).toMatch(/^gatehouse_sessions_total\{tenant="default",event="new_device"\} 1$/m)
  expect(text).toMatch(/^gatehouse_sessions_total\{tenant="default",event="impossible_travel"\} 1$/m)
  await expect.poll(() => audit('authn_new_device').concat(audit('authn_impossible_travel')).length, { timeout: 10_000 }).toBe(2)
  expect(audit('authn_new_device')).toEqual([{ reason: 'curl, in AU', ip: '203.0.113.5' }])
  expect(audit('authn_impossible_travel')).toEqual([
    { reason: expect.stringMatching(/^NO to AU, \d+ km in \d+ s$/) as string, ip: '203.0.113.5' },
  ])
})

it('refuses travel where the tenant says so, with the right password, and makes no session', async () => {
  const who = await register('strict')
  const login = (from: From) => postJson(`${gateway.url}/auth/login`, who, fieldsOf(from))
  const home = { country: 'NO', client: '192.0.2.1' }
  const first = await login(home)
  const device = first.headers.get('gatehouse-device')
  const answer = await login({ country: 'AU', client: '203.0.113.5', device })
  expect([answer.status, await answer.json()]).toMatchObject([403, { error: 'access_denied', title: 'Login refused' }])
  expect(JSON.stringify([...answer.headers])).not.toContain('gw')
  const last = await login(home)
  const { access_token: token } = (await last.json()) as { access_token: string }
  const { sessions } = (await (await fetch(`${gateway.url}/sessions`, { headers: bearer(token) })).json()) as {
    sessions: unknown[]
  }
  expect([last.status, sessions.length]).toEqual([200, 2])
})

it('looks at refreshes too: a session that goes on elsewhere is told of, or refused and left as it is', async () => {
  const home = { country: 'NO', client: '192.0.2.1' }
  const stolen = { country: 'AU', client: '203.0.113.9', agent: 'curl/8' }
  const begin = async (tenant: string): Promise<string> => {
    const login = await postJson(`${gateway.url}/auth/login`, await register(tenant), fieldsOf(home))
    return ((await login.json()) as { refresh_token: string }).refresh_token
  }
  const refresh = (token: string, from: From) =>
    postJson(`${gateway.url}/sessions/refresh`, { refresh_token: token }, fieldsOf(from))
  const told = await begin('default')
  expect((await refresh(told, stolen)).status).toBe(200)
  await expect
    .poll(() => audit('session_device_changed'), { timeout: 10_000 })
    .toEqual([{ reason: 'Firefox on Linux to curl', ip: '203.0.113.9' }])
  const refused = await begin('strict')
  const answer = await refresh(refused, stolen)
  expect([answer.status, await answer.json()]).toMatchObject([403, { error: 'access_denied', title: 'Login refused' }])
  expect((await refresh(refused, home)).status).toBe(200)
  await expect.poll(() => audit('authn_impossible_travel').filter((one) => JSON.stringify(one).includes('113.9')).length).toBe(2)
})

it('keeps nothing of a device but its kind: no user agent, no address', async () => {
  const db = new DatabaseSync(join(gateway.directory, 'data', 'sessions.db'), { readOnly: true })
  try {
    const rows = db.prepare('SELECT * FROM known_devices').all()
    expect(rows.length).toBeGreaterThan(2)
    expect(JSON.stringify(rows)).not.toMatch(/Mozilla|192\.0\.2|198\.51\.100|203\.0\.113/)
  } finally {
    db.close()
  }
})

function audit(event: string): unknown[] {
  const db = new DatabaseSync(join(gateway.directory, 'data', 'audit.db'), { readOnly: true })
  try {
    return db
      .prepare('SELECT reason, ip FROM audit WHERE event = ?')
      .all(event)
      .map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}
