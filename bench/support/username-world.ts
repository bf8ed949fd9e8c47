/** A database with a million usernames, a Redis, and gateways in front of both: these on the first core, those on the second. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { skeletonOf } from '../../src/services/usernames/names.ts'
import { startPostgres } from '../../test/support/postgres.ts'
import { answers, ended, freePort, pinned } from './processes.ts'
import { startRedis, type BenchRedis } from './redis-server.ts'
import { createRandom, createWishes, TAKEN_NAMES, takenName } from './username-names.ts'

export interface UsernameGateway {
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  /** From the start of the process until it says that it is ready. */
  readonly startMs: number
  /** From the start of the process until its filter has all names. */
  readonly filterMs: number
  stop(): Promise<void>
}

export interface UsernameWorld {
  readonly redis: BenchRedis
  /**
   * Starts one more gateway.
   *
   * @param workers - processes that answer; one if absent
   * @param cores - that they may use; the first if absent
   */
  add(workers?: number, cores?: string): Promise<UsernameGateway>
  /** Takes all answers out of Redis. */
  forget(): Promise<void>
  /** Puts into Redis what the checks of the last five minutes would have left there. */
  remember(perSecond: number): Promise<void>
  stop(): Promise<void>
}

/** Of an entry in Redis, give or take a tenth. */
const CACHE_SECONDS = 300
const CACHE_SPREAD = 0.1
const BATCH = 20_000
const CONNECTIONS = 120_000
const FILTER_MS = 60_000

export async function startUsernameWorld(): Promise<UsernameWorld> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    const postgres = await startPostgres()
    stops.push(postgres.stop)
    const database = new URL(await postgres.newDatabase())
    await pinDatabase(database.href)
    const redis = await startRedis()
    stops.push(redis.stop)
    const secrets = { BENCH_MASTER_KEY: randomBytes(32).toString('base64'), BENCH_DATABASE_PASSWORD: database.password }
    let names = 0
    const add = async (workers = 1, cores = '0'): Promise<UsernameGateway> => {
      const gateway = await startGateway({ redisUrl: redis.url, database, names, workers, cores }, secrets)
      stops.push(gateway.stop)
      return gateway
    }
    // The first one makes the tables.
    await (await add()).stop()
    await fill(database.href)
    names = TAKEN_NAMES
    let entries: ReturnType<typeof entriesAfter> | undefined
    return {
      redis,
      add,
      forget: () => forget(redis),
      remember: (rate) => remember(redis, (entries ??= entriesAfter(rate))),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Stores {
  readonly redisUrl: string
  readonly database: URL
  /** Names that are in it. */
  readonly names: number
  readonly workers: number
  readonly cores: string
}

async function startGateway(
  { redisUrl, database, names, workers, cores }: Stores,
  secrets: Record<string, string>,
): Promise<UsernameGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const [port, adminPort] = [await freePort(), await freePort()]
  const databaseUrl = `postgres://${database.username}:\${BENCH_DATABASE_PASSWORD}@${database.host}${database.pathname}`
  writeFileSync(join(folder, 'gateway.yaml'), configuration({ port, adminPort, redisUrl, databaseUrl, workers }))
  const startedMs = performance.now()
  const child = pinned(cores, ['../../src/main.ts', 'start', '--config', join(folder, 'gateway.yaml')], secrets)
  const [url, adminUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`]
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answers(`${adminUrl}/readyz`, FILTER_MS)
    const startMs = performance.now() - startedMs
    await untilFilterHas(names, adminUrl)
    return { url, adminUrl, pid: child.pid ?? 0, startMs, filterMs: performance.now() - startedMs, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A gateway serves before: until then the database is asked for every name. */
async function untilFilterHas(names: number, adminUrl: string): Promise<void> {
  const deadlineMs = performance.now() + FILTER_MS
  for (;;) {
    const text = await fetch(`${adminUrl}/metrics`).then((response) => response.text())
    if (Number(/^gatehouse_username_filter_names(?:\{.*\})? (\d+)/m.exec(text)?.[1] ?? 0) >= names) return
    if (performance.now() > deadlineMs) throw new Error('the gateway did not load its filter of usernames')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

interface Places {
  readonly port: number
  readonly adminPort: number
  readonly redisUrl: string
  readonly databaseUrl: string
  readonly workers: number
}

/** Nobody is out of budget, and a connection that has not asked yet, or not for a while, lives longer than a run. */
function configuration({ port, adminPort, redisUrl, databaseUrl, workers }: Places): string {
  return `
workers: ${workers}
listeners:
  public:
    address: 127.0.0.1:${port}
    limits: { connections: ${CONNECTIONS} }
    timeouts: { headers: 10m, request: 10m, keepAlive: 10m }
  admin: { address: 127.0.0.1:${adminPort} }
storage: { sessions: '${redisUrl}', accounts: '${databaseUrl}', directory: ./data }
masterKey: { env: BENCH_MASTER_KEY }
tenants:
  default: { throttle: { usernames: 999999/s, usernamesTotal: 999999/s } }
routes:
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`
}

/** What a server starts is where it is itself; the helpers that it has already are moved one by one. */
async function pinDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL')
    const server = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${rows[0]?.pid}/status`, 'utf8'))?.[1] ?? ''
    for (const pid of [server, ...rows.map((row) => String(row.pid))]) {
      execFileSync('taskset', ['-p', '-c', '1', pid], { stdio: 'ignore' })
    }
  } finally {
    await client.end()
  }
}

/** Accounts with names, without what claims leave in the history. */
async function fill(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (let first = 0; first < TAKEN_NAMES; first += BATCH) {
      const names = Array.from({ length: BATCH }, (_, index) => takenName(first + index))
      await client.query(
        `INSERT INTO accounts (id, tenant_id, email, email_folded, password_hash, created_at, username, username_folded, username_skeleton)
         SELECT 'usr_' || name, 'default', name || '@example.com', name || '@example.com', '-', 0, name, name, skeleton
         FROM unnest($1::text[], $2::text[]) AS given (name, skeleton)`,
        [names, names.map(skeletonOf)],
      )
    }
    await client.query('VACUUM ANALYZE accounts')
  } finally {
    await client.end()
  }
}

async function forget({ admin }: BenchRedis): Promise<void> {
  for await (const keys of admin.scanStream({ match: 'username_exists:*', count: 1000 })) {
    if (keys.length > 0) await admin.unlink(...keys)
  }
}

/**
 * Taken names and the seconds that they still have in Redis, when people have been asking for as long as an entry lives. One that
 * is asked for is there for five minutes from then on, and only then asked for anew; the first time it has a part of them, so that
 * not all of them end together.
 */
function entriesAfter(perSecond: number): readonly (readonly [name: string, seconds: number])[] {
  const random = createRandom(5)
  const wish = createWishes(random)
  const taken = new Set(Array.from({ length: TAKEN_NAMES }, (_, index) => takenName(index)))
  const ends = new Map<string, number>()
  for (let asked = 0; asked < perSecond * CACHE_SECONDS; asked += 1) {
    const { name } = wish()
    const at = asked / perSecond
    const end = taken.has(name) ? ends.get(name) : at
    if (end === undefined) ends.set(name, at + CACHE_SECONDS * random())
    else if (end < at) ends.set(name, at + CACHE_SECONDS * (1 - CACHE_SPREAD + 2 * CACHE_SPREAD * random()))
  }
  return [...ends].map(([name, end]) => [name, Math.floor(end - CACHE_SECONDS)] as const).filter(([, seconds]) => seconds > 0)
}

async function remember({ admin }: BenchRedis, entries: readonly (readonly [name: string, seconds: number])[]): Promise<void> {
  for (let first = 0; first < entries.length; first += BATCH) {
    const part = entries.slice(first, first + BATCH)
    await admin.pipeline(part.map(([name, seconds]) => ['set', `username_exists:${name}`, '1', 'EX', seconds])).exec()
  }
}

export function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
