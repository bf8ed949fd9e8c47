import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, Connection, RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import type { TlsSocket } from './front.ts'
import { createHttp2Answer, cutStream } from './http2-answer.ts'
import { readHead } from './http2-head.ts'
import { createHttp2Request, type Http2Request } from './http2-request.ts'

export interface Http2Needs {
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Http2Sessions {
  /** Speaks HTTP/2 over a connection that has agreed on it. */
  open(socket: TlsSocket): void
  use(config: PublicListenerConfig): void
  /**
   * Takes no further requests on the connections that are open; each closes with its last answer. Clients are told which
   * request was the last that counts, and repeat those behind it elsewhere (RFC 9113 §6.8).
   */
  end(): void
  /** Cuts every connection. Returns on how many an answer was under way. */
  cut(): number
}

/** One request that is not over. */
interface Exchange {
  readonly stream: ServerHttp2Stream
  readonly req: Http2Request
  readonly res: AnswerMessage
  /** How long it takes already. */
  ageMs: number
  /** How long its answer is written and not taken. */
  stalledMs: number
}

interface Session {
  readonly session: ServerHttp2Session
  readonly socket: TlsSocket
  readonly exchanges: Set<Exchange>
  /** Handlers that have not settled: of a stream that was reset they still cost. */
  working: number
  /** How long there is no stream. */
  idleMs: number
  /** How long it is closed on our side. */
  overMs: number
  /** Whether there ever was one. */
  used: boolean
}

/** How often is looked for what takes too long. */
const SWEEP_MS = 500
/** What a client may send ahead, for one stream and for all of a connection. */
const STREAM_WINDOW_BYTES = 256 * 1024
const SESSION_WINDOW_BYTES = 1024 * 1024
/** Streams that clients reset: so many at once, then so many each second; more ends the connection (CVE-2023-44487). */
const RESETS = { streamResetBurst: 200, streamResetRate: 50 } as const
/** Fields that are counted and refused with 431 before the library resets the stream. */
const FIELDS_TO_SPARE = 100
/** Handlers of one connection at work, in shares of the streams that it may have open. */
const MOST_WORK = 2

/** HTTP/2 for connections that come from the front; each request goes the one path. */
export function createHttp2Sessions(needs: Http2Needs, config: PublicListenerConfig): Http2Sessions {
  let { limits, timeouts } = config
  const sessions = new Set<Session>()
  const server = createServer({
    settings: settingsOf(limits),
    maxHeaderListPairs: limits.headers + FIELDS_TO_SPARE,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    strictSingleValueFields: false,
    ...RESETS,
  })
  let arriving: TlsSocket | undefined
  let isSweeping = false
  server.on('session', onSession)
  server.on('sessionError', ignore)
  return { open, use, end, cut }

  /** What a connection was told of its limits stays true for it. */
  function use(next: PublicListenerConfig): void {
    ;({ limits, timeouts } = next)
    server.updateSettings(settingsOf(limits))
  }

  function open(socket: TlsSocket): void {
    arriving = socket
    server.emit('connection', socket)
  }

  function onSession(session: ServerHttp2Session): void {
    const socket = arriving
    if (socket === undefined) return
    const one: Session = { session, socket, exchanges: new Set(), working: 0, idleMs: 0, overMs: 0, used: false }
    sessions.add(one)
    session.setLocalWindowSize(SESSION_WINDOW_BYTES)
    session.on('error', ignore)
    session.on('close', () => sessions.delete(one))
    session.on('stream', (stream, _headers, _flags, raw) => onStream(one, stream, { raw, socket }))
    if (isSweeping) return
    isSweeping = true
    needs.schedule(SWEEP_MS, sweep)
  }

  function onStream(
    one: Session,
    stream: ServerHttp2Stream,
    { raw, socket }: { raw: readonly string[]; socket: Connection },
  ): void {
    stream.on('error', ignore)
    if (one.working >= limits.streams * MOST_WORK) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      return
    }
    const req = createHttp2Request(stream, { head: readHead(raw, stream.endAfterHeaders), socket })
    const exchange: Exchange = { stream, req, res: createHttp2Answer(stream, req.message), ageMs: 0, stalledMs: 0 }
    one.exchanges.add(exchange)
    one.working += 1
    one.used = true
    stream.on('close', () => {
      one.exchanges.delete(exchange)
      one.idleMs = 0
    })
    void needs.handle(req.message, exchange.res).finally(() => {
      one.working -= 1
    })
  }

  function sweep(): void {
    for (const one of sessions) sweepSession(one)
    isSweeping = sessions.size > 0
    if (isSweeping) needs.schedule(SWEEP_MS, sweep)
  }

  function sweepSession(one: Session): void {
    if (one.session.destroyed) return sweepSocket(one)
    for (const exchange of one.exchanges) sweepExchange(exchange)
    one.idleMs = one.exchanges.size > 0 ? 0 : one.idleMs + SWEEP_MS
    if (one.idleMs > (one.used ? timeouts.keepAliveMs : timeouts.headersMs)) one.session.close()
  }

  /** The library ends our side alone: a client that never ends its own, or takes nothing, would have the connection for ever. */
  function sweepSocket(one: Session): void {
    one.overMs += SWEEP_MS
    if (one.overMs > (one.socket.writableFinished ? SWEEP_MS : timeouts.requestMs)) one.socket.destroy()
  }

  function sweepExchange(exchange: Exchange): void {
    const { stream, req, res } = exchange
    exchange.ageMs += SWEEP_MS
    // Once the answer has begun both sides may talk as long as they like: the upstream's silence ends it, or the client's.
    if (!req.message.complete && !res.headersSent && exchange.ageMs > timeouts.requestMs) {
      req.fail(new Problem('request_timeout', { detail: 'the body took too long' }))
    }
    // Whoever streams an answer watches over it itself; a whole one is out of its hands.
    if (res.writableEnded && !res.writableFinished) exchange.stalledMs += SWEEP_MS
    if (exchange.stalledMs > timeouts.requestMs) cutStream(stream)
  }

  function end(): void {
    for (const { session } of sessions) session.close()
  }

  function cut(): number {
    let answers = 0
    for (const { session, exchanges } of sessions) {
      if (exchanges.size > 0) answers += 1
      session.destroy()
    }
    return answers
  }
}

/** An error of a connection or stream ends it, and its requests hear of that; unheard, it would end the process. */
function ignore(): void {}

function settingsOf(limits: PublicListenerConfig['limits']) {
  return {
    maxConcurrentStreams: limits.streams,
    // Twice as much is read as is taken, so that whoever sends too much is told.
    maxHeaderListSize: limits.headerBytes * 2,
    initialWindowSize: STREAM_WINDOW_BYTES,
    enablePush: false,
    enableConnectProtocol: false,
  }
}
