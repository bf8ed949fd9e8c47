import { BlockList, isIP, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Connection } from '../exchange/exchange.ts'

interface Peer {
  readonly peer: string
  readonly trusted: boolean
  /** Set once a request of the connection could be read in more than one way: nothing behind it is believed. */
  ambiguous: boolean
}

export interface ClientAddresses {
  ofSocket(socket: Connection): Peer
  /** The nearest address of a chain of `X-Forwarded-For` that is not a trusted proxy itself; `unknown` where it is no address. */
  behind(chain: readonly string[], peer: string): string
}

/**
 * Whose word about the client is believed; nobody's where `trustedProxies` is empty.
 *
 * @param doubtful Connections that are known as ambiguous from an earlier configuration.
 */
export function createClientAddresses(trustedProxies: readonly string[], doubtful?: WeakSet<Connection>): ClientAddresses {
  const proxies = new BlockList()
  for (const cidr of trustedProxies) {
    const [address = '', bits = ''] = cidr.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === '') proxies.addAddress(address, family)
    else proxies.addSubnet(address, Number(bits), family)
  }
  const peers = new WeakMap<Connection, Peer>()
  return { ofSocket, behind }

  function ofSocket(socket: Connection): Peer {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const peer = addressOf(socket)
    const trusted = socket.isUnsaid !== true && isTrusted(peer)
    const fresh = { peer, trusted, ambiguous: doubtful?.has(socket) === true }
    peers.set(socket, fresh)
    return fresh
  }

  function behind(chain: readonly string[], peer: string): string {
    let nearest = peer
    for (let index = chain.length - 1; index >= 0; index -= 1) {
      const written = (chain[index] ?? '').trim()
      // RFC 9110 §5.6.1: what is empty is nothing.
      if (written === '') continue
      const address = plain(withoutPort(written))
      // Whoever it is, it is not the proxy that says so.
      if (isIP(address) === 0) return UNKNOWN
      nearest = address
      if (!isTrusted(address)) return nearest
    }
    return nearest
  }

  function isTrusted(address: string): boolean {
    return trustedProxies.length > 0 && isIP(address) !== 0 && proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** Some proxies write the port of the client behind its address. */
function withoutPort(text: string): string {
  return BRACKETED.exec(text)?.[1] ?? WITH_PORT.exec(text)?.[1] ?? text
}

const BRACKETED = /^\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?$/
const WITH_PORT = /^([0-9.]{7,15}):[0-9]{1,5}$/
/** RFC 7239 §6.2. */
const UNKNOWN = 'unknown'

/** Address of the other end: what a trusted proxy said of it, else what the system says. */
export function addressOf(socket: Connection): string {
  return plain(socket.proxiedFrom ?? socket.remoteAddress ?? '')
}

/** The same of a bare socket: after an upgrade, or where the parser gave up. */
export function socketAddress(socket: Duplex): string {
  const proxiedFrom = 'proxiedFrom' in socket && typeof socket.proxiedFrom === 'string' ? { proxiedFrom: socket.proxiedFrom } : {}
  const remoteAddress = 'remoteAddress' in socket && typeof socket.remoteAddress === 'string' ? socket.remoteAddress : undefined
  return addressOf({ ...proxiedFrom, remoteAddress })
}

/** An IPv4 address that came over an IPv6 socket is that IPv4 address (RFC 4291 §2.5.5.2). */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
