import { connect } from 'node:net'
import type { ReceivedFields } from './dispatch.ts'
import { failExchange, releaseOnce, type Carrier, type Http1Exchange } from './http1-exchange.ts'
import { closes, declaredLength, type HeadWriter } from './http1-head.ts'
import { createInbox } from './http1-inbox.ts'
import { createAnswerReader } from './http1-response.ts'
import { startUpload, type Upload } from './http1-upload.ts'
import { SMALL_BYTES } from './outbox.ts'
import { errors } from './undici-errors.ts'

export interface Http1ConnectionNeeds {
  monotonicMs(): number
}

export interface Http1ConnectionConfig {
  readonly heads: HeadWriter
  /** Name or address that is connected to. */
  readonly hostname: string
  readonly port: number
  readonly connectMs: number
  readonly responseMs: number
  readonly idleMs: number
}

export interface Http1ConnectionEvents {
  /** It is there, and takes its first exchange. */
  opened(connection: Http1Connection): void
  /** It takes another one. */
  free(connection: Http1Connection): void
  /** The other side may have closed it before the exchange came: it is to be sent once more, on a connection that is new. */
  missed(exchange: Http1Exchange): void
  /** It is gone; with an error where it never was. Told once. */
  closed(connection: Http1Connection, error?: Error): void
  /** It wants {@link Http1Connection.look} then. */
  due(atMs: number): void
}

/** One connection to an upstream, with one exchange at a time. */
export interface Http1Connection {
  /** @returns false: nothing was sent, and it takes another one */
  run(exchange: Http1Exchange): boolean
  /** When it will have been silent for too long; infinite while it may be. */
  dueMs(): number
  /** Ends what is too late. */
  look(nowMs: number): void
  destroy(): void
}

/** How long a connection is kept where the upstream says nothing of it, and before it says that it closes it. */
const KEEP_MS = 4000
const KEEP_MARGIN_MS = 2000
const LONGEST_KEEP_MS = 600_000
const TCP_KEEP_ALIVE_MS = 60_000

export function openHttp1Connection(
  needs: Http1ConnectionNeeds,
  config: Http1ConnectionConfig,
  on: Http1ConnectionEvents,
): Http1Connection {
  const reader = createAnswerReader({ interim, head, data, end: answered })
  const self: Http1Connection = { run, dueMs: () => due, look, destroy }
  const carrier: Carrier = { fail, pause, resume }
  const inbox = createInbox()
  let running: Http1Exchange | undefined
  let upload: Upload | undefined
  let isOpen = false
  let isClosed = false
  let isPaused = false
  let isAnswered = false
  /** Whether it has carried another exchange before. */
  let isReused = false
  let hasHeard = false
  let nowMs = needs.monotonicMs()
  let due = Infinity
  const socket = connect({
    host: config.hostname,
    port: config.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    onread: { buffer: inbox.next, callback: onRead },
  })
  socket.on('connect', onConnect)
  socket.on('drain', onDrain)
  socket.on('end', onEnd)
  socket.on('error', onError)
  socket.on('close', onClose)
  dueIn(config.connectMs)
  return self

  function onConnect(): void {
    isOpen = true
    due = Infinity
    on.opened(self)
  }

  function run(exchange: Http1Exchange): boolean {
    exchange.isStarted = true
    exchange.handler.onRequestStart(exchange)
    if (!exchange.isOver) send(exchange)
    return running !== undefined || isClosed
  }

  function send(exchange: Http1Exchange): void {
    const { request } = exchange
    const { body } = request
    let text: string
    let length: number
    try {
      length = body === null ? 0 : declaredLength(request.headers)
      text = config.heads.write(request, length)
    } catch (error) {
      failExchange(exchange, asError(error))
      return
    }
    running = exchange
    exchange.carrier = carrier
    isAnswered = false
    hasHeard = false
    reader.expect(request.method === 'HEAD')
    nowMs = needs.monotonicMs()
    if (body === null) {
      socket.write(text, 'latin1')
      awaitHead()
      return
    }
    due = Infinity
    const started = startUpload(socket, text, body, length, { blocked, done: uploaded, failed: fail })
    if (running === exchange) upload = started
  }

  function awaitHead(): void {
    dueIn(running?.request.headersTimeout ?? config.responseMs)
  }

  function dueIn(delayMs: number): void {
    due = nowMs + delayMs
    on.due(due)
  }

  function blocked(isBlocked: boolean): void {
    if (isAnswered) return
    nowMs = needs.monotonicMs()
    if (isBlocked) awaitHead()
    else due = Infinity
  }

  function uploaded(): void {
    upload = undefined
    nowMs = needs.monotonicMs()
    if (!isAnswered) awaitHead()
  }

  function onDrain(): void {
    upload?.drained()
  }

  function onRead(length: number): boolean {
    if (running === undefined) {
      // Nobody asked: whatever it is, nobody must take it for an answer.
      destroy()
      return true
    }
    hasHeard = true
    nowMs = needs.monotonicMs()
    try {
      reader.read(inbox.current(), length)
    } catch (error) {
      fail(asError(error))
    }
    return true
  }

  function interim(status: number, fields: ReceivedFields): void {
    if (running === undefined) return
    if (upload === undefined) awaitHead()
    running.handler.onResponseStart(running, status, fields)
  }

  function head(status: number, fields: ReceivedFields): void {
    if (running === undefined) return
    isAnswered = true
    dueIn(running.request.bodyTimeout ?? config.idleMs)
    running.handler.onResponseStart(running, status, fields)
  }

  function data(bytes: Buffer, from: number, to: number, isAll: boolean): void {
    if (running === undefined) return
    const { handler } = running
    if (isAll && to - from <= SMALL_BYTES && handler.onResponseText !== undefined) {
      handler.onResponseText(running, bytes.toString('latin1', from, to))
      return
    }
    if (!isPaused) dueIn(running.request.bodyTimeout ?? config.idleMs)
    handler.onResponseData(running, inbox.take(from, to))
  }

  function answered(trailers: ReceivedFields, isLast: boolean): void {
    const exchange = running
    if (exchange === undefined) return
    running = undefined
    exchange.isOver = true
    exchange.carrier = undefined
    if (isPaused) resume()
    const keepMs = upload === undefined && isLast && !closes(exchange.request) ? keepFor(reader.keepSeconds()) : 0
    if (keepMs > 0) keep(keepMs)
    else destroy()
    try {
      exchange.handler.onResponseEnd(exchange, trailers)
    } catch (error) {
      exchange.handler.onResponseError(exchange, asError(error))
    }
  }

  function keep(keepMs: number): void {
    isReused = true
    dueIn(keepMs)
    on.free(self)
  }

  function pause(): void {
    if (isPaused || running === undefined) return
    isPaused = true
    due = Infinity
    socket.pause()
  }

  function resume(): void {
    if (!isPaused) return
    isPaused = false
    nowMs = needs.monotonicMs()
    if (running !== undefined) dueIn(running.request.bodyTimeout ?? config.idleMs)
    socket.resume()
  }

  function onEnd(): void {
    if (running !== undefined && !reader.end()) lose(new errors.SocketError('other side closed'))
    else destroy()
  }

  function onError(error: Error): void {
    if (isOpen) lose(error)
    else close(error)
  }

  function onClose(): void {
    if (isOpen) lose(new errors.SocketError('closed'))
    else close(new errors.SocketError('closed'))
  }

  /** The other side ended it. */
  function lose(error: Error): void {
    const exchange = running
    if (exchange !== undefined && isReused && !hasHeard && releaseOnce(exchange, error)) {
      running = undefined
      on.missed(exchange)
    }
    fail(error)
  }

  function fail(error: Error): void {
    const exchange = running
    running = undefined
    destroy()
    if (exchange !== undefined) failExchange(exchange, error)
  }

  function look(atMs: number): void {
    if (atMs < due) return
    if (!isOpen) onError(new errors.ConnectTimeoutError())
    else if (running === undefined) destroy()
    else fail(isAnswered ? new errors.BodyTimeoutError() : new errors.HeadersTimeoutError())
  }

  function destroy(): void {
    if (running === undefined) close(isOpen ? undefined : new errors.ClientDestroyedError())
    else fail(new errors.ClientDestroyedError())
  }

  function close(error?: Error): void {
    if (isClosed) return
    isClosed = true
    due = Infinity
    reader.stop()
    upload?.stop()
    upload = undefined
    socket.destroy()
    on.closed(self, error)
  }
}

/** How long it is kept without a request, milliseconds. */
function keepFor(seconds: number): number {
  return seconds === -1 ? KEEP_MS : Math.min(seconds * 1000 - KEEP_MARGIN_MS, LONGEST_KEEP_MS)
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('the answer cannot be passed on', { cause: thrown })
}
