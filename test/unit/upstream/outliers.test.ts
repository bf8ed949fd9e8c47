import { expect, test } from 'vitest'
import { createOutliers } from '../../../src/upstream/outliers.ts'
import type { Destination } from '../../../src/upstream/destination.ts'
import { testClock, testDestination } from './world.ts'

function open(count: number, config = { consecutiveFailures: 3, ejectForMs: 1000, maxEjected: 0.5 }) {
  const clock = testClock()
  const members = Array.from({ length: count }, (_, index) => testDestination(index))
  const changes: string[] = []
  const outliers = createOutliers(
    {
      ...clock,
      members: () => members,
      changed: ({ target, standing }) => changes.push(`${target} ${standing.isEjected ? 'out' : 'in'}`),
    },
    config,
  )
  const fail = (index: number, times = 1) => {
    for (let time = 0; time < times; time += 1) outliers.judge(at(index), false)
  }
  const at = (index: number): Destination => members[index] ?? testDestination(index)
  return { clock, changes, outliers, fail, at }
}

test('leaves out what fails so often in a row, and lets it in again after its time', () => {
  const { clock, changes, outliers, fail, at } = open(2)
  fail(0, 2)
  outliers.judge(at(0), true)
  fail(0, 2)
  expect(changes).toEqual([])
  fail(0)
  expect(changes).toEqual(['0 out'])
  clock.pass(999)
  expect(changes).toEqual(['0 out'])
  clock.pass(1)
  expect(changes).toEqual(['0 out', '0 in'])
})

test('is on probation then: the next failure is enough, and a success is too', () => {
  const { clock, changes, outliers, fail, at } = open(2)
  fail(0, 3)
  clock.pass(1000)
  fail(0)
  expect(changes).toEqual(['0 out', '0 in', '0 out'])
  clock.pass(2000)
  outliers.judge(at(0), true)
  fail(0, 2)
  expect(changes).toEqual(['0 out', '0 in', '0 out', '0 in'])
})

test('stays out longer each time, ten times as long at most, and is forgiven after a long good time', () => {
  const { clock, fail, at } = open(2)
  const times: number[] = []
  fail(0, 2)
  for (let round = 0; round < 12; round += 1) {
    fail(0)
    let ms = 0
    for (; at(0).standing.isEjected; ms += 100) clock.pass(100)
    times.push(ms / 1000)
  }
  expect(times).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10])
  clock.pass(10_001)
  fail(0)
  expect(at(0).standing.ejections).toBe(1)
})

test.each([
  [1, 0.5, 0],
  [1, 1, 0],
  [2, 0.5, 1],
  [2, 1, 1],
  [3, 0.1, 1],
  [4, 0.5, 2],
  [5, 0.5, 2],
  [5, 1, 4],
  [5, 0, 0],
])('of %i with at most %f out, %i are left out when all fail', (count, maxEjected, out) => {
  const { changes, fail } = open(count, { consecutiveFailures: 3, ejectForMs: 1000, maxEjected })
  for (let index = 0; index < count; index += 1) fail(index, 10)
  expect(changes).toHaveLength(out)
})

test('has no timer left when it is stopped', () => {
  const { clock, outliers, fail } = open(2)
  fail(0, 3)
  outliers.stop()
  expect(clock.waiting()).toBe(0)
})
