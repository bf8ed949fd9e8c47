/**
 * Says to browsers which pages of other origins may call a route and read what it answers (Fetch Standard, CORS protocol).
 *
 * It is a word to browsers, and keeps nobody out: who may use a route is decided elsewhere, for every request, whatever its
 * `Origin`. Nothing that a request names is ever given back unless the route names it too.
 *
 * @module
 */
import { type CorsRules, isOriginAllowed, type Routed } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** The head of an answer that is not written yet. */
export interface AnswerHead {
  setHeader(name: string, value: string): unknown
}

export interface PreflightAnswer {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Cors {
  /** Notes what every answer to the request says, refusals included, so that a page can read why it was refused. */
  announce(exchange: Routed, head: AnswerHead): void
  /**
   * What a page may send; `announce` has said already whose page.
   *
   * @throws {Problem} `origin_refused`: the Fetch Standard asks servers that do not take part for a 403 without fields. Where only
   * the method or a field is not welcome the answer lists those that are, and the browser tells the page's author.
   */
  preflight(exchange: Routed): PreflightAnswer
}

const VARY_OF_PREFLIGHT = 'origin, access-control-request-method, access-control-request-headers'

export function createCors(): Cors {
  const written = new WeakMap<CorsRules, Readonly<Record<string, string>>>()
  return { announce, preflight }

  function announce({ route, rawHeaders }: Routed, head: AnswerHead): void {
    const { cors } = route
    if (cors === undefined) return
    // Also without an Origin: a cache must not give that answer to a page.
    if (!cors.any) head.setHeader('vary', route.target.kind === 'preflight' ? VARY_OF_PREFLIGHT : 'origin')
    const origin = fieldOf(rawHeaders, 'origin')
    if (origin === undefined || !isOriginAllowed(cors, origin)) return
    head.setHeader('access-control-allow-origin', cors.any ? '*' : origin)
    if (cors.credentials) head.setHeader('access-control-allow-credentials', 'true')
    if (cors.exposedHeaders.length > 0 && route.target.kind !== 'preflight')
      head.setHeader('access-control-expose-headers', cors.exposedHeaders.join(', '))
  }

  function preflight({ route, rawHeaders }: Routed): PreflightAnswer {
    const origin = fieldOf(rawHeaders, 'origin')
    if (route.cors === undefined || origin === undefined || !isOriginAllowed(route.cors, origin)) {
      throw new Problem('origin_refused')
    }
    const headers = permissionsOf(route.cors)
    const isPrivate = fieldOf(rawHeaders, 'access-control-request-private-network') === 'true'
    if (!isPrivate || !route.cors.privateNetwork) return { status: 204, headers }
    return { status: 204, headers: { ...headers, 'access-control-allow-private-network': 'true' } }
  }

  function permissionsOf(cors: CorsRules): Readonly<Record<string, string>> {
    const known = written.get(cors)
    if (known !== undefined) return known
    const headers = {
      'access-control-allow-methods': cors.methods.join(', '),
      ...(cors.headers.length === 0 ? {} : { 'access-control-allow-headers': cors.headers.join(', ') }),
      'access-control-max-age': String(cors.maxAgeSeconds),
    }
    written.set(cors, headers)
    return headers
  }
}

/** The value of a field that is there once. */
function fieldOf(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] ?? ''
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    if (found !== undefined) return undefined
    found = rawHeaders[index + 1]
  }
  return found
}
