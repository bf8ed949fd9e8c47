import type { Config, PublicListenerConfig } from '../config/config.ts'
import { fieldOf, isOriginAllowed, type Routed } from '../exchange/exchange.ts'

/**
 * Whether a request that carries a cookie was meant by whoever owns the cookie. A browser sends cookies along whoever made
 * it send the request, and says in `Sec-Fetch-Site` and `Origin`, which no page can set, whose page that was.
 */
export interface Csrf {
  /** For a cookie that says who asks: safe methods pass, all else must come from a page of ours. */
  admits(exchange: Routed): boolean
  /** For what sets or renews a cookie: whether a page of ours sends it. */
  isOwnPage(exchange: Routed): boolean
}

export interface CsrfConfig extends Pick<Config, 'tenants'> {
  readonly listeners: { readonly public: Pick<PublicListenerConfig, 'origin'> }
}

/** RFC 9110 §9.2.1; TRACE is taken nowhere. Pages of other sites reach these by a link only: the cookie is SameSite=Lax. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export function createCsrf({ tenants, listeners }: CsrfConfig): Csrf {
  const own = new URL(listeners.public.origin)
  const ofGateway: ReadonlySet<string> = new Set([own.origin])
  // A host of one tenant takes no orders from pages of another one, so each has the origins of its own tenant.
  const ofHost = new Map<string, ReadonlySet<string>>()
  for (const { hosts } of tenants.values()) {
    const origins = new Set(hosts.map((host) => new URL(`${own.protocol}//${host}:${own.port}`).origin))
    for (const host of hosts) ofHost.set(host, origins)
  }
  return { admits, isOwnPage }

  function admits(exchange: Routed): boolean {
    // A WebSocket is a GET that may do anything, and no same-origin policy keeps its answer from the page that opened it.
    return (SAFE.has(exchange.method) && !exchange.upgrade) || isOwnPage(exchange)
  }

  function isOwnPage(exchange: Routed): boolean {
    switch (fieldOf(exchange, 'sec-fetch-site')) {
      case 'same-origin':
        return true
      // An old browser, or one without TLS, does not say. `none` is the user's own doing, and no user types a POST: it is
      // one that is repeated from the history, so it is held to the page that made it. `same-site` may be a neighbour.
      case undefined:
      case 'none':
      case 'same-site':
        return isAllowed(exchange)
      // `cross-site`, and what no browser says.
      default:
        return false
    }
  }

  function isAllowed(exchange: Routed): boolean {
    const origin = fieldOf(exchange, 'origin')
    if (origin === undefined) return false
    const { cors } = exchange.route
    // The operator has said that pages of that origin act with the cookies of their users here.
    if (cors?.credentials === true && isOriginAllowed(cors, origin)) return true
    const allowed = ofHost.get(exchange.host) ?? ofGateway
    return allowed.has(origin) || origin === `${own.protocol}//${exchange.authority}`
  }
}
