/**
 * Takes an admitted request to the service it is for, and the answer back.
 *
 * Streams both ways with back-pressure and writes the framing of both messages anew (RFC 9112 §6): what a client or an
 * upstream said about lengths and codings is never passed on as received. It does not decide whether a request may pass.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { buildConnector, Pool } from 'undici'
import type { UpstreamConfig } from '../config/config.ts'
import type { Admitted, LiveEnd, LiveExchange } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import { exchangeMessages } from './forward.ts'
import { createTunnels } from './tunnel.ts'
import { dropUnaskedContinue } from './unasked-continue.ts'

/** What the forward step notes of a request as it goes. */
export interface ForwardRecord {
  status: number
  bytesIn: number
  bytesOut: number
  /** Name of the upstream. */
  upstream: string | undefined
  /** From the dispatch to the head of the answer. */
  upstreamMs: number
  /** The client went away, or its answer was cut short. */
  aborted: boolean
  /** Why the gateway ended it, where its token did not last. */
  ended: LiveEnd | undefined
}

export interface UpstreamNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  readonly live: LiveExchanges
  answered(upstream: string, seconds: number): void
  /** So many octets of a body were passed on, either way. */
  moved(octets: number): void
  /** How long a client may take nothing of its answer before it is cut. */
  readonly stallMs: number
}

/** Ends what is under way when its token is over. */
export interface LiveExchanges {
  /** Takes in what is probably over soon. */
  enter(one: LiveExchange): void
  /** Takes in what lasts; may end it at once. */
  hold(one: LiveExchange): void
  /** It is over. */
  leave(one: LiveExchange): void
}

export interface Upstreams {
  /**
   * Forwards and answers. Settles when the answer has been handed to the client's socket or was broken off.
   *
   * @throws Problem `upstream_unreachable`, `upstream_timeout` or `payload_too_large`, only while nothing was answered
   */
  forward(exchange: Admitted, fields: string[], io: HttpIo, record: ForwardRecord): Promise<void>
  /**
   * Opens a WebSocket. Settles when it is closed.
   *
   * @throws Problem before the upstream's 101
   */
  tunnel(exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void>
  /** Ends all WebSockets with 1001 (RFC 6455 §7.4.1), those too that are just being opened. */
  endTunnels(): void
  close(): Promise<void>
}

export interface HttpIo {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

export interface TunnelIo {
  readonly req: IncomingMessage
  readonly socket: Duplex
  /** What the client sent behind its handshake. */
  readonly head: Buffer
  /** Writes a refusal to the socket and ends it. */
  refuse(problem: Problem): void
}

/** One address of an upstream. */
export interface Destination {
  readonly url: URL
  /** Path of the URL, without a slash at its end. */
  readonly basePath: string
  readonly pool: Pool
  /** Name that the upstream's certificate must be for, sent as SNI; empty where that is an IP address (RFC 6066 §3). */
  readonly tlsName: string
  readonly upstream: UpstreamConfig
}

export function createUpstreams(needs: UpstreamNeeds, configs: Iterable<UpstreamConfig>): Upstreams {
  const upstreams = new Map<string, () => Destination>()
  const pools: Pool[] = []
  for (const config of configs) {
    const destinations = config.targets.map((url) => openDestination(url, config))
    for (const { pool } of destinations) pools.push(pool)
    upstreams.set(config.name, roundRobin(destinations))
  }
  const tunnels = createTunnels(needs)
  return { forward, tunnel, endTunnels, close }

  function forward(exchange: Admitted, fields: string[], io: HttpIo, record: ForwardRecord): Promise<void> {
    return exchangeMessages(needs, pick(exchange, record), exchange, fields, io, record)
  }

  function tunnel(exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void> {
    return tunnels.open(pick(exchange, record), exchange, fields, io, record)
  }

  function pick(exchange: Admitted, record: ForwardRecord): Destination {
    const { target } = exchange.route
    const next = target.kind === 'upstream' ? upstreams.get(target.upstream) : undefined
    if (next === undefined) throw new Error(`route ${exchange.route.name} names no upstream`)
    const destination = next()
    record.upstream = destination.upstream.name
    return destination
  }

  function endTunnels(): void {
    tunnels.endAll('goingAway')
  }

  async function close(): Promise<void> {
    endTunnels()
    await Promise.all(pools.map((pool) => pool.destroy()))
  }
}

function openDestination(url: URL, upstream: UpstreamConfig): Destination {
  const { tls, timeouts } = upstream
  const hostname = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  const tlsName = tls.serverName ?? (isIP(hostname) === 0 ? hostname : '')
  const connect = buildConnector({
    allowH2: false,
    timeout: timeouts.connectMs,
    rejectUnauthorized: tls.verify,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  })
  const pool = new Pool(url.origin, {
    connections: upstream.connections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: timeouts.responseMs,
    bodyTimeout: timeouts.idleMs,
    // The library would take the name from the Host field, which is the client's under `host: preserve`.
    connect: (options, done) =>
      connect({ ...options, servername: tlsName }, (error, socket) => {
        if (error !== null) done(error, null)
        else done(null, dropUnaskedContinue(socket))
      }),
  })
  return { url, basePath: url.pathname.replace(/\/+$/, ''), pool, tlsName, upstream }
}

function roundRobin(destinations: readonly Destination[]): () => Destination {
  let turn = 0
  return function next() {
    const destination = destinations[turn % destinations.length]
    turn += 1
    if (destination === undefined) throw new Error('an upstream has at least one target')
    return destination
  }
}
