import { headersInWords, type Config, type RouteConfig } from '../config/config.ts'
import type { Arrived, Route } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createRouter, type Router } from '../router/router.ts'
import { endpointsOf } from '../services/services.ts'
import type { Change, Difference } from './change.ts'
import { compareRoutes } from './routes.ts'

/** Stands for any name that no configuration has. */
const ANY = 'gatehouse-any'
const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Requests that are told apart by one of the two: hosts, paths and sets of headers. */
interface Place {
  /** As written; empty for any. */
  readonly host: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
}

/** A difference with all places and methods where it is. */
interface Found {
  readonly difference: Difference
  readonly places: Map<string, { readonly place: Place; readonly methods: Set<string> }>
}

export function compareRequests(before: Config, after: Config): readonly Change[] {
  const [old, now] = [createRouter(before.routes, endpointsOf), createRouter(after.routes, endpointsOf)]
  const methods = methodsOf([...before.routes, ...after.routes])
  const found = new Map<string, Found>()
  const compare = remembered(compareRoutes)
  for (const place of placesOf([...old.routes, ...now.routes])) {
    for (const method of methods) {
      const request = requestTo(place, method)
      for (const difference of compare(routeOf(old, request), routeOf(now, request))) note(found, difference, place, method)
    }
  }
  return [...found.values()].flatMap(({ difference, places }) => {
    const kept = [...places.values()].filter((one) => !isCovered(one, places))
    return kept.map((one) => ({ ...difference, where: whereOf(one.place, [...one.methods], methods) }))
  })
}

function note(found: Map<string, Found>, difference: Difference, place: Place, method: string): void {
  const key = JSON.stringify(difference)
  const known = found.get(key) ?? { difference, places: new Map() }
  found.set(key, known)
  const at = keyOf(place)
  const there = known.places.get(at) ?? { place, methods: new Set<string>() }
  known.places.set(at, there)
  there.methods.add(method)
}

/** Whether the same is said of any host, or of all that lies below the path as well. */
function isCovered(
  { place, methods }: { readonly place: Place; readonly methods: ReadonlySet<string> },
  places: Found['places'],
): boolean {
  const wider = [
    ...(place.host === '' ? [] : [{ ...place, host: '' }]),
    ...(place.path.endsWith('/*') ? [] : [{ ...place, path: place.path === '/' ? '/*' : `${place.path}/*` }]),
  ]
  return wider.some((one) => {
    const other = places.get(keyOf(one))
    return other !== undefined && methods.isSubsetOf(other.methods)
  })
}

function keyOf({ host, path, headers }: Place): string {
  return JSON.stringify([host, path, headers])
}

/** Every host with every path: a route of one host may take what a route of any host took before. */
function placesOf(routes: readonly Route[]): readonly Place[] {
  const hosts = new Set(['', ...routes.flatMap(({ match }) => match.hosts)])
  const paths = new Set(
    routes.flatMap(({ match }) => (match.path.endsWith('/*') ? [match.path.slice(0, -2) || '/', match.path] : [match.path])),
  )
  const headers = new Map<string, Place['headers']>([['[]', []]])
  for (const { match } of routes) headers.set(JSON.stringify([...match.headers]), [...match.headers])
  if (headers.size <= MOST_SETS) for (const both of pairsOf([...headers.values()])) headers.set(JSON.stringify(both), both)
  return [...hosts].flatMap((host) =>
    [...paths].flatMap((path) => Array.from(headers.values(), (set) => ({ host, path, headers: set }))),
  )
}

/** With more sets of headers than this, requests that have two of them at once are not asked about: it would take minutes. */
const MOST_SETS = 16

/** Two sets of headers as one, where they do not contradict each other. */
function pairsOf(sets: readonly Place['headers'][]): readonly Place['headers'][] {
  return sets.flatMap((one, at) =>
    sets.slice(at + 1).flatMap((other) => {
      const names = new Map([...one, ...other])
      const agrees = one.every(([name, value]) => names.get(name) === value)
      return agrees && names.size > one.length && names.size > other.length ? [[...names]] : []
    }),
  )
}

function methodsOf(routes: readonly RouteConfig[]): readonly string[] {
  return [...new Set([...USUAL_METHODS, ...routes.flatMap(({ match }) => match.methods)])]
}

function requestTo({ host, path, headers }: Place, method: string): Arrived {
  const name = host === '' ? `${ANY}.invalid` : host.replace('*', ANY)
  return {
    id: '',
    method,
    target: path.replace('*', ANY).replaceAll(/\{[^/]*\}/g, ANY),
    host: name,
    authority: name,
    rawHeaders: headers.flat(),
    peer: '',
    trusted: false,
    client: '',
    scheme: 'https',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
  }
}

/** Undefined where no route takes it. */
function routeOf(router: Router, request: Arrived): Route | undefined {
  try {
    return router.match(request).route
  } catch (error) {
    if (error instanceof Problem) return undefined
    throw error
  }
}

/** `GET,POST api.example.com/orders/* [x-beta: 1]`. */
function whereOf({ host, path, headers }: Place, methods: readonly string[], all: readonly string[]): string {
  const some = methods.length === all.length ? 'any method' : methods.join(',')
  return `${some} ${host}${path}${headersInWords(headers)}`
}

type Compare = (before: Route | undefined, after: Route | undefined) => readonly Difference[]

/** Few pairs of routes answer many requests. */
function remembered(compare: Compare): Compare {
  const known = new Map<Route | undefined, Map<Route | undefined, readonly Difference[]>>()
  return (before, after) => {
    const others = known.get(before) ?? new Map<Route | undefined, readonly Difference[]>()
    known.set(before, others)
    const differences = others.get(after) ?? compare(before, after)
    others.set(after, differences)
    return differences
  }
}
