import type { RouteConfig } from '../config/config.ts'
import { ACCESS_COOKIE, REFRESH_COOKIE } from '../exchange/exchange.ts'
import type { Admitted } from '../exchange/exchange.ts'
import { accepts, takesPosts } from './oauth-endpoints.ts'
import type { Answer } from './services.ts'
import type { TokenPair } from './sessions/sessions.ts'
import { tenantInPath } from './tenant-of-request.ts'

/** What a page is told of a session whose tokens it never sees. */
export type CookieSession = Pick<TokenPair, 'expires_in' | 'refresh_expires_in' | 'session_id' | 'scope'>

/** The tokens of a browser's session, where no script reads them. */
export interface SessionCookies {
  /** Path that the refresh token is sent to; undefined: no route takes it from where this request came. */
  refreshPath(admitted: Admitted): string | undefined
  /** The answer to a request that ended its own session: where that came by cookie, nothing of it stays in the browser. */
  farewell(admitted: Admitted, answer: Answer): Answer
}

const REFRESH = '/refresh'
const EVERYTHING = '"cookies", "storage", "cache"'

export function createSessionCookies(config: { readonly routes: readonly RouteConfig[] }): SessionCookies {
  const mounts = config.routes
    .filter((route) => route.target.kind === 'service' && route.target.service === 'sessions' && takesPosts(route))
    .map(({ match }) => ({ hosts: match.hosts, path: match.path.slice(0, -'/*'.length) + REFRESH }))
  return { refreshPath, farewell }

  /** The first mount on this host of the tenant that the path names; else the first that names none. */
  function refreshPath({ host, path }: Admitted): string | undefined {
    const here = mounts.filter((mount) => accepts(mount.hosts, host))
    const tenant = tenantInPath(path)
    const own = here.find((mount) => tenantInPath(mount.path) === tenant)
    return (own ?? here.find((mount) => tenantInPath(mount.path) === undefined))?.path
  }

  function farewell(admitted: Admitted, answer: Answer): Answer {
    if (admitted.byCookie !== true) return answer
    return {
      ...answer,
      headers: { ...answer.headers, 'clear-site-data': EVERYTHING },
      cookies: linesOf({ access: '', refresh: '', path: refreshPath(admitted), lives: [0, 0] }),
    }
  }
}

/** Set-Cookie lines with the tokens, which live as long as these do. */
export function cookiesOf(pair: TokenPair, refreshPath: string | undefined): readonly string[] {
  const lives = [pair.expires_in, pair.refresh_expires_in] as const
  return linesOf({ access: pair.access_token, refresh: pair.refresh_token, path: refreshPath, lives })
}

export function withoutTokens({ expires_in, refresh_expires_in, session_id, scope }: TokenPair): CookieSession {
  return { expires_in, refresh_expires_in, session_id, scope }
}

interface Lines {
  readonly access: string
  readonly refresh: string
  readonly path: string | undefined
  /** Of both, seconds; 0 takes them away (RFC 6265 §5.2.2). */
  readonly lives: readonly [number, number]
}

/** Lax, so that who follows a link from elsewhere is logged in; the refresh token is for pages of ours alone. */
function linesOf({ access, refresh, path, lives }: Lines): readonly string[] {
  const first = `${ACCESS_COOKIE}=${access}; Path=/; Max-Age=${lives[0]}; HttpOnly; Secure; SameSite=Lax`
  if (path === undefined) return [first]
  return [first, `${REFRESH_COOKIE}=${refresh}; Path=${path}; Max-Age=${lives[1]}; HttpOnly; Secure; SameSite=Strict`]
}
