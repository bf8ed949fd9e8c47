/**
 * The public side of the gateway: takes connections, bounds what comes over them, and stops without losing what is in flight.
 *
 * Nothing that arrives is believed here, and nothing is decided here but whether it is HTTP.
 *
 * @module
 */
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { hasUpgrade, isLastAllTheSame, isWebSocketUpgrade } from './arrival.ts'
import { socketAddress } from './client-address.ts'
import { createConnectionGate, type TurnedAway } from './connection-gate.ts'
import { becomesLast, createDraining } from './draining.ts'
import { createFront, type FrontNeeds } from './front.ts'
import { createHttp1Connections } from './http1-connections.ts'
import { createHttp2Sessions } from './http2-sessions.ts'
import { holdInterim } from './interim.ts'
import { createLateHeads } from './late-heads.ts'
import { TAKES_TOO_LONG, type ParserError } from './parser-error.ts'
import { createRedirect } from './redirect.ts'
import { refuseSocket } from './refusal.ts'
import { createSlowCuts } from './slow-cuts.ts'
import { createUnread } from './unread.ts'

export { readBody, writeAnswer } from './answer.ts'
export { createArrivals, isHandshake, unreadable } from './arrival.ts'
export { discardRest, refuse, refuseSocket } from './refusal.ts'
export { createRequestIds } from './request-id.ts'

export interface ListenerNeeds extends FrontNeeds {
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
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
   * Answers what is in flight and what still arrives with `connection: close`; takes all of it for `timeouts.drainDelay`, then
   * stops listening. Settles when the last connection is closed, at the latest `timeouts.drain` after the delay.
   *
   * @returns how many connections were cut with an answer under way
   */
  drain(endTunnels: () => void): Promise<number>
  /** Stops listening and cuts every connection, which ends a drain at once. */
  cut(): void
}

const CHECK_INTERVAL_MS = 100
/** Connections that wait to be taken: a crowd that comes back at once would be told to try again in a second. The system may allow less. */
const BACKLOG = 4096
/** How often answers that are over are let go of: one holds 4 KB, with the request that it is for. */
const FORGET_MS = 1000

/**
 * An answer to nothing. A collection that finds no answer at all has V8 forget how one is laid out, and after a few of those it never
 * learns again to make one fast: it takes a microsecond longer, for each request that there will be.
 */
const LAYOUT = new ServerResponse(new IncomingMessage(new Socket()))

export function createListener(needs: ListenerNeeds, config: PublicListenerConfig): Listener {
  const { limits } = config
  let { hsts, timeouts } = config
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
  const http2 = createHttp2Sessions({ ...needs, handle: answer }, config)
  const http1 = createHttp1Connections({ ...needs, handle: answer, handOver, giveUp }, config)
  const front = createFront(needs, config, { http1: http1.open, http2: http2.open })
  const redirect = config.redirect === undefined ? undefined : createRedirect(needs, config, config.redirect)
  /** Listens, and closes with the last connection. */
  const entrance = front.server
  const gate = createConnectionGate(entrance, config, (why) => needs.turnedAway?.(why))
  /** Every connection that the HTTP server reads, with the latest answer on it, unless that and its request are over. */
  const connected = new Map<Duplex, ServerResponse | undefined>()
  const lateHeads = createLateHeads(needs, (socket) => giveUp(socket, TAKES_TOO_LONG))
  void LAYOUT
  let isForgetting = false
  const { isDraining, drain, cut } = createDraining(
    needs,
    { server, entrance, connected, http1, http2, front, redirect, connections },
    () => timeouts,
  )

  server.on('connection', onConnection)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', onUpgrade)
  server.on('connect', onConnect)
  const latestOn = (socket: Duplex): ServerResponse | undefined => connected.get(socket)
  server.on('clientError', createSlowCuts(needs, createUnread(needs, latestOn), latestOn))
  return { listen, connections, use, certificates, isDraining, drain, cut }

  function onConnection(socket: Duplex): void {
    connected.set(socket, undefined)
    socket.on('error', ignore)
    socket.on('close', onClose)
  }

  function onClose(this: Duplex): void {
    connected.delete(this)
    lateHeads.settle(this)
  }

  function forgetLater(): void {
    isForgetting = true
    needs.schedule(FORGET_MS, forget)
  }

  function forget(): void {
    isForgetting = false
    for (const [socket, res] of connected) {
      if (res === undefined) continue
      if (res.writableFinished && res.req.complete) connected.set(socket, undefined)
      else isForgetting = true
      limitTaking(res)
    }
    if (isForgetting) forgetLater()
  }

  /**
   * An answer that is out of our hands: whoever takes none of it for so long is cut. What still goes on is watched by whoever
   * answers, and what was taken has been given another limit.
   */
  function limitTaking({ req: { socket }, writableEnded, writableFinished }: ServerResponse): void {
    const longestMs = writableEnded ? timeouts.requestMs : 0
    if (!writableFinished && (socket.timeout ?? 0) !== longestMs) socket.setTimeout(longestMs)
  }

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    lateHeads.settle(req.socket)
    if (isDraining() && !becomesLast(res, connected.get(req.socket))) return
    // Nothing behind an ignored upgrade is believed, see the arrival.
    if (hasUpgrade(req.rawHeaders) || isLastAllTheSame(req)) res.shouldKeepAlive = false
    connected.set(req.socket, res)
    if (!isForgetting) forgetLater()
    if (res.socket === null) {
      Object.assign(req.socket, { isPipelined: true })
      holdInterim(res)
    }
    void answer(req, res)
  }

  function answer(req: RequestMessage, res: AnswerMessage): Promise<void> {
    return needs.handle(req, secured(res))
  }

  /** What is more than one simple request after the other is for the HTTP server, from what was read of it on. */
  function handOver(socket: Socket, octets: Buffer, waitedMs: number): void {
    if (waitedMs > 0) lateHeads.watch(socket, timeouts.headersMs - waitedMs)
    server.emit('connection', socket)
    socket.emit('data', octets)
  }

  function giveUp(socket: Duplex, why: ParserError): void {
    server.emit('clientError', why, socket)
  }

  /** Over TLS browsers are told to stay there. */
  function secured<A extends AnswerMessage>(res: A): A {
    if (hsts !== undefined) res.setHeader('strict-transport-security', hsts)
    return res
  }

  function onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    lateHeads.settle(req.socket)
    socket.on('error', ignore)
    // An answer that is still due would be written into the tunnel.
    if (connected.get(req.socket)?.writableFinished === false) socket.destroy()
    else void needs.upgrade(req, socket, head)
  }

  function onConnect(req: IncomingMessage, socket: Duplex): void {
    lateHeads.settle(req.socket)
    if (connected.get(req.socket)?.writableFinished === false) {
      socket.destroy()
      return
    }
    const problem = new Problem('method_not_allowed', { headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' } })
    refuseSocket(socket, problem, needs.malformed(problem, socketAddress(socket)))
  }

  async function listen(): Promise<AddressInfo> {
    await redirect?.listen()
    await new Promise<void>((resolve, reject) => {
      entrance.once('error', reject)
      entrance.listen({ port: config.port, host: config.host, backlog: BACKLOG }, () => {
        entrance.off('error', reject)
        resolve()
      })
    })
    // The clock of its timeouts is set when it listens, which the front does in its place.
    server.emit('listening')
    const address = entrance.address()
    if (address === null || typeof address === 'string') throw new Error('the listener has no address')
    return address
  }

  function connections(): number {
    return front.connections()
  }

  function use(fresh: PublicListenerConfig): void {
    front.use(fresh)
    http1.use(fresh)
    hsts = fresh.hsts
    timeouts = fresh.timeouts
    Object.assign(server, { maxHeaderSize: fresh.limits.headerBytes })
    server.headersTimeout = timeouts.headersMs
    server.requestTimeout = timeouts.requestMs
    server.keepAliveTimeout = timeouts.keepAliveMs
    gate.use(fresh)
    http2.use(fresh)
    redirect?.use(fresh)
  }

  function certificates(): ReturnType<Listener['certificates']> {
    const served = front.certificates
    return served === undefined ? undefined : { expiries: served.expiries(), isWell: served.isWell() }
  }
}

/** An error of a connection is told by its request or by `clientError`; unheard, it would end the process. */
function ignore(): void {}
