import { randomFillSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createRequestIds } from '../../../src/listener/listener.ts'

test('an id is a UUID of version 4 in lower case, and never the same twice', () => {
  const requestId = createRequestIds(randomFillSync)
  const ids = Array.from({ length: 3000 }, requestId)
  expect(ids.filter((id) => !/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(3000)
})

test('each octet of chance is in one id, as it was drawn', () => {
  let next = 0
  let draws = 0
  const requestId = createRequestIds((octets) => {
    draws += 1
    for (let at = 0; at < octets.length; at += 1) octets[at] = next++ % 251
  })
  const ids = Array.from({ length: 600 }, requestId)
  const octetsOf = (index: number): Buffer => Buffer.from(Array.from({ length: 16 }, (_, at) => (index * 16 + at) % 251))
  const expected = ids.map((_, index) => {
    const octets = octetsOf(index)
    octets[6] = ((octets[6] ?? 0) & 0x0f) | 0x40
    octets[8] = ((octets[8] ?? 0) & 0x3f) | 0x80
    return octets.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  })
  expect(ids).toEqual(expected)
  expect(draws).toBe(3)
})
