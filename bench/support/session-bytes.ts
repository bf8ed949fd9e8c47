/** What sessions take of Redis's memory, by how many of them a user has. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { openRedis } from '../../src/storage/redis/redis.ts'
import { startRedis } from './redis-server.ts'

export interface BytesRow {
  readonly whose: Whose
  readonly sessionsPerUser: number
  /** By MEMORY USAGE: the session's own key, and its part of the user's index. */
  readonly sessionBytes: number
  readonly indexBytes: number
  readonly bytesPerSession: number
  /** By the growth of `used_memory`: the tables that find keys and expiries too. */
  readonly usedMemoryPerSession: number
  /** For 100 million sessions, from `bytesPerSession`. */
  readonly gibFor100Million: number
}

/** Began by a login here, or by a client for a user whose id is a UUID. */
type Whose = 'login' | 'client'

const SESSIONS = 10_000
const DAY = 86_400
const TENANT = 'default'
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36'

export async function measureBytes(): Promise<readonly BytesRow[]> {
  const rows: BytesRow[] = []
  for (const whose of ['login', 'client'] as const) {
    for (const sessionsPerUser of [1, 2, 5]) rows.push(await measureOne(whose, sessionsPerUser))
  }
  return rows
}

async function measureOne(whose: Whose, sessionsPerUser: number): Promise<BytesRow> {
  const redis = await startRedis()
  try {
    // Scripts and the first keys take memory too, but only once.
    await fill(redis.url, whose, { users: 1, sessionsPerUser })
    const before = await usedMemory(redis.admin)
    const users = SESSIONS / sessionsPerUser
    await fill(redis.url, whose, { users, sessionsPerUser })
    const grown = (await usedMemory(redis.admin)) - before
    const counted = SESSIONS + sessionsPerUser
    const sessionBytes = (await memoryUsage(redis.admin, `tenant:${TENANT}:refresh:*`)) / counted
    const indexBytes = (await memoryUsage(redis.admin, `tenant:${TENANT}:sessions:*`)) / counted
    return {
      whose,
      sessionsPerUser,
      sessionBytes: round1(sessionBytes),
      indexBytes: round1(indexBytes),
      bytesPerSession: round1(sessionBytes + indexBytes),
      usedMemoryPerSession: round1(grown / SESSIONS),
      gibFor100Million: round1(((sessionBytes + indexBytes) * 1e8) / 2 ** 30),
    }
  } finally {
    await redis.stop()
  }
}

/** Creates sessions by the gateway's own store, with the facts that the gateway has of them. */
async function fill(
  url: string,
  whose: Whose,
  { users, sessionsPerUser }: { readonly users: number; readonly sessionsPerUser: number },
): Promise<void> {
  const { sessions, close } = await openRedis(
    { nowSeconds, nowMs: () => performance.now(), random: Math.random, schedule: () => () => undefined },
    { kind: 'redis', url },
  )
  for (let count = 0; count < users; count += 1) {
    const user = whose === 'login' ? `usr_${randomBytes(16).toString('hex')}` : randomUUID()
    await Promise.all(
      Array.from({ length: sessionsPerUser }, () => sessions.create(newSession(whose, user), { sessionsPerUser })),
    )
  }
  close()
}

function newSession(whose: Whose, user: string) {
  const now = nowSeconds()
  return {
    tenant: TENANT,
    id: randomBytes(16).toString('hex'),
    user,
    scope: whose === 'login' ? '' : 'orders:read orders:write',
    metadata: {},
    device: AGENT,
    ip: '203.0.113.217',
    clientId: whose === 'login' ? 'gatehouse' : 'billing',
    createdAt: now,
    expiresAt: now + 30 * DAY,
    idleExpiresAt: now + 14 * DAY,
    tokensUntil: now + 902,
  }
}

/** Of all keys that match, every element counted. */
async function memoryUsage(redis: Redis, pattern: string): Promise<number> {
  let sum = 0
  for await (const keys of redis.scanStream({ match: pattern, count: 1000 })) {
    const pipeline = redis.pipeline()
    for (const key of keys as string[]) pipeline.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
    for (const [, bytes] of (await pipeline.exec()) ?? []) sum += Number(bytes)
  }
  return sum
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

function round1(value: number): number {
  return Math.round(value * 10) / 10
}
