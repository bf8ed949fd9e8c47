import type { TracesConfig } from '../config/config.ts'
import type { Arrived, Authenticated, Permitted, Routed, Unrevoked } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import type { Attributes } from './span.ts'

/** A request that is over. */
export interface Ended {
  /** The furthest step that it reached. */
  readonly exchange: Arrived | Routed | Authenticated | Unrevoked | Permitted
  readonly problem: Problem | undefined
  /** 0: there was none. */
  readonly status: number
  /** Name of the upstream. */
  readonly upstream: string | undefined
  /** The client went away, or the answer was cut short. */
  readonly aborted: boolean
  /** Why the gateway ended it, where its token did not last. */
  readonly ended: string | undefined
}

const MOST_CHARACTERS = 512
/** Methods by which spans may be told apart: others come from clients (HTTP semantic conventions). */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT'])

/** `GET /api/orders/*`: the method and what the route matches, never a path of a client. */
export function nameOf({ exchange }: Ended): string {
  const method = METHODS.has(exchange.method) ? exchange.method : 'HTTP'
  return 'route' in exchange ? `${method} ${exchange.route.match.path}` : method
}

/** As the semantic conventions for HTTP name them. No query, token or claim is among them; people only where the operator asks. */
export function attributesOf(ended: Ended, httpVersion: string, include: TracesConfig['include'], redact: Redact): Attributes {
  const { exchange, problem, status } = ended
  const attributes: Record<string, string | number> = {
    'http.request.method': METHODS.has(exchange.method) ? exchange.method : '_OTHER',
    'url.scheme': exchange.scheme,
    'url.path': redact(pathOf(exchange)),
    'network.protocol.version': httpVersion === '2.0' ? '2' : httpVersion,
    'gatehouse.request_id': exchange.id,
  }
  if (exchange.host !== '') attributes['server.address'] = exchange.host
  if (status > 0) attributes['http.response.status_code'] = status
  if (problem !== undefined) attributes['error.type'] = problem.kind
  if ('route' in exchange) {
    attributes['http.route'] = exchange.route.match.path
    attributes['gatehouse.route'] = exchange.route.name
  }
  const tenant = tenantOf(exchange)
  if (tenant !== undefined) attributes['gatehouse.tenant'] = tenant
  if (ended.upstream !== undefined) attributes['gatehouse.upstream'] = ended.upstream
  if (ended.ended !== undefined) attributes['gatehouse.ended'] = ended.ended
  if (ended.aborted) attributes['gatehouse.aborted'] = 'true'
  if (include.size > 0) addPeople(attributes, exchange, include, redact)
  return attributes
}

type Redact = (text: string) => string

function addPeople(
  to: Record<string, string | number>,
  exchange: Ended['exchange'],
  include: TracesConfig['include'],
  redact: Redact,
): void {
  if (include.has('client')) to['client.address'] = exchange.client
  if (include.has('userAgent')) {
    const at = exchange.rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'user-agent')
    const value = exchange.rawHeaders[at + 1]
    if (at >= 0 && value !== undefined) to['user_agent.original'] = redact(value.slice(0, MOST_CHARACTERS))
  }
  if (!('principal' in exchange) || exchange.principal.kind !== 'identified') return
  const { user, session } = exchange.principal
  if (include.has('user')) to['user.id'] = redact(user.slice(0, MOST_CHARACTERS))
  if (include.has('session') && session !== undefined) to['session.id'] = redact(session.slice(0, MOST_CHARACTERS))
}

function tenantOf(exchange: Ended['exchange']): string | undefined {
  if ('admitted' in exchange) return exchange.tenant
  return 'principal' in exchange && exchange.principal.kind === 'identified' ? exchange.principal.tenant : undefined
}

function pathOf(exchange: Ended['exchange']): string {
  if ('path' in exchange) return exchange.path.slice(0, MOST_CHARACTERS)
  const target = exchange.target.slice(0, MOST_CHARACTERS)
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}
