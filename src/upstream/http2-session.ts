import { connect, type ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { Http2Exchange } from './http2-exchange.ts'
import { http2Failure, CONNECTION_LOST, NOT_HTTP2 } from './http2-failures.ts'
import { errors } from './undici-errors.ts'

export interface Http2SessionNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Http2SessionConfig {
  readonly origin: URL
  /** Until the upstream has said that it speaks HTTP/2. */
  readonly connectMs: number
  /** Opens a connection; with TLS one that offers `h2` by ALPN. */
  connect(done: buildConnector.Callback): void
}

export interface Http2SessionEvents {
  /** It takes exchanges, or more of them than before. */
  room(session: Http2Session): void
  /** It takes no more; what is under way goes on. With an error where it never took any. */
  over(session: Http2Session, error?: Error): void
  /** Nothing is left of it. */
  closed(session: Http2Session): void
}

/** One connection to an upstream. */
export interface Http2Session {
  hasRoom(): boolean
  run(exchange: Http2Exchange): void
  /** How many streams the upstream takes at once; undefined until it has said so. */
  capacity(): number | undefined
  /** Takes no more, and closes when all that is under way is over. */
  close(): void
  destroy(): void
}

/** Streams of one connection at once, where the upstream takes more: another connection serves more of them better. */
export const MAX_STREAMS = 100
/** Well before the numbers of streams run out, at 2^30 of them. */
const MAX_SERVED = 2 ** 29
/** Windows: how much of one answer, and of all of them, may be on its way to clients that are slower than the upstream. */
const STREAM_WINDOW = 256 * 1024
const CONNECTION_WINDOW = 16 * 1024 * 1024
/** As much as of an HTTP/1.1 answer. */
const MAX_HEAD_BYTES = 16 * 1024
/** How often a connection is looked at: one that was silent is asked, one that does not answer until the next look is dead. */
const LOOK_MS = 5000
/** What came while this process was busy is not read yet. */
const GRACE_MS = 250
/**
 * Servers of gRPC cut connections that are asked again within five minutes without having said anything else in between
 * (grpc: A8, client-side keepalive).
 */
const ASK_AGAIN_MS = 330_000
/** Looks after which a connection without exchanges is closed. */
const IDLE_LOOKS = 12

const OPTIONS = {
  settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: MAX_HEAD_BYTES },
  // Fewer cannot be asked for in octets alone: a field counts 32 of them (RFC 9113 §6.5.2).
  maxHeaderListPairs: MAX_HEAD_BYTES / 32,
  // Clients share the connection, and what one sends must not tell by its length what another one sent (RFC 7541 §7.1).
  maxDeflateDynamicTableSize: 0,
  // Fields that clients repeat are repeated, as over HTTP/1.1.
  strictSingleValueFields: false,
  maxSessionMemory: 64,
}

export function openHttp2Session(needs: Http2SessionNeeds, config: Http2SessionConfig, on: Http2SessionEvents): Http2Session {
  const running = new Set<Http2Exchange>()
  let session: ClientHttp2Session | undefined
  let socket: Socket | undefined
  let capacity: number | undefined
  let served = 0
  let isOver = false
  let failure: Error | undefined
  let idleLooks = 0
  let heardBytes = 0
  /** Up to the answer to the latest question. */
  let answeredBytes = -1
  let askedMs = 0
  let state: 'heard' | 'asked' | 'unanswered' = 'heard'
  const self: Http2Session = { hasRoom, run, capacity: () => capacity, close, destroy }
  let cancelTimer = needs.schedule(config.connectMs, () =>
    end(new errors.ConnectTimeoutError('the upstream does not speak HTTP/2 in time')),
  )
  config.connect(onConnected)
  return self

  function onConnected(error: Error | null, given: Socket | null): void {
    if (error !== null) return end(error)
    if (given === null) return
    if (isOver) {
      given.destroy()
      return
    }
    socket = given
    if ('alpnProtocol' in given && given.alpnProtocol !== 'h2') {
      return end(http2Failure(NOT_HTTP2, 'the upstream does not offer h2 by ALPN'))
    }
    if (given.destroyed) return end(http2Failure(CONNECTION_LOST, 'the connection was closed at once'))
    session = connect(config.origin, { ...OPTIONS, createConnection: () => given })
    session.setLocalWindowSize(CONNECTION_WINDOW)
    // An alert that ends TLS right behind the handshake destroys the session, which then waits for the socket for ever.
    given.on('error', onBroken)
    session.on('remoteSettings', onSettings)
    session.on('goaway', onGoaway)
    session.on('error', onError)
    session.on('close', onClose)
  }

  function onSettings({ maxConcurrentStreams = MAX_STREAMS }: { readonly maxConcurrentStreams?: number }): void {
    const isFirst = capacity === undefined
    capacity = Math.min(maxConcurrentStreams, MAX_STREAMS)
    if (isFirst) {
      cancelTimer()
      cancelTimer = needs.schedule(LOOK_MS, look)
    }
    if (!isOver) on.room(self)
  }

  function hasRoom(): boolean {
    return !isOver && capacity !== undefined && running.size < capacity
  }

  function run(exchange: Http2Exchange): void {
    if (session === undefined) throw new Error('a session runs nothing before it has room')
    served += 1
    running.add(exchange)
    exchange.send(session, release)
    if (served >= MAX_SERVED) close()
  }

  function release(exchange: Http2Exchange): void {
    running.delete(exchange)
    idleLooks = 0
    if (!isOver) on.room(self)
  }

  /** A connection that died without a word is found by silence; one that is idle for long is not kept. */
  function look(): void {
    if (session === undefined || session.destroyed) return
    const heard = socket?.bytesRead ?? 0
    const isSilent = heard === heardBytes
    heardBytes = heard
    if (isSilent && state === 'unanswered') return end(http2Failure(CONNECTION_LOST, 'the connection is dead'))
    if (isSilent && state === 'asked') {
      state = 'unanswered'
      cancelTimer = needs.schedule(GRACE_MS, look)
      return
    }
    state = isSilent && running.size > 0 && mayAsk(heard) && session.ping(onAnswered) ? 'asked' : 'heard'
    idleLooks = running.size > 0 ? 0 : idleLooks + 1
    if (idleLooks >= IDLE_LOOKS) close()
    cancelTimer = needs.schedule(LOOK_MS, look)
  }

  function mayAsk(heard: number): boolean {
    const nowMs = needs.monotonicMs()
    if (heard <= answeredBytes && nowMs - askedMs < ASK_AGAIN_MS) return false
    askedMs = nowMs
    return true
  }

  function onAnswered(): void {
    answeredBytes = socket?.bytesRead ?? 0
  }

  function onGoaway(_: number, last: number): void {
    for (const exchange of running) exchange.goneAway(last)
    retire()
  }

  function onError(error: Error): void {
    failure ??= error
  }

  function onBroken(error: Error): void {
    onError(error)
    onClose()
  }

  function onClose(): void {
    end(failure === undefined || isOfFrames(failure) ? http2Failure(NOT_HTTP2, 'no HTTP/2 was spoken', failure) : failure)
  }

  /** Takes no more. */
  function retire(error?: Error): void {
    if (isOver) return
    isOver = true
    on.over(self, error)
  }

  function close(): void {
    if (capacity === undefined) return end()
    retire()
    session?.close()
  }

  function destroy(): void {
    end()
  }

  /** Cuts it. The socket, not the session: that would wait until all is written, which a dead peer never takes. */
  function end(error?: Error): void {
    cancelTimer()
    const isUnheard = capacity === undefined
    retire(isUnheard ? (error ?? new errors.ClientDestroyedError('the pool is closed')) : undefined)
    session?.destroy()
    socket?.destroy()
    on.closed(self)
  }
}

/** Whether what came was no HTTP/2; otherwise TLS or the connection failed. */
function isOfFrames(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_HTTP2')
}
