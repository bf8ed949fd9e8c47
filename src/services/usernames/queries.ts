import CircuitBreaker from 'opossum'
import { Problem } from '../../problem/problem.ts'
import type { UsernameEvents } from './needs.ts'
import type { NameState, UsernameStore } from './store.ts'

export interface QueriesNeeds {
  readonly store: Pick<UsernameStore, 'statesOf'>
  nowSeconds(): number
  schedule(delayMs: number, run: () => void): () => void
  readonly events: Pick<UsernameEvents, 'queried' | 'breaker'>
}

/** The database, asked about many names at once. */
export interface Queries {
  /**
   * What the database has for these names, now. Rejects with `storage_unavailable`, or `overloaded` where too many names wait.
   *
   * @param names - {@link LARGEST_QUERY} at most
   */
  statesOf(tenant: string, names: readonly string[]): Promise<ReadonlyMap<string, NameState>>
  stop(): void
}

/** Names of one query. */
export const LARGEST_QUERY = 500
/** Fewer than the database has connections for us: the feed of names and claims need some, whatever is asked. */
const QUERIES_AT_ONCE = 4
/** From the begin of one query to that of the next, unless that one is full: those who come meanwhile go together. */
const SPACING_MS = 3
/** Names that wait for their turn: past it the database is behind, and more of them would not help it. */
const WAITING_NAMES = 10_000
const ANSWER_MS = 1_500
const RESET_MS = 1_000
/** No more than go at once: when none of them is answered, it is away. */
const VOLUME = QUERIES_AT_ONCE

/** Names that were asked for together. */
interface Request {
  readonly names: readonly string[]
  resolve(states: ReadonlyMap<string, NameState>): void
  reject(error: unknown): void
}

interface Batch {
  readonly tenant: string
  readonly requests: readonly Request[]
}

/** Whether a query was begun, which has its place until it has ended, and not only until nobody waits for it any more. */
interface Turn {
  isBegun: boolean
}

export function createQueries(needs: QueriesNeeds): Queries {
  const line = createLine()
  const breaker = createBreaker(needs, query)
  let running = 0
  let isSpaced = false
  // What waits would be refused one query after the other.
  breaker.on('open', () => {
    for (let batch = line.take(); batch !== undefined; batch = line.take()) refuse(batch, unavailable())
  })
  return { statesOf, stop: () => breaker.shutdown() }

  function statesOf(tenant: string, names: readonly string[]): Promise<ReadonlyMap<string, NameState>> {
    if (line.names() + names.length > WAITING_NAMES) return Promise.reject(overloaded())
    if (breaker.opened && running >= QUERIES_AT_ONCE) return Promise.reject(unavailable())
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, NameState>>()
    line.add(tenant, { names, resolve, reject })
    begin()
    return promise
  }

  /** As many queries as may be begun now. */
  function begin(): void {
    while (running < QUERIES_AT_ONCE && (!isSpaced || line.names() >= LARGEST_QUERY)) {
      const batch = line.take()
      if (batch === undefined) return
      space()
      void answer(batch)
    }
  }

  function space(): void {
    if (isSpaced) return
    isSpaced = true
    needs.schedule(SPACING_MS, () => {
      isSpaced = false
      begin()
    })
  }

  /** Never rejects. */
  async function answer(batch: Batch): Promise<void> {
    const names = batch.requests.flatMap((request) => request.names)
    const turn: Turn = { isBegun: false }
    running += 1
    try {
      const states = await breaker.fire(batch.tenant, names, turn)
      for (const { resolve } of batch.requests) resolve(states)
    } catch (cause) {
      refuse(batch, cause instanceof Problem ? cause : unavailable(cause))
    } finally {
      if (!turn.isBegun) end()
    }
  }

  function query(tenant: string, names: readonly string[], turn: Turn): Promise<ReadonlyMap<string, NameState>> {
    turn.isBegun = true
    needs.events.queried(names.length)
    const states = needs.store.statesOf(tenant, names, needs.nowSeconds())
    states.then(end, end)
    return states
  }

  function end(): void {
    running -= 1
    begin()
  }
}

function refuse({ requests }: Batch, error: Problem): void {
  for (const { reject } of requests) reject(error)
}

function unavailable(cause?: unknown): Problem {
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause })
}

function overloaded(): Problem {
  return new Problem('overloaded', { headers: { 'retry-after': '1' } })
}

type Work = (tenant: string, names: readonly string[], turn: Turn) => Promise<ReadonlyMap<string, NameState>>

function createBreaker(needs: Pick<QueriesNeeds, 'events'>, work: Work) {
  const breaker = new CircuitBreaker(work, {
    timeout: ANSWER_MS,
    resetTimeout: RESET_MS,
    volumeThreshold: VOLUME,
    errorThresholdPercentage: 50,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  })
  breaker.on('open', () => needs.events.breaker('usernames_database', 'open'))
  breaker.on('halfOpen', () => needs.events.breaker('usernames_database', 'half-open'))
  breaker.on('close', () => needs.events.breaker('usernames_database', 'closed'))
  return breaker
}

interface Line {
  add(tenant: string, request: Request): void
  /** What one query may ask for, of one tenant: they take turns. */
  take(): Batch | undefined
  names(): number
}

function createLine(): Line {
  const byTenant = new Map<string, Request[]>()
  let names = 0
  return { add, take, names: () => names }

  function add(tenant: string, request: Request): void {
    const own = byTenant.get(tenant)
    if (own === undefined) byTenant.set(tenant, [request])
    else own.push(request)
    names += request.names.length
  }

  function take(): Batch | undefined {
    for (const [tenant, waiting] of byTenant) {
      const requests = waiting.splice(0, fitting(waiting))
      byTenant.delete(tenant)
      if (waiting.length > 0) byTenant.set(tenant, waiting)
      for (const request of requests) names -= request.names.length
      return { tenant, requests }
    }
    return undefined
  }
}

/** How many of the first ones go into one query; one at least. */
function fitting(requests: readonly Request[]): number {
  let names = 0
  for (const [index, request] of requests.entries()) {
    names += request.names.length
    if (names > LARGEST_QUERY) return Math.max(1, index)
  }
  return requests.length
}
