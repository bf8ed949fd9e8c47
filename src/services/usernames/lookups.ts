import CircuitBreaker from 'opossum'
import type { KnownState } from './memory.ts'
import type { UsernameEvents } from './needs.ts'
import { createQueries, LARGEST_QUERY } from './queries.ts'
import type { Queries, QueriesNeeds } from './queries.ts'

/** Answers that all gateways share. Redis implements it; each method may reject, and nothing is lost by it. */
export interface NameCache {
  /** For each name whether it is taken; undefined where that is not known. One round trip. */
  read(tenant: string, folded: readonly string[]): Promise<readonly (boolean | undefined)[]>
  /** What a reader found: never in place of what is there. */
  fill(tenant: string, found: readonly (readonly [folded: string, isTaken: boolean])[]): Promise<void>
  /** What a writer committed: in place of whatever is there. `forSeconds`: instead of the usual time. */
  write(tenant: string, folded: string, isTaken: boolean, forSeconds?: number): Promise<void>
}

export interface Found {
  readonly state: KnownState
  readonly layer: 'redis' | 'database'
}

export interface LookupsNeeds extends QueriesNeeds {
  readonly cache?: NameCache
}

export interface Lookups {
  /** Rejects with `storage_unavailable` or `overloaded`. Questions about one name at one time are one question. */
  ask(tenant: string, folded: string): Promise<Found>
  readonly statesOf: Queries['statesOf']
  stop(): void
}

/** How long the first question waits for others that go the same way: none of their answers leaves sooner anyway. */
const WINDOW_MS = 2
const REDIS_MS = 100
const RESET_MS = 1_000
const VOLUME = 5

interface Waiting {
  resolve(found: Found): void
  reject(error: unknown): void
}

type Batch = Map<string, Waiting>

const REDIS_TAKEN: Found = Object.freeze({ state: 'taken', layer: 'redis' })
const REDIS_FREE: Found = Object.freeze({ state: 'free', layer: 'redis' })
const DATABASE: Readonly<Record<KnownState, Found>> = Object.freeze({
  free: Object.freeze({ state: 'free', layer: 'database' }),
  taken: Object.freeze({ state: 'taken', layer: 'database' }),
  held: Object.freeze({ state: 'held', layer: 'database' }),
  quarantined: Object.freeze({ state: 'quarantined', layer: 'database' }),
})

/** Redis and the database, asked about many names at once. */
export function createLookups(needs: LookupsNeeds): Lookups {
  const { cache } = needs
  const asking = new Map<string, Promise<Found>>()
  const queries = createQueries(needs)
  const redis = createRedis(cache, needs.events)
  let batches = new Map<string, Batch>()
  let cancel: (() => void) | undefined
  return { ask, statesOf: queries.statesOf, stop }

  function ask(tenant: string, folded: string): Promise<Found> {
    const key = `${tenant} ${folded}`
    const known = asking.get(key)
    if (known !== undefined) return known
    const { promise, resolve, reject } = Promise.withResolvers<Found>()
    asking.set(key, promise)
    const batch = batches.get(tenant) ?? new Map<string, Waiting>()
    batches.set(tenant, batch)
    batch.set(folded, {
      resolve(found) {
        asking.delete(key)
        resolve(found)
      },
      reject(error) {
        asking.delete(key)
        reject(error)
      },
    })
    if (batch.size >= LARGEST_QUERY) flush()
    else cancel ??= needs.schedule(WINDOW_MS, flush)
    return promise
  }

  function flush(): void {
    cancel?.()
    cancel = undefined
    const ready = batches
    batches = new Map()
    for (const [tenant, batch] of ready) void answer(tenant, batch)
  }

  /** Never rejects: each question of the batch is answered or refused. */
  async function answer(tenant: string, batch: Batch): Promise<void> {
    const names = [...batch.keys()]
    try {
      const misses = await answerFromRedis(tenant, names, batch)
      if (misses.length > 0) await answerFromDatabase(tenant, misses, batch)
    } catch (error) {
      // Those that Redis has answered are settled already.
      for (const waiting of batch.values()) waiting.reject(error)
    }
  }

  /** Returns the names that Redis does not know: all of them while it is away. */
  async function answerFromRedis(tenant: string, names: readonly string[], batch: Batch): Promise<readonly string[]> {
    if (cache === undefined) return names
    // Redis is a shortcut: its breaker says that it is away, and the database answers.
    const known = await redis.fire(tenant, names).catch(() => undefined)
    if (known === undefined) return names
    return names.filter((name, index) => {
      const isTaken = known[index]
      if (isTaken === undefined) return true
      batch.get(name)?.resolve(isTaken ? REDIS_TAKEN : REDIS_FREE)
      return false
    })
  }

  async function answerFromDatabase(tenant: string, names: readonly string[], batch: Batch): Promise<void> {
    const states = await queries.statesOf(tenant, names)
    for (const name of names) batch.get(name)?.resolve(DATABASE[states.get(name) ?? 'free'])
    if (cache === undefined || redis.opened) return
    // A hold ends before an entry would.
    const lasting = names.filter((name) => states.get(name) !== 'held').map((name) => [name, states.has(name)] as const)
    // Redis is a shortcut: what it did not take is asked for again.
    cache.fill(tenant, lasting).catch(() => undefined)
  }

  function stop(): void {
    flush()
    redis.shutdown()
    queries.stop()
  }
}

function createRedis(cache: NameCache | undefined, events: Pick<UsernameEvents, 'breaker'>) {
  const breaker = new CircuitBreaker(async (tenant: string, names: readonly string[]) => cache?.read(tenant, names), {
    timeout: REDIS_MS,
    resetTimeout: RESET_MS,
    volumeThreshold: VOLUME,
    errorThresholdPercentage: 50,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  })
  breaker.on('open', () => events.breaker('usernames_redis', 'open'))
  breaker.on('halfOpen', () => events.breaker('usernames_redis', 'half-open'))
  breaker.on('close', () => events.breaker('usernames_redis', 'closed'))
  return breaker
}
