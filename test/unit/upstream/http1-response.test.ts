import { expect, test } from 'vitest'
import { createAnswerReader } from '../../../src/upstream/http1-response.ts'
import { readByOurs } from '../../support/answer-readers.ts'

const read = (octets: string, method = 'GET', ends = false) => readByOurs({ method, octets, cuts: [], ends })
const LENGTH_2 = 'content-length: 2\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

test('an answer has its fields in lower case, line by line, without the white space around values', () => {
  const octets = 'HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nX-Empty:\r\nSET-COOKIE:\t b=2 \t\r\nContent-Length: 2\r\n\r\nhi'
  expect(read(octets)).toMatchObject({
    end: 'whole',
    status: 200,
    fields: ['set-cookie', 'a=1', 'x-empty', '', 'set-cookie', 'b=2', 'content-length', '2'],
    body: 'hi',
    isLast: true,
  })
})

test.each([
  ['a length', `HTTP/1.1 200 OK\r\n${LENGTH_2}\r\nhi`, 'hi'],
  ['no body', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', ''],
  ['chunks', `${CHUNKED}1\r\nh\r\n0001;a=b;c="d\\"; e";f\r\ni\r\n0\r\n\r\n`, 'hi'],
  ['chunks with trailers', `${CHUNKED}2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n`, 'hi'],
  ['no reason', `HTTP/1.1 200\r\n${LENGTH_2}\r\nhi`, 'hi'],
  [
    'answers before it',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n${LENGTH_2}\r\nhi`,
    'hi',
  ],
])('%s, in one piece and octet by octet', (_, octets, body) => {
  const whole = read(octets)
  expect([whole.end, whole.status, whole.body, whole.why]).toEqual(['whole', 200, body, ''])
  expect(readByOurs({ method: 'GET', octets, cuts: Array.from(octets, (_one, at) => at), ends: false })).toEqual(whole)
})

test('trailers are told, and interim answers but for 100 (Continue)', () => {
  const octets =
    'HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n'
  expect(read(octets)).toMatchObject({ interim: [[103, 'link', 'a']], trailers: ['x-sum', '1'] })
})

test.each([
  ['HEAD', `HTTP/1.1 200 OK\r\n${LENGTH_2}\r\n`, 'HEAD'],
  ['204', `HTTP/1.1 204 OK\r\n\r\n`, 'GET'],
  ['304', `HTTP/1.1 304 OK\r\n${LENGTH_2}\r\n`, 'GET'],
])('%s has no body', (_, octets, method) => {
  expect(read(octets, method)).toMatchObject({ end: 'whole', body: '', isLast: true })
  expect(read(`${octets}hi`, method)).toMatchObject({ end: 'whole', body: '', isLast: false })
})

test('an answer whose end nothing says goes on to the end of the connection', () => {
  expect(read('HTTP/1.1 200 OK\r\n\r\nhi')).toMatchObject({ end: 'cut', isWaiting: true, body: 'hi' })
  expect(read('HTTP/1.1 200 OK\r\n\r\nhi', 'GET', true)).toMatchObject({ end: 'whole', body: 'hi' })
})

test.each([
  ['a length', `HTTP/1.1 200 OK\r\n${LENGTH_2}\r\nh`],
  ['chunks', `${CHUNKED}2\r\nhi\r\n0\r\n`],
  ['a head', `HTTP/1.1 200 OK\r\n${LENGTH_2}`],
])('the end of the connection is none within %s', (_, octets) => {
  const { end, why } = read(octets, 'GET', true)
  expect([end === 'whole', why]).toEqual([false, 'the end of the connection'])
})

const head = (line: string): string => `HTTP/1.1 200 OK\r\n${line}\r\n\r\n`
test.each([
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['another protocol', 'RTSP/1.1 200 OK\r\n\r\n'],
  ['a line before it', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
  ['a bare LF behind the status', 'HTTP/1.1 200 OK\nx: y\r\n\r\n'],
  ['a bare CR in the reason', 'HTTP/1.1 200 O\rK\r\n\r\n'],
  ['a bare LF behind a field', head('x: y\nz: 1')],
  ['a bare CR in a field', head('x: y\rz: 1')],
  ['NUL in a field', head('x: \0')],
  ['DEL in a field', head('x: \x7f')],
  ['a folded field', head('x: y\r\n z')],
  ['a space before the colon', head('content-length : 2')],
  ['a name with a space', head('a b: c')],
  ['no name', head(': c')],
  ['no colon', head('abc')],
  ['two lengths', head('content-length: 2\r\ncontent-length: 2')],
  ['a list of lengths', head('content-length: 2, 2')],
  ['a length with a sign', head('content-length: +2')],
  ['a length in hexadecimal', head('content-length: 0x2')],
  ['an empty length', head('content-length:')],
  ['a length past what a number holds', head('content-length: 9007199254740993')],
  ['a length and a coding', head('content-length: 2\r\ntransfer-encoding: chunked')],
  ['a coding and a length', head('transfer-encoding: chunked\r\ncontent-length: 2')],
  ['chunked twice', head('transfer-encoding: chunked\r\ntransfer-encoding: chunked')],
  ['a coding beside chunked', head('transfer-encoding: gzip, chunked')],
  ['another coding', head('transfer-encoding: identity')],
  ['an empty coding', head('transfer-encoding:')],
  ['a tab before a length', head('content-length:\t2')],
  ['a switch of protocols', 'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ['an interim answer with a length', 'HTTP/1.1 103 E\r\ncontent-length: 2\r\n\r\nhi'],
  ['an interim answer with chunks', 'HTTP/1.1 103 E\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['an interim answer of HTTP/1.0', 'HTTP/1.0 103 E\r\n\r\n'],
  ['more than 1000 fields', head(Array.from({ length: 1001 }, () => 'a: b').join('\r\n'))],
  ['more than 1000 interim answers', 'HTTP/1.1 103 E\r\n\r\n'.repeat(1001)],
])('%s is no answer', (_, octets) => {
  const refused = read(octets)
  expect([refused.end, refused.isWaiting]).toEqual(['none', false])
  expect(refused.why).toMatch(/^the answer is not HTTP\/1\.1: /)
})

test.each([
  ['no digit', ';a\r\n'],
  ['a sign', '+1\r\nx\r\n'],
  ['a prefix', '0x1\r\nx\r\n'],
  ['more digits than a number holds', '10000000000000\r\n'],
  ['a space behind the size', '1 \r\nx\r\n'],
  ['an extension without a name', '1;\r\nx\r\n'],
  ['a quoted value without an end', '1;a="b\r\nx\r\n'],
  ['NUL in an extension', '1;a="\0"\r\nx\r\n'],
  ['an extension of 4 KiB', `1;${'a'.repeat(4097)}\r\nx\r\n`],
  ['a bare LF behind the size', '1\nx\r\n'],
  ['a bare LF behind the data', '1\r\nx\n0\r\n\r\n'],
  ['more data than it says', '1\r\nxy\r\n'],
  ['a length in the trailers', '0\r\ncontent-length: 1\r\n\r\n'],
  ['a coding in the trailers', '0\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['a bare LF in the trailers', '0\r\nx: y\n\r\n'],
])('a chunked body is cut at %s', (_, body) => {
  const refused = read(CHUNKED + body)
  expect([refused.end, refused.isWaiting]).toEqual(['cut', false])
  expect(refused.why).toMatch(/^the answer is not HTTP\/1\.1: /)
})

test.each(['GET', 'chunks'])('a head, and trailers, of 16 KiB are too long, in one piece or many: %s', (kind) => {
  const start = kind === 'chunks' ? `${CHUNKED}0\r\n` : 'HTTP/1.1 200 OK\r\n'
  const fits = `${start}x: ${'a'.repeat(16_000)}\r\n\r\n`
  const octets = `${start}x: ${'a'.repeat(17_000)}\r\n\r\n`
  const cuts = Array.from({ length: 17 }, (_, at) => 100 + at * 1000)
  for (const packing of [[], cuts]) {
    expect(readByOurs({ method: 'GET', octets: fits, cuts: packing, ends: true }).why).toBe('')
    expect(readByOurs({ method: 'GET', octets, cuts: packing, ends: true }).why).toBe('the head of the answer is too long')
  }
})

test('the chunks of one packet are one piece', () => {
  const pieces: string[] = []
  const reader = createAnswerReader({
    interim: () => undefined,
    head: () => undefined,
    data: (bytes, from, to) => void pieces.push(bytes.toString('latin1', from, to)),
    end: () => void pieces.push('end'),
  })
  reader.expect(false)
  for (const octets of [`${CHUNKED}1\r\na\r\n2\r\nbc\r\n3\r\nd`, 'ef\r\n0\r', '\n\r\n'])
    reader.read(Buffer.from(octets), octets.length)
  expect(pieces).toEqual(['abcd', 'ef', 'end'])
})

test.each([
  ['nothing said', 'content-length: 0', -1],
  ['Keep-Alive', 'keep-alive: timeout=7, max=5\r\ncontent-length: 0', 7],
  ['close', 'connection: close\r\ncontent-length: 0', 0],
  ['close among others', 'connection: x, Close\r\ncontent-length: 0', 0],
  ['a body to the end of the connection', 'x: y', 0],
])('how long the connection is kept: %s', (_, lines, seconds) => {
  expect(keepOf(`HTTP/1.1 200 OK\r\n${lines}\r\n\r\n`)).toBe(seconds)
})

test.each([
  ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 0],
  ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n', -1],
  ['HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: Keep-Alive\r\n\r\n0\r\n\r\n', 0],
  ['HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n', 0],
  ['HTTP/1.1 304 No\r\n\r\n', -1],
])('and by what it is: %j', (octets, seconds) => {
  expect(keepOf(octets)).toBe(seconds)
})

function keepOf(octets: string): number {
  const ignore = (): void => undefined
  const reader = createAnswerReader({ interim: ignore, head: ignore, data: ignore, end: ignore })
  reader.expect(false)
  reader.read(Buffer.from(octets), octets.length)
  return reader.keepSeconds()
}

test('answers alike one behind the other on one connection are each read for what they say', () => {
  const seen: unknown[] = []
  const reader = createAnswerReader({
    interim: () => undefined,
    head: (status, fields) => seen.push([status, ...fields]),
    data: (bytes, from, to) => seen.push(bytes.toString('latin1', from, to)),
    end: (trailers, isLast) => seen.push([...trailers, isLast]),
  })
  const given = (octets: string): unknown[] => {
    seen.length = 0
    reader.expect(false)
    reader.read(Buffer.from(octets, 'latin1'), octets.length)
    return [...seen]
  }
  const answer = (status: string, field: string, body = 'hi'): string =>
    `HTTP/1.1 ${status} X\r\n${LENGTH_2}x-a: ${field}\r\n\r\n${body}`
  const told = (status: number, field: string, body = 'hi'): unknown[] => [
    [status, 'content-length', '2', 'x-a', field],
    body,
    [true],
  ]
  for (let turn = 0; turn < 3; turn += 1) {
    for (let again = 0; again < 3; again += 1) expect(given(answer('200', '1'))).toEqual(told(200, '1'))
    expect(given(answer('200', '1', 'ho'))).toEqual(told(200, '1', 'ho'))
    expect(given(answer('404', '1'))).toEqual(told(404, '1'))
    expect(given(answer('404', '2'))).toEqual(told(404, '2'))
    expect(given(answer('404', '2'))).toEqual(told(404, '2'))
    // One of the same size with another framing, and its trailers.
    expect(given(`${CHUNKED}2\r\nhi\r\n0\r\nx: 1\r\n\r\n`).at(-1)).toEqual(['x', '1', true])
    expect(given(`${CHUNKED}2\r\nhi\r\n0\r\nx: 1\r\n\r\n`).at(-1)).toEqual(['x', '1', true])
  }
  for (let again = 0; again < 3; again += 1) given(answer('200', '1'))
  expect(() => given(answer('200', '\0'))).toThrow('a control character')
})
