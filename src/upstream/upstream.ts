/**
 * Takes an admitted request to the service it is for, and the answer back.
 *
 * Streams both ways with back-pressure and writes the framing of both messages anew (RFC 9112 §6): what a client or an
 * upstream said about lengths and codings is never passed on as received. It does not decide whether a request may pass.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { isSame, type UpstreamConfig } from '../config/config.ts'
import type { Admitted, AnswerMessage, LiveEnd, LiveExchange, RequestMessage } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import type { ReadyLines } from './dispatch.ts'
import { exchangeMessages } from './forward.ts'
import type { Ahead } from './gather.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { createServers, type Servers, type ServersNeeds } from './servers.ts'
import type { ServersState, TargetHealth } from './state.ts'
import { createTunnels } from './tunnel.ts'

export { systemNames } from './names.ts'
export type { ServersState } from './state.ts'

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
  /** What the answer says in any case: name in lower case, value, name, value … */
  readonly announced?: readonly string[] | undefined
}

export interface UpstreamNeeds extends ServersNeeds {
  readonly live: LiveExchanges
  answered(upstream: string, seconds: number): void
  /** So many octets of a body were passed on, either way. */
  moved(octets: number): void
  /** How long a client may take nothing of its answer before it is cut. */
  readonly stallMs: number
}

/** What the forward step needs beside. */
export interface ForwardNeeds extends UpstreamNeeds {
  readonly ahead: Ahead
  readonly outbox: Outbox
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
  forward(exchange: Admitted, fields: ForwardFields, io: HttpIo, record: ForwardRecord): Promise<void>
  /**
   * Opens a WebSocket. Settles when it is closed.
   *
   * @throws Problem before the upstream's 101
   */
  tunnel(exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void>
  /** Begins to ask targets how they are, and where. Resolves when each was asked once, or did not answer soon. */
  start(): Promise<void>
  /** How each upstream is. */
  describe(): readonly ServersState[]
  /** Whether each target of each upstream takes requests. */
  targets(): readonly TargetHealth[]
  /** Ends all WebSockets with 1001 (RFC 6455 §7.4.1), those too that are just being opened. */
  endTunnels(): void
  /** What `others` go on with stays open. */
  close(others?: readonly Upstreams[]): Promise<void>
  /** By name, for the upstreams of the next configuration. */
  readonly opened: ReadonlyMap<string, Opened>
}

/** The header fields of a request. */
export interface ForwardFields {
  /** Name, value, name, value …, without those that are written here: Host, those of a connection and of the framing. */
  readonly list: string[]
  /** What stands behind them; absent: nothing. */
  readonly ready?: ReadyLines | undefined
}

/** The servers of an upstream with what they were made of. */
interface Opened {
  readonly of: UpstreamConfig
  readonly servers: Servers
}

export interface HttpIo {
  readonly req: RequestMessage
  readonly res: AnswerMessage
}

export interface TunnelIo {
  readonly req: IncomingMessage
  readonly socket: Duplex
  /** What the client sent behind its handshake. */
  readonly head: Buffer
  /** Writes a refusal to the socket and ends it. */
  refuse(problem: Problem): void
}

/**
 * @param before Those of the configuration before: what is configured alike goes over, with its connections and what is known
 * of its health.
 */
export function createUpstreams(needs: UpstreamNeeds, configs: Iterable<UpstreamConfig>, before?: Upstreams): Upstreams {
  const opened = new Map<string, Opened>()
  const upstreams = new Map<string, Servers>()
  const made: Servers[] = []
  for (const of of configs) {
    const known = before?.opened.get(of.name)
    const isKept = known !== undefined && isSame(known.of, of)
    const servers = isKept ? known.servers : createServers(needs, of)
    if (!isKept) made.push(servers)
    opened.set(of.name, { of, servers })
    upstreams.set(of.name, servers)
  }
  const tunnels = createTunnels(needs)
  const forwardNeeds: ForwardNeeds = { ...needs, ahead: { octets: 0 }, outbox: createOutbox(needs) }
  return { forward, tunnel, start, describe, targets, endTunnels, close, opened }

  function forward(exchange: Admitted, fields: ForwardFields, io: HttpIo, record: ForwardRecord): Promise<void> {
    return exchangeMessages(forwardNeeds, serversOf(exchange, record), exchange, fields, io, record)
  }

  function tunnel(exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void> {
    return tunnels.open(serversOf(exchange, record), exchange, fields, io, record)
  }

  function serversOf(exchange: Admitted, record: ForwardRecord): Servers {
    const { target } = exchange.route
    const servers = target.kind === 'upstream' ? upstreams.get(target.upstream) : undefined
    if (servers === undefined) throw new Error(`route ${exchange.route.name} names no upstream`)
    record.upstream = servers.name
    return servers
  }

  async function start(): Promise<void> {
    await Promise.all(made.map((servers) => servers.start()))
  }

  function describe(): readonly ServersState[] {
    return [...upstreams.values()].map((servers) => servers.describe())
  }

  function targets(): readonly TargetHealth[] {
    return [...upstreams.values()].flatMap((servers) => servers.targets())
  }

  function endTunnels(): void {
    tunnels.endAll('goingAway')
  }

  async function close(others: readonly Upstreams[] = []): Promise<void> {
    endTunnels()
    const isKept = (servers: Servers) => others.some((other) => other.opened.get(servers.name)?.servers === servers)
    const left = [...upstreams.values()].filter((servers) => !isKept(servers))
    await Promise.all(left.map((servers) => servers.close()))
  }
}
