/** Which route answers a preflight: the one that the request itself would take. */
import { describe, expect, it } from 'vitest'
import type { CorsRules } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createRouter } from '../../../src/router/router.ts'
import { endpointsOf, request, route, type RouteSketch } from './routes.ts'

const CORS: CorsRules = {
  any: true,
  origins: new Set(),
  patterns: [],
  methods: ['GET'],
  headers: [],
  exposedHeaders: [],
  credentials: false,
  maxAgeSeconds: 600,
  privateNetwork: false,
}

/** `NAME by KIND`, or the problem. Routes whose name ends in `+` have cors. */
function taken(
  sketches: readonly RouteSketch[],
  asked: { readonly target: string; readonly method?: string; readonly headers?: readonly string[] },
): string {
  const routes = sketches.map((sketch) => ({ ...route(sketch), ...(sketch.name?.endsWith('+') === true && { cors: CORS }) }))
  const { method = 'GET', target, headers = [] } = asked
  const fields = ['Origin', 'https://app.test', 'Access-Control-Request-Method', method, ...headers]
  try {
    const routed = createRouter(routes, endpointsOf).match(request({ method: 'OPTIONS', target, headers: fields }))
    return `${routed.route.name} by ${routed.route.target.kind}`
  } catch (error) {
    return Problem.from(error).kind
  }
}

const names = (text: string) => ['Access-Control-Request-Headers', text]

describe('a preflight comes to', () => {
  it('the route of the method that it asks for', () => {
    const routes = [
      { name: 'reads+', path: '/a/*', methods: ['GET'] },
      { name: 'writes+', path: '/a/*', methods: ['PUT'] },
    ]
    expect(taken(routes, { target: '/a/x' })).toBe('reads+ by preflight')
    expect(taken(routes, { target: '/a/x', method: 'HEAD' })).toBe('reads+ by preflight')
    expect(taken(routes, { target: '/a/x', method: 'PUT' })).toBe('writes+ by preflight')
    expect(taken(routes, { target: '/a/x', method: 'DELETE' })).toBe('method_not_allowed')
    expect(taken(routes, { target: '/b' })).toBe('no_route')
  })

  it('the more specific route, also where that has no cors', () => {
    const routes = [
      { name: 'all+', path: '/a/*' },
      { name: 'one', path: '/a/one', methods: ['GET'] },
    ]
    expect(taken(routes, { target: '/a/one' })).toBe('method_not_allowed')
    expect(taken(routes, { target: '/a/two' })).toBe('all+ by preflight')
  })

  it('the route of a header that it names, in any spelling', () => {
    const routes = [
      { name: 'beta+', path: '/a/*', headers: { 'x-beta': '1' } },
      { name: 'plain+', path: '/a/*' },
    ]
    expect(taken(routes, { target: '/a/x', headers: names('authorization, X-Beta') })).toBe('beta+ by preflight')
    expect(taken(routes, { target: '/a/x', headers: names('x-beta-2,,') })).toBe('plain+ by preflight')
    expect(taken(routes, { target: '/a/x', headers: ['x-beta', '2', ...names('x-beta')] })).toBe('plain+ by preflight')
  })

  it('the upstream where its route has no cors and takes OPTIONS', () => {
    expect(taken([{ name: 'own', path: '/a/*' }], { target: '/a/x' })).toBe('own by upstream')
    const both = [
      { name: 'own', path: '/a/*' },
      { name: 'other+', path: '/b' },
    ]
    expect(taken(both, { target: '/a/x' })).toBe('own by upstream')
  })

  it('the endpoint of a service', () => {
    const routes = [{ name: 'accounts+', path: '/auth/*', service: 'accounts', auth: 'none' }] as const
    expect(taken(routes, { target: '/auth/login', method: 'POST' })).toBe('accounts+.login by preflight')
    expect(taken(routes, { target: '/auth/login', method: 'GET' })).toBe('method_not_allowed')
  })

  it('nobody by a path that two readers would read as two routes', () => {
    const routes = [
      { name: 'all+', path: '/*' },
      { name: 'slash', path: '/a/b' },
    ]
    expect(taken(routes, { target: '/a%2fb' })).toBe('ambiguous_path')
    expect(taken(routes, { target: '/x/../a;b' })).toBe('ambiguous_path')
  })
})

it('a route takes its preflights without a token, a body or a way to its upstream', () => {
  const sketch = {
    ...route({ name: 'r', path: '/a/*', stripPrefix: '/a' }),
    cors: CORS,
    scopes: ['admin'],
    websocket: true,
    forwardToken: true,
  }
  const headers = ['Origin', 'https://app.test', 'Access-Control-Request-Method', 'GET']
  const routed = createRouter([sketch], endpointsOf).match(request({ method: 'OPTIONS', target: '/a/x?y', headers }))
  expect(routed).toMatchObject({ path: '/a/x', forwardPath: '/a/x', query: '?y' })
  expect(routed.route).toMatchObject({
    name: 'r',
    auth: 'public',
    scopes: [],
    bodyBytes: 0,
    websocket: false,
    forwardToken: false,
    target: { kind: 'preflight' },
  })
})
