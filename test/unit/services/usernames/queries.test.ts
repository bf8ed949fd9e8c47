import { describe, expect, test } from 'vitest'
import { createQueries } from '../../../../src/services/usernames/queries.ts'
import type { NameState } from '../../../../src/services/usernames/store.ts'
import { createClock } from './clock.ts'

interface Query {
  readonly tenant: string
  readonly names: readonly string[]
  answer(states?: Record<string, NameState>): void
  fail(): void
}

/** Queries that the test answers. */
function open() {
  const clock = createClock()
  const asked: Query[] = []
  const breaker: string[] = []
  const queries = createQueries({
    ...clock,
    store: {
      statesOf(tenant, names) {
        const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, NameState>>()
        const answer = (states: Record<string, NameState> = {}): void => resolve(new Map(Object.entries(states)))
        asked.push({ tenant, names, answer, fail: () => reject(new Error('away')) })
        return promise
      },
    },
    events: { queried: () => undefined, breaker: (_dependency, state) => breaker.push(state) },
  })
  /** What became of a question. */
  const ask = (tenant: string, names: readonly string[]): { outcome: unknown } => {
    const one: { outcome: unknown } = { outcome: 'waits' }
    queries.statesOf(tenant, names).then(
      (states) => (one.outcome = [...states]),
      (error: unknown) => (one.outcome = error),
    )
    return one
  }
  return { clock, queries, asked, breaker, ask, sizes: () => asked.map(({ names }) => names.length) }
}

const namesOf = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe('queries of the database', () => {
  test('go at once where there is nothing else to do, and together where they follow each other closely', async () => {
    const { clock, queries, asked, ask } = open()
    const first = ask('default', ['ann'])
    const second = ask('default', ['bob'])
    const third = ask('default', ['cyd', 'dot'])
    expect(asked.map(({ names }) => names)).toEqual([['ann']])
    await clock.pass(3)
    expect(asked.map(({ names }) => names)).toEqual([['ann'], ['bob', 'cyd', 'dot']])
    asked[0]?.answer({ ann: 'taken' })
    asked[1]?.answer({ dot: 'held' })
    await clock.pass(0)
    expect([first, second, third].map(({ outcome }) => outcome)).toEqual([
      [['ann', 'taken']],
      [['dot', 'held']],
      [['dot', 'held']],
    ])
    queries.stop()
  })

  test('are four at once; what waits goes together when one of them ends', async () => {
    const { clock, queries, asked, ask, sizes } = open()
    for (let index = 0; index < 4; index += 1) {
      ask('default', [`name${index}`])
      await clock.pass(3)
    }
    for (let index = 0; index < 30; index += 1) ask('default', namesOf(`n${index}_`, 20))
    await clock.pass(100)
    expect(sizes()).toEqual([1, 1, 1, 1])
    asked[2]?.answer()
    await clock.pass(10)
    expect(sizes()).toEqual([1, 1, 1, 1, 500])
    asked[0]?.answer()
    await clock.pass(10)
    expect(sizes()).toEqual([1, 1, 1, 1, 500, 100])
    queries.stop()
  })

  test('of tenants take turns', async () => {
    const { clock, queries, asked, ask } = open()
    ask('one', ['ann'])
    ask('one', namesOf('a', 400))
    ask('two', ['bob'])
    ask('one', namesOf('b', 400))
    await clock.pass(10)
    expect(asked.map(({ tenant, names }) => `${tenant} ${names.length}`)).toEqual(['one 1', 'one 400', 'two 1', 'one 400'])
    queries.stop()
  })

  test('keep their place until the database has ended them, however long ago they were given up', async () => {
    const { clock, queries, asked, ask, sizes } = open()
    const [one] = Array.from({ length: 3 }, (_, index) => ask('default', namesOf(`n${index}_`, 500)))
    await clock.pass(10)
    await new Promise((resolve) => setTimeout(resolve, 1_600))
    expect(one?.outcome).toMatchObject({ kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } })
    for (let index = 0; index < 5; index += 1) {
      ask('default', [`name${index}`])
      await clock.pass(3)
    }
    expect(sizes()).toEqual([500, 500, 500, 1])
    asked[0]?.answer()
    await clock.pass(3)
    expect(sizes()).toEqual([500, 500, 500, 1, 4])
    queries.stop()
  })

  test('are refused when ten thousand names wait, however many queries they are', async () => {
    const { clock, queries, ask, sizes } = open()
    const asked = Array.from({ length: 24 }, (_, index) => ask('default', namesOf(`n${index}_`, 500)))
    const tooMany = ask('default', ['ann'])
    await clock.pass(10)
    expect(sizes()).toEqual([500, 500, 500, 500])
    expect(asked.every(({ outcome }) => outcome === 'waits')).toBe(true)
    expect(tooMany.outcome).toMatchObject({ kind: 'overloaded', facts: { headers: { 'retry-after': '1' } } })
    queries.stop()
  })

  test('that wait are refused when the database is found to be away', async () => {
    const { clock, queries, asked, breaker, ask, sizes } = open()
    for (let index = 0; index < 4; index += 1) ask('default', namesOf(`n${index}_`, 500))
    const waiting = ask('default', ['ann'])
    for (const { fail } of asked) fail()
    await clock.pass(10)
    expect([sizes(), breaker]).toEqual([[500, 500, 500, 500], ['open']])
    expect(waiting.outcome).toMatchObject({ kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } })
    queries.stop()
  })
})
