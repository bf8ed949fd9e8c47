import { headersInWords, type Config } from '../config/config.ts'
import type { RateLimit, Route } from '../exchange/exchange.ts'
import { callerOf, routesOf } from '../gateway.ts'
import type { EndpointCaller } from '../gateway.ts'
import { table } from './table.ts'

/** Each route as it is enforced: what it matches, who may use it, in words, and where it leads. Public ones are marked. */
export function routes(config: Config, json: boolean): string {
  const rows = routesOf(config).map(describe)
  if (json) return `${JSON.stringify(rows, null, 2)}\n`
  if (rows.every((row) => row.limits === undefined)) return table(HEADINGS, rows.map(cells))
  return table(
    [...HEADINGS, 'LIMITS'],
    rows.map((row) => [...cells(row), row.limits ?? '']),
  )
}

function cells(row: Row): string[] {
  return [row.mark, row.name, row.match, row.authentication, row.target]
}

/** Whether anyone may use a route, without a proof to the router or to the endpoint itself. */
export function isPublic(route: Route): boolean {
  return route.auth === 'public' && callerOf(route) === undefined && route.clientCertificate !== 'required'
}

const HEADINGS = ['', 'ROUTE', 'MATCHES', 'AUTHENTICATION', 'TARGET']

interface Row {
  readonly mark: 'PUBLIC' | ''
  readonly name: string
  readonly match: string
  readonly authentication: string
  readonly target: string
  /** Absent: none. */
  readonly limits?: string
}

function describe(route: Route): Row {
  const { match } = route
  const methods = match.methods.length === 0 ? 'any method' : match.methods.join(',')
  const hosts = match.hosts.length === 0 ? '' : `${match.hosts.join(',')} `
  return {
    mark: isPublic(route) ? 'PUBLIC' : '',
    name: route.name,
    match: `${methods} ${hosts}${match.path}${headersInWords(match.headers)}`,
    authentication: authentication(route),
    target: targetOf(route),
    ...(route.rateLimit !== undefined && { limits: route.rateLimit.limits.map(limitInWords).join(', ') }),
  }
}

function limitInWords({ requests, perSeconds, by, burst }: RateLimit): string {
  return `${requests} per ${inWords(perSeconds)} by ${by}${burst === requests ? '' : `, ${burst} at once`}`
}

function inWords(seconds: number): string {
  const unit = UNITS.find(([, size]) => seconds % size === 0)
  return unit === undefined ? `${seconds}s` : `${seconds / unit[1]}${unit[0]}`
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const

function targetOf({ target }: Route): string {
  if (target.kind === 'service') return `service ${target.service}`
  if (target.kind === 'preflight') return 'the gateway'
  if (target.kind === 'upstream') return `upstream ${target.upstream}`
  const whole = target.sides.reduce((sum, { weight }) => sum + weight, 0)
  return target.sides.map(({ upstream, weight }) => `${percent(weight / whole)} upstream ${upstream}`).join(', ')
}

/** With two places behind the point at most: `5%`, `0.01%`. */
function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`
}

function authentication(route: Route): string {
  const caller = callerOf(route)
  const certificate = route.clientCertificate === 'required' ? ['a client certificate'] : []
  if (route.auth === 'public') {
    const proofs = [...(caller === undefined ? [] : [CALLERS[caller]]), ...certificate]
    return `${proofs.join(' and ') || 'none: anyone'}${places(route)}`
  }
  const conditions = [
    route.issuers === undefined ? '' : `from ${list(route.issuers)}`,
    route.tenants === undefined ? '' : `of tenant ${list(route.tenants)}`,
    route.scopes.length === 0 ? '' : `with scope ${route.scopes.join(' and ')}`,
    ...[...route.claims].map(([claim, values]) => `where ${claim} is ${list(values)}`),
    route.maxAuthAgeSeconds === undefined ? '' : `from a login not older than ${route.maxAuthAgeSeconds}s`,
    route.replay === 'once' ? 'that was not used before' : '',
    staleness(route),
    ...certificate.map((proof) => `and ${proof}`),
  ]
  return `${[whoOf(route, caller), ...conditions.filter((condition) => condition !== '')].join(' ')}${places(route)}`
}

/** `, in 10.0.0.0/8, not in 10.9.0.0/16, in NO or SE`. */
function places({ ip, countries }: Route): string {
  const rules = [...(ip === undefined ? [] : [ip]), ...(countries === undefined ? [] : [countries])]
  return rules.map((rule) => placesOf([...rule.allow], [...rule.deny])).join('')
}

function placesOf(allow: readonly string[], deny: readonly string[]): string {
  const allowed = allow.length === 0 ? '' : `, in ${list(allow)}`
  return deny.length === 0 ? allowed : `${allowed}, not in ${list(deny)}`
}

/** In words; the endpoint asks for the proof, and refuses whoever brings none. */
const CALLERS = {
  client: 'a client (HTTP Basic)',
  holder: 'whoever holds the token in the body',
  'holder or client': 'whoever holds the token in the body, or a client (HTTP Basic)',
  'user or client': 'a token, or a client (HTTP Basic)',
} as const satisfies Record<EndpointCaller, string>

function whoOf(route: Route, caller: EndpointCaller | undefined): string {
  if (caller !== undefined) return CALLERS[caller]
  return route.auth === 'required' ? 'a token' : 'a token, or anonymous'
}

function staleness(route: Route): string {
  const { whenStale, maxStalenessMs } = route.revocation
  if (whenStale === 'deny') return ''
  const words = {
    allow: 'even if revocations are',
    verify: 'checked at the store when revocations are',
    'safe-methods': 'reads only when revocations are',
  }
  return `(${words[whenStale]} older than ${maxStalenessMs / 1000}s)`
}

function list(values: Iterable<string>): string {
  return [...values].join(' or ')
}
