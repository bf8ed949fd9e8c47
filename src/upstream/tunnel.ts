import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ProxyServer } from 'http-proxy-3'
import type { Admitted, LiveEnd, LiveExchange } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import { takePlace } from './destination.ts'
import { isOfUpstream, problemOfFailure } from './failures.ts'
import { closeFrameForClient, closeFrameForUpstream, createFrameFollower, type CloseReason } from './frames.ts'
import { cleanAnswer, paceAnswer, requestHeaders, tunnelOptions } from './handshake.ts'
import { reasonOfStatus } from './retries.ts'
import type { Servers } from './servers.ts'
import { beginAttempt, withParent } from './traced-attempt.ts'
import type { ForwardRecord, TunnelIo, UpstreamNeeds } from './upstream.ts'

/** A WebSocket that is open: both of its ends. */
interface LiveTunnel {
  end(reason: CloseReason): void
}

interface Ends {
  readonly client: Duplex
  readonly upstream: Duplex
}

export interface Tunnels {
  open(servers: Servers, exchange: Admitted, fields: string[], io: TunnelIo, record: ForwardRecord): Promise<void>
  /** Ends those that are open, and from now on each as soon as it opens. */
  endAll(reason: CloseReason): void
}

/** How long an end may take to come between two frames before its socket is cut. */
const CLOSE_GRACE_MS = 1000

/** Raw tunnels by http-proxy-3: after the upstream's 101 the octets pass as they are, in both directions. */
export function createTunnels(needs: UpstreamNeeds): Tunnels {
  const tunnels = new Set<LiveTunnel>()
  let ending: CloseReason | undefined
  let library: Promise<{ readonly ProxyServer: typeof ProxyServer }> | undefined
  return { open, endAll }

  async function open(
    servers: Servers,
    exchange: Admitted,
    fields: string[],
    io: TunnelIo,
    record: ForwardRecord,
  ): Promise<void> {
    // Read with the first handshake: a gateway without WebSockets does without its megabytes.
    library ??= import('http-proxy-3')
    const { ProxyServer } = await library
    return new Promise((resolve, reject) => {
      const { req, socket } = io
      servers.admit()
      const to = servers.pick(exchange, undefined)
      const place = takePlace(to)
      let failure: Problem | undefined
      let request: ClientRequest | undefined
      let answered = false
      const startedMs = needs.monotonicMs()
      const proxy = new ProxyServer(tunnelOptions(to))
      req.url = to.basePath + exchange.forwardPath + exchange.query
      const traced = exchange.trace?.recording && beginAttempt(exchange.trace.recording, to, req.url)
      req.headers = requestHeaders(traced === undefined ? fields : withParent(fields, traced.parent), to, exchange)
      proxy.on('proxyReqWs', onRequest)
      // Not earlier: whoever listens to the upstream's socket before the library pipes it takes its first octets away.
      proxy.on('open', (upstreamSocket) => {
        if (failure === undefined) hold(exchange, { client: socket, upstream: upstreamSocket }, record)
      })
      proxy.on('error', onError)
      socket.on('close', settle)
      socket.on('readable', peek)
      socket.once('end', leave)
      if (socket.destroyed) {
        settle()
        return
      }
      proxy.ws(req, clientSocket(socket), io.head)

      function onRequest(given: ClientRequest): void {
        request = given
        const waitMs = exchange.route.responseTimeoutMs ?? to.upstream.timeouts.responseMs
        const cancel = needs.schedule(waitMs, () => given.destroy(timedOut()))
        const stopWaiting = (): void => {
          cancel()
          socket.off('readable', peek).off('end', leave)
        }
        given.once('close', stopWaiting)
        // Before the library's own listeners: what it is about to pass on is cleaned first.
        given.prependOnceListener('upgrade', (answer: IncomingMessage, upstreamSocket: Socket) => {
          stopWaiting()
          if (answer.headers.upgrade?.toLowerCase() !== 'websocket') return refuseSwitch(upstreamSocket)
          noteHead(101)
          cleanAnswer(answer, exchange, 'Upgrade')
        })
        given.prependOnceListener('response', (answer: IncomingMessage) => {
          stopWaiting()
          if (answer.statusCode === 101) return refuseSwitch(answer)
          noteHead(answer.statusCode ?? 502)
          cleanAnswer(answer, exchange, 'close')
          paceAnswer(answer, clientSocket(socket), needs.stallMs, record)
          live(exchange, socket, (reason) => {
            record.ended = reason
            socket.destroy()
          })
        })
      }

      /** Nobody reads the client before the upstream has answered, and who does not read does not see it go. */
      function peek(): void {
        if (socket.readableLength === 0) socket.read()
      }

      function leave(): void {
        socket.destroy()
      }

      function refuseSwitch(from: { destroy(): void }): void {
        onError(new Error('the upstream switched to another protocol'))
        from.destroy()
      }

      function noteHead(status: number): void {
        answered = true
        traced?.answered(status)
        record.status = status
        record.upstreamMs = needs.monotonicMs() - startedMs
        needs.answered(to.upstream.name, record.upstreamMs / 1000)
        place.answered()
        to.judge?.(to, reasonOfStatus(status) === undefined, record.upstreamMs)
      }

      function onError(error: Error): void {
        if (answered || failure !== undefined) {
          record.aborted = true
          return
        }
        failure = problemOfFailure(error)
        traced?.ended(failure.kind)
        if (isOfUpstream(failure)) to.judge?.(to, false, needs.monotonicMs() - startedMs)
        // The library ends the socket right after this listener, so the refusal has to be written here and now.
        io.refuse(failure)
        reject(failure)
      }

      function settle(): void {
        place.leave()
        traced?.ended()
        if (failure !== undefined) return
        if (!answered) {
          record.aborted = true
          request?.destroy()
        }
        resolve()
      }
    })
  }

  function endAll(reason: CloseReason): void {
    ending = reason
    for (const one of tunnels) one.end(reason)
  }

  /** Keeps the tunnel only as long as the token that opened it. */
  function hold(exchange: Admitted, { client, upstream }: Ends, record: ForwardRecord): void {
    const toClient = createFrameFollower()
    const toUpstream = createFrameFollower()
    upstream.on('data', toClient.follow)
    client.on('data', toUpstream.follow)
    let ended = false
    const tunnel: LiveTunnel = { end }
    tunnels.add(tunnel)
    client.on('close', () => tunnels.delete(tunnel))
    client.on('close', () => seeOff(upstream))
    upstream.on('close', () => seeOff(client))
    if (client.destroyed) upstream.destroy()
    if (ending !== undefined) end(ending)
    live(exchange, client, (reason) => {
      record.ended = reason
      end(reason === 'unavailable' ? 'tryAgainLater' : 'policyViolation')
    })

    function end(reason: CloseReason): void {
      if (ended) return
      ended = true
      endBetweenFrames(client, upstream, toClient, closeFrameForClient(reason))
      endBetweenFrames(upstream, client, toUpstream, closeFrameForUpstream(reason))
      needs.schedule(CLOSE_GRACE_MS, () => {
        client.destroy()
        upstream.destroy()
      })
    }
  }

  /**
   * One end is gone. The other is paused by that, and with something unread its own end would never be seen: it would stay for
   * good. So what still comes is thrown away, and once what it is owed is written it has a moment to go.
   */
  function seeOff(end: Duplex): void {
    if (end.destroyed) return
    end.resume()
    const cut = (): void => void needs.schedule(CLOSE_GRACE_MS, () => end.destroy())
    if (end.writableFinished) cut()
    else end.once('finish', cut)
  }

  /** Calls `end` when the token of the exchange is over, if that comes before the end of the client's socket. */
  function live(exchange: Admitted, client: Duplex, end: (reason: LiveEnd) => void): void {
    const { principal } = exchange
    if (principal.kind !== 'identified' || client.destroyed) return
    const one: LiveExchange = {
      exchange,
      principal,
      end(reason) {
        end(reason)
        return true
      },
      place: -1,
    }
    client.on('close', () => needs.live.leave(one))
    needs.live.hold(one)
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
