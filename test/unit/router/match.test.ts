import { describe, expect, it } from 'vitest'
import { outcomeOf, readingOf, request, routerOf } from './routes.ts'

describe('hosts', () => {
  const router = routerOf(
    { name: 'exact', hosts: ['api.example.com'], path: '/v1/*' },
    { name: 'long', hosts: ['*.eu.example.com'], path: '/*' },
    { name: 'short', hosts: ['*.example.com', 'example.org'], path: '/*' },
    { name: 'any', path: '/health' },
  )

  it.each([
    ['api.example.com', '/v1/x', 'exact /v1/x', 'an exact host beats a pattern'],
    ['api.example.com', '/v2', 'short /v2', 'a host without a path falls through to the pattern'],
    ['a.eu.example.com', '/v1/x', 'long /v1/x', 'the longer suffix wins'],
    ['a.b.eu.example.com', '/', 'long /', 'a pattern stands for several labels'],
    ['eu.example.com', '/', 'short /', 'a pattern needs a label before it'],
    ['example.com', '/', 'no_route', 'a pattern does not stand for its own suffix'],
    ['example.com', '/health', 'any /health', 'any host comes last'],
    ['x.example.com', '/health', 'short /health', 'a pattern beats any host, exact path or not'],
    ['example.org', '/', 'short /', 'a route may have several hosts'],
    ['API.Example.COM', '/v1/x', 'exact /v1/x', 'case does not count'],
    ['api.example.com.', '/v1/x', 'exact /v1/x', 'a trailing dot does not count'],
    ['api.example.com:8443', '/v1/x', 'exact /v1/x', 'the port does not count'],
    ['api.example.com.attacker', '/v1/x', 'no_route', 'a longer name is another'],
    ['evil-api.example.com', '/v1/x', 'short /v1/x', 'a longer label is another'],
    ['evilexample.com', '/', 'no_route', 'a suffix begins at a dot'],
    ['.example.com', '/', 'no_route', 'an empty label is none'],
    ['', '/health', 'any /health', 'a request without a Host'],
    ['', '/', 'no_route', 'a request without a Host has no pattern'],
  ])('Host %s at %s leads to %s: %s', (host, target, reading) => {
    expect(readingOf(router, { host, target })).toBe(reading)
  })

  it.each([5, 500])('are compared alike with %i of them', (count) => {
    const sketches = Array.from({ length: count }, (_, n) => ({
      name: `tenant-${n}`,
      hosts: [`tenant-${n}.example.test`],
      path: '/*',
    }))
    const many = routerOf(...sketches, { name: 'private', path: '/admin/*' })
    for (const n of [0, count - 1]) {
      for (const host of [`tenant-${n}.example.test`, `TENANT-${n}.Example.Test`, `tenant-${n}.example.test.:443`]) {
        expect(readingOf(many, { host, target: '/admin/x' })).toBe(`tenant-${n} /admin/x`)
      }
      expect(readingOf(many, { host: `tenant-${n}.example.test.evil`, target: '/x' })).toBe('no_route')
      expect(readingOf(many, { host: `evil-tenant-${n}.example.test`, target: '/x' })).toBe('no_route')
    }
    expect(readingOf(many, { host: 'elsewhere.test', target: '/admin/x' })).toBe('private /admin/x')
  })
})

describe('paths', () => {
  const router = routerOf(
    { name: 'exact', path: '/a/b' },
    { name: 'slash', path: '/a/b/' },
    { name: 'deep', path: '/a/b/c/*' },
    { name: 'shallow', path: '/a/*' },
    { name: 'encoded', path: '/caf%C3%A9' },
  )

  it.each([
    ['/a/b', 'exact /a/b', 'exact beats prefix'],
    ['/a/b/', 'slash /a/b/', 'a trailing slash makes another path'],
    ['/a/b/c', 'deep /a/b/c', 'a prefix takes its own path'],
    ['/a/b/c/', 'deep /a/b/c/', 'with a slash too'],
    ['/a/b/c/d/e/f', 'deep /a/b/c/d/e/f', 'the longer prefix wins'],
    ['/a/b/cd', 'shallow /a/b/cd', 'a prefix counts whole segments'],
    ['/a', 'shallow /a', 'a prefix takes its own path'],
    ['/a/', 'shallow /a/', 'with a slash too'],
    ['/ab', 'no_route', 'a prefix counts whole segments'],
    ['/A/b', 'no_route', 'case counts'],
    ['/', 'no_route', 'nothing is public by omission'],
    ['/a/*/x', 'shallow /a/*/x', 'a star is a character like any other'],
    ['/*', 'no_route', 'a star does not match itself as a pattern'],
    ['/caf%c3%a9', 'encoded /caf%C3%A9', 'encoded characters have one spelling'],
  ])('%s leads to %s: %s', (target, reading) => {
    expect(readingOf(router, { target })).toBe(reading)
  })

  it('of any length take the prefix that the configuration has', () => {
    const rest = '/x'.repeat(4000)
    expect(readingOf(router, { target: `/a/b/c${rest}` })).toBe(`deep /a/b/c${rest}`)
    expect(readingOf(router, { target: `/b${rest}` })).toBe('no_route')
  })

  it('end at the root, where a prefix of everything stands', () => {
    const all = routerOf({ name: 'root', path: '/' }, { name: 'all', path: '/*' })
    expect(readingOf(all, { target: '/' })).toBe('root /')
    expect(readingOf(all, { target: '/x' })).toBe('all /x')
    expect(readingOf(routerOf({ name: 'all', path: '/*' }), { target: '/' })).toBe('all /')
  })

  it('are forwarded without the prefix that the route strips', () => {
    const strip = routerOf({ name: 'api', path: '/api/*', stripPrefix: '/api' })
    for (const [target, path, forwardPath] of [
      ['/api/x?q', '/api/x', '/x'],
      ['/api', '/api', '/'],
      ['/%61pi/admin', '/api/admin', '/admin'],
      ['/api//x', '/api/x', '/x'],
    ] as const) {
      expect(strip.match(request({ target }))).toMatchObject({ path, forwardPath })
    }
  })
})

describe('encoded slashes', () => {
  const router = routerOf(
    { name: 'keep', path: '/packages/*', encodedSlash: 'keep', auth: 'public' },
    { name: 'private', path: '/packages/private/*' },
    { name: 'mixed', path: '/mixed', methods: ['GET'], encodedSlash: 'keep' },
    { name: 'reject', path: '/admin/*' },
  )

  it.each([
    ['/packages/@scope%2fname', 'keep /packages/@scope%2Fname', 'kept where the route says so'],
    ['/admin/a%2Fb', 'ambiguous_path', 'refused where it does not'],
    ['/nowhere%2Fx', 'ambiguous_path', 'refused where there is no route'],
    ['/packages%2Fx', 'ambiguous_path', 'refused where the slash would make a route'],
    ['/packages/private%2Fx', 'ambiguous_path', 'refused where the slash would make another route'],
    ['/packages/a%2F..%2F..%2Fadmin', 'ambiguous_path', 'refused where dot segments would appear'],
    ['/packages/%2Fadmin', 'ambiguous_path', 'refused where an empty segment would appear'],
    ['/packages/x%5Cy', 'ambiguous_path', 'a backslash is never kept'],
  ])('%s: %s, %s', (target, reading) => {
    expect(readingOf(router, { target })).toBe(reading)
  })

  it('follow the route that was matched among several at one path', () => {
    const both = routerOf(
      { name: 'read', path: '/p/*', methods: ['GET'], encodedSlash: 'keep' },
      { name: 'write', path: '/p/*', methods: ['POST'] },
    )
    expect(readingOf(both, { target: '/p/a%2Fb' })).toBe('read /p/a%2Fb')
    expect(readingOf(both, { target: '/p/a%2Fb', method: 'POST' })).toBe('ambiguous_path')
    expect(readingOf(both, { target: '/p/a%2Fb', method: 'PUT' })).toBe('method_not_allowed')
    const none = routerOf({ name: 'read', path: '/p/*', methods: ['GET'] })
    expect(readingOf(none, { target: '/p/a%2Fb', method: 'PUT' })).toBe('ambiguous_path')
  })
})

describe('characters that may stand bare or encoded', () => {
  const router = routerOf({ name: 'users', path: '/users/*', auth: 'public' }, { name: 'delete', path: '/users/me:delete' })

  it('do not choose the route by their spelling', () => {
    expect(readingOf(router, { target: '/users/me:delete' })).toBe('delete /users/me:delete')
    expect(readingOf(router, { target: '/users/me%3Adelete' })).toBe('ambiguous_path')
  })

  it('are forwarded as received where both spellings lead to one route', () => {
    expect(readingOf(router, { target: '/users/bob%40example.com' })).toBe('users /users/bob%40example.com')
    expect(readingOf(router, { target: '/users/bob@example.com' })).toBe('users /users/bob@example.com')
  })
})

describe('methods', () => {
  const router = routerOf(
    { name: 'read', path: '/orders', methods: ['GET'], auth: 'public' },
    { name: 'write', path: '/orders', methods: ['POST', 'DELETE'] },
    { name: 'rest', path: '/orders/*', auth: 'public' },
    { name: 'some', path: '/either', methods: ['PUT'] },
    { name: 'other', path: '/either' },
  )

  it.each([
    ['GET', '/orders', 'read /orders'],
    ['HEAD', '/orders', 'read /orders'],
    ['POST', '/orders', 'write /orders'],
    ['PATCH', '/orders', 'method_not_allowed'],
    ['get', '/orders', 'method_not_allowed'],
    ['PATCH', '/orders/1', 'rest /orders/1'],
    ['PUT', '/either', 'some /either'],
    ['GET', '/either', 'other /either'],
  ])('%s %s leads to %s', (method, target, reading) => {
    expect(readingOf(router, { method, target })).toBe(reading)
  })

  it('that do not fit are answered with those that do, and never by a less specific path', () => {
    const { problem } = outcomeOf(router, request({ method: 'PATCH', target: '/orders' }))
    expect(problem?.status).toBe(405)
    expect(problem?.facts.headers).toEqual({ allow: 'DELETE, GET, HEAD, POST' })
  })

  it('are those of the request line, whatever an override header says', () => {
    const headers = ['X-HTTP-Method-Override', 'GET', 'X-Method-Override', 'GET', 'X-HTTP-Method', 'GET']
    expect(readingOf(router, { method: 'POST', target: '/orders', headers })).toBe('write /orders')
  })
})

describe('headers', () => {
  const router = routerOf(
    { name: 'both', path: '/a', headers: { 'x-beta': '1', 'x-ring': 'inner' } },
    { name: 'beta', path: '/a', headers: { 'x-beta': '1' } },
    { name: 'plain', path: '/a', methods: ['GET'] },
    { name: 'only', path: '/b/c', methods: ['POST'], headers: { 'x-beta': '1' } },
    { name: 'below', path: '/b/*' },
  )

  it.each([
    [['x-beta', '1'], '/a', 'beta /a', 'one header'],
    [['X-Beta', '1'], '/a', 'beta /a', 'case does not count in names'],
    [['X_Beta', '1'], '/a', 'beta /a', 'names are compared folded'],
    [['x-ring', 'inner', 'x-beta', '1'], '/a', 'both /a', 'more headers are more specific'],
    [['x-beta', '2'], '/a', 'plain /a', 'another value'],
    [['x-beta', '1', 'x-beta', '1'], '/a', 'plain /a', 'a repeated header holds nothing'],
    [['x-beta', '1', 'X_Beta', '2'], '/a', 'plain /a', 'repeated in another spelling'],
    [['x-betas', '1'], '/a', 'plain /a', 'another name'],
    [[], '/b/c', 'below /b/c', 'a route whose headers do not hold does not count'],
    [['x-beta', '1'], '/b/c', 'method_not_allowed', 'one whose headers hold counts'],
  ])('%j at %s leads to %s: %s', (headers, target, reading) => {
    expect(readingOf(router, { headers, target })).toBe(reading)
  })

  it('that do not hold add nothing to Allow', () => {
    const tables = routerOf(
      { name: 'beta', path: '/a', methods: ['PUT'], headers: { 'x-beta': '1' } },
      { name: 'plain', path: '/a', methods: ['GET'] },
    )
    const { problem } = outcomeOf(tables, request({ method: 'DELETE', target: '/a' }))
    expect(problem?.facts.headers).toEqual({ allow: 'GET, HEAD' })
  })
})
