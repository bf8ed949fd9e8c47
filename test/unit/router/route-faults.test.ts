import { describe, expect, it } from 'vitest'
import { createRouter, findRouteFaults } from '../../../src/router/router.ts'
import { endpointsOf, route, type RouteSketch } from './routes.ts'

function faultsOf(...sketches: readonly RouteSketch[]): readonly string[] {
  return findRouteFaults(sketches.map(route), endpointsOf).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const TIE = 'routes.1: ties with the route first at /a/*: let one of them differ by host, path, header or method'
const first = { name: 'first', path: '/a/*' }
const second = { name: 'second', path: '/a/*' }

describe('routes that no request could tell apart', () => {
  it.each<[string, RouteSketch, RouteSketch]>([
    ['the same path', first, second],
    ['a method of both', { ...first, methods: ['GET', 'PUT'] }, { ...second, methods: ['PUT'] }],
    ['HEAD, which GET takes too', { ...first, methods: ['GET'] }, { ...second, methods: ['HEAD'] }],
    ['a host of both', { ...first, hosts: ['x.test', 'y.test'] }, { ...second, hosts: ['y.test'] }],
    ['a host in another case', { ...first, hosts: ['x.test'] }, { ...second, hosts: ['X.test'] }],
    ['a host pattern', { ...first, hosts: ['*.test'] }, { ...second, hosts: ['*.test'] }],
    ['headers that can hold together', { ...first, headers: { 'x-a': '1' } }, { ...second, headers: { 'x-b': '1' } }],
    ['the same header', { ...first, headers: { 'x-a': '1' } }, { ...second, headers: { 'x-a': '1' } }],
  ])('are a fault: %s', (_, one, other) => {
    expect(faultsOf(one, other)).toEqual([TIE])
    expect(() => createRouter([one, other].map(route), endpointsOf)).toThrow(TIE)
  })

  it.each<[string, RouteSketch, RouteSketch]>([
    ['other paths', first, { ...second, path: '/b/*' }],
    ['exact and prefix', first, { ...second, path: '/a' }],
    ['with and without a trailing slash', { ...first, path: '/a' }, { ...second, path: '/a/' }],
    ['other methods', { ...first, methods: ['GET'] }, { ...second, methods: ['POST'] }],
    ['methods said and not said', { ...first, methods: ['GET'] }, second],
    ['other hosts', { ...first, hosts: ['x.test'] }, { ...second, hosts: ['y.test'] }],
    ['a host and every host', { ...first, hosts: ['x.test'] }, second],
    ['a host and a pattern', { ...first, hosts: ['x.test'] }, { ...second, hosts: ['*.test'] }],
    ['a header and none', { ...first, headers: { 'x-a': '1' } }, second],
    ['values of one header', { ...first, headers: { 'x-a': '1' } }, { ...second, headers: { 'x-a': '2' } }],
  ])('are not these: %s', (_, one, other) => {
    expect(faultsOf(one, other)).toEqual([])
  })

  it('are found among the endpoints of services', () => {
    expect(
      faultsOf(
        { name: 'accounts', path: '/auth/*', service: 'accounts', auth: 'none' },
        { name: 'again', path: '/auth/*', service: 'accounts', auth: 'none' },
        { name: 'login', path: '/auth/login', methods: ['POST'] },
        { name: 'beside', path: '/auth/*' },
      ),
    ).toEqual([
      'routes.1: ties with the route accounts.register at /auth/register: let one of them differ by host, path, header or method',
      'routes.2: ties with the route accounts.login at /auth/login: let one of them differ by host, path, header or method',
      'routes.2: ties with the route again.login at /auth/login: let one of them differ by host, path, header or method',
    ])
  })

  it('are found where only the names of segments differ', () => {
    const routes = ['one', 'other'].map((name) => route({ name, path: '/t/*', service: 'discovery', auth: 'none' }))
    const calls = { count: 0 }
    const faults = findRouteFaults(routes, () => [
      { name: 'e', method: 'GET', path: `/{name${calls.count++}}/x`, auth: 'public' },
    ])
    expect(faults.map(({ path }) => path)).toEqual([['routes', 1]])
  })
})

describe('a route that would not do what it says', () => {
  it.each<[string, RouteSketch]>([
    ['routes.0.match.path: must start with /', { path: 'a' }],
    ['routes.0.match.path: is not in its canonical form: write /a/b', { path: '/a//b' }],
    ['routes.0.match.path: is not in its canonical form: write /b/*', { path: '/a/../b/*' }],
    ['routes.0.match.path: is not in its canonical form: write /caf%C3%A9', { path: '/caf%c3%a9' }],
    ['routes.0.match.path: is not in its canonical form: write /me:x', { path: '/me%3Ax' }],
    ['routes.0.match.path: is not in its canonical form: write /a/b', { path: '/a%2Fb' }],
    ['routes.0.match.path: can be read in more than one way: write it without \\ ; % ? # { } and dot segments', { path: '/a;b' }],
    [
      'routes.0.match.path: can be read in more than one way: write it without \\ ; % ? # { } and dot segments',
      { path: '/{id}' },
    ],
    ['routes.0.match.path: has a * that does not stand for a rest: write it once, at the end, after a slash', { path: '/a*' }],
    ['routes.0.match.path: has a * that does not stand for a rest: write it once, at the end, after a slash', { path: '/*/x' }],
    ['routes.0.stripPrefix: is not a prefix of /api/* by whole segments', { path: '/api/*', stripPrefix: '/ap' }],
    ['routes.0.stripPrefix: is not a prefix of /api/* by whole segments', { path: '/api/*', stripPrefix: '/api/v1' }],
    ['routes.0.stripPrefix: is not a prefix of /* by whole segments', { path: '/*', stripPrefix: '/api' }],
    [
      'routes.0.match.path: the service accounts has no endpoint at this path and these methods: write a path that ends in /*',
      { path: '/auth', service: 'accounts', auth: 'none' },
    ],
    ['routes.0.auth: is required: write required, optional or public', { path: '/api/*', service: 'echo', auth: 'none' }],
    [
      'routes.0.auth: the service accounts says itself who may call it: remove this key',
      { path: '/auth/*', service: 'accounts', auth: 'required' },
    ],
  ])('is a fault: %s', (fault, sketch) => {
    expect(faultsOf(sketch)).toEqual([fault])
  })

  it.each<RouteSketch>([
    { path: '/*' },
    { path: '/' },
    { path: '/a/' },
    { path: '/api/v1/*', stripPrefix: '/api' },
    { path: '/api/v1', stripPrefix: '/api/v1' },
    { path: '/health', service: 'health', auth: 'public' },
    { path: '/health', service: 'health', auth: 'none' },
    { path: '/api/*', service: 'echo', auth: 'public' },
  ])('is not this: %j', (sketch) => {
    expect(faultsOf(sketch)).toEqual([])
  })

  it('does not hide the next one', () => {
    expect(faultsOf({ path: 'a' }, first, second, { path: '/b//c' })).toHaveLength(3)
  })
})
