import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { ClientCertificate } from '../exchange/exchange.ts'

/** The certificate of the other end; undefined when there is none, or none that our authorities vouch for. */
export function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  return {
    subject: nameOf(certificate),
    field: `:${certificate.raw.toString('base64')}:`,
    expiresAt: Date.parse(certificate.validTo) / 1000,
  }
}

/** RFC 4514 §2.1: the last part comes first. OpenSSL gives one part a line, with what is special in it escaped. */
function nameOf({ subject }: X509Certificate): string {
  return subject.split('\n').toReversed().join(',')
}
