import { describe, expect, it, test } from 'vitest'
import { createHeadReader } from '../../../src/listener/http1-head.ts'
import { byLlhttp, HEAD } from '../../support/heads.ts'
import { fc } from '../../support/properties.ts'

const CASES = 20_000

describe('what is read', () => {
  test.each([
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GET', '/', ['Host', 'a']],
    ['HEAD /a?b=c&d HTTP/1.1\r\nhost:a\r\nX-Empty:\r\n\r\n', 'HEAD', '/a?b=c&d', ['host', 'a', 'X-Empty', '']],
    ['DELETE //a/../%2e HTTP/1.1\r\nHost:   a b  \r\n\r\n', 'DELETE', '//a/../%2e', ['Host', 'a b']],
    ['OPTIONS /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 'OPTIONS', '/a', ['host', 'a', 'host', 'b']],
    ['GET /a HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\r\n', 'GET', '/a', ['host', 'a', 'connection', 'keep-alive']],
    ['GET /a HTTP/1.1\r\nte: trailers\r\n\r\n', 'GET', '/a', ['te', 'trailers']],
    ['GET /a HTTP/1.1\r\n\r\n', 'GET', '/a', []],
  ])('%j', (text, method, target, fields) => {
    expect(createHeadReader().read(text)).toEqual({ method, target, fields })
  })
})

describe('what is left to another reader', () => {
  const rest = 'host: a\r\n\r\n'
  test.each([
    '',
    '\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\r\n',
    `GET / HTTP/1.1\r\n${rest}x`,
    `GET / HTTP/1.1\r\n${rest}GET / HTTP/1.1\r\n${rest}`,
    `\r\nGET / HTTP/1.1\r\n${rest}`,
    `POST / HTTP/1.1\r\n${rest}`,
    `PUT / HTTP/1.1\r\n${rest}`,
    `get / HTTP/1.1\r\n${rest}`,
    `GET  / HTTP/1.1\r\n${rest}`,
    `GET\t/ HTTP/1.1\r\n${rest}`,
    `GET / HTTP/1.0\r\n${rest}`,
    `GET / HTTP/1.1 \r\n${rest}`,
    `GET /  HTTP/1.1\r\n${rest}`,
    `GET / http/1.1\r\n${rest}`,
    `GET /\r\n${rest}`,
    `GET /a\nb HTTP/1.1\r\n${rest}`,
    `GET /a\rb HTTP/1.1\r\n${rest}`,
    `GET /a\r\nx HTTP/1.1\r\n${rest}`,
    `GET /#a HTTP/1.1\r\n${rest}`,
    `GET /\x7f HTTP/1.1\r\n${rest}`,
    `GET /\xe4 HTTP/1.1\r\n${rest}`,
    `GET * HTTP/1.1\r\n${rest}`,
    `OPTIONS * HTTP/1.1\r\n${rest}`,
    `GET http://a/ HTTP/1.1\r\n${rest}`,
    `CONNECT a:1 HTTP/1.1\r\n${rest}`,
    `GET / HTTP/1.1\n${rest}`,
    'GET / HTTP/1.1\r\nhost: a\n\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\r\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\rb: c\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\n\r\n',
    'GET / HTTP/1.1\r\nhost : a\r\n\r\n',
    'GET / HTTP/1.1\r\n host: a\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\r\n\tb\r\n\r\n',
    'GET / HTTP/1.1\r\n: a\r\n\r\n',
    'GET / HTTP/1.1\r\nhost\r\n\r\n',
    'GET / HTTP/1.1\r\nho\r\nst: a\r\n\r\n',
    'GET / HTTP/1.1\r\nho(st: a\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\tb\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: a\0\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: \xe4\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n',
    'GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n',
    'GET / HTTP/1.1\r\nhttp2-settings: a\r\n\r\n',
    'GET / HTTP/1.1\r\nexpect: 100-continue\r\n\r\n',
    'GET / HTTP/1.1\r\ntrailer: a\r\n\r\n',
    'GET / HTTP/1.1\r\nconnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nconnection: keep-alive, close\r\n\r\n',
    'GET / HTTP/1.1\r\nconnection: host\r\n\r\n',
    'GET / HTTP/1.1\r\nproxy-connection: keep-alive\r\n\r\n',
    `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(101)}\r\n`,
  ])('%j', (text) => {
    expect(createHeadReader().read(text)).toBeUndefined()
  })

  it('is the same whatever was read before', () => {
    const reader = createHeadReader()
    expect(reader.read('GET / HTTP/1.1\r\nhost: a\r\n\r\n')?.fields).toEqual(['host', 'a'])
    expect(reader.read('GET / HTTP/1.1\r\nhost : a\r\n\r\n')).toBeUndefined()
    expect(reader.read('GET / HTTP/1.1\r\nhosts: a\r\n\r\n')?.fields).toEqual(['hosts', 'a'])
    expect(reader.read('GET / HTTP/1.1\r\nexpect: a\r\n\r\n')).toBeUndefined()
    expect(reader.read('GET / HTTP/1.1\r\nexpect: a\r\n\r\n')).toBeUndefined()
    expect(reader.read('GET / HTTP/1.1\r\nHost:a\r\nb:c\r\n\r\n')?.fields).toEqual(['Host', 'a', 'b', 'c'])
  })
})

it('reads nothing that llhttp reads otherwise', () => {
  const reader = createHeadReader()
  let read = 0
  fc.assert(
    fc.property(HEAD, (text) => {
      const head = reader.read(text)
      if (head === undefined) return
      read += 1
      expect(byLlhttp(text)).toEqual(head)
    }),
    { numRuns: CASES },
  )
  expect(read).toBeGreaterThan(CASES / 100)
})
