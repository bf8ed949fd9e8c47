/**
 * The public side of the gateway: takes connections, bounds what comes over them, and stops without losing what is in flight.
 *
 * Nothing that arrives is believed here, and nothing is decided here but whether it is HTTP.
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublicListenerConfig } from '../config/config.ts'
import { Problem, type ProblemKind } from '../problem/problem.ts'
import { isWebSocketUpgrade } from './arrival.ts'
import { refuseSocket } from './refusal.ts'

export { readBody, writeAnswer } from './answer.ts'
export { createArrivals, isHandshake, unreadable } from './arrival.ts'
export { discardRest, refuse, refuseSocket } from './refusal.ts'

export interface ListenerNeeds {
  /** Answers one request; never rejects. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  /** Answers one WebSocket handshake; never rejects. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  /** Notes what could not be read as a request. Returns the id for its answer. */
  malformed(problem: Problem, peer: string): string
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Listener {
  listen(): Promise<AddressInfo>
  connections(): number
  /** Whether {@link drain} was called. */
  isDraining(): boolean
  /**
   * Answers what is in flight and what still arrives with `connection: close`, then stops listening. Settles when the last
   * connection is closed, at the latest after `timeouts.drain`; true when nothing had to be cut.
   */
  drain(endTunnels: () => void): Promise<boolean>
}

/** How long a draining listener still takes connections, so that load balancers can take it out of their rotation. */
const LAME_DUCK_MS = 500
const CHECK_INTERVAL_MS = 500

/** Why the parser gave up, where it is not simply a bad request. */
const PARSER_PROBLEMS: ReadonlyMap<string, ProblemKind> = new Map([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'request_timeout'],
])

export function createListener(needs: ListenerNeeds, config: PublicListenerConfig): Listener {
  const { limits, timeouts } = config
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
  server.maxConnections = limits.connections
  const answering = new WeakMap<Duplex, ServerResponse>()
  let draining = false

  server.on('connection', ignoreErrors)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', onUpgrade)
  server.on('connect', onConnect)
  server.on('clientError', onClientError)
  return { listen, connections, isDraining, drain }

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    answering.set(req.socket, res)
    if (draining) res.setHeader('connection', 'close')
    void needs.handle(req, res)
  }

  function onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignore)
    void needs.upgrade(req, socket, head)
  }

  function onConnect(req: IncomingMessage, socket: Duplex): void {
    const problem = new Problem('method_not_allowed', { headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' } })
    refuseSocket(socket, problem, needs.malformed(problem, req.socket.remoteAddress ?? ''))
  }

  function onClientError(error: Error & { code?: string }, socket: Duplex): void {
    const res = answering.get(socket)
    if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET' || res?.headersSent === true) {
      socket.destroy()
      return
    }
    const problem = new Problem(PARSER_PROBLEMS.get(error.code ?? '') ?? 'invalid_request', { detail: error.code ?? error.message })
    refuseSocket(socket, problem, needs.malformed(problem, addressOf(socket)))
  }

  async function listen(): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(config.port, config.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the listener has no address')
    return address
  }

  function connections(): number {
    return countOf(server)
  }

  function isDraining(): boolean {
    return draining
  }

  async function drain(endTunnels: () => void): Promise<boolean> {
    draining = true
    endTunnels()
    if ((await openConnections(server)) > 0) await wait(LAME_DUCK_MS)
    let cut = false
    const cancel = needs.schedule(Math.max(timeouts.drainMs - LAME_DUCK_MS, 0), () => {
      cut = true
      server.closeAllConnections()
    })
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
    cancel()
    return !cut
  }

  function wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      needs.schedule(delayMs, resolve)
    })
  }
}

function ignoreErrors(socket: Duplex): void {
  socket.on('error', ignore)
}

/** An error of a connection is told by its request or by `clientError`; unheard, it would end the process. */
function ignore(): void {}

function addressOf(socket: Duplex): string {
  return 'remoteAddress' in socket && typeof socket.remoteAddress === 'string' ? socket.remoteAddress : ''
}

function countOf(server: Server): number {
  return '_connections' in server && typeof server._connections === 'number' ? server._connections : 0
}

function openConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
  })
}
