import { isIP, type Server, type Socket } from 'node:net'
import type { PublicListenerConfig } from '../config/config.ts'
import { networkOf } from '../exchange/exchange.ts'
import { createClientAddresses } from './client-address.ts'

/** Why a connection was closed as soon as it came: too many in all, or too many of this client. */
export type TurnedAway = 'all' | 'client'

export interface ConnectionGate {
  /** Goes by another configuration from here on; connections that are open stay. */
  use(config: PublicListenerConfig): void
}

/**
 * Bounds connections, in all and of each network. Those over a bound are closed unanswered: an answer would cost the reading of
 * a request, and over TLS a handshake, which is what a flood of connections wants. Trusted proxies carry many clients and have
 * no bound of their own.
 *
 * Must be made before anything else listens to the connections of the server.
 */
export function createConnectionGate(
  server: Server,
  first: PublicListenerConfig,
  turnedAway: (why: TurnedAway) => void,
): ConnectionGate {
  const open = new Map<string, number>()
  let most = first.limits.connectionsPerClient
  let addresses = createClientAddresses(first.trustedProxies)
  use(first)
  // Of several processes, one that has its part would hand a further connection on, and a flood from one to the next for ever.
  Object.assign(server, { dropMaxConnection: true })
  server.prependListener('connection', onConnection)
  server.on('drop', () => turnedAway('all'))
  return { use }

  function use(config: PublicListenerConfig): void {
    server.maxConnections = config.limits.connections
    most = config.limits.connectionsPerClient
    addresses = createClientAddresses(config.trustedProxies)
  }

  function onConnection(socket: Socket): void {
    if (most === undefined) return
    const { peer, trusted } = addresses.ofSocket(socket)
    if (trusted || isIP(peer) === 0) return
    const network = networkOf(peer)
    const count = (open.get(network) ?? 0) + 1
    if (count > most) {
      turnedAway('client')
      socket.destroy()
      return
    }
    open.set(network, count)
    socket.once('close', () => forget(network))
  }

  function forget(network: string): void {
    const count = (open.get(network) ?? 1) - 1
    if (count === 0) open.delete(network)
    else open.set(network, count)
  }
}
