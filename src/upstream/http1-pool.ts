import type { AnswerHandler, DispatchPool, DispatchRequest } from './dispatch.ts'
import { openHttp1Connection, type Http1Connection, type Http1ConnectionConfig } from './http1-connection.ts'
import { createExchange, failExchange, type Http1Exchange } from './http1-exchange.ts'
import { createHeadWriter } from './http1-head.ts'
import { createQueue, type Queue } from './queue.ts'
import { createSettling } from './settling.ts'
import { errors } from './undici-errors.ts'

export interface Http1PoolNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** Runs once after what came in with this turn of the event loop. */
  endOfTurn(run: () => void): void
}

export interface Http1PoolConfig extends Omit<Http1ConnectionConfig, 'heads'> {
  /** What requests say in Host. */
  readonly authority: string
  /** Most connections. */
  readonly connections: number
}

/** What is looked at later than this was kept from it: what came meanwhile is not read yet. */
const STALL_MS = 200
const AFTER_STALL_MS = 50

/**
 * Connections over HTTP/1.1 without TLS to one place, each with one request at a time; the one that was used last is used next.
 *
 * Requests are handed to connections at the end of a turn of the event loop, and a connection rests for a turn behind an answer:
 * by then one that was closed, or has something to say that nobody asked for, was heard, and is no more (GHSA-35p6-xmwp-9g52).
 * A request that meets with the close of a kept connection all the same is sent once more, on a new one, where that is harmless.
 */
export function createHttp1Pool(needs: Http1PoolNeeds, config: Http1PoolConfig): DispatchPool {
  const toConnection = { ...config, heads: createHeadWriter(config.authority) }
  const connections = new Set<Http1Connection>()
  const idle: Http1Connection[] = []
  /** Those that have answered in this turn, and in the one before. */
  let resting: Http1Connection[] = []
  let rested: Http1Connection[] = []
  const waiting = createQueue<Http1Exchange>()
  /** Those that want a connection that nobody has used: before all others. */
  const again = createQueue<Http1Exchange>()
  let connecting = 0
  let state: 'open' | 'closing' | 'destroyed' = 'open'
  let isPlanned = false
  let lookMs = Infinity
  let cancelLook: (() => void) | undefined
  const settling = createSettling(closeWhenDone)
  const on = { opened, free, missed, closed, due }
  return { dispatch, close, destroy }

  function dispatch(request: DispatchRequest, handler: AnswerHandler): void {
    const exchange = createExchange(request, handler)
    if (state !== 'open') {
      failExchange(exchange, new errors.ClientClosedError())
      return
    }
    waiting.add(exchange)
    plan()
  }

  function plan(): void {
    if (isPlanned) return
    isPlanned = true
    needs.endOfTurn(endTurn)
  }

  function endTurn(): void {
    isPlanned = false
    for (const connection of rested) if (connections.has(connection)) idle.push(connection)
    rested = resting
    resting = []
    if (rested.length > 0) plan()
    serve()
  }

  function serve(): void {
    while (waiting.size() > 0) {
      const connection = idle.pop()
      if (connection === undefined) break
      const exchange = next(waiting)
      if (exchange === undefined || !connection.run(exchange)) idle.push(connection)
    }
    connectMore()
    closeWhenDone()
  }

  /** Of those that wait, the next one that is still wanted. */
  function next(queue: Queue<Http1Exchange>): Http1Exchange | undefined {
    let exchange = queue.take()
    while (exchange?.isOver === true) exchange = queue.take()
    return exchange
  }

  function nextOfAll(): Http1Exchange | undefined {
    return next(again) ?? next(waiting)
  }

  function connectMore(): void {
    // Those that rest take one each in the next turn.
    const expected = resting.length + rested.length
    const wanted = again.size() + Math.max(0, waiting.size() - expected)
    while (connecting < wanted && connections.size < config.connections) {
      connecting += 1
      connections.add(openHttp1Connection(needs, toConnection, on))
    }
  }

  function opened(connection: Http1Connection): void {
    connecting -= 1
    const exchange = nextOfAll()
    if (exchange === undefined || !connection.run(exchange)) free(connection)
  }

  function free(connection: Http1Connection): void {
    resting.push(connection)
    plan()
  }

  function missed(exchange: Http1Exchange): void {
    if (state === 'destroyed') failExchange(exchange, new errors.ClientDestroyedError())
    else again.add(exchange)
  }

  function closed(connection: Http1Connection, error?: Error): void {
    connections.delete(connection)
    const place = idle.indexOf(connection)
    if (place !== -1) idle.splice(place, 1)
    if (error !== undefined) notConnected(error)
    else if (state !== 'destroyed') connectMore()
    closeWhenDone()
  }

  /**
   * Fails one that waited for it. When there is no other connection, nobody has one to wait for. One that was sent already fails by
   * what it met first: it broke off, and is no less fit for another server than if it had not been tried here again.
   */
  function notConnected(error: Error): void {
    connecting -= 1
    let exchange = again.size() + waiting.size() > connecting ? nextOfAll() : undefined
    while (exchange !== undefined) {
      failExchange(exchange, exchange.missedBy ?? error)
      exchange = connections.size === 0 ? nextOfAll() : undefined
    }
  }

  function due(atMs: number): void {
    if (atMs >= lookMs) return
    cancelLook?.()
    lookMs = atMs
    cancelLook = needs.schedule(atMs - needs.monotonicMs(), look)
  }

  /** One timer for all: it looks at each connection, and is set again for the one that is due first. */
  function look(): void {
    const nowMs = needs.monotonicMs()
    const wasLate = nowMs - lookMs > STALL_MS
    lookMs = Infinity
    if (wasLate) {
      due(nowMs + AFTER_STALL_MS)
      return
    }
    let earliestMs = Infinity
    for (const connection of connections) {
      connection.look(nowMs)
      earliestMs = Math.min(earliestMs, connection.dueMs())
    }
    if (earliestMs < Infinity) due(earliestMs)
  }

  function closeWhenDone(): void {
    if (state === 'open' || again.size() + waiting.size() > 0) return
    for (const connection of idle.splice(0)) connection.destroy()
    if (connections.size > 0) return
    cancelLook?.()
    settling.settle()
  }

  function close(): Promise<void> {
    if (state === 'open') state = 'closing'
    return settling.whenSettled()
  }

  function destroy(): Promise<void> {
    state = 'destroyed'
    for (let exchange = nextOfAll(); exchange !== undefined; exchange = nextOfAll()) {
      failExchange(exchange, new errors.ClientDestroyedError())
    }
    for (const connection of connections) connection.destroy()
    return settling.whenSettled()
  }
}
