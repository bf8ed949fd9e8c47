/** Routes and requests for the tests of the router, with everything that a test does not speak of filled in. */
import type { RouteConfig } from '../../../src/config/config.ts'
import type { Arrived, Auth, Route } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createRouter, type Endpoint, type Router } from '../../../src/router/router.ts'

export interface RouteSketch {
  readonly name?: string
  readonly hosts?: readonly string[]
  readonly path: string
  readonly methods?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** `none`: the route does not say. */
  readonly auth?: Auth | 'none'
  readonly stripPrefix?: string
  readonly encodedSlash?: 'reject' | 'keep'
  readonly bodyBytes?: number
  readonly service?: 'accounts' | 'discovery' | 'health' | 'echo'
}

export function route(sketch: RouteSketch): RouteConfig {
  const { auth = 'required', service } = sketch
  return {
    name: sketch.name ?? sketch.path,
    match: {
      hosts: sketch.hosts ?? [],
      path: sketch.path,
      methods: sketch.methods ?? [],
      headers: new Map(Object.entries(sketch.headers ?? {})),
    },
    ...(auth === 'none' ? {} : { auth }),
    scopes: [],
    claims: new Map(),
    revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
    bodyBytes: sketch.bodyBytes ?? 1_000_000,
    ...(sketch.stripPrefix === undefined ? {} : { stripPrefix: sketch.stripPrefix }),
    forwardToken: false,
    host: 'upstream',
    requestHeaders: { set: new Map(), remove: new Set() },
    responseHeaders: { set: new Map(), remove: new Set() },
    websocket: false,
    encodedSlash: sketch.encodedSlash ?? 'reject',
    target: service === undefined ? { kind: 'upstream', upstream: 'recorder' } : { kind: 'service', service },
  }
}

export const ENDPOINTS: Readonly<Record<string, readonly Endpoint[]>> = {
  accounts: [
    { name: 'register', method: 'POST', path: '/register', auth: 'public', bodyBytes: 16_384 },
    { name: 'login', method: 'POST', path: '/login', auth: 'public', bodyBytes: 16_384 },
    { name: 'me', method: 'GET', path: '/me', auth: 'required' },
  ],
  discovery: [{ name: 'tenant-jwks', method: 'GET', path: '/{tenant}/.well-known/jwks.json', auth: 'public' }],
  health: [{ name: 'health', method: 'GET', path: '', auth: 'public' }],
  echo: [{ name: 'echo', method: undefined, path: '/*', auth: 'route' }],
}

export function endpointsOf(service: string): readonly Endpoint[] {
  return ENDPOINTS[service] ?? []
}

export function routerOf(...sketches: readonly RouteSketch[]): Router {
  return createRouter(sketches.map(route), endpointsOf)
}

export interface RequestSketch {
  readonly method?: string
  readonly target: string
  /** As received: the listener's folding is done here. */
  readonly host?: string
  readonly headers?: readonly string[]
}

export function request(sketch: RequestSketch): Arrived {
  const authority = sketch.host ?? 'gateway.test'
  return {
    id: 'id-1',
    method: sketch.method ?? 'GET',
    target: sketch.target,
    host: authority.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, ''),
    authority,
    rawHeaders: ['Host', authority, ...(sketch.headers ?? [])],
    peer: '192.0.2.1',
    trusted: false,
    client: '192.0.2.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
  }
}

export interface Outcome {
  readonly route?: Route
  readonly path?: string
  readonly problem?: Problem
}

/** What became of a request: a route, or the problem; anything else that is thrown is a fault of the router. */
export function outcomeOf(router: Router, arrived: Arrived): Outcome {
  try {
    const { route, path } = router.match(arrived)
    return { route, path }
  } catch (error) {
    if (error instanceof Problem) return { problem: error }
    throw error
  }
}

/** `NAME PATH` of the match, or the kind of the problem. */
export function readingOf(router: Router, sketch: RequestSketch): string {
  const { route, path, problem } = outcomeOf(router, request(sketch))
  return problem === undefined ? `${route?.name} ${path}` : problem.kind
}
