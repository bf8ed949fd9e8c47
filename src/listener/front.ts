import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls'
import type { PublicListenerConfig, PublicTlsConfig } from '../config/config.ts'
import type { ClientCertificate, Connection } from '../exchange/exchange.ts'
import { createCertificates, type CertificateNeeds, type Certificates } from './certificates.ts'
import { createClientAddresses } from './client-address.ts'
import { createAnchors } from './client-anchors.ts'
import { certificateOf } from './client-certificate.ts'
import { createHandshakeFailures, type HandshakeNeeds } from './handshake-failures.ts'
import { takeProxyHeader } from './proxy-protocol.ts'

export type TlsSocket = TLSSocket

/** Where a connection goes that is ready to be read. */
export interface Ways {
  http1(socket: Socket): void
  http2(socket: TlsSocket): void
}

export interface FrontNeeds extends CertificateNeeds, HandshakeNeeds {}

export interface Front {
  /** Listens, and closes when the last connection has. */
  readonly server: Server
  /** Absent without TLS. */
  readonly certificates?: Certificates
  /** Connections, those included that are still in their handshake. */
  connections(): number
  cut(): void
  /** Serves other certificates from here on, believes other proxies, waits as long as this says. */
  use(config: PublicListenerConfig): void
  stop(): void
}

/**
 * What stands between the socket and HTTP: the PROXY header, where a trusted peer has to send one, then TLS. Each is read from
 * the socket itself and gone when HTTP begins, so that what reads HTTP needs to know of neither.
 */
export function createFront(needs: FrontNeeds, config: PublicListenerConfig, ways: Ways): Front {
  const { tls } = config
  const secure = tls === undefined ? undefined : createSecure(needs, tls, { config, ways })
  const entrance = createEntrance(needs, config, (socket) => {
    // Turned away as soon as it came, see the gate.
    if (socket.destroyed) return
    if (secure === undefined) ways.http1(socket)
    else secure.server.emit('connection', socket)
  })
  const { server } = entrance
  const sockets = new Set<Socket>()
  server.prependListener('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', ignore)
    socket.on('close', onClose)
  })
  function onClose(this: Socket): void {
    sockets.delete(this)
  }
  return {
    server,
    ...(secure === undefined ? {} : { certificates: secure.certificates }),
    connections: () => sockets.size,
    use(next) {
      secure?.use(next)
      entrance.use(next)
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    stop: () => secure?.certificates.stop(),
  }
}

export interface Entrance {
  readonly server: Server
  /** Takes on whom it trusts, and how long it waits. */
  use(config: PublicListenerConfig): void
}

/** Takes connections, and the PROXY header off those that have one. */
export function createEntrance(
  needs: Pick<CertificateNeeds, 'schedule'>,
  config: PublicListenerConfig,
  enter: (socket: Socket) => void,
): Entrance {
  if (!config.proxyProtocol) return { server: createTcpServer({ noDelay: true }, enter), use: () => undefined }
  let addresses = createClientAddresses(config.trustedProxies)
  let timeout = { afterMs: config.timeouts.headersMs, schedule: needs.schedule }
  const server = createTcpServer({ noDelay: true }, (socket) => {
    // Whoever is not trusted speaks for itself: a header of its own is no HTTP and no TLS.
    if (!addresses.ofSocket(socket).trusted) {
      enter(socket)
      return
    }
    takeProxyHeader(socket, timeout, (source) => {
      // Whatever else comes over it, nobody has said that a proxy wrote it.
      Object.assign(socket, source === undefined ? { isUnsaid: true } : { proxiedFrom: source })
      enter(socket)
    })
  })
  return { server, use }

  function use(next: PublicListenerConfig): void {
    addresses = createClientAddresses(next.trustedProxies)
    timeout = { ...timeout, afterMs: next.timeouts.headersMs }
  }
}

interface Secure {
  readonly server: TlsServer
  readonly certificates: Certificates
  use(config: PublicListenerConfig): void
}

function createSecure(
  needs: FrontNeeds,
  tls: PublicTlsConfig,
  { config, ways }: { readonly config: PublicListenerConfig; readonly ways: Ways },
): Secure {
  const certificates = createCertificates(needs, tls)
  const asks = tls.clientCa !== undefined
  const anchors = createAnchors(tls.clientCa?.certificates)
  const arriving = new Map<string, Arriving>()
  const failures = createHandshakeFailures(needs)
  let handshakeMs = config.timeouts.headersMs
  const server = createTlsServer({
    ...certificates.first(),
    SNICallback: (name, done) => done(null, certificates.contextFor(name)),
    ALPNProtocols: tls.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    requestCert: asks,
    // Which routes need a certificate is known when there is a request.
    rejectUnauthorized: false,
  })
  const serve = (): void => {
    const options = certificates.first()
    server.setSecureContext(options)
    anchors.use(options.ca)
  }
  certificates.watch(serve)
  server.prependListener('connection', (socket: Socket & Said) => {
    const end = endOf(socket)
    // The library's own time-out begins anew with every octet.
    const cancel = needs.schedule(handshakeMs, () => {
      failures.tookTooLong(socket)
      socket.destroy()
    })
    failures.began(socket)
    arriving.set(end, { said: saidOf(socket), cancel })
    socket.on('close', () => {
      cancel()
      arriving.delete(end)
    })
  })
  server.on('tlsClientError', (error, socket) => {
    failures.failed(socket, error)
    socket.destroy()
  })
  server.on('secureConnection', (socket: TlsSocket) => {
    socket.on('error', ignore)
    const known = arriving.get(endOf(socket))
    // Nobody knows any more who the client is.
    if (known === undefined) {
      socket.destroy()
      return
    }
    known.cancel()
    const clientCertificate = asks ? certificateOf(socket) : undefined
    if (clientCertificate !== undefined) anchors.note(socket)
    mark(socket, { ...known.said, ...(clientCertificate === undefined ? {} : { clientCertificate }) })
    if (socket.alpnProtocol === 'h2') ways.http2(socket)
    else ways.http1(socket)
  })
  return { server, certificates, use }

  function use({ tls: next, timeouts }: PublicListenerConfig): void {
    handshakeMs = timeouts.headersMs
    if (next === undefined) return
    // The configuration has found nothing wrong; what the library minds all the same must not undo what is in force.
    try {
      certificates.use(next)
      serve()
    } catch (cause) {
      needs.certificatesRead('refused', cause)
    }
  }
}

/** What the PROXY header of a connection has said. */
type Said = Pick<Connection, 'proxiedFrom' | 'isUnsaid'>

/** A connection whose handshake is not done. */
interface Arriving {
  readonly said: Said
  cancel(): void
}

function saidOf({ proxiedFrom, isUnsaid }: Said): Said {
  return { ...(proxiedFrom === undefined ? {} : { proxiedFrom }), ...(isUnsaid === undefined ? {} : { isUnsaid }) }
}

/** Puts down beside the connection what is known of it; what is not is left out. */
function mark(socket: TlsSocket, facts: Said & { readonly clientCertificate?: ClientCertificate }): void {
  Object.assign(socket, facts)
}

/**
 * Both ends of a connection, by which its TLS finds back to it: there is one of it at a time. The other end alone is not enough:
 * from one port a load balancer may be connected to several addresses of ours.
 */
function endOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

/** Unheard, an error of a connection would end the process; who uses the connection hears of its end. */
function ignore(): void {}
