import type { AnswerHandler, DispatchController, DispatchRequest } from './dispatch.ts'

/** What carries an exchange at present. */
export interface Carrier {
  fail(error: Error): void
  pause(): void
  resume(): void
}

/** One request and whoever waits for its answer. */
export interface Http1Exchange {
  readonly request: DispatchRequest
  readonly handler: AnswerHandler
  readonly controller: DispatchController
  /** Absent while it waits for a connection. */
  carrier: Carrier | undefined
  isStarted: boolean
  isOver: boolean
}

export function createExchange(request: DispatchRequest, handler: AnswerHandler): Http1Exchange {
  const controller: DispatchController = { abort, pause, resume }
  const exchange: Http1Exchange = {
    request,
    handler,
    controller,
    carrier: undefined,
    isStarted: false,
    isOver: false,
  }
  return exchange

  function abort(error: Error): void {
    if (exchange.carrier === undefined) failExchange(exchange, error)
    else exchange.carrier.fail(error)
  }

  function pause(): void {
    exchange.carrier?.pause()
  }

  function resume(): void {
    exchange.carrier?.resume()
  }
}

/** Tells whoever waits, once. */
export function failExchange(exchange: Http1Exchange, error: Error): void {
  if (exchange.isOver) return
  exchange.isOver = true
  exchange.carrier = undefined
  exchange.handler.onResponseError(exchange.isStarted ? exchange.controller : undefined, error)
}
