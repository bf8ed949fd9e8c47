import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import type * as Undici from 'undici'
import type { buildConnector } from 'undici'
import type { TargetConfig, UpstreamConfig } from '../config/config.ts'
import { adaptPool } from './dispatch-foreign.ts'
import type { DispatchPool } from './dispatch.ts'
import { createHttp1Pool } from './http1-pool.ts'
import { createHttp2Pool } from './http2-pool.ts'
import { dropUnaskedContinue } from './unasked-continue.ts'
import { createUploads, type Uploads } from './uploads.ts'

/** One address of an upstream. */
export interface Destination {
  readonly url: URL
  /** Path of the URL, without a slash at its end. */
  readonly basePath: string
  readonly pool: DispatchPool
  /** Name that the upstream's certificate must be for, sent as SNI; empty where that is an IP address (RFC 6066 §3). */
  readonly tlsName: string
  readonly upstream: UpstreamConfig
  /** Where connections go instead of wherever the system finds the name of the URL. */
  readonly address?: string
  /** Place of its target in the configuration, from 0. */
  readonly target: number
  /** Its share beside the others, from 0: it takes nothing. */
  readonly weight: number
  readonly load: Load
  readonly standing: Standing
  /** That of the whole upstream. */
  readonly counts: Counts
  /** Told of each attempt that says something about the destination, once. Absent where nobody wants to know. */
  readonly judge: Judge | undefined
  /** Absent over HTTP/2, where a slow one costs no connection. */
  readonly uploads?: Uploads
}

/**
 * @param isGood whether it answered as a server does that is well
 * @param latencyMs until the head of the answer, or until the failure
 */
export type Judge = (to: Destination, isGood: boolean, latencyMs: number) => void

/** What a destination has to do at present. */
export interface Load {
  /** Requests and WebSockets under way. */
  inFlight: number
  /** Of these, requests that wait for a connection, and those that have one. */
  waiting: number
  carried: number
  /** How long answers took of late, milliseconds. */
  latencyMs: number
  /** What `balance: ewma` reckons with, milliseconds, and as of when. */
  costMs: number
  costAtMs: number
}

/** Whether a destination is trusted with requests. */
export interface Standing {
  /** By what it answers to the health check. */
  isHealthy: boolean
  /** Left out because it failed requests. */
  isEjected: boolean
  /** Requests that failed in a row. */
  failures: number
  /** Times that it was left out, those forgotten that are long past. */
  ejections: number
  /** When it was last let in again. */
  returnedMs: number
  /** Why it was left out last, for operators; empty: it never was. */
  why: string
  /** When that changed last, monotonic milliseconds. */
  sinceMs: number
}

/** What a whole upstream has to do at present. */
export interface Counts {
  /** Requests under way, and handshakes of WebSockets. */
  active: number
}

/** What connections need of the world. */
export interface PoolNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** Runs once after what came in with this turn of the event loop. */
  endOfTurn(run: () => void): void
}

/** What a destination shares with the others of its upstream. */
export interface Shared {
  readonly needs: PoolNeeds
  readonly upstream: UpstreamConfig
  readonly counts: Counts
  readonly judge: Judge | undefined
}

/** How long the running mean of latencies remembers: each answer is a tenth of it. */
const LATENCY_SHARE = 0.1

/**
 * @param target its place in the configuration
 * @param address where connections go; absent: where the system finds the name of the URL
 */
export function openDestination({ url, weight }: TargetConfig, target: number, shared: Shared, address?: string): Destination {
  const { upstream, needs } = shared
  const place = { url, tlsName: tlsNameOf(url, upstream), upstream, ...(address === undefined ? {} : { address }) }
  const load: Load = { inFlight: 0, waiting: 0, carried: 0, latencyMs: 0, costMs: 0, costAtMs: 0 }
  return {
    ...shared,
    ...place,
    basePath: url.pathname.replace(/\/+$/, ''),
    pool: openPool(needs, place, { connections: upstream.connections, ...upstream.timeouts }),
    target,
    weight,
    load,
    standing: {
      isHealthy: true,
      isEjected: false,
      failures: 0,
      ejections: 0,
      returnedMs: 0,
      why: '',
      sinceMs: needs.monotonicMs(),
    },
    ...(upstream.protocol === 'http2' ? {} : { uploads: createUploads(needs, load, upstream.connections) }),
  }
}

/** What one request or WebSocket takes of a destination. */
export interface Place {
  /** It has its answer: a WebSocket is under way from now on, and no request any more. */
  answered(): void
  leave(): void
}

export function takePlace({ load, counts }: Destination): Place {
  let isRequest = true
  let isOver = false
  load.inFlight += 1
  counts.active += 1
  return { answered, leave }

  function answered(): void {
    if (!isRequest) return
    isRequest = false
    counts.active -= 1
  }

  function leave(): void {
    if (isOver) return
    isOver = true
    answered()
    load.inFlight -= 1
  }
}

/** Takes the latency of an answer into the running mean. */
export function noteLatency({ load }: Destination, latencyMs: number): void {
  load.latencyMs += load.latencyMs === 0 ? latencyMs : (latencyMs - load.latencyMs) * LATENCY_SHARE
}

export interface PoolLimits {
  readonly connections: number
  readonly connectMs: number
  readonly responseMs: number
  readonly idleMs: number
}

/** Connections to a destination; those of HTTP/1.1 each with one request at a time. */
export function openPool(
  needs: PoolNeeds,
  to: Pick<Destination, 'url' | 'tlsName' | 'upstream' | 'address'>,
  limits: PoolLimits,
): DispatchPool {
  const { tls, protocol } = to.upstream
  const isHttp2 = protocol === 'http2'
  if (!isHttp2 && to.url.protocol === 'http:' && to.upstream.client === 'builtin') {
    const port = to.url.port === '' ? 80 : Number(to.url.port)
    return createHttp1Pool(needs, { ...limits, authority: to.url.host, hostname: to.address ?? plainHost(to.url), port })
  }
  const { buildConnector, Pool } = readUndici()
  const connect = buildConnector({
    allowH2: isHttp2,
    preferH2: isHttp2,
    timeout: limits.connectMs,
    rejectUnauthorized: tls.verify,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  })
  const { address, tlsName } = to
  // The library would take the name from the Host field, which is the client's under `host: preserve`.
  const place = address === undefined ? { servername: tlsName } : { servername: tlsName, hostname: address }
  if (isHttp2) {
    const options = { ...connectorOptions(to.url), ...place }
    return adaptPool(createHttp2Pool(needs, { ...limits, origin: to.url, connect: (done) => connect(options, done) }))
  }
  const pool = new Pool(to.url.origin, {
    connections: limits.connections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: limits.responseMs,
    bodyTimeout: limits.idleMs,
    connect: (options, done) =>
      connect({ ...options, ...place }, (error, socket) => {
        if (error !== null) done(error, null)
        else done(null, dropUnaskedContinue(socket))
      }),
  })
  return adaptPool(pool)
}

/** Takes 60 ms of a start and 5 MB, where it is needed: where nothing is spoken but HTTP/1.1 without TLS it is not. */
function readUndici(): typeof Undici {
  return createRequire(import.meta.url)('undici')
}

/** What the library gives its own clients' connectors. */
function connectorOptions(url: URL): buildConnector.Options {
  return { host: url.host, hostname: plainHost(url), protocol: url.protocol, port: url.port }
}

function plainHost({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function tlsNameOf(url: URL, { tls }: UpstreamConfig): string {
  const hostname = plainHost(url)
  return tls.serverName ?? (isIP(hostname) === 0 ? hostname : '')
}
