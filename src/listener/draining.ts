import type { Server as HttpServer, ServerResponse } from 'node:http'
import { Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublicListenerConfig } from '../config/config.ts'
import { createDelay } from './delay.ts'
import type { Front } from './front.ts'
import type { Http1Connections } from './http1-connections.ts'
import type { Http2Sessions } from './http2-sessions.ts'
import type { Redirect } from './redirect.ts'

export interface Draining {
  isDraining(): boolean
  /** See {@link Listener}. */
  drain(endTunnels: () => void): Promise<number>
  cut(): void
}

/** What is stopped, and how it is known that nothing is under way there. */
export interface Parts {
  readonly server: HttpServer
  /** Listens, and closes with the last connection. */
  readonly entrance: Server
  /** Every connection of HTTP/1.1 that its parser reads, with the latest answer on it that is not over. */
  readonly connected: ReadonlyMap<Duplex, ServerResponse | undefined>
  readonly http1: Http1Connections
  readonly http2: Http2Sessions
  readonly front: Front
  readonly redirect: Redirect | undefined
  connections(): number
}

/**
 * How long a draining listener still takes connections, so that load balancers can take it out of their rotation, and how
 * long nothing must have happened before it closes idle ones: who was promised a kept connection may just be using it.
 */
const LAME_DUCK_MS = 500
/** How often a draining listener looks whether anything happens. */
const SWEEP_MS = 50
/** How long one that takes no more goes on with connections that were made before, where they do not end. */
const BACKLOG_MS = 1000

/** Stops a listener without losing what is in flight. */
export function createDraining(
  needs: { schedule(delayMs: number, run: () => void): () => void },
  { server, entrance, connected, http1, http2, front, redirect, connections }: Parts,
  timeouts: () => PublicListenerConfig['timeouts'],
): Draining {
  const delay = createDelay(needs.schedule)
  let draining = false
  let stopping = false
  let stopped = false
  let quietMs = 0
  let cutAnswers = 0
  return { isDraining: () => draining, drain, cut }

  async function drain(endTunnels: () => void): Promise<number> {
    draining = true
    for (const res of connected.values()) if (res?.headersSent === false) res.shouldKeepAlive = false
    http1.drain()
    const closed = new Promise<void>((resolve) => {
      entrance.once('close', resolve)
    })
    const { drainDelayMs, drainMs } = timeouts()
    // A tunnel that ended now might come back.
    if (drainDelayMs > 0 && entrance.listening) await delay.pass(drainDelayMs)
    endTunnels()
    http2.end()
    redirect?.close()
    const cancel = needs.schedule(drainMs, cut)
    if (connections() === 0) stopListening()
    else needs.schedule(Math.min(LAME_DUCK_MS, drainMs), stopListening)
    needs.schedule(SWEEP_MS, sweep)
    await closed
    cancel()
    front.stop()
    server.close()
    return cutAnswers
  }

  /**
   * The system resets connections that it made and nobody took yet. A turn of the event loop takes one of them, so listening
   * ends behind a turn that found none.
   */
  function stopListening(): void {
    if (stopping) return
    stopping = true
    let taken = true
    entrance.on('connection', () => {
      taken = true
    })
    needs.schedule(BACKLOG_MS, close)
    look()

    function look(): void {
      if (stopped) return
      if (!taken) return close()
      taken = false
      setImmediate(look)
    }
  }

  function close(): void {
    if (stopped) return
    stopped = true
    // The `close` of the HTTP server would also destroy connections whose answer is not yet out of our hands, so it comes
    // last, when all that it still does is to stop its timers.
    Server.prototype.close.call(entrance)
    http2.end()
  }

  function sweep(): void {
    if (stopped && connections() === 0) return
    const isAnswering = http1.isAnswering() || [...connected.values()].some((res) => res?.writableFinished === false)
    quietMs = isAnswering ? 0 : quietMs + SWEEP_MS
    if (quietMs >= LAME_DUCK_MS) {
      http1.closeIdle()
      server.closeIdleConnections()
    }
    needs.schedule(SWEEP_MS, sweep)
  }

  function cut(): void {
    delay.end()
    close()
    for (const [socket, res] of connected) {
      if (res?.writableFinished === false) cutAnswers += 1
      socket.destroy()
    }
    cutAnswers += http1.cut() + http2.cut()
    front.cut()
  }
}

/** Makes `res` the last answer of its connection, unless the one `before` it was announced as the last already. */
export function becomesLast(res: ServerResponse, before: ServerResponse | undefined): boolean {
  if (before?.writableFinished === false) {
    if (before.headersSent && !before.shouldKeepAlive) return false
    before.shouldKeepAlive = true
  }
  res.shouldKeepAlive = false
  return true
}
