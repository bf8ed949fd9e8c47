import { createHash, timingSafeEqual } from 'node:crypto'
import type { AdminListenerConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'

/** Who may ask. Both checks throw the problem that answers the request. */
export interface Guard {
  /** Against DNS rebinding, where no token protects. */
  checkHost(rawHeaders: readonly string[]): void
  checkToken(rawHeaders: readonly string[]): void
  /** Against pages of other origins, with a token or without: they may link here, and nothing else. */
  checkSite(method: string, rawHeaders: readonly string[]): void
  /** Before something is changed: against web pages, where no token protects. */
  checkChange(rawHeaders: readonly string[]): void
}

const ASK_FOR_TOKEN = { description: 'Send the admin token: Authorization: Bearer <token>.' } as const
const WRONG_HOST = { description: 'Without a token, the admin listener answers only to localhost.' } as const

const ASK_FOR_HEADER = {
  description: 'Send the header x-gatehouse-admin: 1, which no web page can, or configure a token.',
} as const

const OTHER_SITE = { description: 'The admin listener takes nothing from pages of other origins.' } as const

export function createGuard(config: AdminListenerConfig): Guard {
  const { token } = config
  if (token === undefined) {
    const configured = config.host.toLowerCase()
    return {
      checkSite,
      checkHost(rawHeaders) {
        const hosts = values(rawHeaders, 'host')
        const name = hosts.length === 1 ? hostName(hosts[0] ?? '') : undefined
        if (name === undefined || (name !== configured && !isLoopback(name))) throw new Problem('access_denied', WRONG_HOST)
      },
      checkToken: () => undefined,
      checkChange(rawHeaders) {
        const marks = values(rawHeaders, 'x-gatehouse-admin')
        if (marks.length !== 1 || marks[0] !== '1') throw new Problem('access_denied', ASK_FOR_HEADER)
      },
    }
  }
  const expected = digest(token)
  return {
    checkSite,
    checkHost: () => undefined,
    checkChange: () => undefined,
    checkToken(rawHeaders) {
      const authorizations = values(rawHeaders, 'authorization')
      const credentials = authorizations.length === 1 ? bearer(authorizations[0] ?? '') : undefined
      // Digests are of one length, so the comparison tells nothing of the token, its length included.
      if (credentials === undefined || !timingSafeEqual(digest(credentials), expected)) {
        throw new Problem('unauthorized', ASK_FOR_TOKEN)
      }
    },
  }
}

/**
 * Fetch Metadata tells where browsers send it (on loopback, and over TLS); elsewhere Origin does, of what is more than a look.
 * Tools send neither.
 */
function checkSite(method: string, rawHeaders: readonly string[]): void {
  const sites = values(rawHeaders, 'sec-fetch-site')
  if (sites.length === 0) {
    if (!SAFE_METHODS.has(method) && isForeign(values(rawHeaders, 'origin'), values(rawHeaders, 'host'))) refuseSite()
    return
  }
  if (sites.every((site) => site === 'same-origin' || site === 'none')) return
  const isLink = method === 'GET' && values(rawHeaders, 'sec-fetch-mode').join() === 'navigate'
  if (!isLink || values(rawHeaders, 'sec-fetch-dest').join() !== 'document') refuseSite()
}

/** RFC 9110 §9.2.1, as far as any is answered here. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** The scheme is that of a TLS in front, which is not known here. */
function isForeign(origins: readonly string[], hosts: readonly string[]): boolean {
  return origins.some((origin) => origin.replace(/^https?:\/\//, '') !== hosts[0])
}

function refuseSite(): never {
  throw new Problem('access_denied', OTHER_SITE)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1). */
function bearer(authorization: string): string | undefined {
  return authorization.slice(0, 7).toLowerCase() === 'bearer ' ? authorization.slice(7).trim() : undefined
}

/** All values of a field in a list of name, value, name, value …; Node's own view drops repeated ones. */
function values(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)
}

/** Host without port, brackets and trailing dot, lower case. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[(?<six>[0-9a-f:.]{2,45})\]|(?<name>[a-z0-9._-]{1,253}?)\.?)(?::\d{1,5})?$/i.exec(host)
  return (match?.groups?.['six'] ?? match?.groups?.['name'])?.toLowerCase()
}

function isLoopback(name: string): boolean {
  // RFC 6761 §6.3: names under localhost are resolved to loopback, by browsers too.
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)
}
