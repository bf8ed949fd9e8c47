import { createHash, X509Certificate } from 'node:crypto'
import type { SecureContextOptions, TLSSocket } from 'node:tls'

/** Knows on whose word each client certificate was believed. */
export interface Anchors {
  /** The connection is one of a client whose certificate was believed. */
  note(socket: TLSSocket): void
  /** These are the authorities from here on: connections that none of them vouches for are cut. */
  use(authorities: SecureContextOptions['ca']): void
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
/** No chain is that long; one that goes in a circle ends here. */
const LONGEST_CHAIN = 16

/**
 * A client shows its certificate once, when it connects, and its connection may last for days. Whoever takes an authority away
 * takes away what it vouched for.
 *
 * @param first PEM of the authorities
 */
export function createAnchors(first: string | undefined): Anchors {
  const chains = new Map<TLSSocket, readonly string[]>()
  let text = first
  return { note, use }

  function note(socket: TLSSocket): void {
    chains.set(socket, chainOf(socket))
    socket.once('close', () => chains.delete(socket))
  }

  function use(authorities: SecureContextOptions['ca']): void {
    if (authorities === text) return
    text = typeof authorities === 'string' ? authorities : undefined
    const known = new Set((text?.match(CERTIFICATE) ?? []).map((one) => nameOf(new X509Certificate(one))))
    for (const [socket, chain] of chains) if (!chain.some((one) => known.has(one))) socket.destroy()
  }
}

/** Absent where there is no certificate. */
interface Issued {
  readonly raw?: Buffer
  readonly issuerCertificate?: Issued
}

/** From the certificate of the client up to the authority that vouches for it. */
function chainOf(socket: TLSSocket): readonly string[] {
  const chain: string[] = []
  let one: Issued | undefined = socket.getPeerCertificate(true)
  while (one?.raw !== undefined && chain.length < LONGEST_CHAIN) {
    const name = nameOf(new X509Certificate(one.raw))
    if (chain.includes(name)) break
    chain.push(name)
    one = one.issuerCertificate
  }
  return chain
}

/** An authority that has made itself a new certificate for the same key is the same authority. */
function nameOf({ subject, publicKey }: X509Certificate): string {
  const key = publicKey.export({ type: 'spki', format: 'der' })
  return `${createHash('sha256').update(key).digest('base64')} ${subject}`
}
