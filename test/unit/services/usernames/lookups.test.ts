import { describe, expect, test } from 'vitest'
import { Problem } from '../../../../src/problem/problem.ts'
import { createLookups, type NameCache } from '../../../../src/services/usernames/lookups.ts'
import type { NameState } from '../../../../src/services/usernames/store.ts'

/** Lookups over a table and, where there is one, a cache; what they asked is noted. */
function open(
  options: { states?: Record<string, NameState>; cached?: Record<string, boolean>; fail?: 'redis' | 'database' } = {},
) {
  const queries: string[][] = []
  const filled: (readonly [string, boolean])[] = []
  const states: string[] = []
  const cache: NameCache = {
    async read(_tenant, folded) {
      if (options.fail === 'redis') throw new Error('away')
      return folded.map((name) => options.cached?.[name])
    },
    async fill(_tenant, found) {
      filled.push(...found)
    },
    async write() {},
  }
  const control: { fail: typeof options.fail } = { fail: options.fail }
  const lookups = createLookups({
    ...(options.cached !== undefined && { cache }),
    store: {
      async statesOf(_tenant, folded) {
        queries.push([...folded])
        if (control.fail === 'database') throw new Problem('storage_unavailable')
        return new Map(Object.entries(options.states ?? {}).filter(([name]) => folded.includes(name)))
      },
    },
    nowSeconds: () => 0,
    schedule(delayMs, run) {
      const timer = setTimeout(run, delayMs)
      return () => clearTimeout(timer)
    },
    events: { queried: () => undefined, breaker: (dependency, state) => states.push(`${dependency} ${state}`) },
  })
  return { lookups, queries, filled, states, control }
}

describe('questions about names', () => {
  test('of one moment are one query, each name once', async () => {
    const { lookups, queries } = open({ states: { ann: 'taken', bob: 'held', cyd: 'quarantined' } })
    const answers = await Promise.all(['ann', 'bob', 'cyd', 'dot', 'ann', 'dot'].map((name) => lookups.ask('default', name)))
    expect(answers.map(({ state, layer }) => `${state} ${layer}`)).toEqual([
      'taken database',
      'held database',
      'quarantined database',
      'free database',
      'taken database',
      'free database',
    ])
    expect(queries).toEqual([['ann', 'bob', 'cyd', 'dot']])
    lookups.stop()
  })

  test('of different tenants are different queries', async () => {
    const { lookups, queries } = open()
    await Promise.all([lookups.ask('one', 'ann'), lookups.ask('two', 'ann')])
    expect(queries).toEqual([['ann'], ['ann']])
    lookups.stop()
  })

  test('that are very many go out in batches without waiting', async () => {
    const { lookups, queries } = open()
    await Promise.all(Array.from({ length: 1_200 }, (_, index) => lookups.ask('default', `name${index}`)))
    expect(queries.map((names) => names.length)).toEqual([500, 500, 200])
    lookups.stop()
  })

  test('that Redis knows do not reach the database; what it does not know is filled in, but for holds', async () => {
    const { lookups, queries, filled } = open({ states: { bob: 'held', cyd: 'taken' }, cached: { ann: true, free1: false } })
    const names = ['ann', 'free1', 'bob', 'cyd', 'dot']
    const answers = await Promise.all(names.map((name) => lookups.ask('default', name)))
    expect(answers.map(({ state, layer }) => `${state} ${layer}`)).toEqual([
      'taken redis',
      'free redis',
      'held database',
      'taken database',
      'free database',
    ])
    expect([queries, filled]).toEqual([
      [['bob', 'cyd', 'dot']],
      [
        ['cyd', true],
        ['dot', false],
      ],
    ])
    lookups.stop()
  })

  test('go to the database while Redis is away, and Redis is left alone after a few', async () => {
    const { lookups, queries, states } = open({ states: { ann: 'taken' }, cached: {}, fail: 'redis' })
    for (let index = 0; index < 8; index += 1) expect((await lookups.ask('default', 'ann')).state).toBe('taken')
    expect([queries.length, states]).toEqual([8, ['usernames_redis open']])
    lookups.stop()
  })

  test('are refused as unavailable while the database is away, and not even asked after a few', async () => {
    const { lookups, queries, states } = open({ fail: 'database' })
    for (let index = 0; index < 8; index += 1) {
      await expect(lookups.ask('default', 'ann')).rejects.toMatchObject({ kind: 'storage_unavailable' })
    }
    expect([queries.length, states]).toEqual([4, ['usernames_database open']])
    lookups.stop()
  })
})
