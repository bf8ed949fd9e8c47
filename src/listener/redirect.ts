import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublicListenerConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import { addressOf, socketAddress } from './client-address.ts'
import { createEntrance } from './front.ts'
import { problemOf } from './parser-error.ts'
import { refuse, refuseSocket } from './refusal.ts'

export interface RedirectNeeds {
  /** Notes what could not be read as a request. Returns the id for its answer. */
  malformed(problem: Problem, peer: string): string
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Redirect {
  listen(): Promise<AddressInfo>
  use(config: PublicListenerConfig): void
  /** Stops at once: there is nothing that a client could lose. */
  close(): void
}

type Place = NonNullable<PublicListenerConfig['redirect']>

/** What stands in a `location` as it came: visible ASCII, in origin-form (RFC 9112 §3.2.1). */
const TARGET = /^\/[\x21-\x7e]*$/
const CHECK_INTERVAL_MS = 500

/**
 * Answers every request over plain http with the same place over https, and knows nothing else. The host is one of the
 * configuration or the origin's: what a client says in its Host leads nowhere else.
 */
export function createRedirect(needs: RedirectNeeds, config: PublicListenerConfig, place: Place): Redirect {
  let origin = new URL(config.origin)
  let hosts = new Set(place.hosts)
  const http = createServer({
    maxHeaderSize: config.limits.headerBytes,
    headersTimeout: config.timeouts.headersMs,
    requestTimeout: config.timeouts.headersMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    requireHostHeader: false,
  })
  const entrance = createEntrance(needs, config, (socket) => {
    socket.on('error', ignore)
    http.emit('connection', socket)
  })
  const { server } = entrance
  server.maxConnections = config.limits.connections
  http.on('request', onRequest)
  http.on('clientError', (error, socket) => refuseUnread(problemOf(error), socket))
  return { listen, use, close }

  function use(fresh: PublicListenerConfig): void {
    entrance.use(fresh)
    origin = new URL(fresh.origin)
    hosts = new Set(fresh.redirect?.hosts)
  }

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    const target = req.url ?? ''
    res.setHeader('connection', 'close')
    if (!TARGET.test(target) || target.length > config.limits.urlBytes) {
      const problem = new Problem('invalid_request', { detail: 'nothing that can be redirected' })
      refuse(res, problem, needs.malformed(problem, addressOf(req.socket)))
      return
    }
    // RFC 9110 §15.4.9: method and body go with it.
    res.writeHead(308, { location: `https://${hostFor(req.headers.host ?? '')}${target}`, 'content-length': '0' })
    res.end()
  }

  function refuseUnread(problem: Problem, socket: Duplex): void {
    if (socket.writable) refuseSocket(socket, problem, needs.malformed(problem, socketAddress(socket)))
  }

  function hostFor(authority: string): string {
    const name = authority.toLowerCase().replace(/\.?(?::[0-9]{1,5})?$/, '')
    const isKnown = hosts.has(name) || hosts.has(`*${name.slice(Math.max(0, name.indexOf('.')))}`)
    if (!isKnown || !NAME.test(name)) return origin.host
    return origin.port === '' ? name : `${name}:${origin.port}`
  }

  async function listen(): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(place.port, place.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
    // Its clock is set when it listens, and it is the entrance that does.
    http.emit('listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the redirect has no address')
    return address
  }

  function close(): void {
    server.close()
    http.close()
    http.closeAllConnections()
  }
}

/** A host of the configuration is one of these, also below a wildcard. */
const NAME = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/

/** The connection is going; there is nobody left to tell. */
function ignore(): void {}
