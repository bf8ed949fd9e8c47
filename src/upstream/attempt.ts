import type { ResponseHeaders } from './answer-headers.ts'
import type { Destination } from './destination.ts'
import type { DispatchController, DispatchRequest } from './dispatch.ts'

/** One request to one destination. */
export interface Attempt {
  /** Goes on with a body that was told to wait. */
  resume(): void
  /** Breaks it off; as soon as it has a connection, where it still waits for one. */
  abort(error: Error): void
}

/** What comes of an attempt. */
export interface AttemptEvents {
  interim(status: number, headers: ResponseHeaders): void
  /**
   * The head of the answer.
   *
   * @returns whether it is wanted: of one that is not, nothing more is told
   */
  head(status: number, headers: ResponseHeaders): boolean
  /** @returns false: no more for now */
  data(chunk: Buffer): boolean
  end(trailers: ResponseHeaders): void
  /** `wasSent`: something of the request may have arrived. */
  failed(error: Error, wasSent: boolean): void
}

/** Longest body of an unwanted answer that is read so that its connection can be kept. */
const MAX_UNWANTED_BYTES = 64 * 1024

/** Most answers before the final one (RFC 9110 §15.2): one that never comes must not be a way to keep us busy. */
const MOST_INTERIMS = 1000

/** Sends a request to a destination, which has it among its load until the end. */
export function attempt(to: Destination, request: DispatchRequest, told: AttemptEvents): Attempt {
  const { load, counts } = to
  let controller: DispatchController | undefined
  let broken: Error | undefined
  let isOver = false
  let isUnwanted = false
  let unwantedBytes = 0
  let interims = 0
  load.inFlight += 1
  load.waiting += 1
  counts.active += 1
  to.pool.dispatch(request, { onRequestStart, onResponseStart, onResponseData, onResponseEnd, onResponseError })
  return { resume, abort }

  function resume(): void {
    controller?.resume()
  }

  function abort(error: Error): void {
    broken = error
    controller?.abort(error)
  }

  function onRequestStart(given: DispatchController): void {
    if (controller === undefined) {
      load.waiting -= 1
      load.carried += 1
    }
    controller = given
    if (broken !== undefined) given.abort(broken)
  }

  function onResponseStart(_: DispatchController, status: number, headers: ResponseHeaders): void {
    if (broken !== undefined) return
    if (status >= 200) {
      if (!told.head(status, headers)) isUnwanted = true
      return
    }
    interims += 1
    if (interims > MOST_INTERIMS) abort(new Error('too many answers before the final one'))
    else told.interim(status, headers)
  }

  function onResponseData(given: DispatchController, chunk: Buffer): void {
    if (!isUnwanted) {
      if (!told.data(chunk)) given.pause()
      return
    }
    unwantedBytes += chunk.length
    if (unwantedBytes > MAX_UNWANTED_BYTES) given.abort(new Error('the answer is not wanted'))
  }

  function onResponseEnd(_: DispatchController, trailers: ResponseHeaders): void {
    leave()
    if (!isUnwanted) told.end(trailers)
  }

  function onResponseError(_: DispatchController | undefined, error: Error): void {
    leave()
    if (!isUnwanted) told.failed(error, controller !== undefined)
  }

  function leave(): void {
    if (isOver) return
    isOver = true
    load.inFlight -= 1
    if (controller === undefined) load.waiting -= 1
    else load.carried -= 1
    counts.active -= 1
  }
}
