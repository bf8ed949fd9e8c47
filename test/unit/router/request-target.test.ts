import { describe, expect, it } from 'vitest'
import { readingOf, request, routerOf } from './routes.ts'

const router = routerOf({ name: 'all', path: '/*' })

describe('the request target', () => {
  it.each([
    ['/a', 'gateway.test', 'all /a'],
    ['http://gateway.test/a', 'gateway.test', 'all /a'],
    ['HTTPS://Gateway.Test/a', 'gateway.test', 'all /a'],
    ['http://gateway.test./a', 'gateway.test', 'all /a'],
    ['http://gateway.test/a', 'GATEWAY.test.', 'all /a'],
    ['http://gateway.test:8080/a', 'gateway.test:8080', 'all /a'],
    ['http://gateway.test.:8080/a', 'gateway.test:8080', 'all /a'],
    ['http://[::1]:8080/a', '[::1]:8080', 'all /a'],
    ['http://[::1]/a', '[::1]', 'all /a'],
    ['http://gateway.test', 'gateway.test', 'all /'],
    ['http://gateway.test?q', 'gateway.test', 'all /'],
    ['http://gateway.test/x/../a', 'gateway.test', 'all /a'],
    ['http://gateway.test//a', 'gateway.test', 'all /a'],
  ])('%s with Host %s is taken: %s', (target, host, reading) => {
    expect(readingOf(router, { target, host })).toBe(reading)
  })

  it.each([
    ['', 'gateway.test', 'empty'],
    ['*', 'gateway.test', 'asterisk-form'],
    ['gateway.test:443', 'gateway.test', 'authority-form'],
    ['admin', 'gateway.test', 'no slash'],
    ['Service/Method', 'gateway.test', 'a path without its slash'],
    ['http:/admin', 'gateway.test', 'opaque'],
    ['http:admin', 'gateway.test', 'opaque'],
    ['http:///admin', 'gateway.test', 'no authority'],
    ['http:///admin', '', 'no authority and no Host'],
    ['foo:/admin', 'gateway.test', 'another scheme'],
    ['ftp://gateway.test/admin', 'gateway.test', 'another scheme'],
    ['ws://gateway.test/admin', 'gateway.test', 'another scheme'],
    ['http://evil.test/admin', 'gateway.test', 'another host'],
    ['http://gateway.test.evil/admin', 'gateway.test', 'another host'],
    ['http://gateway.test:80/a', 'gateway.test', 'a port that the Host does not have'],
    ['http://gateway.test/a', 'gateway.test:80', 'no port where the Host has one'],
    ['http://gateway.test:0080/a', 'gateway.test:80', 'a port written otherwise'],
    ['http://gateway.test:x/a', 'gateway.test:x', 'a port that is none'],
    ['http://user@gateway.test/a', 'gateway.test', 'user information'],
    ['http://user@gateway.test/a', 'user@gateway.test', 'user information in both'],
    ['http://gateway.test\\admin', 'gateway.test', 'a backslash for the slash'],
    ['http:\\\\gateway.test\\admin', 'gateway.test', 'backslashes for the slashes'],
    ['http://gateway.test#/admin', 'gateway.test', 'a fragment after the authority'],
    ['http://gateway%2etest/a', 'gateway.test', 'an encoded authority'],
    ['http://[::1/a', '[::1', 'half an address'],
    [' /a', 'gateway.test', 'a space in front'],
  ])('%j with Host %j is refused: %s', (target, host) => {
    expect(readingOf(router, { target, host })).toBe('invalid_request')
  })

  it('hands the query on as received and keeps it out of the path', () => {
    const routed = router.match(request({ target: '/a?x=/../admin;%zz&y="<>^`{|}\\?%2f' }))
    expect(routed).toMatchObject({ path: '/a', forwardPath: '/a', query: '?x=/../admin;%zz&y="<>^`{|}\\?%2f' })
  })

  it('tells an empty query from none', () => {
    expect(router.match(request({ target: '/a?' })).query).toBe('?')
    expect(router.match(request({ target: '/a' })).query).toBe('')
  })

  it.each(['/a?#x', '/a?x#', '/a?\u0000', '/a?x y', '/a?x\ty', '/a?\u00e9', '/a?x\r\ny', '/a?\u007f'])(
    'refuses the query of %j',
    (target) => {
      expect(readingOf(router, { target })).toBe('invalid_request')
    },
  )

  it('adds its facts and changes none of those it got', () => {
    const arrived = request({ target: '/a%41?q', headers: ['X-Forwarded-Path', '/b'] })
    const [route] = router.routes
    expect(router.match(arrived)).toEqual({ ...arrived, route, path: '/aA', forwardPath: '/aA', query: '?q', params: new Map() })
  })
})
