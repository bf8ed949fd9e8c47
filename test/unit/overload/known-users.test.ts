import { describe, expect, it } from 'vitest'
import { createKnownUsers } from '../../../src/overload/known-users.ts'

const HERE = '192.0.2.1'

function open(places = 64) {
  const clock = { nowMs: 0 }
  const needs = { monotonicMs: () => clock.nowMs, seed: [0x03020100, 0x07060504] as const }
  return { clock, users: createKnownUsers(needs, { places, burst: 2, perMinute: 1 }) }
}

describe('the users who showed a good token', () => {
  it('are known by network and name together', () => {
    const { users } = open()
    expect(users.find(HERE, 'alice')).toBe(false)
    users.enter()
    const found = [HERE, '192.0.2.2', 'alice'].map((network) => ['alice', 'bob', HERE].map((who) => users.find(network, who)))
    expect(found).toEqual([
      [true, false, false],
      [false, false, false],
      [false, false, false],
    ])
  })

  it('have as much as they began with, less what was taken, and more with time', () => {
    const { clock, users } = open()
    users.find(HERE, 'alice')
    users.enter()
    const levels = [users.level()]
    users.take()
    users.take()
    levels.push(users.level())
    clock.nowMs += 60_000
    levels.push(users.level())
    clock.nowMs += 600_000
    levels.push(users.level())
    expect(levels).toEqual([2, 0, 1, 2])
  })

  it('are a bounded number: who was not seen for longest gives way', () => {
    const { clock, users } = open(8)
    for (let index = 0; index < 9; index += 1) {
      clock.nowMs += 1
      // The first one comes again each time.
      if (users.find(HERE, 'user-0')) users.level()
      else users.enter()
      if (users.find(HERE, `user-${index}`)) users.level()
      else users.enter()
    }
    const known = Array.from({ length: 9 }, (_, index) => users.find(HERE, `user-${index}`))
    expect(known).toEqual([true, false, true, true, true, true, true, true, true])
  })
})
