import type { Dispatcher } from 'undici'
import { createHttp2Exchange, type Http2Exchange, type Http2ExchangeNeeds } from './http2-exchange.ts'
import { openHttp2Session, type Http2Session, type Http2SessionConfig } from './http2-session.ts'
import { createSettling } from './settling.ts'
import { errors } from './undici-errors.ts'

export interface Http2PoolConfig extends Http2SessionConfig {
  /** Most connections. */
  readonly connections: number
  /** Until the head of an answer. */
  readonly responseMs: number
  /** Longest silence in the body of an answer. */
  readonly idleMs: number
}

/** What undici's pool is to HTTP/1.1. */
export interface Http2Pool {
  /** @throws InvalidArgumentError where the body is no stream, or the fields are no flat list */
  dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean
  /** Takes nothing more, and resolves when all that is under way is over. */
  close(): Promise<void>
  destroy(): Promise<void>
}

/** Streams that a connection is taken to have room for before any upstream here has said so. */
const USUAL_STREAMS = 100

/**
 * Connections over HTTP/2 to one place, each with many exchanges at once.
 *
 * Over TLS by ALPN, without it by prior knowledge (RFC 9113 §3.3). Another connection is opened when the streams of those that
 * are there are used up, and as long as there are fewer than `connections`; what still finds no room waits.
 *
 * Not undici's own, as of version 8.12: it repeats requests on its own account, bounds no head of an answer, takes an answer that
 * was reset for whole, keeps one connection to a client, and has a dynamic table that clients share.
 */
export function createHttp2Pool(needs: Http2ExchangeNeeds, config: Http2PoolConfig): Http2Pool {
  /** Those that take exchanges, or will. */
  const sessions = new Set<Http2Session>()
  /** Those that only finish what is under way. */
  const leaving = new Set<Http2Session>()
  const waiting = new Set<Http2Exchange>()
  let usualStreams = USUAL_STREAMS
  let state: 'open' | 'closing' | 'destroyed' = 'open'
  const settling = createSettling(closeWhenDone)
  let isFilling = false
  const options = { ...config, again: place, over: leave }
  return { dispatch, close, destroy }

  function dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const exchange = createHttp2Exchange(needs, options, request, handler)
    if (state === 'open') place(exchange)
    else exchange.fail(new errors.ClientClosedError())
    return state === 'open'
  }

  function place(exchange: Http2Exchange): void {
    for (const session of sessions) {
      if (!session.hasRoom()) continue
      session.run(exchange)
      return
    }
    if (state === 'destroyed') {
      exchange.fail(new errors.ClientDestroyedError())
      return
    }
    waiting.add(exchange)
    connectMore()
  }

  /** Whoever is gone while it waits is not waited for. */
  function leave(exchange: Http2Exchange): void {
    waiting.delete(exchange)
  }

  function connectMore(): void {
    let expected = 0
    for (const session of sessions) if (session.capacity() === undefined) expected += usualStreams
    while (waiting.size > expected && sessions.size < config.connections) {
      sessions.add(openHttp2Session(needs, config, { room, over, closed }))
      expected += usualStreams
    }
  }

  function room(session: Http2Session): void {
    usualStreams = Math.max(session.capacity() ?? USUAL_STREAMS, 1)
    // One that is broken off as it begins makes room at once.
    if (isFilling) return
    isFilling = true
    for (const exchange of waiting) {
      if (!session.hasRoom()) break
      waiting.delete(exchange)
      session.run(exchange)
    }
    isFilling = false
    if (waiting.size > 0) connectMore()
    else closeWhenDone()
  }

  function over(session: Http2Session, error?: Error): void {
    sessions.delete(session)
    leaving.add(session)
    if (error === undefined) {
      if (state !== 'destroyed') connectMore()
      return
    }
    // Those that could not be connected share their failure; others are there to serve who waits.
    if (sessions.size > 0) return
    const unserved = [...waiting]
    waiting.clear()
    for (const exchange of unserved) exchange.fail(error)
  }

  function closed(session: Http2Session): void {
    leaving.delete(session)
    closeWhenDone()
  }

  function closeWhenDone(): void {
    if (state === 'open' || waiting.size > 0) return
    for (const session of sessions) session.close()
    if (leaving.size === 0) settling.settle()
  }

  function close(): Promise<void> {
    if (state === 'open') state = 'closing'
    return settling.whenSettled()
  }

  function destroy(): Promise<void> {
    state = 'destroyed'
    const unserved = [...waiting]
    waiting.clear()
    for (const exchange of unserved) exchange.fail(new errors.ClientDestroyedError())
    for (const session of [...sessions, ...leaving]) session.destroy()
    return settling.whenSettled()
  }
}
