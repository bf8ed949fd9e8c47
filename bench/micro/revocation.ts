/**
 * The set of revocations alone, in a process of its own with `--expose-gc`: what an entry takes, what a check takes, and how
 * long a million take from Redis, to the disk and from there. Writes one JSON object to its standard output.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createReplica } from '../../src/revocation/replica.ts'
import { createRevocation, type Revocation, type RevocationEvents, type RevocationLog } from '../../src/revocation/revocation.ts'
import { createDiskCopy } from '../../src/storage/disk-copy/disk-copy.ts'
import { factOf } from '../../src/storage/redis/facts.ts'
import { createLayout } from '../../src/storage/redis/layout.ts'
import { openRedis } from '../../src/storage/redis/redis.ts'
import { startRedis } from '../support/redis-server.ts'
import { median, round2 } from '../support/results.ts'

const SIZES = [0, 10_000, 1_000_000] as const
const CHECKS = 1_000_000
const ROUNDS = 5
const MILLION = 1_000_000
const PAGE = 2000
const HOUR_SECONDS = 3600

const world = {
  nowSeconds: () => Math.floor(Date.now() / 1000),
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: Math.random,
  schedule(delayMs: number, run: () => void): () => void {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

const AWAY: RevocationLog = {
  snapshot() {
    throw new Error('away')
  },
  readAfter: () => Promise.reject(new Error('away')),
  restore: () => Promise.reject(new Error('away')),
  onAppend: () => () => undefined,
}

const events: RevocationEvents = {
  checked: () => undefined,
  lag: () => undefined,
  breaker: () => undefined,
  feed: () => undefined,
  listenerFailed: () => undefined,
  restored: () => undefined,
  copyLoaded: () => undefined,
  copyRefused: () => undefined,
  copyKept: () => undefined,
}

const live = createLayout(false).live(0)
const result: Record<string, unknown> = {}
for (const size of SIZES) Object.assign(result, measureReplica(size))
const server = await startRedis()
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-bench-copy-'))
try {
  const storage = await openRedis({ ...world, nowMs: world.monotonicMs }, { kind: 'redis', url: server.url })
  for (let filled = 0; filled < MILLION; filled += PAGE) await server.admin.zadd(live, ...scored(revocations(PAGE)))
  const first = await timed('fromRedis', () => openRoom(storage.log))
  await timed('toDisk', () => first.stop())
  const second = await timed('fromDisk', () => openRoom(AWAY))
  result['entriesFromDisk'] = second.entries()
  await second.stop()
  storage.close()
} finally {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
}
process.stdout.write(`${JSON.stringify(result)}\n`)

async function openRoom(log: RevocationLog) {
  const copy = createDiskCopy(world, directory).revocations
  const lookup = { isRevoked: async () => false }
  const breaker = { timeoutMs: 50, errorThreshold: 0.5, resetAfterMs: 1000 }
  const room = createRevocation({ ...world, log, lookup, copy, events }, { maxStalenessMs: 10_000, whenStale: 'deny', breaker })
  await room.start()
  return room
}

/** Time, and the longest that anything else had to wait for its turn. */
async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedMs = performance.now()
  const done = await work()
  result[`${name}Ms`] = Math.round(performance.now() - startedMs)
  // One more turn, so that the last wait is seen.
  await new Promise((resolve) => setTimeout(resolve, 20))
  delay.disable()
  result[`${name}LongestWaitMs`] = round2(delay.max / 1e6)
  return done
}

function measureReplica(size: number): Record<string, number> {
  const before = usedBytes()
  const replica = createReplica(Math.random)
  for (let added = 0; added < size; added += PAGE) for (const one of revocations(PAGE)) replica.add(one, 'log')
  const bytes = usedBytes() - before
  const rounds = Array.from({ length: ROUNDS }, () => nanosecondsForCheck(replica))
  const name = size.toExponential(0).replace('+', '')
  if (size === 0) return { [`nsForCheckAt0`]: round2(median(rounds)) }
  return { [`bytesForEntryAt${name}`]: round2(bytes / size), [`nsForCheckAt${name}`]: round2(median(rounds)) }
}

/** CPU time. Of tokens that are not revoked, with a session and a key: everything is looked at. */
function nanosecondsForCheck(replica: ReturnType<typeof createReplica>): number {
  const ids = Array.from({ length: 4096 }, hexId)
  const tokens = ids.map((tokenId, at) => ({
    tenant: 'acme',
    user: 'u1',
    tokenId,
    session: ids[at ^ 1] ?? '',
    keyId: 'k1',
    epoch: 1,
  }))
  const before = process.cpuUsage()
  let found = 0
  for (let asked = 0; asked < CHECKS; asked += tokens.length) for (const token of tokens) found += Number(replica.lists(token))
  if (found > 0) throw new Error('an id was there by chance')
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / CHECKS
}

/** Half of tokens, half of sessions. */
function revocations(count: number): Revocation[] {
  const expiresAt = world.nowSeconds() + HOUR_SECONDS
  return Array.from({ length: count }, (_, at) => ({
    kind: at % 2 === 0 ? ('token' as const) : ('session' as const),
    tenant: 'acme',
    id: hexId(),
    expiresAt,
  }))
}

function scored(facts: readonly Revocation[]): (string | number)[] {
  return facts.flatMap((fact) =>
    'id' in fact && fact.kind !== 'user' ? [fact.expiresAt, factOf(fact.kind, fact.tenant, fact.id)] : [],
  )
}

function hexId(): string {
  return randomBytes(16).toString('hex')
}

function usedBytes(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
