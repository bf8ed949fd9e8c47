import { expect, test } from 'vitest'
import { createMemory } from '../../../../src/services/usernames/memory.ts'

function open(chance = 0) {
  const world = { nowMs: 0, isFollowed: true }
  const memory = createMemory({
    monotonicMs: () => world.nowMs,
    random: () => chance,
    isFollowed: () => world.isFollowed,
  })
  return { world, memory, find: (name: string) => memory.find('default', name) }
}

test('what a layer below answered is repeated for 2 to 5 seconds', () => {
  for (const [chance, lastMs] of [
    [0, 1_999],
    [0.999_999, 4_999],
  ] as const) {
    const { world, memory, find } = open(chance)
    for (const state of ['free', 'held', 'quarantined'] as const) memory.answered('default', state, state)
    world.nowMs = lastMs
    expect(['free', 'held', 'quarantined'].map(find)).toEqual(['free', 'held', 'quarantined'])
    world.nowMs = lastMs + 1
    expect(['free', 'held', 'quarantined'].map(find)).toEqual([undefined, undefined, undefined])
  }
})

test('that a name is taken is repeated for 45 to 75 seconds while what happens to names is followed, else as short', () => {
  for (const [chance, lastMs] of [
    [0, 44_999],
    [0.999_999, 74_999],
  ] as const) {
    const { world, memory, find } = open(chance)
    memory.answered('default', 'ann', 'taken')
    world.nowMs = lastMs
    expect(find('ann')).toBe('taken')
    world.isFollowed = false
    expect(find('ann')).toBeUndefined()
    world.isFollowed = true
    world.nowMs = lastMs + 1
    expect(find('ann')).toBeUndefined()
  }
  const blind = open()
  blind.world.isFollowed = false
  blind.memory.answered('default', 'ann', 'taken')
  blind.world.nowMs = 1_999
  expect(blind.find('ann')).toBe('taken')
})

test('what happened counts for more than what is repeated, and a slow answer changes nothing of it', () => {
  const { world, memory, find } = open()
  memory.answered('default', 'ann', 'taken')
  memory.happened('default', 'ann', 'quarantined', 60_000)
  memory.answered('default', 'ann', 'taken')
  world.isFollowed = false
  world.nowMs = 59_999
  expect(find('ann')).toBe('quarantined')
  world.nowMs = 60_000
  expect(find('ann')).toBeUndefined()
})

test('a name of one tenant says nothing of another, and what is forgotten is gone', () => {
  const { memory, find } = open()
  memory.answered('acme', 'ann', 'taken')
  expect([memory.find('acme', 'ann'), find('ann')]).toEqual(['taken', undefined])
  memory.forget('acme', 'ann')
  expect(memory.find('acme', 'ann')).toBeUndefined()
})
