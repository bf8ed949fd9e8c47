import { describe, expect, it } from 'vitest'
import type { Router } from '../../../src/router/router.ts'
import { outcomeOf, readingOf, request, routerOf } from './routes.ts'

function service(name: string, endpoint: string): { kind: string; service: string; endpoint: string } {
  return { kind: 'service', service: name, endpoint }
}

function paramsOf(router: Router, target: string): ReadonlyMap<string, string> {
  return router.match(request({ target })).params
}

describe('a route to a service', () => {
  const router = routerOf(
    { name: 'accounts', path: '/auth/*', service: 'accounts', auth: 'none', bodyBytes: 1000 },
    { name: 'discovery', path: '/t/*', service: 'discovery', auth: 'none' },
    { name: 'health', path: '/health', service: 'health', auth: 'none' },
    { name: 'echo', path: '/api/*', service: 'echo' },
    { name: 'all', path: '/*', auth: 'public' },
  )

  it('becomes one route for each endpoint', () => {
    const facts = router.routes.map(({ name, match, auth, bodyBytes, target }) => ({ name, ...match, auth, bodyBytes, target }))
    const shared = { hosts: [], headers: new Map() }
    expect(facts).toEqual([
      {
        ...shared,
        name: 'accounts.register',
        path: '/auth/register',
        methods: ['POST'],
        auth: 'public',
        bodyBytes: 1000,
        target: service('accounts', 'register'),
      },
      {
        ...shared,
        name: 'accounts.login',
        path: '/auth/login',
        methods: ['POST'],
        auth: 'public',
        bodyBytes: 1000,
        target: service('accounts', 'login'),
      },
      {
        ...shared,
        name: 'accounts.me',
        path: '/auth/me',
        methods: ['GET'],
        auth: 'required',
        bodyBytes: 1000,
        target: service('accounts', 'me'),
      },
      {
        ...shared,
        name: 'discovery.tenant-jwks',
        path: '/t/{tenant}/.well-known/jwks.json',
        methods: ['GET'],
        auth: 'public',
        bodyBytes: 1_000_000,
        target: service('discovery', 'tenant-jwks'),
      },
      {
        ...shared,
        name: 'health.health',
        path: '/health',
        methods: ['GET'],
        auth: 'public',
        bodyBytes: 1_000_000,
        target: service('health', 'health'),
      },
      {
        ...shared,
        name: 'echo.echo',
        path: '/api/*',
        methods: [],
        auth: 'required',
        bodyBytes: 1_000_000,
        target: service('echo', 'echo'),
      },
      {
        ...shared,
        name: 'all',
        path: '/*',
        methods: [],
        auth: 'public',
        bodyBytes: 1_000_000,
        target: { kind: 'upstream', upstream: 'recorder' },
      },
    ])
    for (const route of router.routes) {
      expect(Object.isFrozen(route) && Object.isFrozen(route.match) && Object.isFrozen(route.target)).toBe(true)
    }
  })

  it.each([
    ['POST', '/auth/login', 'accounts.login /auth/login'],
    ['HEAD', '/auth/me', 'accounts.me /auth/me'],
    ['GET', '/auth/login', 'method_not_allowed'],
    ['GET', '/auth/login/x', 'all /auth/login/x'],
    ['GET', '/health', 'health.health /health'],
    ['GET', '/health/x', 'all /health/x'],
    ['PUT', '/api', 'echo.echo /api'],
    ['PUT', '/api/x/y', 'echo.echo /api/x/y'],
    ['GET', '/t/acme/.well-known/jwks.json', 'discovery.tenant-jwks /t/acme/.well-known/jwks.json'],
    ['POST', '/t/acme/.well-known/jwks.json', 'method_not_allowed'],
    ['GET', '/t/a/b/.well-known/jwks.json', 'all /t/a/b/.well-known/jwks.json'],
    ['GET', '/t/acme/.well-known/jwks.json/', 'all /t/acme/.well-known/jwks.json/'],
    ['GET', '/t/.well-known/jwks.json', 'all /t/.well-known/jwks.json'],
    ['GET', '/t//.well-known/jwks.json', 'all /t/.well-known/jwks.json'],
    ['GET', '/t/a%2Fb/.well-known/jwks.json', 'ambiguous_path'],
    ['GET', '/t/..%2Fx/.well-known/jwks.json', 'ambiguous_path'],
  ])('%s %s leads to %s', (method, target, reading) => {
    expect(readingOf(router, { method, target })).toBe(reading)
  })

  it('reads the values of its segments, encoding kept', () => {
    expect(paramsOf(router, '/t/acme/.well-known/jwks.json')).toEqual(new Map([['tenant', 'acme']]))
    expect(paramsOf(router, '/t/%61c%c3%a9/.well-known/jwks.json')).toEqual(new Map([['tenant', 'ac%C3%A9']]))
    expect(paramsOf(router, '/health')).toEqual(new Map())
  })

  it('takes no more methods than it says', () => {
    const some = routerOf(
      { name: 'get', path: '/auth/*', service: 'accounts', auth: 'none', methods: ['GET'] },
      { name: 'head', path: '/h/*', service: 'accounts', auth: 'none', methods: ['HEAD'] },
      { name: 'echo', path: '/echo', service: 'echo', methods: ['PUT'] },
    )
    expect(some.routes.map(({ name, match }) => [name, match.path, match.methods])).toEqual([
      ['get.me', '/auth/me', ['GET']],
      ['head.me', '/h/me', ['HEAD']],
      ['echo.echo', '/echo', ['PUT']],
    ])
    const { problem } = outcomeOf(some, request({ method: 'GET', target: '/h/me' }))
    expect(problem?.facts.headers).toEqual({ allow: 'HEAD' })
  })

  it('may be mounted at the root', () => {
    const root = routerOf(
      { name: 'accounts', path: '/*', service: 'accounts', auth: 'none' },
      { name: 'health', path: '/*', service: 'health', auth: 'none' },
    )
    expect(readingOf(root, { method: 'POST', target: '/login' })).toBe('accounts.login /login')
    expect(readingOf(root, { target: '/' })).toBe('health.health /')
    expect(readingOf(root, { target: '/x' })).toBe('no_route')
  })
})
