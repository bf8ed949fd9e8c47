import type { ResponseHeaders } from './answer-headers.ts'
import type { Destination } from './destination.ts'
import type { AnswerHandler, DispatchController, DispatchRequest } from './dispatch.ts'

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
  /** A small body in one piece, an octet each character. */
  text(body: string): void
  end(trailers: ResponseHeaders): void
  /** `wasSent`: something of the request may have arrived. */
  failed(error: Error, wasSent: boolean): void
}

/** Longest body of an unwanted answer that is read so that its connection can be kept. */
const MAX_UNWANTED_BYTES = 64 * 1024

/** Most answers before the final one (RFC 9110 §15.2): one that never comes must not be a way to keep us busy. */
const MOST_INTERIMS = 1000

/** An attempt with what is known of it; what is told of its answer is told to it. */
interface Running extends Attempt, AnswerHandler {
  readonly to: Destination
  readonly told: AttemptEvents
  controller: DispatchController | undefined
  broken: Error | undefined
  isOver: boolean
  isUnwanted: boolean
  unwantedBytes: number
  interims: number
}

/**
 * Sends a request to a destination, which has it among its load until the end. There is one for each request, so what it does is the
 * same functions for all of them.
 */
export function attempt(to: Destination, request: DispatchRequest, told: AttemptEvents): Attempt {
  const running: Running = {
    to,
    told,
    controller: undefined,
    broken: undefined,
    isOver: false,
    isUnwanted: false,
    unwantedBytes: 0,
    interims: 0,
    resume,
    abort,
    onRequestStart,
    onResponseStart,
    onResponseData,
    onResponseText,
    onResponseEnd,
    onResponseError,
  }
  to.load.inFlight += 1
  to.load.waiting += 1
  to.counts.active += 1
  to.pool.dispatch(request, running)
  return running
}

function resume(this: Running): void {
  this.controller?.resume()
}

function abort(this: Running, error: Error): void {
  this.broken = error
  this.controller?.abort(error)
}

function onRequestStart(this: Running, given: DispatchController): void {
  if (this.controller === undefined) {
    this.to.load.waiting -= 1
    this.to.load.carried += 1
  }
  this.controller = given
  if (this.broken !== undefined) given.abort(this.broken)
}

function onResponseStart(this: Running, _: DispatchController, status: number, headers: ResponseHeaders): void {
  if (this.broken !== undefined) return
  if (status >= 200) {
    if (!this.told.head(status, headers)) this.isUnwanted = true
    return
  }
  this.interims += 1
  if (this.interims > MOST_INTERIMS) this.abort(new Error('too many answers before the final one'))
  else this.told.interim(status, headers)
}

function onResponseData(this: Running, given: DispatchController, chunk: Buffer): void {
  if (this.isUnwanted) discard(this, given, chunk.length)
  else if (!this.told.data(chunk)) given.pause()
}

function onResponseText(this: Running, given: DispatchController, text: string): void {
  if (this.isUnwanted) discard(this, given, text.length)
  else this.told.text(text)
}

function discard(running: Running, given: DispatchController, bytes: number): void {
  running.unwantedBytes += bytes
  if (running.unwantedBytes > MAX_UNWANTED_BYTES) given.abort(new Error('the answer is not wanted'))
}

function onResponseEnd(this: Running, _: DispatchController, trailers: ResponseHeaders): void {
  leave(this)
  if (!this.isUnwanted) this.told.end(trailers)
}

function onResponseError(this: Running, _: DispatchController | undefined, error: Error): void {
  leave(this)
  if (!this.isUnwanted) this.told.failed(error, this.controller !== undefined)
}

function leave(running: Running): void {
  if (running.isOver) return
  const { load, counts } = running.to
  running.isOver = true
  load.inFlight -= 1
  if (running.controller === undefined) load.waiting -= 1
  else load.carried -= 1
  counts.active -= 1
}
