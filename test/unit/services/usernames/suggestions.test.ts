import { expect, test } from 'vitest'
import { createRulesOf, isUsername } from '../../../../src/services/usernames/rules.ts'
import { createSuggest } from '../../../../src/services/usernames/suggestions.ts'

const RULES = createRulesOf(['the_boss', 'admin'])({ reserved: [], protected: [] })

function open(isSurelyFree: (name: string) => boolean, taken: 'none' | 'all' | 'unknown' = 'none') {
  const queries: string[][] = []
  let turn = 0
  const suggest = createSuggest({
    random: () => (turn = (turn + 0.37) % 1),
    isSurelyFree: (_tenant, folded) => isSurelyFree(folded),
    async statesOf(_tenant, folded) {
      queries.push([...folded])
      if (taken === 'unknown') throw new Error('away')
      return new Map(taken === 'all' ? folded.map((name) => [name, 'taken'] as const) : [])
    },
  })
  return { suggest: (name: string) => suggest('default', name, RULES), queries }
}

test('five names that the filter does not have need no query', async () => {
  const { suggest, queries } = open(() => true)
  const names = await suggest('Ann')
  expect([names.length, new Set(names).size, queries]).toEqual([5, 5, []])
  expect(names.every((name) => isUsername(name) && name.includes('Ann'))).toBe(true)
})

test('they stay the same for a name until one of them is not free any more', async () => {
  const taken = new Set<string>()
  const { suggest, queries } = open((name) => !taken.has(name))
  const first = await suggest('Ann')
  expect([await suggest('Ann'), await suggest('Bob')]).toEqual([first, expect.not.arrayContaining([...first])])
  taken.add(first[2]?.toLowerCase() ?? '')
  const second = await suggest('Ann')
  expect([second.length, second.includes(first[2] ?? ''), await suggest('Ann'), queries]).toEqual([5, false, second, []])
})

test('where the filter says nothing one query of at most 20 names does', async () => {
  const { suggest, queries } = open(() => false)
  expect(await suggest('ann')).toHaveLength(5)
  expect(queries).toHaveLength(1)
  expect(queries[0]?.length).toBeLessThanOrEqual(20)
})

test('there are none where all of them are taken, or where nobody knows', async () => {
  expect(await open(() => false, 'all').suggest('ann')).toEqual([])
  expect(await open(() => false, 'unknown').suggest('ann')).toEqual([])
})

test('none of them is reserved, and the longest name has some too', async () => {
  expect((await open(() => true).suggest('boss')).map((name) => RULES.judge(name))).toEqual(
    Array.from({ length: 5 }, () => 'fine'),
  )
  const long = await open(() => true).suggest('x'.repeat(30))
  expect(long.length).toBe(5)
  expect(long.every(isUsername)).toBe(true)
})
