/** The usernames service of a whole gateway on embedded storage. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AnalyticsReport } from '../../src/services/usernames/usernames.ts'
import { login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const CONFIG = `
tenants:
  default: { throttle: { usernames: 9999/s }, usernames: { reserved: [house-brand], protected: [Acme_Bank] } }
  acme: { hosts: [acme.test], throttle: { usernames: 9999/s } }
  tight: { hosts: [tight.test], throttle: { usernames: 1/h } }
routes:${SERVICE_ROUTES}
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway(CONFIG)
  await loaded()
})

afterAll(() => gateway.close())

describe('availability', () => {
  test('of a name that nobody has is said by the filter alone', async () => {
    expect(await ask('nobody-has-this')).toEqual({ status: 200, body: { username: 'nobody-has-this', available: true } })
    expect(await counted('layer="filter",result="free"')).toBeGreaterThan(0)
  })

  test('of a name that somebody has is refused in any case, with three to five others that are free', async () => {
    const name = await claimed('Taken_One')
    for (const written of [name, name.toLowerCase(), name.toUpperCase()]) {
      const { status, body } = await ask(written)
      expect({ status, body }).toMatchObject({ status: 200, body: { username: written, available: false, reason: 'taken' } })
      const suggestions = body.suggestions ?? []
      expect(suggestions.length).toBeGreaterThanOrEqual(3)
      expect(suggestions.length).toBeLessThanOrEqual(5)
      for (const other of suggestions) expect((await ask(other)).body).toEqual({ username: other, available: true })
    }
  })

  test('is of a tenant: what one has is free in another', async () => {
    const name = await claimed('Only_Here')
    expect((await ask(name)).body.available).toBe(false)
    expect((await ask(name, 'acme.test')).body).toEqual({ username: name, available: true })
  })

  test.each([
    'admin',
    'Admin',
    'adm1n',
    'ad-min',
    'gatehouse',
    'House-Brand',
    'h0usebrand',
    'AcmeBank',
    'acme_8ank',
    'acrne_bank',
  ])('of %s is what the lists say, look-alikes too', async (name) => {
    const isFree = name === 'acme_8ank'
    expect((await ask(name)).body).toEqual(
      isFree ? { username: name, available: true } : { username: name, available: false, reason: 'reserved' },
    )
  })

  test('of a protected name itself is free', async () => {
    expect((await ask('acme_bank')).body).toEqual({ username: 'acme_bank', available: true })
  })

  test('tells no cache to keep it', async () => {
    const response = await fetch(`${gateway.url}/usernames/someone/availability`)
    expect(response.headers.get('cache-control')).toBe('no-store')
  })
})

describe('a hold', () => {
  test('keeps a name from others, and is redeemed by its ticket', async () => {
    const held = await hold('Kept_For_Me')
    expect(held).toEqual({ status: 201, body: { ticket: expect.stringMatching(/^gwh_[\w-]{32}$/), expires_in: 300 } })
    expect((await ask('kept_for_me')).body).toMatchObject({ available: false, reason: 'held' })
    expect(await register({ username: 'Kept_For_Me' })).toMatchObject({ status: 409, body: { error: 'username_taken' } })
    const mine = await register({ username: 'Kept_For_Me', hold_ticket: held.body.ticket })
    expect(mine).toMatchObject({ status: 201, body: { user: { username: 'Kept_For_Me' } } })
    expect((await ask('kept_for_me')).body).toMatchObject({ available: false, reason: 'taken' })
  })

  test('is of one name: with the same ticket another name is held in its place', async () => {
    const first = await hold('first-choice')
    const second = await hold('second-choice', { 'x-hold-ticket': String(first.body.ticket) })
    expect(second).toMatchObject({ status: 201, body: { ticket: first.body.ticket } })
    expect(second.body['expires_in']).toBeLessThan(300)
    expect(await register({ username: 'first-choice' })).toMatchObject({ status: 201 })
    expect(await register({ username: 'second-choice' })).toMatchObject({ status: 409 })
  })

  test('goes to one of many who want it at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => hold('wanted-by-all')))
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1)
    const [loser] = all.filter(({ status }) => status !== 201)
    expect(loser).toMatchObject({ status: 409, body: { error: 'username_taken' } })
    expect(Array.isArray(loser?.body['suggestions'])).toBe(true)
    expect(await counted('', 'gatehouse_username_conflicts_total')).toBeGreaterThanOrEqual(19)
  })

  test.each([
    ['ab', 400, 'username_invalid'],
    ['admin', 409, 'username_reserved'],
    ['a.b.c', 400, 'username_invalid'],
  ])('of %s is refused: %i %s', async (name, status, error) => {
    expect(await hold(name)).toMatchObject({ status, body: { error } })
  })
})

describe('the budget', () => {
  test('of an address is 20 checks at once, then 429 with the time to wait', async () => {
    const answers = []
    for (let index = 0; index < 21; index += 1) answers.push(await raw('someone', 'tight.test'))
    expect(answers.slice(0, 20).map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(answers[0]?.headers.get('ratelimit-policy')).toBe('"usernames";q=20;w=72000')
    expect(answers[0]?.headers.get('ratelimit')).toBe('"usernames";r=19;t=3600')
    const refused = answers[20]
    expect(refused?.status).toBe(429)
    expect(await refused?.json()).toMatchObject({ error: 'rate_limited' })
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(refused?.headers.get('ratelimit')).toMatch(/^"usernames";r=0;t=7[12]\d{3}$/)
  })

  test('of a user is another one, which comes back three times as fast', async () => {
    const { access_token: token } = await login(gateway.url, 'tight')
    const response = await raw('someone', 'tight.test', { authorization: `Bearer ${token}` })
    expect([response.status, response.headers.get('ratelimit-policy')]).toEqual([200, '"usernames";q=20;w=24000'])
  })
})

describe('who goes through names', () => {
  test('shows in a metric and in the audit record, once', async () => {
    for (let index = 0; index < 40; index += 1) await ask(`series${index}`, 'acme.test')
    expect(await counted('tenant="acme",pattern="series"', 'gatehouse_username_probing_total')).toBe(1)
    const events = (): readonly string[] => {
      const db = new DatabaseSync(join(gateway.directory, 'data', 'audit.db'), { readOnly: true })
      const rows = db.prepare(`SELECT tenant_id, reason, ip FROM audit WHERE event = 'malicious_username_probing'`).all()
      db.close()
      return rows.map((row) => Object.values(row).join(' '))
    }
    await until(() => events().length > 0)
    expect(events().filter((row) => row.startsWith('acme'))).toEqual([expect.stringMatching(/^acme series (127\.0\.0\.1|::1)/)])
  })
})

describe('analytics', () => {
  test('are on the admin listener, without names', async () => {
    const report = (await (await fetch(`${gateway.adminUrl}/usernames/analytics`)).json()) as AnalyticsReport
    expect(report).toMatchObject({ least_callers: 20, tenants: { default: { prefixes: [], conflicts: expect.any(Number) } } })
    expect(report.tenants['default']?.hit_rate).toBeGreaterThan(0)
  })
})

interface Reply {
  readonly status: number
  readonly body: {
    readonly available?: boolean
    readonly reason?: string
    readonly suggestions?: readonly string[]
    readonly ticket?: string
    readonly [key: string]: unknown
  }
}

async function reply(response: Promise<Response>): Promise<Reply> {
  const { status, ...rest } = await response.then(async (one) => ({
    status: one.status,
    body: (await one.json()) as Reply['body'],
  }))
  return { status, ...rest }
}

/** By a client that can name another host. */
async function raw(name: string, host?: string, headers: Record<string, string> = {}): Promise<Response> {
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    const path = `/usernames/${name}/availability`
    const sent = request({ port: gateway.port, path, headers: { ...headers, ...(host !== undefined && { host }) } }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => (text += chunk))
      res.on('end', () => {
        const entries = Object.entries(res.headers).map(([key, value]) => [key, String(value)] as [string, string])
        resolve(new Response(text, { status: res.statusCode ?? 0, headers: entries }))
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

function ask(name: string, host?: string): Promise<Reply> {
  return reply(raw(name, host))
}

function hold(name: string, headers: Record<string, string> = {}): Promise<Reply> {
  return reply(fetch(`${gateway.url}/usernames/${name}/hold`, { method: 'POST', headers }))
}

function register(fields: Record<string, unknown>): Promise<Reply> {
  const email = `user-${crypto.randomUUID()}@example.com`
  return reply(postJson(`${gateway.url}/auth/register`, { email, password: 'correct horse battery staple', ...fields }))
}

async function claimed(name: string): Promise<string> {
  expect(await register({ username: name })).toMatchObject({ status: 201 })
  return name
}

async function counted(labels: string, metric = 'gatehouse_username_checks_total'): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(metric) && one.includes(labels))
  return Number(line?.split(' ').at(-1) ?? 0)
}

function loaded(): Promise<void> {
  return until(async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    return /^gatehouse_username_filter_age_seconds [\d.e-]+$/m.test(text)
  })
}
