import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { socketAddress } from './client-address.ts'

/**
 * Why there is no TLS on a connection: something else than TLS came, no common version, cipher or protocol of ALPN, the client
 * does not trust the certificate or minds something else, it took too long or went away.
 */
export type HandshakeFailure =
  | 'not_tls'
  | 'version'
  | 'cipher'
  | 'alpn'
  | 'certificate'
  | 'alert'
  | 'timeout'
  | 'closed'
  | 'other'

/** Failures for one reason since the last line about it, and the client of the latest. */
export interface FailingHandshakes {
  readonly reason: HandshakeFailure
  readonly failures: number
  readonly client: string
}

export interface HandshakeNeeds {
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** A handshake failed. */
  handshakeFailed?(reason: HandshakeFailure): void
  /** The same for the log: the first for a reason at once, those that follow as one in a minute. */
  handshakesFail?(failing: FailingHandshakes): void
}

export interface HandshakeFailures {
  /** A connection begins its handshake. */
  began(socket: Socket): void
  /** It is about to be destroyed because it took too long. */
  tookTooLong(socket: Socket): void
  /** The library has given it up. */
  failed(socket: TLSSocket, error: Error): void
}

const SAMPLE_MS = 60_000

interface Began {
  readonly client: string
  readonly socket: Socket
  /** Octets that were read before the handshake: a PROXY header. */
  readonly bytesBefore: number
  isLate: boolean
}

/**
 * Counts handshakes that fail, and samples them for the log. One that never began is none: load balancers open connections and
 * close them to see whether somebody listens.
 */
export function createHandshakeFailures(needs: HandshakeNeeds): HandshakeFailures {
  const begun = new WeakMap<object, Began>()
  /** Failures since the last line, of reasons that had one less than a minute ago. */
  const unsaid = new Map<HandshakeFailure, { failures: number; client: string }>()
  return { began, tookTooLong, failed }

  function began(socket: Socket): void {
    const bytesBefore = socket.bytesRead - socket.readableLength
    begun.set(socket, { client: socketAddress(socket), socket, bytesBefore, isLate: false })
  }

  function tookTooLong(socket: Socket): void {
    const known = begun.get(socket)
    if (known !== undefined) known.isLate = true
  }

  function failed(socket: TLSSocket, error: Error): void {
    const known = begunBeneath(socket)
    const reason = known?.isLate === true ? 'timeout' : reasonOf(error)
    if (reason === 'closed' && known?.socket.bytesRead === known?.bytesBefore) return
    needs.handshakeFailed?.(reason)
    sample(reason, known?.client ?? socketAddress(socket))
  }

  /** By the time that it fails, the library may know neither end of the connection any more. */
  function begunBeneath(socket: TLSSocket): Began | undefined {
    const beneath: unknown = '_parent' in socket ? socket._parent : undefined
    return typeof beneath === 'object' && beneath !== null ? begun.get(beneath) : undefined
  }

  function sample(reason: HandshakeFailure, client: string): void {
    const since = unsaid.get(reason)
    if (since !== undefined) {
      since.failures += 1
      since.client = client
      return
    }
    say({ reason, failures: 1, client })
  }

  function say(failing: FailingHandshakes): void {
    const { reason } = failing
    needs.handshakesFail?.(failing)
    unsaid.set(reason, { failures: 0, client: '' })
    needs.schedule(SAMPLE_MS, () => {
      const since = unsaid.get(reason)
      unsaid.delete(reason)
      if (since !== undefined && since.failures > 0) say({ reason, ...since })
    })
  }
}

/** What OpenSSL calls it; alerts are what the client said (RFC 8446 §6). */
const REASONS: ReadonlyMap<string, HandshakeFailure> = new Map<string, HandshakeFailure>([
  ['ECONNRESET', 'closed'],
  ['EPIPE', 'closed'],
  ['ETIMEDOUT', 'closed'],
  ['ERR_SSL_HTTP_REQUEST', 'not_tls'],
  ['ERR_SSL_HTTPS_PROXY_REQUEST', 'not_tls'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'not_tls'],
  ['ERR_SSL_UNKNOWN_PROTOCOL', 'not_tls'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
  ['ERR_SSL_VERSION_TOO_LOW', 'version'],
  ['ERR_SSL_INAPPROPRIATE_FALLBACK', 'version'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'cipher'],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 'cipher'],
  ['ERR_SSL_NO_SUITABLE_GROUPS', 'cipher'],
  ['ERR_SSL_NO_SHARED_GROUPS', 'cipher'],
  ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', 'cipher'],
  ['ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS', 'cipher'],
  ['ERR_SSL_NO_APPLICATION_PROTOCOL', 'alpn'],
])

function reasonOf(error: Error): HandshakeFailure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const known = REASONS.get(code)
  if (known !== undefined) return known
  if (!code.includes('ALERT')) return 'other'
  return code.includes('CERTIFICATE') || code.endsWith('UNKNOWN_CA') ? 'certificate' : 'alert'
}
