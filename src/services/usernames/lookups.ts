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

interface Question {
  readonly promise: Promise<Found>
  resolve(found: Found): void
  reject(error: unknown): void
}

/** What is asked together, of one tenant. */
interface Batch {
  readonly tenant: string
  readonly questions: Map<string, Question>
}

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
  const queries = createQueries(needs)
  const redis = createRedis(cache, needs.events)
  // A Map for each batch, none for all: one from which is taken what is put in, all the time, keeps much of it from being collected.
  /** Begun, and on their way. */
  const batches: { begun: Batch[]; asked: Batch[] } = { begun: [], asked: [] }
  let cancel: (() => void) | undefined
  return { ask, statesOf: queries.statesOf, stop }

  function ask(tenant: string, folded: string): Promise<Found> {
    const known = questionIn(batches.begun, tenant, folded) ?? questionIn(batches.asked, tenant, folded)
    if (known !== undefined) return known.promise
    const question = Promise.withResolvers<Found>()
    const { questions } = batches.begun.find((one) => one.tenant === tenant) ?? begin(tenant)
    questions.set(folded, question)
    if (questions.size >= LARGEST_QUERY) flush()
    else cancel ??= needs.schedule(WINDOW_MS, flush)
    return question.promise
  }

  function begin(tenant: string): Batch {
    const batch: Batch = { tenant, questions: new Map() }
    batches.begun.push(batch)
    return batch
  }

  function flush(): void {
    cancel?.()
    cancel = undefined
    const ready = batches.begun
    batches.begun = []
    for (const batch of ready) void answer(batch)
  }

  /** Never rejects: each question of the batch is answered or refused. */
  async function answer(batch: Batch): Promise<void> {
    batches.asked.push(batch)
    try {
      const misses = await answerFromRedis(batch)
      if (misses.length > 0) await answerFromDatabase(batch, misses)
    } catch (error) {
      // Those that Redis has answered are settled already.
      for (const name of batch.questions.keys()) taken(batch.questions, name)?.reject(error)
    }
    batches.asked.splice(batches.asked.indexOf(batch), 1)
  }

  /** Returns the names that Redis does not know: all of them while it is away. */
  async function answerFromRedis({ tenant, questions }: Batch): Promise<readonly string[]> {
    const names = [...questions.keys()]
    if (cache === undefined) return names
    // Redis is a shortcut: its breaker says that it is away, and the database answers.
    const known = await redis.fire(tenant, names).catch(() => undefined)
    if (known === undefined) return names
    return names.filter((name, index) => {
      const isTaken = known[index]
      if (isTaken === undefined) return true
      taken(questions, name)?.resolve(isTaken ? REDIS_TAKEN : REDIS_FREE)
      return false
    })
  }

  async function answerFromDatabase({ tenant, questions }: Batch, names: readonly string[]): Promise<void> {
    const states = await queries.statesOf(tenant, names)
    for (const name of names) taken(questions, name)?.resolve(DATABASE[states.get(name) ?? 'free'])
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

/** Whoever asks from now on asks anew. */
function taken(questions: Batch['questions'], name: string): Question | undefined {
  const question = questions.get(name)
  questions.delete(name)
  return question
}

function questionIn(batches: readonly Batch[], tenant: string, folded: string): Question | undefined {
  for (const batch of batches) {
    const question = batch.tenant === tenant ? batch.questions.get(folded) : undefined
    if (question !== undefined) return question
  }
  return undefined
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
