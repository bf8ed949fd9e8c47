import { describe, expect, test } from 'vitest'
import { createFollower, FRESH_MS } from '../../../../src/services/usernames/follow.ts'
import type { NameEvent, UsernameKey } from '../../../../src/services/usernames/store.ts'
import { createClock } from './clock.ts'

function open() {
  const clock = createClock()
  const names: UsernameKey[] = []
  const events: NameEvent[] = []
  const heard: number[] = []
  const feed: string[] = []
  const control = { isAway: false, scans: 0 }
  const follower = createFollower(
    {
      ...clock,
      random: () => 0.5,
      store: {
        async *allNames() {
          control.scans += 1
          if (control.isAway) throw new Error('away')
          const tail = events.at(-1)?.id ?? 0
          for (let at = 0; at === 0 || at < names.length; at += 2) yield { tail, names: names.slice(at, at + 2) }
        },
        async eventsAfter(id, limit) {
          if (control.isAway) throw new Error('away')
          return events.filter((one) => one.id > id).slice(0, limit)
        },
      },
      heard: (event) => heard.push(event.id),
      events: { feed: (state) => feed.push(state) },
    },
    ['default', 'acme'],
  )
  const happen = (folded: string, event: NameEvent['event'], tenant = 'default'): void => {
    events.push({ id: events.length + 1, tenant, folded, event, at: 0 })
    if (event === 'claimed') names.push({ tenant, folded })
  }
  return { clock, follower, names, happen, heard, feed, control }
}

describe('the filters', () => {
  test('say nothing before they are loaded', () => {
    const { follower } = open()
    expect([follower.isSurelyFree('default', 'ann'), follower.ageMs()]).toEqual([false, Number.POSITIVE_INFINITY])
  })

  test('know every name from the start, of each tenant', async () => {
    const { clock, follower, names } = open()
    names.push(...['ann', 'bob', 'cyd'].map((folded) => ({ tenant: 'default', folded })), { tenant: 'gone', folded: 'dot' })
    void follower.start()
    await clock.pass(10)
    expect(['ann', 'bob', 'cyd', 'dot'].map((name) => follower.isSurelyFree('default', name))).toEqual([
      false,
      false,
      false,
      true,
    ])
    expect([follower.isSurelyFree('acme', 'ann'), follower.isSurelyFree('gone', 'ann')]).toEqual([true, false])
    expect([...follower.names()]).toEqual([
      ['default', 3],
      ['acme', 0],
    ])
    follower.stop()
  })

  test('learn within a second what happened elsewhere, and tell it once, in order', async () => {
    const { clock, follower, happen, heard } = open()
    happen('before', 'claimed')
    void follower.start()
    await clock.pass(10)
    happen('ann', 'claimed')
    happen('bob', 'held')
    happen('cyd', 'released')
    await clock.pass(1_000)
    expect(['ann', 'bob', 'cyd'].map((name) => follower.isSurelyFree('default', name))).toEqual([false, false, true])
    expect(heard).toEqual([2, 3, 4])
    follower.stop()
  })

  test('know at once what happened here', async () => {
    const { clock, follower } = open()
    void follower.start()
    await clock.pass(10)
    follower.add('default', 'ann')
    expect(follower.isSurelyFree('default', 'ann')).toBe(false)
    follower.stop()
  })

  test('keep what was added here while they are made anew', async () => {
    const { clock, follower, names } = open()
    names.push(...Array.from({ length: 20 }, (_, index) => ({ tenant: 'default', folded: `name${index}` })))
    const starting = follower.start()
    follower.add('default', 'late')
    await clock.pass(10)
    await starting
    expect(follower.isSurelyFree('default', 'late')).toBe(false)
    follower.stop()
  })

  test('say nothing any more when the feed could not be read for a while, and do again afterwards', async () => {
    const { clock, follower, happen, control, feed } = open()
    void follower.start()
    await clock.pass(10)
    control.isAway = true
    await clock.pass(FRESH_MS - 500)
    expect(follower.isSurelyFree('default', 'ann')).toBe(true)
    await clock.pass(1_000)
    expect(follower.isSurelyFree('default', 'bob')).toBe(false)
    happen('ann', 'claimed')
    control.isAway = false
    await clock.pass(1_500)
    expect([follower.isSurelyFree('default', 'ann'), follower.isSurelyFree('default', 'bob')]).toEqual([false, true])
    expect(feed).toEqual(['down', 'up'])
    follower.stop()
  })

  test('are tried again until they are loaded', async () => {
    const { clock, follower, control, names } = open()
    names.push({ tenant: 'default', folded: 'ann' })
    control.isAway = true
    void follower.start()
    await clock.pass(9_000)
    expect(control.scans).toBeGreaterThan(1)
    control.isAway = false
    await clock.pass(5_000)
    expect([follower.isSurelyFree('default', 'ann'), follower.isSurelyFree('default', 'bob')]).toEqual([false, true])
    follower.stop()
  })

  test('are made anew each day, without the names that are free again', async () => {
    const { clock, follower, names, control } = open()
    names.push({ tenant: 'default', folded: 'ann' })
    void follower.start()
    await clock.pass(10)
    names.length = 0
    expect(follower.isSurelyFree('default', 'ann')).toBe(false)
    await clock.leap(26 * 3_600_000)
    expect([control.scans, follower.isSurelyFree('default', 'ann')]).toEqual([2, true])
    follower.stop()
  })

  test('are made anew when they are full', async () => {
    const { clock, follower, control } = open()
    void follower.start()
    await clock.pass(10)
    for (let index = 0; index < 5_000; index += 1) follower.add('default', `name${index}`)
    await clock.pass(12_000)
    expect(control.scans).toBe(2)
    follower.stop()
  })
})
