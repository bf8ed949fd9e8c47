/** A revocation room whose log, clock and timers the test holds in its hand. */
import { isDeepStrictEqual } from 'node:util'
import type { Authenticated, Identified, Route, WhenStale } from '../../../src/exchange/exchange.ts'
import { ANONYMOUS } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createRevocation } from '../../../src/revocation/revocation.ts'
import type {
  LogSlice,
  Revocation,
  RevocationCopy,
  RevocationLog,
  RevocationRoom,
  TokenFacts,
} from '../../../src/revocation/revocation.ts'

export const START_SECONDS = 1_800_000_000

export interface FakeLog extends RevocationLog {
  /** Appends and, unless told otherwise, wakes the readers. */
  append(revocation: Revocation, wakes?: 'wakes' | 'silent'): void
  /** Forgets what was appended from this position on, as a log does that is put back from a copy. */
  putBack(position: number): void
  readonly entries: Revocation[]
  /** What reads do. */
  mode: 'answers' | 'fails' | 'hangs' | 'away'
  /** Reads answer with what they found at their beginning, after this. */
  gate: Promise<void>
  batch: number
  /** Tail reads fail, snapshots do not. */
  refusesPosition: boolean
  /** How much older than the reading is what a read finds. */
  lagMs: number
  reads: number
  snapshots: number
  /** What was put back, call by call. */
  readonly restores: (readonly Revocation[])[]
}

export interface WorldOptions {
  readonly copy?: RevocationCopy
  /** Of another world: what a process that starts later finds. */
  readonly log?: FakeLog
}

export interface World {
  readonly room: RevocationRoom
  readonly log: FakeLog
  readonly told: string[]
  readonly lookup: { calls: TokenFacts[]; answer: (token: TokenFacts) => Promise<boolean> }
  nowSeconds(): number
  /** Moves both clocks, runs the timers that are due in their order, and lets what they began come to rest. */
  pass(milliseconds: number): Promise<void>
}

export function createWorld(more: WorldOptions = {}): World {
  const clock = createClock()
  const log = more.log ?? createLog(() => START_SECONDS + clock.nowMs() / 1000)
  const told: string[] = []
  const lookup: World['lookup'] = { calls: [], answer: async () => false }
  const room = createRevocation(
    {
      log,
      lookup: {
        isRevoked(token) {
          lookup.calls.push(token)
          return lookup.answer(token)
        },
      },
      ...(more.copy !== undefined && { copy: more.copy }),
      nowMs: () => START_SECONDS * 1000 + clock.nowMs(),
      monotonicMs: () => clock.nowMs(),
      random: () => 0.5,
      schedule: clock.schedule,
      events: {
        checked: (result, source) => void told.push(`${result} ${source}`),
        lag: (seconds) => void told.push(`lag ${seconds}`),
        breaker: (state) => void told.push(`breaker ${state}`),
        feed: (state) => void told.push(`feed ${state}`),
        listenerFailed: () => void told.push('listener failed'),
        restored: (count) => void told.push(`restored ${count}`),
        copyLoaded: (ageSeconds) => void told.push(`copy of ${ageSeconds} s`),
        copyRefused: (cause) => void told.push(`copy refused: ${cause instanceof Error ? cause.message : ''}`),
        copyKept: (state) => void told.push(`copy ${state}`),
      },
    },
    { maxStalenessMs: 10_000, whenStale: 'deny', breaker: { timeoutMs: 20, errorThreshold: 0.5, resetAfterMs: 50 } },
  )
  return { room, log, told, lookup, nowSeconds: () => START_SECONDS + clock.nowMs() / 1000, pass: clock.pass }
}

function createClock() {
  let nowMs = 0
  let timers: { atMs: number; run: () => void }[] = []
  return { nowMs: () => nowMs, schedule, pass }

  function schedule(delayMs: number, run: () => void): () => void {
    const timer = { atMs: nowMs + delayMs, run }
    timers.push(timer)
    return () => {
      timers = timers.filter((other) => other !== timer)
    }
  }

  async function pass(milliseconds: number): Promise<void> {
    const endMs = nowMs + milliseconds
    await rest()
    for (;;) {
      const due = timers.filter((timer) => timer.atMs <= endMs).toSorted((one, other) => one.atMs - other.atMs)[0]
      if (due === undefined) break
      timers = timers.filter((timer) => timer !== due)
      nowMs = Math.max(nowMs, due.atMs)
      due.run()
      await rest()
    }
    nowMs = endMs
  }
}

/** What waits for nothing but promises runs its course. */
export async function rest(): Promise<void> {
  await new Promise(setImmediate)
}

function createLog(nowSeconds: () => number): FakeLog {
  const wakes = new Set<() => void>()
  const log: FakeLog = {
    entries: [],
    mode: 'answers',
    gate: Promise.resolve(),
    batch: 3,
    refusesPosition: false,
    lagMs: 0,
    reads: 0,
    snapshots: 0,
    restores: [],
    append(revocation, how = 'wakes') {
      log.entries.push(revocation)
      if (how === 'wakes') for (const wake of wakes) wake()
    },
    putBack(position) {
      log.entries.splice(position)
    },
    async *snapshot(): AsyncGenerator<LogSlice> {
      log.snapshots += 1
      const position = String(log.entries.length)
      const alive = log.entries.filter((entry) => entry.expiresAt >= nowSeconds())
      await behave()
      for (let from = 0; ; from += log.batch) {
        const complete = from + log.batch >= alive.length
        yield { position, revocations: alive.slice(from, from + log.batch), complete }
        if (complete) return
        await behave()
      }
    },
    async readAfter(position): Promise<LogSlice> {
      log.reads += 1
      const isAhead = Number(position) > log.entries.length
      const slice: LogSlice = isAhead
        ? { position, revocations: [], complete: false, isRestart: true }
        : { ...sliceAfter(Number(position)), ...(log.lagMs > 0 && { lagMs: log.lagMs }) }
      await behave()
      if (log.refusesPosition) throw new Error('no such position')
      return slice
    },
    async restore(revocations): Promise<number> {
      log.restores.push(revocations)
      await behave()
      const lacking = revocations.filter((one) => !log.entries.some((entry) => isDeepStrictEqual(entry, one)))
      for (const one of lacking) log.append(one)
      return lacking.length
    },
    onAppend(wake) {
      wakes.add(wake)
      return () => void wakes.delete(wake)
    },
  }
  return log

  function sliceAfter(position: number): LogSlice {
    const revocations = log.entries.slice(position, position + log.batch)
    const end = position + revocations.length
    return { position: String(end), revocations, complete: end === log.entries.length }
  }

  async function behave(): Promise<void> {
    if (log.mode === 'hangs') await new Promise(() => undefined)
    await log.gate
    if (log.mode === 'away') throw new Problem('storage_unavailable')
    if (log.mode === 'fails') throw new Error('the log is away')
  }
}

export const PRINCIPAL: Identified = {
  kind: 'identified',
  issuer: 'gateway',
  tenant: 'acme',
  user: 'u1',
  session: 's1',
  tokenId: 't1',
  epoch: 1,
  issuedAt: START_SECONDS,
  keyId: 'k1',
  expiresAt: START_SECONDS + 900,
  skewSeconds: 2,
  scopes: [],
  tokenType: 'access',
  algorithm: 'RS256',
  claims: {},
}

export function exchangeOf(
  principal: Identified | 'anonymous' = PRINCIPAL,
  whenStale: WhenStale = 'deny',
  method = 'GET',
  maxStalenessMs = 10_000,
): Authenticated {
  return {
    id: 'r1',
    method,
    target: '/api',
    host: 'localhost',
    authority: 'localhost',
    rawHeaders: [],
    peer: '127.0.0.1',
    trusted: false,
    client: '127.0.0.1',
    scheme: 'http',
    upgrade: false,
    startedMs: 0,
    bodyLength: 0,
    expectsContinue: false,
    route: { ...ROUTE, revocation: { whenStale, maxStalenessMs } },
    path: '/api',
    forwardPath: '/api',
    query: '',
    params: new Map(),
    principal: principal === 'anonymous' ? ANONYMOUS : principal,
  }
}

const ROUTE: Route = {
  name: 'api',
  match: { hosts: [], path: '/api', methods: [], headers: new Map() },
  auth: 'optional',
  scopes: [],
  claims: new Map(),
  revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
  bodyBytes: 1024,
  forwardToken: false,
  host: 'upstream',
  requestHeaders: { set: new Map(), remove: new Set() },
  responseHeaders: { set: new Map(), remove: new Set() },
  websocket: false,
  encodedSlash: 'reject',
  target: { kind: 'upstream', upstream: 'api' },
}

/** What a revocation says of a token, said once more: what the room holds must come to the same. */
export function covers(revocation: Revocation, token: TokenFacts): boolean {
  if (revocation.tenant !== token.tenant) return false
  if (revocation.kind === 'token') return revocation.id === token.tokenId
  if (revocation.kind === 'session') return revocation.id === token.session
  if (revocation.kind === 'key') return revocation.id === token.keyId
  const isOld = token.issuedAt === undefined || token.issuedAt <= revocation.at
  if (revocation.kind === 'tenant') return isOld
  return revocation.id === token.user && (token.epoch === undefined ? isOld : token.epoch < revocation.epoch)
}
