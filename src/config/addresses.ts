import { isIP } from 'node:net'
import { readNetwork } from '../exchange/exchange.ts'
import { isLoopback, TOKEN } from './names.ts'
import { text } from './scalars.ts'
import type { Reading } from './scalars.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `HOST:PORT` or `[::1]:PORT`. */
export function address() {
  return text<Address>('must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080', '^.+:[0-9]{1,5}$', (value) => {
    const [, six, other, port] = /^(?:\[([^\]]{2,45})\]|([^:[\]]{1,253})):(\d{1,5})$/.exec(value) ?? []
    const host = six ?? other?.toLowerCase()
    if (host === undefined || Number(port) > 65535) return undefined
    if (six === undefined ? !isHostName(host) : isIP(six) !== 6) return undefined
    return { value: { host, port: Number(port) } }
  })
}

/** `http://localhost:8080`: scheme, host and port alone. */
export function origin() {
  return text<string>(
    'must be an origin: scheme, host and port, such as https://api.example.com',
    '^https?://[^/]+/?$',
    (value) => {
      const url = parseHttpUrl(value)
      return url === undefined || url.pathname !== '/' || /[?#@]/.test(value) ? undefined : url.origin
    },
  )
}

/** The issuer of a tenant (RFC 8414 §2), kept to the letter. */
export function httpIssuer() {
  return text<string>('must be an http:// or https:// URL without query or fragment', '^https?://', (value) => {
    return parseHttpUrl(value) === undefined || /[?#@]/.test(value) ? undefined : value
  })
}

/** Base URL of a server that we forward to. */
export function targetUrl() {
  return text<URL>(
    'must be an http:// or https:// URL, such as http://127.0.0.1:9001',
    '^https?://',
    (value): Reading<URL> | undefined => {
      const url = parseHttpUrl(value)
      if (url === undefined) return undefined
      if (url.username !== '' || url.password !== '') return { fault: 'must not hold a user or password: remove them' }
      if (/[?#]/.test(value)) return { fault: 'must not have a query or fragment: remove it' }
      return { value: url }
    },
  )
}

/** Where the keys of an issuer are fetched. Whether plain http will do is decided where `allowInsecure` is known. */
export function jwksUri() {
  return text<string>(
    'must be an https:// URL, such as https://login.example.com/jwks.json',
    '^https?://',
    (value): Reading<string> | undefined => {
      const url = parseHttpUrl(value)
      if (url === undefined) return undefined
      if (url.username !== '' || url.password !== '') return { fault: 'must not hold a user or password: remove them' }
      return value.includes('#') ? { fault: 'must not have a fragment: remove it' } : { value: url.href }
    },
  )
}

/** True for an http URL that leaves this machine. */
export function isInsecure(uri: string): boolean {
  const url = new URL(uri)
  return url.protocol === 'http:' && !isLoopback(url.hostname)
}

/** A network, such as `10.0.0.0/8`. All addresses at once are refused: trusting everyone is trusting the client. */
export function trustedNetwork() {
  return text<string>(
    'must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8',
    '^[0-9A-Fa-f.:]+/[0-9]{1,3}$',
    (value) => {
      const [, ip = '', bits = ''] = /^([0-9A-Fa-f.:]{2,45})\/(\d{1,3})$/.exec(value) ?? []
      const family = isIP(ip)
      if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return undefined
      if (Number(bits) === 0) return { fault: 'must not be every address: name the networks of your proxies' }
      // A mistake in the prefix or in the address: who is trusted must not be guessed.
      if (readNetwork(value) === undefined)
        return { fault: 'must be the first address of its network: it has bits behind the prefix' }
      return { value }
    },
  )
}

/** A host name without scheme and port, in lower case. `*.example.com` stands for what is below it, where `wildcard` allows. */
export function host(wildcard: 'wildcard' | 'exact') {
  const such = wildcard === 'wildcard' ? 'such as api.example.com or *.example.com' : 'such as acme.example.com'
  return text<string>(`must be a host name, ${such}`, '^[^/\\s]+$', (value) => {
    const name = value.toLowerCase()
    if (name.includes('://')) return { fault: 'must be a host name: remove the scheme' }
    if (name.includes('/')) return { fault: 'must be a host name: remove the path' }
    if (/^\[[^\]]{2,45}\]$/.test(name) && isIP(name.slice(1, -1)) === 6) return { value: name }
    if (/:\d*$/.test(name)) return { fault: 'must be a host name: remove the port, it is never compared' }
    if (/[^\x20-\x7e]/.test(name)) return { fault: 'must be a host name in ASCII: write the xn-- form' }
    if (name.includes('*') && wildcard === 'exact') return { fault: 'must be one host: * works in routes only' }
    const plain = name.startsWith('*.') && wildcard === 'wildcard' ? name.slice(2) : name
    if (plain.includes('*')) return { fault: 'must be a host name: * stands first and alone, as in *.example.com' }
    return isHostName(plain) ? { value: name } : undefined
  })
}

/** A canonical path; `/a/*` is `/a` and all below it. */
export function routePath() {
  return text<string>('must be a path that starts with /, such as /api/*', '^/', (value) => {
    const fault = faultOfPath(value.endsWith('/*') ? value.slice(0, -1) : value)
    if (fault === undefined) return undefined
    return fault === '' ? { value } : { fault }
  })
}

/** Whole segments from the start of a path, such as `/api`. */
export function pathPrefix() {
  return text<string>('must be a path that starts with /, such as /api', '^/[^*]*[^*/]$', (value) => {
    const fault = faultOfPath(value)
    if (fault === undefined) return undefined
    if (fault !== '') return { fault }
    return value.endsWith('/') ? { fault: 'must name a segment and not end in /, such as /api' } : { value }
  })
}

/** What is not canonical about a path: empty when it is fine, `undefined` when it is no path. RFC 3986 §3.3. */
function faultOfPath(path: string): string | undefined {
  if (!path.startsWith('/') || path.length > 1024) return undefined
  if (path.includes('*')) return '* stands only as the whole last segment: write /a/*'
  if (path.includes('//')) return 'must not have empty segments: write one / for //'
  if (path.split('/').some((segment) => segment === '.' || segment === '..'))
    return 'must not have . or .. segments: write the path they lead to'
  if (path.includes('%')) return 'must not be percent-encoded: write the canonical path'
  if (/[?#;\\\s]/.test(path)) return 'must not have ? # ; \\ or spaces: they are no part of a canonical path'
  return /^[A-Za-z0-9\-._~!$&'()+,=:@/]*$/.test(path) ? '' : "must have only letters, digits and - . _ ~ ! $ & ' ( ) + , = : @ /"
}

/** A method in upper case. */
export function method() {
  return text<string>('must be a method, such as GET', "^[!#$%&'*+.^_`|~0-9A-Z-]+$", (value) => {
    if (!TOKEN.test(value) || value.length > 32) return undefined
    if (value !== value.toUpperCase()) return { fault: 'must be in upper case, such as GET: methods are compared to the letter' }
    if (value === 'CONNECT' || value === 'TRACE') return { fault: `${value} is never forwarded: remove it` }
    return { value }
  })
}

/** A header name (RFC 9110 §5.1), in lower case. */
export function headerName() {
  return text<string>('must be a header name, such as x-user-id', "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", (value) => {
    return TOKEN.test(value) && value.length <= 128 ? { value: value.toLowerCase() } : undefined
  })
}

/** RFC 6749 §3.3. */
export function scope() {
  return text<string>(
    'must be a scope: visible ASCII without spaces, quotes and \\',
    '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$',
    (value) => {
      return /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(value) ? { value } : undefined
    },
  )
}

/** Throws nothing; spaces and control characters, which `URL` would quietly remove, are refused. */
function parseHttpUrl(value: string): URL | undefined {
  if (!/^https?:\/\/[^/]/i.test(value) || /[\s\\\p{Cc}]/u.test(value) || value.length > 2048) return undefined
  return URL.canParse(value) ? new URL(value) : undefined
}

export function isHostName(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
}
