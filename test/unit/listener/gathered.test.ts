import { expect, it } from 'vitest'
import { createGathered } from '../../../src/listener/gathered.ts'
import { fc } from '../../support/properties.ts'

it('puts pieces together in order', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 12 }), (pieces) => {
      const gathered = createGathered()
      for (const piece of pieces) gathered.add(Buffer.from(piece))
      expect(gathered.all()).toEqual(Buffer.concat(pieces))
    }),
  )
})

it('is nothing where nothing came', () => {
  expect(createGathered().all()).toHaveLength(0)
})

it('leaves what comes in one piece where it is', () => {
  const gathered = createGathered()
  const only = Buffer.from('only')
  gathered.add(only)
  expect(gathered.all().buffer).toBe(only.buffer)
})

it('does not write into the pieces that it was given', () => {
  const gathered = createGathered()
  const memory = Buffer.from('abcdef')
  for (const piece of [memory.subarray(0, 2), Buffer.from('X'), memory.subarray(4)]) gathered.add(piece)
  expect([gathered.all().toString(), memory.toString()]).toEqual(['abXef', 'abcdef'])
})

it('takes about as much as it is long for a body that comes octet by octet', () => {
  const gathered = createGathered()
  for (let count = 0; count < 100_000; count += 1) gathered.add(Buffer.from('a'))
  expect(gathered.all().toString()).toBe('a'.repeat(100_000))
  expect(gathered.all().buffer.byteLength).toBeLessThan(400_000)
})
