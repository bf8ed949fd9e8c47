import { expect, test } from 'vitest'
import { answerFields, interimFields, isReadable, trailerFields } from '../../../src/upstream/answer-headers.ts'
import { linesOf } from '../../../src/upstream/dispatch-foreign.ts'

const NO_RULES = { set: new Map<string, string>(), remove: new Set<string>() }
const fieldsOf = (status: number, headers: Parameters<typeof linesOf>[0], rules = NO_RULES) =>
  answerFields({ status, headers: linesOf(headers) }, rules, 'id-1')

test('what belongs to the connection does not pass, the rest does, in order', () => {
  const headers = {
    connection: ['x-secret, Keep-Alive', 'X-OTHER'],
    'x-secret': '1',
    'x-other': '2',
    'keep-alive': 'timeout=1',
    upgrade: 'h2c',
    'x-a': ['1', '2'],
    'set-cookie': ['a=1', 'b=2'],
    'x-request-id': 'theirs',
  }
  expect(fieldsOf(200, headers)).toEqual({
    fields: ['x-a', '1', 'x-a', '2', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-request-id', 'id-1'],
    length: undefined,
  })
})

test.each([
  ['a length', 200, { 'content-length': '5' }, 5],
  ['equal lengths', 200, { 'content-length': ['5', '5'] }, 5],
  ['a length beside a coding', 200, { 'content-length': '5', 'transfer-encoding': 'chunked' }, undefined],
  ['a length on a 204', 204, { 'content-length': '5' }, undefined],
  ['a length on a 101', 101, { 'content-length': '5' }, undefined],
  ['a length on a 304', 304, { 'content-length': '5' }, 5],
  ['a length past what a number holds', 200, { 'content-length': '99999999999999999' }, undefined],
])('one length or none: %s', (_, status, headers, length) => {
  const answer = fieldsOf(status, headers)
  expect(answer.length).toBe(length)
  expect(answer.fields.filter((field) => field === 'content-length')).toHaveLength(length === undefined ? 0 : 1)
})

test('rules set by name and remove by folded name', () => {
  const rules = { set: new Map([['x-set', 'ours']]), remove: new Set(['x-powered-by']) }
  const { fields } = fieldsOf(200, { x_powered_by: 'a', 'x-powered-by': 'b', 'x-set': 'theirs', 'x-kept': '1' }, rules)
  expect(fields).toEqual(['x-kept', '1', 'x-set', 'ours', 'x-request-id', 'id-1'])
})

test.each([
  ['__Host-gw_at=x; Path=/; Secure'],
  ['__Secure-gw_rt=x; Path=/sessions/refresh; Secure'],
  ['  __Host-gw_at = x'],
  ['=__Host-gw_at=x; Secure'],
  ['__Host-gw_at'],
  ['__Host-gw_at;'],
])('no upstream sets a cookie of ours: %s', (line) => {
  const own = ['a=1; Path=/', 'gw_at=2', '__Host-gw_at2=3', 'b=__Host-gw_at=4', '__Host-app=5; Secure']
  const { fields } = fieldsOf(200, { 'set-cookie': [own[0] ?? '', line, ...own.slice(1)] })
  expect(fields).toEqual([...own.flatMap((value) => ['set-cookie', value]), 'x-request-id', 'id-1'])
  expect(fieldsOf(200, { 'set-cookie': line }).fields).toEqual(['x-request-id', 'id-1'])
  expect(interimFields(['set-cookie', line, 'link', '</a>'], NO_RULES)).toEqual(['link', '</a>'])
})

test('an interim answer has neither our fields nor a length', () => {
  const fields = ['link', '</a>', 'content-length', '5', 'link', '</b>', 'x-request-id', 'theirs']
  expect(interimFields(fields, NO_RULES)).toEqual(['link', '</a>', 'link', '</b>'])
})

test.each([
  [undefined, true],
  ['chunked', true],
  ['CHUNKED', true],
  ['gzip, chunked', false],
  ['chunked, gzip', false],
  ['identity', false],
  [['chunked', 'chunked'], false],
  ['', false],
])('transfer-encoding %j is read: %s', (coding, readable) => {
  expect(isReadable(200, linesOf({ 'transfer-encoding': coding }))).toBe(readable)
})

test('a status above 599 is none', () => {
  expect([200, 404, 599, 600, 999].map((status) => isReadable(status, []))).toEqual([true, true, true, false, false])
})

test('trailers pass but for names that mean something in a head, and those that the rules take', () => {
  const rules = { set: new Map([['x-set', 'ours']]), remove: new Set(['x-debug']) }
  const trailers = {
    'x-sum': ['1', '2'],
    'content-type': 'a',
    'set-cookie': 'a',
    'transfer-encoding': 'a',
    'x-set': 'a',
    x_debug: 'a',
  }
  expect(trailerFields(linesOf(trailers), rules)).toEqual([
    ['x-sum', '1'],
    ['x-sum', '2'],
  ])
})
