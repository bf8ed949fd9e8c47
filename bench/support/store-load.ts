/**
 * What Redis and ioredis do without a gateway: reads a StoreLoad from standard input, writes a Timing to standard output.
 *
 * `create` and `rotate` send the very commands that the gateway sends; `set` sends one plain SET with an expiry.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import type { NewSession } from '../../src/services/sessions/sessions.ts'
import { openRedis } from '../../src/storage/redis/redis.ts'
import { createTurns, timingOf } from './latencies.ts'

export interface StoreLoad {
  readonly url: string
  readonly job: 'create' | 'rotate' | 'set'
  readonly seconds: number
  readonly concurrency: number
}

const HOUR = 3600
const DAY = 86_400
const load = JSON.parse(readFileSync(0, 'utf8')) as StoreLoad
const redis = new Redis(load.url, { protocol: 2 })
const { sessions, close } = await openRedis(
  {
    nowSeconds,
    nowMs: () => performance.now(),
    random: Math.random,
    schedule(delayMs, run) {
      const timer = setTimeout(run, delayMs)
      return () => clearTimeout(timer)
    },
  },
  { kind: 'redis', url: load.url },
)
const value = 'x'.repeat(200)
const own = await Promise.all(Array.from({ length: load.concurrency }, create))
const turns = createTurns(load)
const latencies: number[] = []
await Promise.all(own.map(work))
process.stdout.write(JSON.stringify(timingOf(latencies, turns.elapsedSeconds())))
close()
redis.disconnect()

async function work(id: string): Promise<void> {
  let generation = 0
  for (let turn = await turns.next(); turn !== undefined; turn = await turns.next()) {
    if (load.job === 'create') await create()
    else if (load.job === 'set') await redis.set(`plain:${randomUUID()}`, value, 'EX', DAY)
    else await rotate(id, generation++)
    latencies.push(performance.now() - turn.fromMs)
  }
}

async function create(): Promise<string> {
  const now = nowSeconds()
  const session: NewSession = {
    tenant: 'plain',
    id: randomBytes(16).toString('hex'),
    user: randomUUID(),
    scope: 'orders:read orders:write',
    metadata: {},
    device: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
    ip: '127.0.0.1',
    clientId: 'bench',
    createdAt: now,
    expiresAt: now + 30 * DAY,
    idleExpiresAt: now + 14 * DAY,
    tokensUntil: now + HOUR,
  }
  await sessions.create(session, { sessionsPerUser: 100 })
  return session.id
}

async function rotate(id: string, generation: number): Promise<void> {
  const now = nowSeconds()
  const where = { tenant: 'plain', bucket: 0, id }
  const found = await sessions.peek(where)
  if (found === undefined) throw new Error('the session is gone')
  const { outcome } = await sessions.rotate({
    ...where,
    user: found.user,
    generation,
    graceSeconds: 10,
    rotation: 'on',
    now,
    idleSeconds: 14 * DAY,
    tokensUntil: now + HOUR,
    reuseReason: 'refresh token reused',
  })
  if (outcome !== 'rotated') throw new Error(`the token was ${outcome}`)
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
