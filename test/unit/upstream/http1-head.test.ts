import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { DispatchRequest } from '../../../src/upstream/dispatch.ts'
import { createHeadWriter, declaredLength, UNKNOWN_LENGTH } from '../../../src/upstream/http1-head.ts'

const BODY = Readable.from([])

function asked(given: Partial<DispatchRequest> = {}): DispatchRequest {
  return { method: 'GET', path: '/a?b=c', headers: [], body: null, ...given }
}

const linesOf = (given: Partial<DispatchRequest>, length = 0): string[] =>
  createHeadWriter('host.test:81').write(asked(given), length).split('\r\n')

test('a head has its line, Host, its connection, the fields as they are spelt, and a blank line', () => {
  expect(linesOf({ headers: ['Accept', '*/*', 'X-A', '', 'x-a', '\xe9\t~'] })).toEqual([
    'GET /a?b=c HTTP/1.1',
    'host: host.test:81',
    'connection: keep-alive',
    'Accept: */*',
    'X-A: ',
    'x-a: \xe9\t~',
    '',
    '',
  ])
})

test('a Host field takes the place of the one there is', () => {
  expect(linesOf({ headers: ['x-a', '1', 'Host', 'other.test'] }).slice(1)).toEqual([
    'host: other.test',
    'connection: keep-alive',
    'x-a: 1',
    '',
    '',
  ])
})

test.each([
  ['nothing', {}, 0, []],
  ['no body where one is expected', { method: 'POST' }, 0, ['content-length: 0']],
  ['a length', { method: 'POST', body: BODY, headers: ['Content-Length', '5'] }, 5, ['content-length: 5']],
  ['chunks', { method: 'PUT', body: BODY }, UNKNOWN_LENGTH, ['transfer-encoding: chunked']],
])('one framing or none: %s', (_, given, length, framing) => {
  expect(linesOf(given, length).slice(3)).toEqual([...framing, '', ''])
})

test.each([
  ['HEAD', { method: 'HEAD' }],
  ['a request of its own connection', { reset: true }],
])('the connection ends with %s', (_, given) => {
  expect(linesOf(given)[2]).toBe('connection: close')
})

test.each<[string, Partial<DispatchRequest>]>([
  ['a line end in the path', { path: '/a\r\nx: y' }],
  ['a space in the path', { path: '/a b' }],
  ['no path', { path: '' }],
  ['a character of the path that becomes a line end', { path: '/\u010a' }],
  ['a method that is none', { method: 'GET /x' }],
  ['CONNECT', { method: 'CONNECT' }],
  ['a line end in a value', { headers: ['x-a', 'a\r\nx-b: c'] }],
  ['a bare LF in a value', { headers: ['x-a', 'a\nb'] }],
  ['NUL in a value', { headers: ['x-a', 'a\0b'] }],
  ['a character of a value that becomes a line end', { headers: ['x-a', 'a\u010d\u010ax-b: c'] }],
  ['a character of a value that becomes NUL', { headers: ['x-a', 'a\u0100b'] }],
  ['a name with a space', { headers: ['x a', 'b'] }],
  ['a name with a colon', { headers: ['x:a', 'b'] }],
  ['no name', { headers: ['', 'b'] }],
  ['two Host fields', { headers: ['host', 'a', 'Host', 'b'] }],
  ['a length without a body', { headers: ['content-length', '5'] }],
  ['two lengths', { method: 'POST', body: BODY, headers: ['content-length', '5', 'Content-Length', '5'] }],
  ...['Transfer-Encoding', 'connection', 'Keep-Alive', 'upgrade', 'EXPECT'].map((name): [string, Partial<DispatchRequest>] => [
    `a field ${name}`,
    { headers: [name, 'x'] },
  ]),
])('nothing is sent of %s', (_, given) => {
  const heads = createHeadWriter('host.test')
  const refuses = () =>
    expect(() => heads.write(asked(given), 5)).toThrow(expect.objectContaining({ code: 'UND_ERR_INVALID_ARG' }))
  refuses()
  // What was found good at its place is compared with what comes next, and nothing else of that is believed.
  heads.write(asked({ headers: ['x-a', 'a', 'Host', 'b'] }), 5)
  refuses()
  refuses()
})

test('a head says what its own request says, whatever was asked before', () => {
  const heads = createHeadWriter('host.test')
  const fieldsOf = (...headers: string[]): string[] => heads.write(asked({ headers }), 0).split('\r\n').slice(1, -2)
  const own = 'connection: keep-alive'
  expect(fieldsOf('x-a', '1', 'x-b', '2')).toEqual(['host: host.test', own, 'x-a: 1', 'x-b: 2'])
  expect(fieldsOf('x-a', '1', 'x-b', '3')).toEqual(['host: host.test', own, 'x-a: 1', 'x-b: 3'])
  expect(fieldsOf('X-A', '1')).toEqual(['host: host.test', own, 'X-A: 1'])
  expect(fieldsOf('host', 'other.test', 'x-b', '3')).toEqual(['host: other.test', own, 'x-b: 3'])
  expect(fieldsOf('x-b', '3', 'host', 'third.test')).toEqual(['host: third.test', own, 'x-b: 3'])
  expect(fieldsOf()).toEqual(['host: host.test', own])
})

test('lines that are made already stand behind the fields', () => {
  const headers = ['x-a', '1', 'x-user', 'u', 'x-tenant', 't']
  const heads = createHeadWriter('host.test')
  const plain = heads.write(asked({ headers }), 0)
  const ready = { lines: 'x-user: u\r\nx-tenant: t\r\n', addTo: (fields: string[]) => void fields.push('never', '') }
  expect(heads.write(asked({ headers: headers.slice(0, 2), ready }), 0)).toBe(plain)
  expect(heads.write(asked({ headers, ready: { ...ready, lines: '' } }), 0)).toBe(plain)
})

test('more fields than are remembered go as they are', () => {
  const headers = Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? `x-${index}` : 'v'))
  const heads = createHeadWriter('host.test')
  const first = heads.write(asked({ headers }), 0)
  expect(heads.write(asked({ headers }), 0)).toBe(first)
  expect(first.split('\r\n')).toHaveLength(105)
})

test('the length of a body is what its field says in digits, once', () => {
  expect(declaredLength(['x', 'y', 'Content-Length', '12'])).toBe(12)
  expect(declaredLength(['x', 'y'])).toBe(UNKNOWN_LENGTH)
  for (const value of ['', '-1', '1e3', '0x5', '5 ', '1234567890123456']) {
    expect(() => declaredLength(['content-length', value])).toThrow(expect.objectContaining({ code: 'UND_ERR_INVALID_ARG' }))
  }
  expect(() => declaredLength(['content-length', '1', 'content-length', '1'])).toThrow('invalid content-length')
})
