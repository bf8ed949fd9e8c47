/**
 * What is wrong with the routes of a configuration, as far as only the router can see it.
 */
import type { RouteConfig, ServiceName } from '../config/config.ts'
import type { Auth, Route } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { canonicalPath, looseReading, stripPrefix } from './canonical-path.ts'
import { compileRoute } from './compile-route.ts'
import { createCandidate } from './place.ts'
import { createRouteTable, enter } from './route-table.ts'
import type { EndpointsOf, RouteFault } from './router.ts'

/**
 * Every fault of the routes: paths that no request can match as they are written, service mounts without an endpoint,
 * authentication that nobody says or that contradicts the service, and pairs of routes that no request could tell apart.
 */
export function findRouteFaults(routes: readonly RouteConfig[], endpointsOf: EndpointsOf): readonly RouteFault[] {
  const faults = routes.flatMap((route, index) => ownFaults(route, index, endpointsOf))
  // Of two routes that tie, the second one is at fault.
  return [...faults, ...findTies(routes, endpointsOf)]
}

function ownFaults(route: RouteConfig, index: number, endpointsOf: EndpointsOf): readonly RouteFault[] {
  const path = pathFault(route.match.path)
  if (path !== undefined) return [{ path: ['routes', index, 'match', 'path'], message: path }]
  const faults: RouteFault[] = []
  const strip = stripFault(route)
  if (strip !== undefined) faults.push({ path: ['routes', index, 'stripPrefix'], message: strip })
  const service = serviceFault(route, index, endpointsOf)
  if (service !== undefined) faults.push(service)
  return faults
}

function pathFault(path: string): string | undefined {
  const plain = path.endsWith('/*') ? path.slice(0, -2) : path
  if (!path.startsWith('/')) return 'must start with /'
  if (plain === '') return undefined
  if (plain.includes('*')) return 'has a * that does not stand for a rest: write it once, at the end, after a slash'
  const canonical = canonicalOrNothing(plain)
  if (canonical === undefined) return 'can be read in more than one way: write it without \\ ; % ? # { } and dot segments'
  return canonical === plain ? undefined : `is not in its canonical form: write ${canonical}${path.slice(plain.length)}`
}

/** The canonical path with the characters bare that may stand bare; undefined where it is refused. */
function canonicalOrNothing(path: string): string | undefined {
  try {
    return looseReading(canonicalPath(path))
  } catch (error) {
    if (error instanceof Problem) return undefined
    throw error
  }
}

function stripFault(route: RouteConfig): string | undefined {
  const { stripPrefix: prefix, match } = route
  if (prefix === undefined) return undefined
  const base = match.path.endsWith('/*') ? match.path.slice(0, -2) : match.path
  if (base !== '' && prefix !== '' && stripPrefix(base, prefix) !== base) return undefined
  return `is not a prefix of ${match.path} by whole segments`
}

function serviceFault(route: RouteConfig, index: number, endpointsOf: EndpointsOf): RouteFault | undefined {
  if (route.target.kind !== 'service') return undefined
  const { service } = route.target
  const mounted = compileRoute(route, endpointsOf)
  if (mounted.length === 0) {
    const message = `the service ${service} has no endpoint at this path and these methods: write a path that ends in /*`
    return { path: ['routes', index, 'match', 'path'], message }
  }
  const said = authOf(endpointsOf, service, mounted)
  const path = ['routes', index, 'auth']
  if (route.auth === undefined) {
    return said.has('route') ? { path, message: 'is required: write required, optional or public' } : undefined
  }
  for (const auth of said) {
    if (auth === 'route' || auth === route.auth) continue
    return { path, message: `the service ${service} says itself who may call it: remove this key` }
  }
  return undefined
}

function authOf(endpointsOf: EndpointsOf, service: ServiceName, mounted: readonly Route[]): ReadonlySet<Auth | 'route'> {
  const names = new Set(mounted.map(({ target }) => (target.kind === 'service' ? target.endpoint : '')))
  return new Set(endpointsOf(service).flatMap((endpoint) => (names.has(endpoint.name) ? [endpoint.auth] : [])))
}

function findTies(routes: readonly RouteConfig[], endpointsOf: EndpointsOf): readonly RouteFault[] {
  const table = createRouteTable()
  return routes.flatMap((written, index) => {
    const rivals = new Map<number, Route>()
    for (const route of compileRoute(written, endpointsOf)) {
      for (const other of enter(table, createCandidate(route, index))) {
        if (other.index !== index && !rivals.has(other.index)) rivals.set(other.index, other.route)
      }
    }
    return Array.from(rivals.values(), (rival) => ({ path: ['routes', index], message: tieMessage(rival) }))
  })
}

function tieMessage(rival: Route): string {
  return `ties with the route ${rival.name} at ${rival.match.path}: let one of them differ by host, path, header or method`
}
