import { BlockList, isIP, isIPv6, type Socket } from 'node:net'

interface Peer {
  readonly peer: string
  readonly trusted: boolean
  /** Set once a request of the connection could be read in more than one way: nothing behind it is believed. */
  ambiguous: boolean
}

export interface ClientAddresses {
  ofSocket(socket: Socket): Peer
  /** The nearest address of a chain of `X-Forwarded-For` that is not a trusted proxy itself. */
  behind(chain: readonly string[], peer: string): string
}

/** Whose word about the client is believed; nobody's where `trustedProxies` is empty. */
export function createClientAddresses(trustedProxies: readonly string[]): ClientAddresses {
  const trusted = new BlockList()
  for (const cidr of trustedProxies) {
    const [address = '', bits = ''] = cidr.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === '') trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(bits), family)
  }
  const peers = new WeakMap<Socket, Peer>()
  return { ofSocket, behind }

  function ofSocket(socket: Socket): Peer {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const peer = plain(socket.remoteAddress ?? '')
    const fresh = { peer, trusted: isTrusted(peer), ambiguous: false }
    peers.set(socket, fresh)
    return fresh
  }

  function behind(chain: readonly string[], peer: string): string {
    let nearest = peer
    for (let index = chain.length - 1; index >= 0; index -= 1) {
      const address = plain((chain[index] ?? '').trim())
      if (isIP(address) === 0) return nearest
      nearest = address
      if (!isTrusted(address)) return nearest
    }
    return nearest
  }

  function isTrusted(address: string): boolean {
    return trustedProxies.length > 0 && isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** An IPv4 address that came over an IPv6 socket is that IPv4 address (RFC 4291 §2.5.5.2). */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
