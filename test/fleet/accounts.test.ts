/** Accounts of two gateways on one PostgreSQL and one Redis: a user of one is the same user at the other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DatabaseServer } from '../support/database.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'

let database: DatabaseServer
let redis: RedisServer
let first: TestGateway
let second: TestGateway

beforeAll(async () => {
  database = await startPostgres()
  redis = await startRedis()
  const environment = { ACCOUNTS: await database.newDatabase(), MASTER_KEY: 'ab'.repeat(32) }
  const yaml = `storage: { sessions: "${redis.url}", accounts: "\${ACCOUNTS}", directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { default: { signing: ES256 } }
routes:${SERVICE_ROUTES}
  - { name: graphql, match: { path: /graphql }, service: graphql }
`
  first = await startGateway(yaml, { environment })
  second = await startGateway(yaml, { environment })
}, 180_000)

afterAll(async () => {
  await first?.close()
  await second?.close()
  await redis?.stop()
  await database?.stop()
}, 60_000)

describe('a user of two gateways', () => {
  test('has one profile, and one password, whose change ends the sessions of both', { timeout: 60_000 }, async () => {
    const user = await login(first.url)
    const mutation = 'mutation { updateProfile(input: { username: "fleet_user", displayName: "Fleet" }) { username } }'
    const changed = await postJson(`${first.url}/graphql`, { query: mutation }, bearer(user.access_token))
    expect(await changed.json()).toEqual({ data: { updateProfile: { username: 'fleet_user' } } })
    const byName = { username: 'Fleet_User', password: user.password }
    const other = (await (await postJson(`${second.url}/auth/login`, byName)).json()) as { access_token: string }
    const statusAt = async ({ url }: TestGateway, token: string) =>
      (await fetch(`${url}/auth/me`, { headers: bearer(token) })).status
    expect([await statusAt(first, other.access_token), await statusAt(second, user.access_token)]).toEqual([200, 200])
    const change = { current_password: user.password, new_password: 'a much better one' }
    const answer = await postJson(`${first.url}/auth/password`, change, bearer(user.access_token))
    expect(answer.status).toBe(204)
    expect(await statusAt(first, other.access_token)).toBe(401)
    await until(async () => (await statusAt(second, other.access_token)) === 401)
    expect([await statusAt(first, user.access_token), await statusAt(second, user.access_token)]).toEqual([200, 200])
    expect((await postJson(`${second.url}/auth/login`, byName)).status).toBe(401)
  })

  test('logs in at either from a device that one of them knows, whatever strangers do', { timeout: 60_000 }, async () => {
    const user = await login(first.url)
    const credentials = { email: user.email, password: user.password }
    const known = await postJson(`${first.url}/auth/login`, credentials)
    const device = known.headers.get('gatehouse-device') ?? ''
    for (let guess = 0; guess < 6; guess += 1)
      await postJson(`${second.url}/auth/login`, { email: user.email, password: `guess ${guess}` })
    expect((await postJson(`${second.url}/auth/login`, credentials)).status).toBe(429)
    expect((await postJson(`${second.url}/auth/login`, credentials, { 'gatehouse-device': device })).status).toBe(200)
  })
})

describe('the database', () => {
  test('that is away is told by a metric and as degraded, and so is its return', { timeout: 120_000 }, async () => {
    await login(first.url)
    const seen = async () => {
      const text = await (await fetch(`${first.adminUrl}/metrics`)).text()
      const { status } = (await (await fetch(`${first.url}/health`)).json()) as { status: string }
      return `${/^gatehouse_database_up (\d)$/m.exec(text)?.[1]} ${status}`
    }
    expect(await seen()).toBe('1 ok')
    await database.kill()
    await until(async () => (await seen()) === '0 degraded')
    await database.restart()
    await until(async () => (await seen()) === '1 ok')
    const text = await (await fetch(`${first.adminUrl}/metrics`)).text()
    for (const kind of ['accounts', 'names'])
      expect(text).toMatch(new RegExp(`^gatehouse_database_queries_total\\{kind="${kind}"\\} [1-9]\\d*$`, 'm'))
    expect(text).not.toMatch(/gatehouse_database_queries_total\{kind="other"/)
  })
})
