import { z } from 'zod'
import { address, host } from './addresses.ts'
import { choice, duration, flag, plainText, scalar, seconds } from './scalars.ts'
import { list, mapping } from './shapes.ts'

const certificate = {
  certificate: plainText('the path of a PEM file')
    .optional()
    .describe('The certificate with those that vouch for it, a PEM file.'),
  key: plainText('the path of a PEM file').optional().describe('Its key, a PEM file without a password.'),
  hosts: list(host('wildcard'))
    .optional()
    .describe('Names of clients that it is shown to (SNI). Default: the names in the certificate.'),
}

/** `tls` of the public listener. */
export const publicTls = mapping({
  ...certificate,
  certificates: list(mapping(certificate))
    .prefault([])
    .describe('Several certificates. The first one is shown to clients that ask for none of the names.'),
  minVersion: choice(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('Oldest version that is taken.'),
  http2: flag().prefault(true).describe('Offers HTTP/2 beside HTTP/1.1.'),
  reload: duration('100ms', '1h').prefault('10s').describe('How often is looked whether the files have changed.'),
  clientCa: plainText('the path of a PEM file')
    .optional()
    .describe('Authorities of client certificates, a PEM file. With it clients are asked for one, and routes can require it.'),
})

/** `hsts` of the public listener: what browsers are told over TLS. */
export const hsts = z.union([
  scalar<'off'>({ const: 'off' }, (value) => (value === 'off' || value === false ? { value: 'off' } : { fault: HSTS_RULE })),
  mapping({
    maxAge: seconds('0s', '3650d').prefault('365d').describe('How long browsers use https for this host alone.'),
    includeSubDomains: flag().prefault(false).describe('Holds for all hosts below it too.'),
    preload: flag().prefault(false).describe('Agrees to the lists that browsers ship with.'),
  }),
])

const HSTS_RULE = 'must be off, or a mapping such as { maxAge: 365d }'

/** Further keys of the public listener that are about connections. */
export const front = {
  tls: publicTls.optional().describe('Ends TLS here.'),
  hsts: hsts.prefault({}).describe('Strict-Transport-Security on answers over TLS: off, or what it says.'),
  redirect: address().optional().describe('HOST:PORT where plain http is answered with a redirect to https.'),
  proxyProtocol: flag()
    .prefault(false)
    .describe('Peers of trustedProxies begin each connection with a header of the PROXY protocol, version 1 or 2.'),
} as const

export type PublicTlsDraft = z.output<typeof publicTls>
