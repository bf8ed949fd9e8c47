/** What is live, with a clock, timers, revocations and sessions that the test holds in its hand. */
import type { Identified, LiveEnd, LiveExchange, Route } from '../../../src/exchange/exchange.ts'
import { createLive, type Live, type LiveSession, type TokenEnd } from '../../../src/live/live.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { ADMITTED } from '../telemetry/world.ts'

export const START_SECONDS = 1_800_000_000

/** An exchange that notes why it was ended. */
export interface TestExchange extends LiveExchange {
  readonly ends: LiveEnd[]
  /** Whether it only waits for its answer. */
  waits: boolean
}

export interface World {
  readonly live: Live
  /** Reasons that were counted. */
  readonly counted: LiveEnd[]
  /** Timers that wait. */
  timers(): number
  /** Exchanges that `check` was asked about. */
  readonly checked: string[]
  stalenessMs: number
  /** What the route makes of a token while the copy is stale. */
  verdict: 'passes' | 'token_revoked' | 'revocation_unavailable'
  findSession: (principal: Identified) => Promise<LiveSession | undefined>
  /** Puts it into force and tells of it. */
  revoke(what: TokenEnd): void
  /** Puts it into force before it is told of. */
  list(what: TokenEnd): void
  /** Moves the clock, runs what is due in its order, and lets what that began come to rest. */
  pass(milliseconds: number): Promise<void>
  /** Sets the wall clock back. Timers do not go by it. */
  setBack(milliseconds: number): void
}

export function principalOf(more: Partial<Identified> = {}): Identified {
  return {
    kind: 'identified',
    issuer: 'gateway',
    tenant: 'acme',
    user: 'alice',
    scopes: [],
    session: 'sid-1',
    tokenId: 'jti-1',
    keyId: 'kid-1',
    issuedAt: START_SECONDS - 10,
    expiresAt: START_SECONDS + 60,
    skewSeconds: 2,
    tokenType: 'access',
    algorithm: 'ES256',
    claims: {},
    ...more,
  }
}

export function exchangeOf(world: World, more: Partial<Identified> = {}, route: Partial<Route> = {}): TestExchange {
  const principal = principalOf(more)
  const one: TestExchange = {
    exchange: { ...ADMITTED, id: principal.tokenId ?? '', route: { ...ADMITTED.route, ...route }, principal },
    principal,
    ends: [],
    waits: false,
    place: -1,
    end(reason) {
      if (one.waits && reason === 'expired') return false
      one.ends.push(reason)
      world.live.leave(one)
      return true
    },
  }
  return one
}

export function createWorld(): World {
  let nowMs = START_SECONDS * 1000
  const timers = new Set<{ atMs: number; readonly run: () => void }>()
  const listed: TokenEnd[] = []
  const counted: LiveEnd[] = []
  const checked: string[] = []
  const live = createLive({
    nowMs: () => nowMs,
    schedule(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    isRevoked: (principal) => listed.some((what) => covers(what, principal)),
    stalenessMs: () => world.stalenessMs,
    check(exchange) {
      checked.push(exchange.id)
      if (world.verdict !== 'passes') throw new Problem(world.verdict)
    },
    findSession: (principal) => world.findSession(principal),
    ended: (reason) => counted.push(reason),
  })
  const world: World = {
    live,
    counted,
    checked,
    timers: () => timers.size,
    stalenessMs: 100,
    verdict: 'passes',
    findSession: async () => undefined,
    list: (what) => void listed.push(what),
    revoke(what) {
      listed.push(what)
      live.revoked(what)
    },
    setBack(milliseconds) {
      nowMs -= milliseconds
      for (const timer of timers) timer.atMs -= milliseconds
    },
    async pass(milliseconds) {
      const untilMs = nowMs + milliseconds
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= untilMs).toSorted((one, other) => one.atMs - other.atMs)
        if (next === undefined) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.atMs)
        next.run()
        await new Promise((resolve) => setImmediate(resolve))
      }
      nowMs = untilMs
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  return world
}

function covers(what: TokenEnd, principal: Identified): boolean {
  if (what.tenant !== principal.tenant) return false
  if (what.kind === 'tenant') return true
  const ids = { token: principal.tokenId, session: principal.session, user: principal.user, key: principal.keyId }
  return ids[what.kind] === what.id
}
