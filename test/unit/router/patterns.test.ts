import { describe, expect, it } from 'vitest'
import { createRouter, type Endpoint } from '../../../src/router/router.ts'
import { readingOf, route } from './routes.ts'

function endpoint(name: string, path: string): Endpoint {
  return { name, method: 'GET', path, auth: 'public' }
}

describe('segments that take any value', () => {
  const endpoints = [
    endpoint('exact', '/users/me'),
    endpoint('user', '/users/{id}'),
    endpoint('first', '/{any}/x/y'),
    endpoint('last', '/a/{any}/y'),
    endpoint('both', '/{one}/{two}/y'),
    endpoint('rest', '/*'),
  ]
  const router = createRouter([route({ name: 's', path: '/*', service: 'echo', auth: 'public' })], () => endpoints)

  it.each([
    ['/users/me', 's.exact', 'a literal path beats them'],
    ['/users/you', 's.user', 'they beat a prefix'],
    ['/users/', 's.rest', 'an empty segment is no value'],
    ['/users/you/', 's.rest', 'a trailing slash makes another path'],
    ['/a/x/y', 's.last', 'literal segments count from the left'],
    ['/b/x/y', 's.first', 'the next one'],
    ['/a/z/y', 's.last', 'the other one'],
    ['/b/z/y', 's.both', 'the least literal last'],
    ['/b/z/z', 's.rest', 'every literal segment counts'],
    ['/users/{id}', 'ambiguous_path', 'a brace is never in a path'],
  ])('%s leads to %s: %s', (target, name) => {
    expect(readingOf(router, { target }).split(' ')[0]).toBe(name)
  })
})

describe('an endpoint for HEAD alone', () => {
  it('lies on a mount for GET, which takes HEAD too', () => {
    const head: Endpoint = { name: 'head', method: 'HEAD', path: '', auth: 'public' }
    const router = createRouter([route({ name: 's', path: '/h', methods: ['GET'], service: 'health', auth: 'none' })], () => [
      head,
    ])
    expect(readingOf(router, { method: 'HEAD', target: '/h' })).toBe('s.head /h')
    expect(readingOf(router, { method: 'GET', target: '/h' })).toBe('method_not_allowed')
  })
})
