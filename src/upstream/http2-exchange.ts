import { constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { http2Failure, CONNECTION_LOST, RESET, UNPROCESSED } from './http2-failures.ts'
import { receivedFields, requestFields } from './http2-fields.ts'
import { createUpload } from './http2-upload.ts'
import { createWatch } from './watch.ts'
import { errors } from './undici-errors.ts'

export interface Http2ExchangeNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Http2ExchangeConfig {
  readonly origin: URL
  readonly responseMs: number
  readonly idleMs: number
  /** The upstream did not look at the request, and it is all still there: it may have another stream. */
  again(exchange: Http2Exchange): void
  /** Nobody waits for it any more. */
  over(exchange: Http2Exchange): void
}

/** One request and its answer. */
export interface Http2Exchange {
  /** Sends the request as a stream of its own; `released` is called when that stream is closed. */
  send(session: ClientHttp2Session, released: (exchange: Http2Exchange) => void): void
  /** The upstream goes away, and did not look at what came after the stream `last` (RFC 9113 §6.8). */
  goneAway(last: number): void
  fail(error: Error): void
}

/**
 * Tells `handler` of one exchange exactly as undici does of those over HTTP/1.1. It is sent a second time, once, where the
 * upstream says that it did not look at it: an upstream that is exchanged for another one sends its clients away so.
 */
export function createHttp2Exchange(
  needs: Http2ExchangeNeeds,
  config: Http2ExchangeConfig,
  request: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
): Http2Exchange {
  const body = bodyOf(request)
  const fields = requestFields(lineOf(request, config.origin, body !== undefined), fieldsOf(request))
  const watch = createWatch(needs, () => fail(isAnswered ? new errors.BodyTimeoutError() : new errors.HeadersTimeoutError()))
  const upload = body === undefined ? undefined : createUpload(body, { moved: watch.moved, failed: fail })
  let carrier: ClientHttp2Session | undefined
  let stream: ClientHttp2Stream | undefined
  let release: ((exchange: Http2Exchange) => void) | undefined
  let isStarted = false
  let isAnswered = false
  /** END_STREAM was received: what a reset leaves looks the same to whoever reads. */
  let isWhole = false
  let isRefused = false
  let wasRefused = false
  let isOver = false
  let failure: Error | undefined
  let reason: Error | null = null
  let trailers: IncomingHttpHeaders | undefined
  const controller: Dispatcher.DispatchController = {
    get aborted() {
      return reason !== null
    },
    get paused() {
      return stream?.isPaused() ?? false
    },
    get reason() {
      return reason
    },
    abort,
    pause,
    resume,
  }
  const exchange: Http2Exchange = { send, goneAway, fail }
  watch.start(request.headersTimeout ?? config.responseMs)
  return exchange

  function send(session: ClientHttp2Session, released: (exchange: Http2Exchange) => void): void {
    try {
      if (!isStarted) {
        isStarted = true
        handler.onRequestStart?.(controller, null)
      }
      carrier = session
      if (!isOver) open(session.request(fields, { endStream: body === undefined }), released)
    } catch (cause) {
      fail(new errors.InvalidArgumentError(cause instanceof Error ? cause.message : 'the request cannot be sent'))
    }
    if (stream === undefined) released(exchange)
  }

  function open(opened: ClientHttp2Stream, released: (exchange: Http2Exchange) => void): void {
    stream = opened
    release = released
    failure = undefined
    noteEnd(opened, () => {
      isWhole = true
    })
    opened.on('response', onHead)
    opened.on('headers', onInterim)
    opened.on('trailers', onTrailers)
    opened.on('error', onStreamError)
    opened.on('close', onClose)
    upload?.sendTo(opened)
  }

  function onHead(head: IncomingHttpHeaders & { ':status'?: number }, flags: number, raw: readonly string[]): void {
    if (isOver) return
    const status = head[':status'] ?? 0
    if (status < 200) return abort(http2Failure(RESET, 'the answer has no status'))
    isAnswered = true
    upload?.settle()
    watch.start(request.bodyTimeout ?? config.idleMs)
    tell(status, receivedFields(raw))
    if (isOver || stream === undefined) return
    stream.on('data', onData)
    // What ends with its head is told at once, so that it can be passed on so: clients of gRPC look for errors there.
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) onEnd()
    else stream.on('end', onEnd)
  }

  function onInterim(head: IncomingHttpHeaders & { ':status'?: number }, _: number, raw: readonly string[]): void {
    if (!isOver) tell(head[':status'] ?? 0, receivedFields(raw))
  }

  function tell(status: number, received: IncomingHttpHeaders): void {
    try {
      handler.onResponseStart?.(controller, status, received)
    } catch (error) {
      abort(asError(error))
    }
  }

  function onTrailers(_: IncomingHttpHeaders, __: number, raw: readonly string[]): void {
    trailers = receivedFields(raw)
  }

  function onData(chunk: Buffer): void {
    if (isOver) return
    watch.moved()
    try {
      handler.onResponseData?.(controller, chunk)
    } catch (error) {
      abort(asError(error))
    }
  }

  function onEnd(): void {
    if (isOver || !isWhole) return
    finish()
    try {
      handler.onResponseEnd?.(controller, trailers ?? {})
    } catch (error) {
      handler.onResponseError?.(controller, asError(error))
    }
    // Whoever has answered does not read on (RFC 9113 §8.1).
    if (upload?.hasEnded() === false) cancelStream()
  }

  function onStreamError(error: Error): void {
    failure = error
  }

  function onClose(): void {
    const closed = stream
    if (closed === undefined) return
    stream = undefined
    release?.(exchange)
    if (isOver) return
    if (isAnswered || !wasUnprocessed(closed)) return fail(reset(closed))
    if (wasRefused || upload?.isRepeatable() === false)
      return fail(http2Failure(UNPROCESSED, 'the upstream did not take it', failure))
    wasRefused = true
    isRefused = false
    upload?.hold()
    config.again(exchange)
  }

  function wasUnprocessed(closed: ClientHttp2Stream): boolean {
    return isRefused || closed.id === undefined || closed.rstCode === constants.NGHTTP2_REFUSED_STREAM
  }

  function reset(closed: ClientHttp2Stream): Error {
    if (carrier?.destroyed === true) return http2Failure(CONNECTION_LOST, 'the connection was lost', failure)
    return http2Failure(RESET, `the upstream reset the stream with code ${closed.rstCode ?? 0}`, failure)
  }

  function goneAway(last: number): void {
    if (stream?.id !== undefined && stream.id > last) isRefused = true
  }

  function fail(error: Error): void {
    if (isOver) return
    finish()
    cancelStream()
    handler.onResponseError?.(controller, error)
  }

  function finish(): void {
    isOver = true
    upload?.settle()
    watch.stop()
    config.over(exchange)
  }

  function cancelStream(): void {
    stream?.close(constants.NGHTTP2_CANCEL)
    // The reset is queued by now; waiting for the close would keep the stream as long as its session is busy.
    stream?.destroy()
  }

  function abort(why: Error): void {
    if (isOver) return
    reason = why
    fail(why)
  }

  function pause(): void {
    stream?.pause()
    watch.pause()
  }

  function resume(): void {
    if (stream?.isPaused() !== true) return
    watch.resume()
    stream.resume()
  }
}

/** Calls `ended` when END_STREAM arrives. A reset ends the stream for its reader as well, but closes it before that. */
function noteEnd(stream: ClientHttp2Stream, ended: () => void): void {
  const push: (chunk: Buffer | null, encoding?: BufferEncoding) => boolean = stream.push.bind(stream)
  Object.assign(stream, {
    push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
      if (chunk === null && !stream.closed) ended()
      return push(chunk, encoding)
    },
  })
}

function bodyOf({ body }: Dispatcher.DispatchOptions): Readable | undefined {
  if (body === undefined || body === null) return undefined
  if (body instanceof Readable) return body
  throw new errors.InvalidArgumentError('the body of a request is a stream')
}

function fieldsOf({ headers }: Dispatcher.DispatchOptions): readonly string[] {
  if (headers === undefined || headers === null) return []
  if (!Array.isArray(headers)) throw new errors.InvalidArgumentError('the fields of a request are a flat list')
  return headers
}

function lineOf({ method, path }: Dispatcher.DispatchOptions, origin: URL, hasBody: boolean) {
  const scheme = origin.protocol === 'https:' ? ('https' as const) : ('http' as const)
  return { method, path, scheme, authority: origin.host, hasBody }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('the answer cannot be passed on', { cause: thrown })
}
