import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Build } from './build.ts'
import { refuseEmpty } from './build.ts'
import type { Path } from './faults.ts'
import type { PublicTlsDraft } from './schema-front.ts'
import type { Draft } from './schema.ts'
import type { Item } from './shapes.ts'

/** A certificate of the listener, as it stood in its files when they were read. */
export interface CertificateConfig {
  /** Absolute path. */
  readonly certificateFile: string
  /** Absolute path. */
  readonly keyFile: string
  /** PEM: the certificate, then those that vouch for it. */
  readonly certificate: string
  /** PEM. A secret. */
  readonly key: string
  /** Absent: the names in the certificate. */
  readonly hosts?: readonly string[]
}

export interface PublicTlsConfig {
  /** At least one; the first is for clients that ask for no name of any. */
  readonly certificates: readonly CertificateConfig[]
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly http2: boolean
  /** How often is looked whether the files have changed. */
  readonly reloadMs: number
  /** Authorities of client certificates. Absent: clients are not asked for one. */
  readonly clientCa?: { readonly file: string; /** PEM. */ readonly certificates: string }
}

/** What the public listener does before there is HTTP. */
export interface FrontConfig {
  readonly tls?: PublicTlsConfig
  /** Value of `strict-transport-security`. Absent: none is sent. */
  readonly hsts?: string
  /** Where plain http is redirected to https. */
  readonly redirect?: {
    readonly host: string
    readonly port: number
    /** Lower case; `*.example.com` is what is below. Requests to others lead to the origin. */
    readonly hosts: readonly string[]
  }
  readonly proxyProtocol: boolean
}

const PATH = ['listeners', 'public']

export function buildFront(draft: Draft['listeners']['public'], build: Build): FrontConfig {
  const { tls, hsts, redirect, proxyProtocol } = draft
  for (const key of ['hsts', 'redirect']) {
    const isWithout = tls === undefined && build.isWritten([...PATH, key]) && !build.isFaulty([...PATH, 'tls'])
    if (isWithout) build.report([...PATH, key], 'has no effect without tls: remove it, or write tls')
  }
  if (tls !== undefined && draft.origin?.startsWith('http:') === true) {
    build.report([...PATH, 'origin'], 'must be https, since tls is written')
  }
  if (proxyProtocol && draft.trustedProxies.length === 0 && !build.isFaulty([...PATH, 'trustedProxies'])) {
    build.report([...PATH, 'proxyProtocol'], 'needs trustedProxies: name the networks of the proxies that send the header')
  }
  if (redirect !== undefined && redirect.port !== 0 && redirect.port === draft.address.port) {
    build.report([...PATH, 'redirect'], 'is the port of address: choose another')
  }
  return {
    ...(tls !== undefined && { tls: buildTls([...PATH, 'tls'], tls, build) }),
    ...(tls !== undefined && hsts !== 'off' && { hsts: hstsOf(hsts) }),
    ...(redirect !== undefined && { redirect: { ...redirect, hosts: [] } }),
    proxyProtocol,
  }
}

/** The listener, with the hosts that a request may be redirected to: those that the file names. */
export function withRedirectHosts<L extends FrontConfig>(listener: L, hosts: Iterable<string>): L {
  if (listener.redirect === undefined) return listener
  return { ...listener, redirect: { ...listener.redirect, hosts: [...new Set(hosts)].toSorted() } }
}

/** RFC 6797 §6.1. */
function hstsOf(hsts: Exclude<Draft['listeners']['public']['hsts'], 'off'>): string {
  return [
    `max-age=${hsts.maxAge}`,
    ...(hsts.includeSubDomains ? ['includeSubDomains'] : []),
    ...(hsts.preload ? ['preload'] : []),
  ].join('; ')
}

function buildTls(path: Path, draft: PublicTlsDraft, build: Build): PublicTlsConfig {
  const { certificate, key, hosts, clientCa } = draft
  const isAlone = certificate !== undefined || key !== undefined || hosts !== undefined
  const several = draft.certificates.flatMap(({ at, value }) => buildCertificate([...path, 'certificates', at], value, build))
  if (!isAlone && draft.certificates.length === 0 && !build.isFaulty(path)) {
    build.report(path, 'needs a certificate: write { certificate: cert.pem, key: key.pem }')
  }
  const authorities = clientCa === undefined ? undefined : readPem(clientCa, [...path, 'clientCa'], build)
  return {
    certificates: [...(isAlone ? buildCertificate(path, draft, build) : []), ...several],
    minVersion: draft.minVersion,
    http2: draft.http2,
    reloadMs: draft.reload,
    ...(clientCa !== undefined &&
      authorities !== undefined && { clientCa: { file: build.resolve(clientCa), certificates: authorities } }),
  }
}

/** Whether a route asks for a certificate of the client; `none` is left out. */
export function buildClientCertificate(
  path: Path,
  draft: 'none' | 'optional' | 'required',
  tls: PublicTlsConfig | undefined,
  build: Build,
): { readonly clientCertificate?: 'optional' | 'required' } {
  if (draft === 'none') return {}
  if (tls?.clientCa === undefined && !build.isFaulty([...PATH, 'tls'])) {
    build.report(path, 'needs listeners.public.tls.clientCa: name the authorities of the certificates there')
  }
  return { clientCertificate: draft }
}

interface CertificateDraft {
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly hosts?: readonly Item<string>[] | undefined
}

/** None when it is faulty. */
function buildCertificate(path: Path, draft: CertificateDraft, build: Build): readonly CertificateConfig[] {
  const { certificate, key, hosts } = draft
  for (const name of ['certificate', 'key'] as const) {
    if (draft[name] === undefined && !build.isFaulty([...path, name])) {
      build.report([...path, name], 'is required: write the path of a PEM file')
    }
  }
  refuseEmpty(hosts, [...path, 'hosts'], 'remove it for the names in the certificate', build)
  if (certificate === undefined || key === undefined) return []
  const texts = {
    certificate: readPem(certificate, [...path, 'certificate'], build),
    key: readPem(key, [...path, 'key'], build),
  }
  if (texts.certificate === undefined || texts.key === undefined) return []
  const fault = faultOfPair(texts.certificate, texts.key)
  if (fault !== undefined) {
    build.report([...path, fault.at], fault.message)
    return []
  }
  return [
    {
      certificateFile: build.resolve(certificate),
      keyFile: build.resolve(key),
      certificate: texts.certificate,
      key: texts.key,
      ...(hosts !== undefined && { hosts: hosts.map((item) => item.value) }),
    },
  ]
}

function readPem(file: string, path: Path, build: Build): string | undefined {
  const text = build.readText(file, path)
  if (text === undefined || text.includes('-----BEGIN ')) return text
  build.report(path, 'is not a PEM file')
  return undefined
}

/** What the library finds is not repeated: it may hold a part of the key. */
function faultOfPair(
  certificate: string,
  key: string,
): { readonly at: 'certificate' | 'key'; readonly message: string } | undefined {
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(certificate)
  } catch {
    return { at: 'certificate', message: 'is not a certificate' }
  }
  try {
    if (parsed.checkPrivateKey(createPrivateKey(key))) return undefined
  } catch {
    return { at: 'key', message: 'is not a key without a password' }
  }
  return { at: 'key', message: 'is not the key of the certificate' }
}
