import { describe, expect, test } from 'vitest'
import { createFilter, createNameHash } from '../../../../src/services/usernames/filter.ts'

const NAMES = 200_000

describe('a filter', () => {
  const hash = createNameHash(0x5eed)
  const words = new Uint32Array(2)
  const filter = createFilter(NAMES)
  const at = (name: string): [number, number] => {
    hash(name, words, 0)
    return [words[0] ?? 0, words[1] ?? 0]
  }
  for (let index = 0; index < NAMES; index += 1) filter.add(...at(`user_${index}`))

  test('has every name that was added', () => {
    let missing = 0
    for (let index = 0; index < NAMES; index += 1) if (!filter.has(...at(`user_${index}`))) missing += 1
    expect([missing, filter.count()]).toEqual([0, NAMES])
  })

  test.each(['user-', 'x', 'USER_', 'aaaaaaaaaaaaaaaaaaaa'])(
    'mistakes at most one of a hundred others for one: %s…',
    (prefix) => {
      let mistakes = 0
      for (let index = 0; index < NAMES; index += 1) if (filter.has(...at(`${prefix}${index}`))) mistakes += 1
      expect(mistakes / NAMES).toBeLessThan(0.0105)
    },
  )

  test('still does when it is as full as it may be', () => {
    const full = createFilter(NAMES)
    for (let index = 0; index < full.capacity; index += 1) full.add(...at(`user_${index}`))
    let mistakes = 0
    for (let index = 0; index < NAMES; index += 1) if (full.has(...at(`other-${index}`))) mistakes += 1
    expect(mistakes / NAMES).toBeLessThan(0.0115)
  })

  test('takes 1.3 MB for each million names at most', () => {
    expect(createFilter(1_000_000).bytes).toBeLessThanOrEqual(1_300_000)
    expect(createFilter(0).bytes).toBeLessThan(10_000)
  })

  test('depends on a seed, so that nobody outside can know which names it mixes up', () => {
    const other = createNameHash(0xfeed)
    const here = new Uint32Array(2)
    const there = new Uint32Array(2)
    hash('someone', here, 0)
    other('someone', there, 0)
    expect([...here]).not.toEqual([...there])
  })
})
