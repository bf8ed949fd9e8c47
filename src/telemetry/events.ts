import type { LiveEnd } from '../exchange/exchange.ts'
import type { Log } from './log.ts'
import { NONE } from './names.ts'
import type { Metrics } from './metrics.ts'
import { traceEvents, type TraceEvents } from './trace-events.ts'

/** What each room reports; every member fits the interface that the room declares. */
export interface Events {
  readonly authenticator: {
    /** `reason` is the code of the refusal, or `ok`. */
    decided(tenant: string | undefined, result: 'accepted' | 'refused' | 'anonymous', reason: string): void
    /** A look-up in the cache of verified tokens. */
    cache(result: 'hit' | 'miss'): void
    /** A signature was verified. */
    validated(tokenType: string, algorithm: string): void
    validationSeconds(seconds: number): void
    jwksFetched(issuer: string, result: 'ok' | 'error', cause?: unknown): void
    /** A key of an issuer was not taken. */
    keyDropped(issuer: string, reason: string): void
  }
  readonly revocation: {
    checked(result: 'clear' | 'revoked' | 'unknown', source: 'replica' | 'store' | 'skipped'): void
    lag(seconds: number): void
    breaker(state: 'closed' | 'open'): void
    feed(state: 'up' | 'down', cause?: unknown): void
    listenerFailed(cause: unknown): void
    restored(count: number): void
    copyLoaded(ageSeconds: number): void
    copyRefused(cause: unknown): void
    copyKept(state: 'up' | 'down', cause?: unknown): void
  }
  readonly live: {
    /** Something that a token carried was ended. */
    ended(reason: LiveEnd): void
  }
  readonly quota: {
    /** A request was refused by a rate limit. */
    limited(route: string, by: string): void
    /** Where a request was counted, or found to have no room. */
    counted(where: 'shared' | 'here'): void
    /** Requests are counted by this process alone, or by the fleet; told at the opening too, where there is one. */
    breaker(state: 'closed' | 'open'): void
  }
  readonly redis: {
    /** A command was answered, or failed. */
    observe(seconds: number): void
    /** A write was not seen on a replica in time. */
    unreplicated(): void
    /** Commands are refused at once, or are sent; told at the opening too. */
    breaker(state: 'closed' | 'open'): void
    /** A Redis that was away at the start cannot be used by this gateway. */
    unfit(cause: unknown): void
  }
  readonly database: {
    /** The database of accounts is there again, or away. */
    accountsUp(isUp: boolean): void
    /** It was asked for something. */
    accountsAsked(kind: string): void
  }
  readonly sessions: {
    /** `created`, `ended`, `all_ended`, `login_failed` … */
    event(tenant: string, event: string, by?: number): void
  }
  readonly usernames: {
    checked(tenant: string, layer: string, result: string): void
    checkSeconds(seconds: number, layer: string): void
    /** One query of the database. */
    queried(): void
    conflict(): void
    probing(tenant: string, pattern: string): void
    squatting(tenant: string, pattern: string): void
    breaker(dependency: string, state: 'closed' | 'half-open' | 'open'): void
    feed(state: 'up' | 'down', cause?: unknown): void
  }
  readonly legacyChannel: {
    /** A message of the channel was dealt with; `result` is a word of a fixed list. */
    message(direction: 'in' | 'out', result: string): void
    /** The channel is heard, or is not. */
    heard(state: 'up' | 'down', cause?: unknown): void
    /** More messages came than could be dealt with. */
    flooded(): void
    /** A revocation that was heard of could not be written. */
    lost(cause: unknown): void
  }
  readonly listener: {
    /** The handshake of TLS failed on a connection. */
    handshakeFailed(reason: string): void
    /** So many did for this reason since the last line about it; `client` is that of the latest. */
    handshakesFail(failing: { readonly reason: string; readonly failures: number; readonly client: string }): void
  }
  readonly overload: {
    /** A request was refused because there was too much to do. */
    shed(reason: string, priority: string): void
    /** A connection was closed as soon as it came: too many in all, or of this client. */
    turnedAway(limit: string): void
    /** Requests begin to be refused. */
    began(reason: string): void
    /** None was refused for a while: after so long, so many. */
    ended(facts: { readonly seconds: number; readonly refused: number }): void
  }
  readonly traces: TraceEvents
  readonly workers: {
    ready(worker: number, pid: number): void
    died(
      worker: number,
      facts: { readonly pid: number; readonly code: number; readonly signal?: string; readonly againMs: number },
    ): void
    failed(worker: number, cause: unknown): void
  }
  readonly upstream: {
    /** The head of an answer came. */
    answered(upstream: string, seconds: number): void
    /** A request was sent again; `over_budget`: it would have been. */
    retried(upstream: string, reason: string): void
    breaker(upstream: string, state: 'closed' | 'half-open' | 'open'): void
    /** A target takes requests again, or does not any more. */
    target(upstream: string, target: number, state: 'in' | 'unhealthy' | 'ejected', why?: string): void
    /** Every target is out, and all are used. */
    allOut(upstream: string): void
    /** The name of a target is at so many addresses now, and others than before. */
    moved(upstream: string, target: number, addresses: number): void
  }
}

const BREAKER_STATES = { closed: 0, 'half-open': 1, open: 2 } as const
const REVOCATION_STORE = { dependency: 'revocation_store' } as const
const REDIS = { dependency: 'redis' } as const

export function createEvents(metrics: Metrics, log: Log): Events {
  const failing = new Set<string>()
  metrics.breaker.set(REVOCATION_STORE, BREAKER_STATES.closed)
  let redis: 'closed' | 'open' = 'closed'
  return {
    authenticator: {
      decided: (tenant, result, reason) => metrics.decisions.add(tenant ?? NONE, result, reason),
      cache: (result) => metrics.cache.add(result),
      validated: (tokenType, algorithm) => metrics.validated.add(tokenType, algorithm),
      validationSeconds: (seconds) => metrics.validationSeconds.observe(seconds),
      jwksFetched,
      keyDropped: (issuer, reason) => log.warn('a key of an issuer was not taken', { issuer, reason }),
    },
    revocation: {
      checked: (result, source) => metrics.revocationChecks.add(result, source),
      lag: (seconds) => metrics.lagSeconds.observe(seconds),
      breaker(state) {
        metrics.breaker.set(REVOCATION_STORE, BREAKER_STATES[state])
        log.warn('the circuit breaker of the revocation store changed', { state })
      },
      feed(state, cause) {
        if (state === 'up') log.info('revocations are read again')
        else log.error('revocations cannot be read, the local copy goes on', { cause })
      },
      listenerFailed: (cause) => log.error('a revocation could not be passed on', { cause }),
      restored(count) {
        metrics.restored.inc(count)
        log.warn('revocations that Redis had lost were put back', { count })
      },
      copyLoaded(ageSeconds) {
        const age = Number.isFinite(ageSeconds)
          ? { age_seconds: Math.round(ageSeconds) }
          : { age: 'unknown, the clock went backwards' }
        log.info('the revocations of the last run are enforced from their copy on the disk', age)
      },
      copyRefused: (cause) => log.warn('the copy of the revocations on the disk cannot be used and is left aside', { cause }),
      copyKept(state, cause) {
        if (state === 'up') log.info('the copy of the revocations is written again')
        else log.warn('the copy of the revocations cannot be written: a start without Redis would not know them', { cause })
      },
    },
    quota: quotaEvents(metrics, log),
    live: { ended: (reason) => metrics.liveEnds.add(reason) },
    redis: {
      observe: (seconds) => metrics.redisSeconds.observe(seconds),
      unreplicated: () => metrics.unreplicated.inc(),
      breaker(state) {
        metrics.breaker.set(REDIS, BREAKER_STATES[state])
        if (state !== redis) log.warn('the circuit breaker of Redis changed', { state })
        redis = state
      },
      unfit: (cause) => log.error('this Redis cannot be used: everything that needs it is refused', { cause }),
    },
    database: {
      accountsUp: (isUp) => log.warn(isUp ? 'the accounts database is there again' : 'the accounts database is away'),
      accountsAsked: (kind) => metrics.databaseQueries.add(kind),
    },
    sessions: { event: countSessions },
    listener: {
      handshakeFailed: (reason) => metrics.handshakeFailures.add(reason),
      handshakesFail: ({ reason, failures, client }) => log.warn('TLS handshakes fail', { reason, failures, client }),
    },
    overload: {
      shed: (reason, priority) => metrics.shed.add(reason, priority),
      turnedAway: (limit) => metrics.turnedAway.add(limit),
      began: (reason) => log.warn('overloaded: requests are refused', { reason }),
      ended: (facts) => log.info('not overloaded any more', facts),
    },
    traces: traceEvents(metrics, log),
    workers: {
      // Told of by the worker itself, with the port.
      ready: () => undefined,
      died(worker, { pid, code, signal, againMs }) {
        metrics.workerDeaths.inc()
        log.error('a worker died and is replaced', {
          worker,
          pid,
          code,
          ...(signal !== undefined && { signal }),
          again_ms: againMs,
        })
      },
      failed: (worker, cause) => log.warn('a worker and the primary did not understand each other', { worker, cause }),
    },
    usernames: usernameEvents(metrics, log),
    legacyChannel: {
      message: (direction, result) => metrics.legacyMessages.add(direction, result),
      heard(state, cause) {
        if (state === 'up') log.info('the legacy channel is heard')
        else log.warn('the legacy channel is not heard: what the older service ends meanwhile is missed', { cause })
      },
      flooded: () => log.error('too many messages on the legacy channel: some are dropped'),
      lost: (cause) => log.error('the older service ended a token, and its revocation could not be written', { cause }),
    },
    upstream: upstreamEvents(metrics, log),
  }

  function countSessions(tenant: string, event: string, by = 1): void {
    for (let counted = 0; counted < by; counted += 1) metrics.sessions.add(tenant, event)
  }

  /** Counts each fetch; says only when it begins to fail and when it is well again. */
  function jwksFetched(issuer: string, result: 'ok' | 'error', cause?: unknown): void {
    metrics.jwksFetches.add(issuer, result)
    if (result === 'error' && !failing.has(issuer)) {
      failing.add(issuer)
      log.warn('the keys of an issuer cannot be read, those that are known go on', { issuer, cause })
    }
    if (result === 'ok' && failing.delete(issuer)) log.info('the keys of an issuer are read again', { issuer })
  }
}

function quotaEvents(metrics: Metrics, log: Log): Events['quota'] {
  let before: 'closed' | 'open' = 'closed'
  return {
    limited: (route, by) => metrics.rateLimited.add(route, by),
    counted: (where) => metrics.rateLimitChecks.add(where),
    breaker(state) {
      metrics.breaker.set({ dependency: 'rate_limits' }, BREAKER_STATES[state])
      if (state === before) return
      before = state
      if (state === 'closed') log.info('rate limits are counted in common again')
      else log.warn('rate limits are counted by this process alone: the common counts do not answer')
    },
  }
}

function upstreamEvents(metrics: Metrics, log: Log): Events['upstream'] {
  const breakers = new Map<string, string>()
  return {
    answered: (upstream, seconds) => metrics.upstreamSeconds.observe(seconds, upstream),
    retried: (upstream, reason) => metrics.upstreamRetries.add(upstream, reason),
    breaker(upstream, state) {
      metrics.breaker.set({ dependency: `upstream:${upstream}` }, BREAKER_STATES[state])
      if ((breakers.get(upstream) ?? 'closed') !== state)
        log.warn('the circuit breaker of an upstream changed', { upstream, state })
      breakers.set(upstream, state)
    },
    target(upstream, target, state, why) {
      if (state === 'ejected') metrics.upstreamEjections.add(upstream)
      if (state === 'in') log.info('a target of an upstream takes requests again', { upstream, target, why })
      else log.warn('a target of an upstream is left out', { upstream, target, state, why })
    },
    allOut: (upstream) => log.error('every target of an upstream is out: all are used', { upstream }),
    moved: (upstream, target, addresses) =>
      log.info('the name of a target of an upstream is at other addresses', { upstream, target, addresses }),
  }
}

function usernameEvents(metrics: Metrics, log: Log): Events['usernames'] {
  for (const dependency of ['usernames_redis', 'usernames_database']) metrics.breaker.set({ dependency }, BREAKER_STATES.closed)
  return {
    checked: (tenant, layer, result) => metrics.usernameChecks.add(tenant, layer, result),
    checkSeconds: (seconds, layer) => metrics.usernameSeconds.observe(seconds, layer),
    queried: () => metrics.usernameQueries.inc(),
    conflict: () => metrics.usernameConflicts.inc(),
    probing: (tenant, pattern) => metrics.usernameProbing.add(tenant, pattern),
    squatting: (tenant, pattern) => metrics.usernameSquatting.add(tenant, pattern),
    breaker(dependency, state) {
      metrics.breaker.set({ dependency }, BREAKER_STATES[state])
      log.warn('a circuit breaker of the usernames changed', { dependency, state })
    },
    feed(state, cause) {
      if (state === 'up') log.info('the feed of usernames is read again')
      else log.warn('the feed of usernames cannot be read, checks ask the database', { cause })
    },
  }
}
