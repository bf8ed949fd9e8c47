import { describe, expect, it } from 'vitest'
import { receivedFields, requestFields } from '../../../src/upstream/http2-fields.ts'

const LINE = { method: 'GET', scheme: 'https', authority: 'orders.internal:8443', path: '/a?b', hasBody: false } as const
const PSEUDO = [':method', 'GET', ':scheme', 'https', ':authority', 'orders.internal:8443', ':path', '/a?b']

describe('the fields of a request', () => {
  it('begin with what stood on its first line', () => {
    expect(requestFields(LINE, [])).toEqual(PSEUDO)
  })

  it('are in lower case, in their order, as often as they were there', () => {
    expect(requestFields(LINE, ['X-B', '2', 'x-a', '1', 'X-b', '3'])).toEqual([...PSEUDO, 'x-b', '2', 'x-a', '1', 'x-b', '3'])
  })

  it('have the Host that is given in place of that of the target, unless it is empty', () => {
    expect(requestFields(LINE, ['Host', 'api.example.com'])).toEqual(PSEUDO.with(5, 'api.example.com'))
    expect(requestFields(LINE, ['host', ''])).toEqual(PSEUDO)
  })

  it.each([
    ['POST', false, ['content-length', '0']],
    ['PUT', false, ['content-length', '0']],
    ['POST', true, []],
    ['DELETE', false, []],
  ] as const)('of a %s say whether there is no body where one is expected: %s', (method, hasBody, more) => {
    expect(requestFields({ ...LINE, method, hasBody }, [])).toEqual([...PSEUDO.with(1, method), ...more])
  })

  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc; charset=utf-8', true],
    ['application/grpc-web', false],
    ['application/json', false],
  ])('of %s say that trailers are taken: %s', (type, isSaid) => {
    const fields = requestFields(LINE, ['content-type', type])
    expect(fields.slice(PSEUDO.length)).toEqual(isSaid ? ['content-type', type, 'te', 'trailers'] : ['content-type', type])
  })
})

describe('the fields of an answer', () => {
  it('are by name, one text or each line of several, without the status', () => {
    const raw = [':status', '200', 'a', '1', 'set-cookie', 'x=1', 'set-cookie', 'y=2', 'set-cookie', 'z=3', 'b', '']
    expect({ ...receivedFields(raw) }).toEqual({ a: '1', 'set-cookie': ['x=1', 'y=2', 'z=3'], b: '' })
  })

  it('may have any name', () => {
    const fields = receivedFields(['__proto__', 'x', 'constructor', 'y', 'constructor', 'z'])
    expect(Object.entries(fields)).toEqual([
      ['__proto__', 'x'],
      ['constructor', ['y', 'z']],
    ])
  })
})
