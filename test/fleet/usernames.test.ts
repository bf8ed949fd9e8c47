/** Usernames of two gateways on one PostgreSQL and one Redis: what one of them gives away, no other calls free for long. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fold, skeletonOf } from '../../src/services/usernames/names.ts'
import { openSql, type Sql } from '../../src/storage/sql/sql.ts'
import { monotonicMs, nowSeconds, random, schedule } from '../../src/world.ts'
import type { DatabaseServer } from '../support/database.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { report } from './fleet.ts'

/** The longest that a gateway may call a name free that was claimed elsewhere. */
const BOUND_MS = 5_000
const CLAIMS = 300
const NAMES = 600

let database: DatabaseServer
let redis: RedisServer
let writer: Sql
let gateways: TestGateway[]

beforeAll(async () => {
  database = await startPostgres()
  redis = await startRedis()
  const url = await database.newDatabase()
  const environment = { ACCOUNTS: url, MASTER_KEY: 'ab'.repeat(32) }
  const yaml = `storage: { sessions: "${redis.url}", accounts: "\${ACCOUNTS}", directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { default: { throttle: { usernames: 99999/s } } }
routes:${SERVICE_ROUTES}
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`
  gateways = [await startGateway(yaml, { environment }), await startGateway(yaml, { environment })]
  // Somebody else's writes: neither gateway knows of them but by the feed.
  const needs = { nowSeconds, nowMs: monotonicMs, random, schedule }
  writer = await openSql(needs, { accounts: { kind: 'postgres', url }, directory: '/nowhere', migrate: false })
  await Promise.all(gateways.map(loaded))
}, 180_000)

afterAll(async () => {
  await Promise.all((gateways ?? []).map((gateway) => gateway.close()))
  await writer?.close()
  await redis?.stop()
  await database?.stop()
}, 60_000)

describe('two gateways', () => {
  test('never call a name free that was taken longer ago than the bound', { timeout: 120_000 }, async () => {
    const takenAtMs = new Map<string, number>()
    const wrong: string[] = []
    let checks = 0
    const run = { isOver: false }
    const check = async (name: string): Promise<void> => {
      const askedMs = performance.now()
      const { available } = await ask(anyOf(gateways), name)
      checks += 1
      const takenMs = takenAtMs.get(name)
      if (available && takenMs !== undefined && takenMs + BOUND_MS < askedMs) wrong.push(name)
    }
    const asking = Array.from({ length: 8 }, async () => {
      while (!run.isOver) await check(anyName())
    })
    for (let count = 0; count < CLAIMS; count += 1) {
      const name = anyName()
      if ((await claim(name)) === 'created') takenAtMs.set(name, performance.now())
    }
    await new Promise((resolve) => setTimeout(resolve, BOUND_MS))
    for (const name of takenAtMs.keys()) for (const gateway of gateways) await expectTaken(gateway, name)
    run.isOver = true
    await Promise.all(asking)
    expect(wrong).toEqual([])
    expect(takenAtMs.size).toBeGreaterThan(CLAIMS / 3)
    report(`${checks} checks, ${takenAtMs.size} names claimed by somebody else, none called free after ${BOUND_MS} ms`)
  })

  test('tell each other of a hold, and its claim ends it', async () => {
    const [first, second] = gateways
    if (first === undefined || second === undefined) throw new Error('no gateways')
    expect((await fetch(`${first.url}/usernames/shared-hold/hold`, { method: 'POST' })).status).toBe(201)
    await until(async () => !(await ask(second, 'shared-hold')).available)
    expect((await fetch(`${second.url}/usernames/shared-hold/hold`, { method: 'POST' })).status).toBe(409)
  })

  test('ask the database for few of many checks', { timeout: 60_000 }, async () => {
    const before = await queries()
    const total = 2_000
    for (let at = 0; at < total; at += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => ask(anyOf(gateways), `never-taken-${at + index}`)))
    }
    const share = ((await queries()) - before) / total
    report(`database queries for checks of names that nobody has: ${(share * 100).toFixed(2)} %`)
    expect(share).toBeLessThan(0.05)
  })

  test('fill Redis with what the database said, for five minutes give or take a tenth', async () => {
    const name = 'in-redis'
    expect(await claim(name)).toBe('created')
    await until(async () => !(await ask(anyOf(gateways), name)).available)
    await redis.admin.set('username_exists:only-redis-has-it', '1', 'EX', 60)
    const keys = await redis.admin.keys('username_exists:*')
    expect(keys.length).toBeGreaterThan(1)
    for (const key of keys) {
      const [value, seconds] = [await redis.admin.get(key), await redis.admin.ttl(key)]
      expect(['0', '1']).toContain(value)
      expect(seconds).toBeLessThanOrEqual(330)
    }
  })
})

describe('while Redis is away', () => {
  test('checks go on', { timeout: 60_000 }, async () => {
    const name = 'without-redis'
    expect(await claim(name)).toBe('created')
    await redis.kill()
    try {
      await until(async () => !(await ask(anyOf(gateways), name)).available)
      expect((await ask(anyOf(gateways), 'free-without-redis')).available).toBe(true)
    } finally {
      await redis.restart()
    }
  })
})

describe('while the database is away', () => {
  test(
    'what is certain is answered, the rest is refused, and nothing is called free any more',
    { timeout: 120_000 },
    async () => {
      const [gateway] = gateways
      if (gateway === undefined) throw new Error('no gateway')
      const name = 'known-before'
      expect(await claim(name)).toBe('created')
      await until(async () => !(await ask(gateway, name)).available)
      await database.kill()
      try {
        await until(async () => (await status(gateway, 'asked-of-nobody')) === 503)
        expect(await ask(gateway, name)).toMatchObject({ available: false, reason: 'taken' })
        expect(await ask(gateway, 'admin')).toMatchObject({ available: false, reason: 'reserved' })
        expect(await ask(gateway, 'a b')).toMatchObject({ available: false, reason: 'invalid' })
        expect((await fetch(`${gateway.url}/usernames/held-by-nobody/hold`, { method: 'POST' })).status).toBe(503)
      } finally {
        await database.restart()
      }
      await until(async () => (await status(gateway, 'asked-of-nobody')) === 200)
      expect(await ask(gateway, 'asked-of-nobody')).toEqual({ username: 'asked-of-nobody', available: true })
    },
  )
})

interface Answer {
  readonly available: boolean
  readonly reason?: string
}

async function ask(gateway: TestGateway, name: string): Promise<Answer> {
  const response = await fetch(`${gateway.url}/usernames/${encodeURIComponent(name)}/availability`)
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}

async function status(gateway: TestGateway, name: string): Promise<number> {
  const response = await fetch(`${gateway.url}/usernames/${name}/availability`)
  await response.arrayBuffer()
  return response.status
}

async function expectTaken(gateway: TestGateway, name: string): Promise<void> {
  expect(await ask(gateway, name)).toMatchObject({ available: false, reason: 'taken' })
}

let made = 0
function claim(name: string): Promise<string> {
  const number = ++made
  return writer.accounts.create({
    id: `usr_${String(number).padStart(32, '0')}`,
    tenant: 'default',
    email: `user${number}@example.com`,
    emailFolded: `user${number}@example.com`,
    username: { shown: name, folded: fold(name), skeleton: skeletonOf(name) },
    passwordHash: '$argon2id$none',
    status: 'active',
    createdAt: nowSeconds(),
  })
}

function anyName(): string {
  return `someone-${Math.floor(Math.random() * NAMES)}-x`
}

function anyOf(list: readonly TestGateway[]): TestGateway {
  const one = list[Math.floor(Math.random() * list.length)]
  if (one === undefined) throw new Error('none')
  return one
}

async function metricsOf({ adminUrl }: TestGateway): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`)).text()
}

async function queries(): Promise<number> {
  const texts = await Promise.all(gateways.map(metricsOf))
  return texts.reduce((sum, text) => sum + Number(/^gatehouse_username_queries_total (\d+)$/m.exec(text)?.[1] ?? 0), 0)
}

function loaded(gateway: TestGateway): Promise<void> {
  return until(async () => /^gatehouse_username_filter_age_seconds [\d.e-]+$/m.test(await metricsOf(gateway)))
}
