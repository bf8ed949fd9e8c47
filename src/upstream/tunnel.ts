import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyServer, type ServerOptions } from 'http-proxy-3'
import type { Admitted } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { namesIn } from './answer-headers.ts'
import { problemOfFailure } from './failures.ts'
import { closeFrameForClient, closeFrameForUpstream, createFrameFollower, type CloseReason } from './frames.ts'
import type { Destination, ForwardRecord, TunnelIo, UpstreamNeeds } from './upstream.ts'

/** A WebSocket that is open: both of its ends. */
export interface LiveTunnel {
  end(reason: CloseReason): void
}

export interface Tunnels {
  open(to: Destination, exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void>
}

/** How long an end may take to come between two frames before its socket is cut. */
const CLOSE_GRACE_MS = 1000

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/** Raw tunnels by http-proxy-3: after the upstream's 101 the octets pass as they are, in both directions. */
export function createTunnels(needs: UpstreamNeeds, live: Set<LiveTunnel>): Tunnels {
  return { open }

  function open(to: Destination, exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      const { req, socket } = io
      let failure: Problem | undefined
      let answered = false
      const startedMs = needs.monotonicMs()
      const proxy = new ProxyServer(tunnelOptions(to))
      req.url = to.basePath + exchange.forwardPath + exchange.query
      req.headers = requestHeaders(fields, to, exchange)
      proxy.on('proxyReqWs', onRequest)
      proxy.on('error', onError)
      socket.on('close', settle)
      if (socket.destroyed) {
        settle()
        return
      }
      proxy.ws(req, clientSocket(socket), io.head)

      function onRequest(request: ClientRequest): void {
        const waitMs = exchange.route.responseTimeoutMs ?? to.upstream.timeouts.responseMs
        const cancel = needs.schedule(waitMs, () => request.destroy(timedOut()))
        // Before the library's own listeners: what it is about to pass on is cleaned first.
        request.prependOnceListener('upgrade', (answer: IncomingMessage, upstreamSocket: Socket) => {
          cancel()
          answered = true
          cleanAnswer(answer, exchange.id, 'Upgrade')
          record.status = 101
          noteHead()
          hold(exchange, socket, upstreamSocket)
        })
        request.prependOnceListener('response', (answer: IncomingMessage) => {
          cancel()
          answered = true
          cleanAnswer(answer, exchange.id, 'close')
          record.status = answer.statusCode ?? 502
          noteHead()
        })
      }

      function noteHead(): void {
        record.upstreamMs = needs.monotonicMs() - startedMs
        needs.answered(to.upstream.name, record.upstreamMs / 1000)
      }

      function onError(error: Error): void {
        if (answered) {
          record.aborted = true
          return
        }
        failure = problemOfFailure(error)
        // The library ends the socket right after this listener, so the refusal has to be written here and now.
        io.refuse(failure)
        reject(failure)
      }

      function settle(): void {
        if (failure === undefined) resolve()
      }
    })
  }

  /** Keeps the tunnel only as long as the token that opened it. */
  function hold(exchange: Admitted, client: Duplex, upstream: Socket): void {
    const toClient = createFrameFollower()
    const toUpstream = createFrameFollower()
    upstream.on('data', toClient.follow)
    client.on('data', toUpstream.follow)
    let ending = false
    const tunnel: LiveTunnel = { end }
    live.add(tunnel)
    const { principal } = exchange
    const forget = principal.kind === 'identified' ? needs.watch(principal, () => end('policyViolation')) : undefined
    client.on('close', () => {
      live.delete(tunnel)
      forget?.()
    })

    function end(reason: CloseReason): void {
      if (ending) return
      ending = true
      endBetweenFrames(client, upstream, toClient, closeFrameForClient(reason))
      endBetweenFrames(upstream, client, toUpstream, closeFrameForUpstream(reason))
      needs.schedule(CLOSE_GRACE_MS, () => {
        client.destroy()
        upstream.destroy()
      })
    }
  }
}

/** Writes the last frame to one end as soon as the frame that is under way from the other is whole. */
function endBetweenFrames(to: Duplex, from: Duplex, follower: { betweenFrames(): boolean }, frame: Buffer): void {
  if (follower.betweenFrames()) {
    finish()
    return
  }
  from.on('data', check)

  function check(): void {
    if (follower.betweenFrames()) finish()
  }

  function finish(): void {
    from.off('data', check)
    from.unpipe(to)
    to.end(frame)
  }
}

function tunnelOptions(to: Destination): ServerOptions {
  const { tls, timeouts } = to.upstream
  const { url } = to
  return {
    target: {
      protocol: url.protocol,
      host: url.host,
      hostname: url.hostname,
      port: url.port === '' ? DEFAULT_PORTS[url.protocol === 'https:' ? 'https' : 'http'] : Number(url.port),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    },
    secure: tls.verify,
    ...(tls.serverName === undefined ? {} : { ssl: { servername: tls.serverName } }),
    connectTimeout: timeouts.connectMs,
    // The path is canonical already and must arrive to the letter: the library would parse and print it once more.
    toProxy: true,
    prependPath: false,
  }
}

/** The fields as an object, with the upgrade itself written anew; repeated fields stay repeated. */
function requestHeaders(fields: readonly string[], to: Destination, exchange: Admitted): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  headers['host'] = exchange.route.host === 'preserve' ? exchange.authority : to.url.host
  headers['connection'] = 'Upgrade'
  headers['upgrade'] = 'websocket'
  return headers
}

/** Hop-by-hop fields of the answer do not pass (RFC 9110 §7.6.1); `connection` is ours. */
function cleanAnswer(answer: IncomingMessage, requestId: string, connection: 'Upgrade' | 'close'): void {
  const nominated = namesIn(answer.headers.connection)
  for (const name of Object.keys(answer.headers)) {
    if (name === 'keep-alive' || name === 'proxy-connection' || (nominated?.has(name) === true && name !== 'upgrade')) {
      delete answer.headers[name]
    }
  }
  if (connection === 'close') delete answer.headers.upgrade
  answer.headers.connection = connection
  answer.headers['x-request-id'] = requestId
}

function clientSocket(socket: Duplex): Socket {
  if (!isSocket(socket)) throw new Error('an upgrade comes with its socket')
  return socket
}

function isSocket(socket: Duplex): socket is Socket {
  return 'setNoDelay' in socket
}

function timedOut(): Error {
  return Object.assign(new Error('no answer to the handshake'), { code: 'UND_ERR_HEADERS_TIMEOUT' })
}
