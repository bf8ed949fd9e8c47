/**
 * Ends what outlives its token: WebSockets, event streams, long answers, long uploads.
 *
 * A request is let in once, and what it opened may go on for hours. This room holds what lasts, finds by an index what a
 * revocation concerns, and ends what has expired; a route may say that a session which was refreshed goes on. It lets
 * nothing in, revokes nothing, and never makes an ordinary request pay: what is over within a quarter of a second enters a
 * set and leaves it, and is not looked at.
 *
 * @module
 */
import { OWN_ISSUER, type Authenticated, type Identified, type LiveEnd, type LiveExchange } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createCrowd } from './crowd.ts'
import { createDueTable } from './due-table.ts'
import { createTokenIndex, type Held, type TokenEnd } from './token-index.ts'

export type { TokenEnd } from './token-index.ts'

/** What the store knows of a session. All times in whole seconds since 1970. */
export interface LiveSession {
  readonly lastUsedAt: number
  /** No access token that it was given so far is taken after this. */
  readonly tokensUntil: number
  readonly expiresAt: number
}

export interface LiveNeeds {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Whether the revocations that are known here list the token. */
  isRevoked(principal: Identified): boolean
  /** Age of what is known of the revocations. */
  stalenessMs(): number
  /** Throws, or rejects, when a request like this one would be refused now for what is known of its token. */
  check(exchange: Authenticated): unknown
  /** The session of one of our own tokens; undefined when it has ended. Rejects when that cannot be told. */
  findSession(principal: Identified): Promise<LiveSession | undefined>
  /** Something was ended. */
  ended(reason: LiveEnd): void
}

export interface Live {
  /** Takes in what is probably over soon: it is held once it has lasted a quarter to half of a second. */
  enter(one: LiveExchange): void
  /** Holds what lasts by its nature. Ends it at once if its token was revoked since it was looked at. */
  hold(one: LiveExchange): void
  /** It is over. */
  leave(one: LiveExchange): void
  /** Ends what a revocation concerns; to be told of each as soon as it is in force. */
  revoked(what: TokenEnd): void
  /** Ends what is not taken any more for whatever else `isRevoked` goes by. */
  review(): void
  /** How many are held. */
  count(): number
  stop(): void
}

const TICK_MS = 250
/** A timer may be early by a part of a millisecond. */
const TIMER_SLACK_MS = 2
/** What a tenant or a user has open is ended in slices, so that requests get their turns. */
const SLICE = 256
/** Longest wait for a word about a session. */
const ASK_MS = 2000
/** A copy of the revocations is never younger than a part of a second: what a route wants below that cuts nothing. */
const LEAST_BOUND_MS = 1000
/** How many tokens the store is asked about in one tick while the copy is stale. */
const ASKS_PER_TICK = 500

export function createLive(needs: LiveNeeds): Live {
  let young = createCrowd()
  let older = createCrowd()
  const held = new Map<LiveExchange, Held>()
  const index = createTokenIndex()
  const due = createDueTable<Held>()
  /** Expired, and waiting for an answer that was asked for in time. */
  const overdue = new Set<Held>()
  let cancelTick: (() => void) | undefined
  return { enter, hold, leave, revoked, review, count: () => held.size, stop: () => cancelTick?.() }

  function enter(one: LiveExchange): void {
    young.add(one)
    if (cancelTick === undefined) arm()
  }

  function hold(one: LiveExchange): void {
    const { principal } = one
    const entry: Held = { one, dueSecond: Math.ceil(principal.expiresAt + principal.skewSeconds), passedMs: 0 }
    held.set(one, entry)
    index.add(entry)
    due.add(entry)
    if (cancelTick === undefined) arm()
    if (needs.isRevoked(principal)) end(entry, 'revoked')
  }

  function leave(one: LiveExchange): void {
    if (young.remove(one) || older.remove(one)) return
    const entry = held.get(one)
    if (entry === undefined) return
    held.delete(one)
    index.remove(entry)
    due.remove(entry)
    overdue.delete(entry)
  }

  function revoked(what: TokenEnd): void {
    if (held.size === 0) return
    inSlices([...index.concerned(what)], (entry) => {
      if (needs.isRevoked(entry.one.principal)) end(entry, 'revoked')
    })
  }

  function review(): void {
    inSlices([...held.values()], (entry) => {
      if (needs.isRevoked(entry.one.principal)) end(entry, 'revoked')
    })
  }

  function inSlices(entries: readonly Held[], judge: (entry: Held) => void): void {
    for (const entry of entries.slice(0, SLICE)) judge(entry)
    if (entries.length > SLICE) needs.schedule(0, () => inSlices(entries.slice(SLICE), judge))
  }

  function end(entry: Held, reason: LiveEnd): void {
    if (held.get(entry.one) !== entry) return
    if (!entry.one.end(reason)) {
      overdue.add(entry)
      return
    }
    leave(entry.one)
    needs.ended(reason)
  }

  /** Ticks fall on whole seconds, as the ends of tokens do. */
  function arm(): void {
    cancelTick = needs.schedule(TICK_MS - (needs.nowMs() % TICK_MS) + TIMER_SLACK_MS, tick)
  }

  function tick(): void {
    cancelTick = undefined
    for (let one = older.take(); one !== undefined; one = older.take()) hold(one)
    ;[young, older] = [older, young]
    const nowMs = needs.nowMs()
    for (const entry of overdue) end(entry, 'expired')
    inSlices(due.take(nowMs / 1000), (entry) => void expire(entry))
    recheck(nowMs)
    if (young.size() + older.size() + held.size > 0 && cancelTick === undefined) arm()
  }

  async function expire(entry: Held): Promise<void> {
    const { principal, exchange } = entry.one
    if (exchange.route.liveUntil !== 'session' || principal.issuer !== OWN_ISSUER || principal.session === undefined) {
      end(entry, 'expired')
      return
    }
    try {
      const until = renewedUntil(principal, await soon(needs.findSession(principal)))
      if (until <= needs.nowMs() / 1000) end(entry, 'expired')
      else if (held.get(entry.one) === entry) {
        entry.dueSecond = until
        due.add(entry)
      }
    } catch {
      // Nobody can say whether the session lives: what cannot be told is not let through.
      end(entry, 'unavailable')
    }
  }

  function soon<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(ASK_MS, () => reject(new Problem('storage_unavailable')))
      void answer.then(resolve, reject).finally(cancel)
    })
  }

  /** While the copy of the revocations is older than a route allows, what it carries is judged as a new request would be. */
  function recheck(nowMs: number): void {
    const stalenessMs = needs.stalenessMs()
    if (stalenessMs <= LEAST_BOUND_MS) return
    let asks = 0
    for (const entry of held.values()) {
      const { whenStale, maxStalenessMs } = entry.one.exchange.route.revocation
      const boundMs = Math.max(maxStalenessMs, LEAST_BOUND_MS)
      // A clock that was set back says nothing about when it passed.
      if (whenStale === 'allow' || stalenessMs <= boundMs || Math.abs(nowMs - entry.passedMs) < boundMs) continue
      if (whenStale === 'verify') {
        if (asks === ASKS_PER_TICK) continue
        asks += 1
      }
      entry.passedMs = nowMs
      void judge(entry)
    }
  }

  async function judge(entry: Held): Promise<void> {
    try {
      await needs.check(entry.one.exchange)
    } catch (error) {
      end(entry, Problem.from(error).kind === 'token_revoked' ? 'revoked' : 'unavailable')
    }
  }
}

/** Until when the session's newest token is good, seconds since 1970; 0 when the session ended or was not used since. */
function renewedUntil(principal: Identified, session: LiveSession | undefined): number {
  if (session === undefined || session.lastUsedAt <= (principal.issuedAt ?? 0)) return 0
  return Math.min(session.tokensUntil, Math.ceil(session.expiresAt + principal.skewSeconds))
}
