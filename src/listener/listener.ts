/**
 * The public side of the gateway: takes connections, bounds what comes over them, and stops without losing what is in flight.
 *
 * Nothing that arrives is believed here, and nothing is decided here but whether it is HTTP.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server as TcpServer, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { isLastAllTheSame, isWebSocketUpgrade } from './arrival.ts'
import type { CertificateNeeds } from './certificates.ts'
import { socketAddress } from './client-address.ts'
import { createConnectionGate, type TurnedAway } from './connection-gate.ts'
import { createFront } from './front.ts'
import { createHttp2Sessions } from './http2-sessions.ts'
import { holdInterim } from './interim.ts'
import { problemOf, type ParserError } from './parser-error.ts'
import { createRedirect } from './redirect.ts'
import { refuseSocket } from './refusal.ts'

export { readBody, writeAnswer } from './answer.ts'
export { createArrivals, isHandshake, unreadable } from './arrival.ts'
export { discardRest, refuse, refuseSocket } from './refusal.ts'

export interface ListenerNeeds extends CertificateNeeds {
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /** Answers one WebSocket handshake; never rejects. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  /** Notes what could not be read as a request. Returns the id for its answer. */
  malformed(problem: Problem, peer: string): string
  /** A connection was closed as soon as it came. */
  turnedAway?(why: TurnedAway): void
}

export interface Listener {
  listen(): Promise<AddressInfo>
  connections(): number
  /** Goes by another configuration from here on. Places to listen at, and whether there is TLS, stay as they are. */
  use(config: PublicListenerConfig): void
  /** The certificates that are served now, and whether the files are fit to be. Undefined without TLS. */
  certificates():
    | { readonly expiries: readonly (readonly [name: string, expiresAt: number])[]; readonly isWell: boolean }
    | undefined
  /** Whether {@link drain} was called. */
  isDraining(): boolean
  /**
   * Answers what is in flight and what still arrives with `connection: close`, then stops listening. Settles when the last
   * connection is closed, at the latest after `timeouts.drain`.
   *
   * @returns how many connections were cut with an answer under way
   */
  drain(endTunnels: () => void): Promise<number>
  /** Stops listening and cuts every connection, which ends a drain at once. */
  cut(): void
}

/**
 * How long a draining listener still takes connections, so that load balancers can take it out of their rotation, and how
 * long nothing must have happened before it closes idle ones: who was promised a kept connection may just be using it.
 */
const LAME_DUCK_MS = 500
const CHECK_INTERVAL_MS = 500
/** How often a draining listener looks whether anything happens. */
const SWEEP_MS = 50

/** The client closed its side within a message. */
const ENDED_EARLY = 'HPE_INVALID_EOF_STATE'

export function createListener(needs: ListenerNeeds, config: PublicListenerConfig): Listener {
  const { limits, timeouts } = config
  let { hsts } = config
  let { drainMs } = timeouts
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    insecureHTTPParser: false,
    // The arrival checks Host itself: the parser's own check answers without a body and without a trace.
    requireHostHeader: false,
    noDelay: true,
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: isWebSocketUpgrade,
  })
  // The parser would silently drop what is over its count, so the arrival counts.
  server.maxHeadersCount = 0
  const http2 = createHttp2Sessions({ ...needs, handle: (req, res) => needs.handle(req, secured(res)) }, config)
  const front =
    config.tls === undefined && !config.proxyProtocol
      ? undefined
      : createFront(needs, config, { http1: (socket) => server.emit('connection', socket), http2: http2.open })
  const redirect = config.redirect === undefined ? undefined : createRedirect(needs, config, config.redirect)
  /** Listens, and closes with the last connection: the HTTP server itself, where nothing stands before it. */
  const entrance = front?.server ?? server
  const gate = createConnectionGate(entrance, config, (why) => needs.turnedAway?.(why))
  /** Every connection, with the latest answer on it. */
  const connected = new Map<Duplex, ServerResponse | undefined>()
  /** Connections on which the parser gave up; it reports each further packet as well. */
  const unreadable = new WeakSet<Duplex>()
  let draining = false
  let stopped = false
  let quietMs = 0
  let cutAnswers = 0

  server.on('connection', onConnection)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', onUpgrade)
  server.on('connect', onConnect)
  server.on('clientError', onClientError)
  return { listen, connections, use, certificates, isDraining, drain, cut }

  function onConnection(socket: Duplex): void {
    connected.set(socket, undefined)
    socket.on('error', ignore)
    socket.on('close', () => connected.delete(socket))
  }

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    if (draining && !becomesLast(res, connected.get(req.socket))) return
    // Nothing behind an ignored upgrade is believed, see the arrival.
    if (req.headers.upgrade !== undefined || isLastAllTheSame(req)) res.shouldKeepAlive = false
    connected.set(req.socket, res)
    if (res.socket === null) holdInterim(res)
    void needs.handle(req, secured(res))
  }

  /** Over TLS browsers are told to stay there. */
  function secured<A extends AnswerMessage>(res: A): A {
    if (hsts !== undefined) res.setHeader('strict-transport-security', hsts)
    return res
  }

  function onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignore)
    // An answer that is still due would be written into the tunnel.
    if (connected.get(req.socket)?.writableFinished === false) socket.destroy()
    else void needs.upgrade(req, socket, head)
  }

  function onConnect(req: IncomingMessage, socket: Duplex): void {
    if (connected.get(req.socket)?.writableFinished === false) {
      socket.destroy()
      return
    }
    const problem = new Problem('method_not_allowed', { headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' } })
    refuseSocket(socket, problem, needs.malformed(problem, socketAddress(socket)))
  }

  function onClientError(error: ParserError, socket: Duplex): void {
    if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    if (unreadable.has(socket)) return
    unreadable.add(socket)
    const res = connected.get(socket)
    if (res === undefined || (res.writableFinished && res.req.complete)) refuseUnread(error, socket)
    // What cannot be read came behind a whole request: that one gets its answer first.
    else if (res.req.complete) res.once('close', () => refuseUnread(error, socket))
    else breakOff(error, res)
  }

  /** A request whose own body cannot be read: whoever reads it answers, so that it ends once and under its own id. */
  function breakOff(error: ParserError, res: ServerResponse): void {
    const { req } = res
    if (res.headersSent || error.code === ENDED_EARLY) req.socket.destroy()
    else if (req.listenerCount('error') > 0) {
      res.shouldKeepAlive = false
      req.emit('error', problemOf(error))
    }
    // Nobody reads it yet. An answer on the connection now would be taken for that to a request before it.
    else if (res.socket === null) res.once('socket', () => breakOff(error, res))
    else refuseUnread(error, req.socket, req.method)
  }

  function refuseUnread(error: ParserError, socket: Duplex, method?: string): void {
    if (!socket.writable) return
    const problem = problemOf(error)
    refuseSocket(socket, problem, needs.malformed(problem, socketAddress(socket)), method)
  }

  async function listen(): Promise<AddressInfo> {
    await redirect?.listen()
    await new Promise<void>((resolve, reject) => {
      entrance.once('error', reject)
      entrance.listen(config.port, config.host, () => {
        entrance.off('error', reject)
        resolve()
      })
    })
    // The clock of its timeouts is set when it listens, which the front does in its place.
    if (front !== undefined) server.emit('listening')
    const address = entrance.address()
    if (address === null || typeof address === 'string') throw new Error('the listener has no address')
    return address
  }

  function connections(): number {
    return front?.connections() ?? connected.size
  }

  function use(fresh: PublicListenerConfig): void {
    front?.use(fresh)
    hsts = fresh.hsts
    drainMs = fresh.timeouts.drainMs
    Object.assign(server, { maxHeaderSize: fresh.limits.headerBytes })
    server.headersTimeout = fresh.timeouts.headersMs
    server.requestTimeout = fresh.timeouts.requestMs
    server.keepAliveTimeout = fresh.timeouts.keepAliveMs
    gate.use(fresh)
    http2.use(fresh)
    redirect?.use(fresh)
  }

  function certificates(): ReturnType<Listener['certificates']> {
    const served = front?.certificates
    return served === undefined ? undefined : { expiries: served.expiries(), isWell: served.isWell() }
  }

  function isDraining(): boolean {
    return draining
  }

  async function drain(endTunnels: () => void): Promise<number> {
    draining = true
    for (const res of connected.values()) if (res?.headersSent === false) res.shouldKeepAlive = false
    endTunnels()
    http2.end()
    redirect?.close()
    const closed = new Promise<void>((resolve) => {
      entrance.once('close', resolve)
    })
    const cancel = needs.schedule(drainMs, cut)
    if (connections() === 0) stopListening()
    else needs.schedule(Math.min(LAME_DUCK_MS, drainMs), stopListening)
    needs.schedule(SWEEP_MS, sweep)
    await closed
    cancel()
    front?.stop()
    server.close()
    return cutAnswers
  }

  function stopListening(): void {
    if (stopped) return
    stopped = true
    // The `close` of the HTTP server would also destroy connections whose answer is not yet out of our hands, so it comes
    // last, when all that it still does is to stop its timers.
    TcpServer.prototype.close.call(entrance)
    http2.end()
  }

  function sweep(): void {
    if (stopped && connections() === 0) return
    const isAnswering = [...connected.values()].some((res) => res?.writableFinished === false)
    quietMs = isAnswering ? 0 : quietMs + SWEEP_MS
    if (quietMs >= LAME_DUCK_MS) server.closeIdleConnections()
    needs.schedule(SWEEP_MS, sweep)
  }

  function cut(): void {
    stopListening()
    for (const [socket, res] of connected) {
      if (res?.writableFinished === false) cutAnswers += 1
      socket.destroy()
    }
    cutAnswers += http2.cut()
    front?.cut()
  }
}

/** Makes `res` the last answer of its connection, unless the one `before` it was announced as the last already. */
function becomesLast(res: ServerResponse, before: ServerResponse | undefined): boolean {
  if (before?.writableFinished === false) {
    if (before.headersSent && !before.shouldKeepAlive) return false
    before.shouldKeepAlive = true
  }
  res.shouldKeepAlive = false
  return true
}

/** An error of a connection is told by its request or by `clientError`; unheard, it would end the process. */
function ignore(): void {}
