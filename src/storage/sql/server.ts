import { readFileSync } from 'node:fs'

/** A database server, as its URL names it. */
export interface Server {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly database: string
  /** Absent: in the clear. */
  readonly tls?: Tls
}

export interface Tls {
  /** Whether the certificate must be from someone who is trusted. */
  readonly isProved: boolean
  /** Whether it must be for this host. */
  readonly isNamed: boolean
  /** PEM: who is trusted. Absent: those whom Node trusts. */
  readonly ca?: string
}

/**
 * Takes a URL apart that the configuration has found to be right: `sslmode` is `disable` (the default), `require` (encrypted; the
 * server is not proved), `verify-ca` or `verify-full`, and `sslrootcert` a PEM file of certificates to trust.
 *
 * @throws Error when that file cannot be read
 */
export function serverOf(text: string, defaultPort: number): Server {
  const url = new URL(text)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const tls = tlsOf(url.searchParams)
  return {
    host,
    port: url.port === '' ? defaultPort : Number(url.port),
    user: decodeURIComponent(url.username),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(tls === undefined ? {} : { tls }),
  }
}

function tlsOf(query: URLSearchParams): Tls | undefined {
  const mode = query.get('sslmode') ?? 'disable'
  if (mode === 'disable') return undefined
  const file = query.get('sslrootcert')
  return {
    isProved: mode !== 'require',
    isNamed: mode === 'verify-full',
    ...(file === null ? {} : { ca: readFileSync(file, 'utf8') }),
  }
}
