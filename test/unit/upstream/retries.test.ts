import { describe, expect, test } from 'vitest'
import type { RetryReason } from '../../../src/config/config.ts'
import { createRetries, isRepeatable, reasonOfStatus } from '../../../src/upstream/retries.ts'
import { testChance, testClock } from './world.ts'

function open(budget = 0.2, attempts = 1, on: readonly RetryReason[] = ['connect', 'reset']) {
  const clock = testClock()
  const told: string[] = []
  const retries = createRetries(
    { monotonicMs: clock.monotonicMs, random: testChance(), retried: (reason) => told.push(reason) },
    { attempts, budget, on: new Set(on) },
  )
  /** So many requests, each of which fails and would like to be sent again; how many were. */
  const storm = (requests: number): number => {
    let again = 0
    for (let request = 0; request < requests; request += 1) {
      retries.deposit()
      if (retries.spend('reset', 0)) again += 1
    }
    return again
  }
  return { clock, told, retries, storm }
}

describe('the budget', () => {
  test('lets a share of the requests be sent again, however many fail', () => {
    const { storm } = open()
    expect(storm(1000)).toBe(10 + 200 - 1)
    expect(storm(1000)).toBeLessThanOrEqual(201)
  })

  test('says when it is used up', () => {
    const { storm, told } = open()
    storm(100)
    expect(told.filter((reason) => reason === 'reset').length + told.filter((reason) => reason === 'over_budget').length).toBe(
      100,
    )
    expect(told).toContain('over_budget')
  })

  test('has room for an upstream that is seldom asked', () => {
    const { clock, storm } = open(0.01)
    expect(storm(20)).toBe(10)
    expect(storm(1)).toBe(0)
    clock.pass(3000)
    expect(storm(20)).toBe(3)
    clock.pass(3_600_000)
    expect(storm(100)).toBeLessThanOrEqual(11)
  })

  test('saves no more than a hundred', () => {
    const { retries, storm } = open()
    for (let request = 0; request < 100_000; request += 1) retries.deposit()
    expect(storm(200)).toBeLessThan(145)
  })

  test('of 0% allows nothing', () => {
    const { storm } = open(0)
    expect(storm(50)).toBe(0)
  })
})

test('a request is sent again so often and no more, and only for what is listed', () => {
  const { retries, told } = open(1, 2)
  expect(retries.spend('503', 0)).toBe(false)
  expect(retries.spend('connect', 0)).toBe(true)
  expect(retries.spend('reset', 1)).toBe(true)
  expect(retries.spend('reset', 2)).toBe(false)
  expect(told).toEqual(['connect', 'reset'])
})

test('waits a moment of its own, longer each time, and never long', () => {
  const { retries } = open()
  const waits = (attempts: number): number[] => Array.from({ length: 500 }, () => retries.backOffMs(attempts))
  expect(Math.max(...waits(0))).toBeLessThan(10)
  expect(Math.max(...waits(0))).toBeGreaterThan(8)
  expect(new Set(waits(0)).size).toBeGreaterThan(400)
  expect(Math.max(...waits(2))).toBeGreaterThan(35)
  expect(Math.max(...waits(9))).toBeLessThan(250)
})

test.each([
  ['GET', 0, true],
  ['HEAD', 0, true],
  ['OPTIONS', 0, true],
  ['PUT', 0, true],
  ['DELETE', 0, true],
  ['POST', 0, false],
  ['PATCH', 0, false],
  ['PROPFIND', 0, false],
  ['get', 0, false],
  ['PUT', 1, false],
  ['GET', 5, false],
  ['DELETE', undefined, false],
])('%s with a body of %s octets may be repeated: %s', (method, bodyLength, may) => {
  expect(isRepeatable(method, bodyLength)).toBe(may)
})

test.each([
  [500, undefined],
  [501, undefined],
  [502, '502'],
  [503, '503'],
  [504, '504'],
  [200, undefined],
  [429, undefined],
])('a status of %i is a failure of the server: %s', (status, reason) => {
  expect(reasonOfStatus(status)).toBe(reason)
})
