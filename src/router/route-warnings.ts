/**
 * Routes that get less than they seem to: a more specific path takes requests whose method it then refuses, because a method
 * that does not fit never leads to a less specific path.
 */
import type { RouteConfig } from '../config/config.ts'
import type { Route } from '../exchange/exchange.ts'
import { compileRoute } from './compile-route.ts'
import { methodsOf } from './place.ts'
import type { EndpointsOf, RouteFault } from './router.ts'

interface Compiled {
  readonly index: number
  readonly route: Route
}

/** One warning for each method and more specific path that keep requests from a route that names its methods. */
export function findRouteWarnings(routes: readonly RouteConfig[], endpointsOf: EndpointsOf): readonly RouteFault[] {
  const compiled = routes.flatMap((written, index) => compileRoute(written, endpointsOf).map((route) => ({ index, route })))
  // Of a route with headers only some requests are taken: those that have them.
  const plain = compiled.filter(({ route }) => route.match.headers.size === 0)
  return routes.flatMap((written, index) =>
    written.auth === undefined ? [] : findLost(written, index, plain).map((one) => warning(index, one)),
  )

  function warning(index: number, { methods, place, takers }: Lost): RouteFault {
    const names = [...takers].map((taker) => routes[taker]?.name ?? '').join(' and ')
    const message = `does not get ${methods.join(' and ')} of ${place}: ${names} takes that path, and answers 405`
    return { path: ['routes', index, 'match', 'path'], message }
  }
}

/** What of its requests a route does not get, and which routes take it. */
interface Lost {
  readonly methods: readonly string[]
  readonly place: string
  readonly takers: ReadonlySet<number>
}

function findLost(written: RouteConfig, index: number, all: readonly Compiled[]): readonly Lost[] {
  const { path, methods } = written.match
  if (methods.length === 0 || !path.endsWith('/*')) return []
  const found: Lost[] = []
  const places = Map.groupBy(
    all.filter((other) => isInside(other.route, written)),
    ({ route }) => route.match.path,
  )
  for (const [place, takers] of places) {
    if (takers.some((taker) => taker.index === index)) continue
    const taken = new Set(takers.flatMap(({ route }) => [...(methodsOf(route) ?? methods)]))
    const lost = methods.filter((method) => !taken.has(method))
    if (lost.length > 0) found.push({ methods: lost, place, takers: new Set(takers.map((taker) => taker.index)) })
  }
  // A service has an endpoint at its mount and one below it.
  return found.filter(({ place }) => !found.some((other) => other.place === `${place}/*`))
}

/** Whether a place lies below the path of a route, on the same hosts. */
function isInside(route: Route, { match }: RouteConfig): boolean {
  const base = match.path.slice(0, -1)
  if (route.match.path === match.path || !(route.match.path.startsWith(base) || `${route.match.path}/` === base)) return false
  if (match.hosts.length === 0) return route.match.hosts.length === 0
  return match.hosts.some((host) => route.match.hosts.includes(host.toLowerCase()))
}
