import type { AnswerHandler, DispatchController, DispatchRequest } from './dispatch.ts'
import { isRepeatable } from './retries.ts'

/** What carries an exchange at present. */
export interface Carrier {
  fail(error: Error): void
  pause(): void
  resume(): void
}

/** One request and whoever waits for its answer, who may also do something to it. */
export interface Http1Exchange extends DispatchController {
  readonly request: DispatchRequest
  readonly handler: AnswerHandler
  /** Absent while it waits for a connection. */
  carrier: Carrier | undefined
  isStarted: boolean
  /** What ended the connection that it was sent on first, when the other side closed that at the same moment. */
  missedBy: Error | undefined
  isOver: boolean
}

/** There is one for each request, so what it does is the same functions for all of them. */
export function createExchange(request: DispatchRequest, handler: AnswerHandler): Http1Exchange {
  return { request, handler, carrier: undefined, isStarted: false, missedBy: undefined, isOver: false, abort, pause, resume }
}

function abort(this: Http1Exchange, error: Error): void {
  if (this.carrier === undefined) failExchange(this, error)
  else this.carrier.fail(error)
}

function pause(this: Http1Exchange): void {
  this.carrier?.pause()
}

function resume(this: Http1Exchange): void {
  this.carrier?.resume()
}

/**
 * Takes it from its carrier, so that another may have it: once, and only what may be sent twice. A client may do so by itself when a
 * connection that was kept is closed before anything of an answer came (RFC 9112 §9.3.1).
 */
export function releaseOnce(exchange: Http1Exchange, error: Error): boolean {
  const { request } = exchange
  if (exchange.missedBy !== undefined || !isRepeatable(request.method, request.body === null ? 0 : undefined)) return false
  exchange.missedBy = error
  exchange.carrier = undefined
  return true
}

/** Tells whoever waits, once. */
export function failExchange(exchange: Http1Exchange, error: Error): void {
  if (exchange.isOver) return
  exchange.isOver = true
  exchange.carrier = undefined
  exchange.handler.onResponseError(exchange.isStarted ? exchange : undefined, error)
}
