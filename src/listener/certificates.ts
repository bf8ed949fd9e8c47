import { constants, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { PublicTlsConfig } from '../config/config.ts'

export interface CertificateNeeds {
  readFile(path: string): Promise<string>
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** The files were read again and serve now, or cannot be used and those before serve on. */
  certificatesRead(result: 'taken' | 'refused', cause?: unknown): void
}

export interface Certificates {
  /** For a client that asks for this name (RFC 6066 §3); the first certificate where none is for it. */
  contextFor(name: string): SecureContext
  /** For clients that ask for no name. */
  first(): SecureContextOptions
  /** Looks at the files from time to time, and calls `changed` when others serve. */
  watch(changed: () => void): void
  stop(): void
  /** Serves these from now on. @throws Error when they cannot be used; those before serve on */
  use(config: PublicTlsConfig): void
  /** Name and seconds since 1970 of each. */
  expiries(): readonly (readonly [name: string, expiresAt: number])[]
  /** False when the files were last found unusable. */
  isWell(): boolean
}

/** What forward secrecy and RFC 9113 §9.2.2 leave of TLS 1.2, and TLS 1.3. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** One certificate, ready to serve. */
interface Served {
  readonly name: string
  readonly expiresAt: number
  readonly options: SecureContextOptions
  readonly context: SecureContext
}

interface Table {
  readonly first: Served
  readonly all: readonly Served[]
  /** By name; those of `*.example.com` stand under `.example.com`. */
  readonly byName: ReadonlyMap<string, Served>
}

/**
 * The certificates of the listener, by the name that a client asks for. Files that change are read again; a set that cannot be
 * used as a whole changes nothing.
 */
export function createCertificates(needs: CertificateNeeds, start: PublicTlsConfig): Certificates {
  let config = start
  let table = tableOf(config)
  let seen = textOf(config)
  let refused = ''
  let well = true
  let cancel: (() => void) | undefined
  return { contextFor, first: () => table.first.options, watch, stop, use, expiries, isWell: () => well }

  function contextFor(name: string): SecureContext {
    const asked = name.toLowerCase()
    const found = table.byName.get(asked) ?? table.byName.get(asked.slice(asked.indexOf('.')))
    return (found ?? table.first).context
  }

  function watch(changed: () => void): void {
    cancel = needs.schedule(config.reloadMs, () => {
      void look(changed).then(() => {
        if (cancel !== undefined) watch(changed)
      })
    })
  }

  function stop(): void {
    cancel?.()
    cancel = undefined
  }

  async function look(changed: () => void): Promise<void> {
    let text = ''
    try {
      const fresh = await readAgain(config, needs)
      text = textOf(fresh)
      if (text === seen) return recovered()
      use(fresh)
      changed()
      needs.certificatesRead('taken')
    } catch (cause) {
      // Certificate and key are two files: found between the two writes they do not fit, and do a moment later.
      if (text === refused && well) {
        well = false
        needs.certificatesRead('refused', cause)
      }
      refused = text
    }
  }

  function recovered(): void {
    refused = ''
    if (!well) needs.certificatesRead('taken')
    well = true
  }

  function use(fresh: PublicTlsConfig): void {
    table = tableOf(fresh)
    config = fresh
    seen = textOf(fresh)
    refused = ''
    well = true
  }

  function expiries(): readonly (readonly [string, number])[] {
    return table.all.map(({ name, expiresAt }) => [name, expiresAt] as const)
  }
}

async function readAgain(config: PublicTlsConfig, needs: CertificateNeeds): Promise<PublicTlsConfig> {
  const certificates = await Promise.all(
    config.certificates.map(async (one) => ({
      ...one,
      certificate: await needs.readFile(one.certificateFile),
      key: await needs.readFile(one.keyFile),
    })),
  )
  const { clientCa } = config
  if (clientCa === undefined) return { ...config, certificates }
  return { ...config, certificates, clientCa: { ...clientCa, certificates: await needs.readFile(clientCa.file) } }
}

function tableOf(config: PublicTlsConfig): Table {
  const all: Served[] = []
  const byName = new Map<string, Served>()
  for (const { certificate, key, hosts } of config.certificates) {
    const facts = new X509Certificate(certificate)
    const options: SecureContextOptions = {
      cert: certificate,
      key,
      ...(config.clientCa === undefined ? {} : { ca: config.clientCa.certificates }),
      minVersion: config.minVersion,
      ciphers: CIPHERS,
      honorCipherOrder: true,
      // RFC 9113 §9.2.1.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    }
    const names = hosts ?? namesOf(facts)
    const served = {
      name: names[0] ?? facts.subject.replaceAll('\n', ','),
      expiresAt: Date.parse(facts.validTo) / 1000,
      options,
      context: createSecureContext(options),
    }
    all.push(served)
    for (const name of names) {
      const known = name.startsWith('*.') ? name.slice(1) : name
      if (!byName.has(known)) byName.set(known, served)
    }
  }
  const [first] = all
  if (first === undefined) throw new Error('there is no certificate')
  return { first, all, byName }
}

/** Names of the certificate (RFC 5280 §4.2.1.6), lower case. Those in quotes hold what is no part of a host. */
function namesOf({ subjectAltName }: X509Certificate): readonly string[] {
  return (subjectAltName ?? '').split(', ').flatMap((part) => (/^DNS:[\w*.-]+$/.test(part) ? [part.slice(4).toLowerCase()] : []))
}

function textOf(config: PublicTlsConfig): string {
  return [...config.certificates.flatMap(({ certificate, key }) => [certificate, key]), config.clientCa?.certificates].join('\0')
}
