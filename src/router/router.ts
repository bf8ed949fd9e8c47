/**
 * Finds the route of a request.
 *
 * The request target is brought into its one canonical form; that form is matched, logged and forwarded. Authentication is
 * a property of the matched route and of nothing else. The router never reads a query, a body or a forwarded header, never
 * repairs what two readers could read differently, and does no I/O.
 *
 * @module
 */
import type { RouteConfig, ServiceName } from '../config/config.ts'
import type { Arrived, Auth, EndpointCaller, Route, Routed } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { canonicalPath, looseReading, stripPrefix } from './canonical-path.ts'
import { compileRoute } from './compile-route.ts'
import { type Candidate, chooseCandidate, createCandidate, fittingCandidate } from './place.ts'
import { askedBy } from './preflight.ts'
import { originForm, queryFrom } from './request-target.ts'
import { findRouteFaults } from './route-faults.ts'
import { createRouteTable, enter, findPlace, type RouteTable } from './route-table.ts'

export { findRouteFaults }
export { findRouteWarnings } from './route-warnings.ts'

/** Something that a built-in service answers, as the service declares it. */
export interface Endpoint {
  readonly name: string
  /** Upper case; undefined: any. */
  readonly method: string | undefined
  /**
   * Relative to the mount: empty for the mount itself, `/login`, `/{tenant}/.well-known/jwks.json`, or `/*` for the mount and
   * everything below it. A `{name}` stands for exactly one segment that is not empty.
   */
  readonly path: string
  /** The mount it belongs to, by its end, where a service has several; absent: any. */
  readonly under?: string
  /** Who may call it; `route`: as the route says. */
  readonly auth: Auth | 'route'
  /** Largest body, where it is smaller than the route's. */
  readonly bodyBytes?: number
  /** Who proves itself to it. */
  readonly caller?: EndpointCaller
}

export type EndpointsOf = (service: ServiceName) => readonly Endpoint[]

/** One thing that is wrong with the routes. */
export interface RouteFault {
  /** From the top of the configuration: `['routes', 2, 'match', 'path']`. */
  readonly path: readonly (string | number)[]
  /** What is wrong, and what to write. */
  readonly message: string
}

export interface Router {
  /**
   * The route of a request: most specific host, then path, then headers, then method.
   *
   * @throws {Problem} `invalid_request`, `ambiguous_path`, `no_route` or `method_not_allowed`.
   */
  match(arrived: Arrived): Routed
  /** Every compiled route, in the order of the configuration. */
  readonly routes: readonly Route[]
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map()

/**
 * Compiles the routes into look-up tables.
 *
 * @throws {Error} where {@link findRouteFaults} finds any; a configuration is checked before it comes here.
 */
export function createRouter(routes: readonly RouteConfig[], endpointsOf: EndpointsOf): Router {
  const [fault] = findRouteFaults(routes, endpointsOf)
  if (fault !== undefined) throw new Error(`${fault.path.join('.')}: ${fault.message}`)
  const table = createRouteTable()
  const candidates = routes.flatMap((written, index) =>
    compileRoute(written, endpointsOf).map((route) => createCandidate(route, index)),
  )
  for (const candidate of candidates) enter(table, candidate)
  const hasPreflights = candidates.some(({ preflight }) => preflight !== undefined)
  return { match, routes: Object.freeze(candidates.map((candidate) => candidate.route)) }

  function match(arrived: Arrived): Routed {
    const target = originForm(arrived.target, arrived.authority)
    const mark = target.indexOf('?')
    const path = canonicalPath(mark < 0 ? target : target.slice(0, mark))
    const query = mark < 0 ? '' : queryFrom(target, mark)
    const preflight = hasPreflights ? findPreflight(table, path, arrived) : undefined
    if (preflight !== undefined) return { ...arrived, route: preflight, path, forwardPath: path, query, params: NO_PARAMS }
    const candidate = path.includes('%') ? findEncoded(table, path, arrived) : find(table, path, arrived)
    const { route } = candidate
    return {
      ...arrived,
      route,
      path,
      forwardPath: forwardPathOf(route, path),
      query,
      params: candidate.params === undefined ? NO_PARAMS : readParams(candidate.params, path),
    }
  }
}

/** Undefined for all but a preflight, and where the route that it asks for leaves preflights to its upstream. */
function findPreflight(table: RouteTable, path: string, arrived: Arrived): Route | undefined {
  const asked = askedBy(arrived)
  if (asked === undefined) return undefined
  const place = findPlace(table, arrived.host, path, asked.rawHeaders)
  const preflight = place && fittingCandidate(place, asked)?.preflight
  // Where two readers of the path would take two routes, neither answers.
  return preflight !== undefined && path.includes('%') ? findEncoded(table, path, { ...arrived, ...asked }).preflight : preflight
}

/** Both prefixes are whole segments of a canonical path, so what comes of them is canonical too. */
function forwardPathOf({ stripPrefix: off, addPrefix }: Route, path: string): string {
  const rest = off === undefined ? path : stripPrefix(path, off)
  return addPrefix === undefined ? rest : addPrefix + rest
}

function find(table: RouteTable, path: string, arrived: Arrived): Candidate {
  const place = findPlace(table, arrived.host, path, arrived.rawHeaders)
  if (place === undefined) throw new Problem('no_route')
  return chooseCandidate(place, arrived)
}

/**
 * An upstream may decode what we keep encoded: `/me%3Adelete` is `/me:delete` to it, `/a%2Fb` is `/a/b`. Both readings must
 * lead to the same place, else the spelling would choose the authentication.
 */
function findEncoded(table: RouteTable, path: string, arrived: Arrived): Candidate {
  const place = findPlace(table, arrived.host, path, arrived.rawHeaders)
  const loose = looseReading(path)
  if (loose !== path && findPlace(table, arrived.host, loose, arrived.rawHeaders) !== place) throw new Problem('ambiguous_path')
  if (!path.includes('%2F')) return find(table, path, arrived)
  if (place === undefined || !place.candidates.some(keepsEncodedSlash)) throw new Problem('ambiguous_path')
  const candidate = chooseCandidate(place, arrived)
  if (!keepsEncodedSlash(candidate)) throw new Problem('ambiguous_path')
  return candidate
}

function keepsEncodedSlash(candidate: Candidate): boolean {
  return candidate.route.encodedSlash === 'keep'
}

function readParams(names: ReadonlyMap<number, string>, path: string): ReadonlyMap<string, string> {
  const params = new Map<string, string>()
  for (const [number, name] of names) params.set(name, segmentOf(path, number))
  return params
}

/** What is between two slashes, counted from 0 before the first one; empty past the last. */
function segmentOf(path: string, number: number): string {
  let from = 0
  for (let passed = 0; passed < number; passed += 1) {
    from = path.indexOf('/', from) + 1
    if (from === 0) return ''
  }
  const end = path.indexOf('/', from)
  return end === -1 ? path.slice(from) : path.slice(from, end)
}
