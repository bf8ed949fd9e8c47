import { describe, expect, test } from 'vitest'
import type { Problem } from '../../../../src/problem/problem.ts'
import { createAnalytics } from '../../../../src/services/usernames/analytics.ts'
import { createCounts } from '../../../../src/quota/quota.ts'
import { createBudget } from '../../../../src/services/usernames/budget.ts'
import type { UsernameRecord } from '../../../../src/services/usernames/needs.ts'
import { createPace } from '../../../../src/services/usernames/pace.ts'
import { createProbing, isStep } from '../../../../src/services/usernames/probing.ts'
import { createSquatting } from '../../../../src/services/usernames/squatting.ts'
import { aTenant } from '../world.ts'
import { createClock } from './clock.ts'

describe('the budget', () => {
  function open(changes: Partial<ReturnType<typeof aTenant>['throttle']> = {}) {
    const clock = createClock()
    const tenant = aTenant('default', { throttle: { ...aTenant('default').throttle, ...changes } })
    const refused: string[] = []
    const budget = createBudget({ ...clock, refused: (_tenant, source) => refused.push(source) }, [tenant])
    const spend = (caller: Parameters<typeof budget.spend>[1], units = 1): number | string => {
      try {
        budget.spend(tenant, caller, units)
        return 'spent'
      } catch (error) {
        return Number((error as Problem).facts.headers?.['retry-after'])
      }
    }
    return { clock, spend, refused, budget, tenant }
  }

  test('gives an address 20 at once and then 10 a minute', async () => {
    const { clock, spend, refused } = open()
    for (let index = 0; index < 20; index += 1) expect(spend({ ip: '192.0.2.1' })).toBe('spent')
    expect([spend({ ip: '192.0.2.1' }), refused]).toEqual([6, ['192.0.2.1']])
    await clock.pass(60_000)
    for (let index = 0; index < 10; index += 1) expect(spend({ ip: '192.0.2.1' })).toBe('spent')
    expect(spend({ ip: '192.0.2.1' })).toBe(6)
    expect(spend({ ip: '192.0.2.2' })).toBe('spent')
  })

  test('is one for all gateways, but for an eighth of it that each has not told yet', async () => {
    const clock = createClock()
    const tenant = aTenant('default')
    const counts = createCounts({ monotonicMs: () => clock.monotonicMs(), seed: [1, 2] }, 1_024)
    let told = 0
    const shared = {
      take(charges: Parameters<typeof counts.take>[0]) {
        told += 1
        return Promise.resolve(counts.take(charges))
      },
    }
    const gateways = [0, 1, 2].map(() => createBudget({ ...clock, refused: () => undefined, counts: shared }, [tenant]))
    const spent = async (caller: { readonly ip: string; readonly user?: string }, times: number): Promise<number> => {
      let count = 0
      for (let number = 0; number < times; number += 1) {
        try {
          gateways[number % 3]?.spend(tenant, caller, 1)
          count += 1
        } catch (error) {
          expect(error).toMatchObject({ kind: 'rate_limited' })
        }
        await Promise.resolve()
        await Promise.resolve()
      }
      return count
    }
    const first = await spent({ ip: '192.0.2.1' }, 60)
    expect(first).toBeGreaterThanOrEqual(20)
    expect(first).toBeLessThanOrEqual(20 + 3 * 3)
    expect(told).toBeLessThan(first / 2)
    // A user whose id is that address is somebody else.
    expect(await spent({ ip: '192.0.2.9', user: '192.0.2.1' }, 12)).toBe(12)
    await clock.pass(3_600_000)
    told = 0
    // Who asks now and then costs nothing there.
    for (let number = 0; number < 50; number += 1) gateways[0]?.spend(tenant, { ip: `198.51.100.${number}` }, 1)
    expect(told).toBe(0)
  })

  test('goes by itself while nobody else can be asked', () => {
    const clock = createClock()
    const tenant = aTenant('default')
    const budget = createBudget({ ...clock, refused: () => undefined, counts: { take: () => undefined } }, [tenant])
    for (let number = 0; number < 20; number += 1) budget.spend(tenant, { ip: '192.0.2.1' }, 1)
    expect(() => budget.spend(tenant, { ip: '192.0.2.1' }, 1)).toThrow('rate_limited')
  })

  test('is one for all addresses of an IPv6 network of 64 bits', () => {
    const { spend } = open()
    for (let index = 0; index < 20; index += 1) expect(spend({ ip: `2001:db8:1:2::${index}` })).toBe('spent')
    expect(spend({ ip: '2001:db8:1:2:ffff::1' })).toBe(6)
    expect(spend({ ip: '2001:db8:1:3::1' })).toBe('spent')
  })

  test('gives a user or the holder of a ticket three times as much, apart from their address', () => {
    const { spend } = open()
    const ip = '192.0.2.1'
    for (const caller of [
      { ip, user: 'usr_1' },
      { ip, ticket: 'hash' },
    ]) {
      for (let index = 0; index < 60; index += 1) expect(spend(caller)).toBe('spent')
      expect(spend(caller)).toBe(2)
    }
    expect(spend({ ip })).toBe('spent')
  })

  test('is one for all tickets of an address, which could ask for more of them by each of them', () => {
    const { spend } = open()
    for (let index = 0; index < 60; index += 1) expect(spend({ ip: '192.0.2.1', ticket: `hash ${index % 3}` })).toBe('spent')
    expect([spend({ ip: '192.0.2.1', ticket: 'hash 4' }), spend({ ip: '192.0.2.2', ticket: 'hash 4' })]).toEqual([2, 'spent'])
  })

  test('takes several units at once or none of them', () => {
    const { spend } = open()
    expect([spend({ ip: '192.0.2.1' }, 15), spend({ ip: '192.0.2.1' }, 10), spend({ ip: '192.0.2.1' }, 5)]).toEqual([
      'spent',
      30,
      'spent',
    ])
  })

  test('bounds a whole tenant, whoever asks', () => {
    const { spend } = open({ usernamesTotalPerMinute: 15 })
    const answers = Array.from({ length: 31 }, (_, index) => spend({ ip: `192.0.2.${index}` }))
    expect([answers.slice(0, 30).every((one) => one === 'spent'), answers[30]]).toEqual([true, 4])
  })

  test('is said in the headers of each answer', () => {
    const { budget, tenant } = open()
    expect(budget.spend(tenant, { ip: '192.0.2.1' }, 1)).toEqual({
      source: '192.0.2.1',
      headers: { ratelimit: '"usernames";r=19;t=6', 'ratelimit-policy': '"usernames";q=20;w=120' },
    })
  })
})

describe('probing', () => {
  function open() {
    const clock = createClock()
    const told: string[] = []
    const recorded: UsernameRecord[] = []
    const probing = createProbing({
      ...clock,
      events: { probing: (tenant, pattern) => told.push(`${tenant} ${pattern}`) },
      record: (event) => recorded.push(event),
    })
    return { clock, probing, told, recorded }
  }

  test.each([
    ['ann1', 'ann2', true],
    ['ann9', 'ann10', true],
    ['aaa', 'aab', true],
    ['joh', 'john', false],
    ['alice', 'bob', false],
    ['ann', 'ann1', false],
  ])('%s, then %s is a step: %s', (last, next, expected) => expect(isStep(last, next)).toBe(expected))

  test('of a series is told once for each caller and window', async () => {
    const { clock, probing, told, recorded } = open()
    for (let index = 0; index < 50; index += 1) probing.asked('default', '192.0.2.1', `user${index}`)
    expect(told).toEqual(['default series'])
    expect(recorded).toEqual([{ event: 'malicious_username_probing', tenant: 'default', reason: 'series', ip: '192.0.2.1' }])
    await clock.pass(11 * 60_000)
    for (let index = 0; index < 50; index += 1) probing.asked('default', '192.0.2.1', `user${index}`)
    expect(recorded).toHaveLength(2)
  })

  test('of a dictionary is told, and somebody who chooses a name is left alone', () => {
    const { probing, told, recorded } = open()
    const typed = ['joh', 'john', 'johnd', 'johndo', 'johndoe', 'johndoe1', 'johndoe12', 'john_doe', 'jdoe', 'doe']
    for (const name of typed) probing.asked('default', '192.0.2.2', name)
    expect(told).toEqual([])
    for (let index = 0; index < 70; index += 1)
      probing.asked('default', 'usr_1', `${'x'.repeat(index % 20)}word${index % 7}${'y'.repeat(index % 11)}`)
    expect([told, recorded]).toEqual([
      ['default dictionary'],
      [{ event: 'malicious_username_probing', tenant: 'default', reason: 'dictionary', user: 'usr_1' }],
    ])
  })

  test('of who goes on after refusals is told', () => {
    const { probing, told } = open()
    for (let index = 0; index < 40; index += 1) probing.refused('default', '192.0.2.3', { ip: '192.0.2.3' })
    expect(told).toEqual(['default flood'])
  })
})

test('squatting shows as a series of claims, or as many holds of one caller, each told once in its window', () => {
  const told: string[] = []
  const recorded: UsernameRecord[] = []
  const squatting = createSquatting({
    ...createClock(),
    events: { squatting: (tenant, pattern) => told.push(`${tenant} ${pattern}`) },
    record: (event) => recorded.push(event),
  })
  for (let index = 0; index < 40; index += 1) {
    squatting.claimed('default', `brand${index}`)
    squatting.claimed('default', `person${String.fromCharCode(97 + (index % 26))}`)
    squatting.held('acme', '192.0.2.1')
  }
  expect(told.toSorted()).toEqual(['acme holds', 'default series'])
  expect(recorded.map(({ reason }) => reason).toSorted()).toEqual([
    'a series of names was claimed',
    'one caller holds many names',
  ])
})

describe('analytics', () => {
  test('show a beginning that 20 callers asked for, and none that fewer did, however often', () => {
    const analytics = createAnalytics({ ...createClock(), random: () => 0.3 }, ['default'])
    for (let caller = 0; caller < 40; caller += 1) analytics.asked('default', `pete${caller}`, `192.0.2.${caller}`)
    for (let index = 0; index < 500; index += 1) analytics.asked('default', 'secret_person', `192.0.2.${index % 10}`)
    const { prefixes } = analytics.report().tenants['default'] ?? { prefixes: [] }
    expect(prefixes).toEqual([{ prefix: 'pete', checks: 40, callers: expect.closeTo(40, -1) }])
  })

  test('keep a bounded number of beginnings and still find the frequent ones', () => {
    const analytics = createAnalytics({ ...createClock(), random: () => 0.7 }, ['default'])
    for (let index = 0; index < 200_000; index += 1) {
      const name = index % 20 === 0 ? 'maria' : (index * 2_654_435_761).toString(36)
      analytics.asked('default', name, `192.0.${index % 199}.${index % 251}`)
    }
    const { prefixes } = analytics.report().tenants['default'] ?? { prefixes: [] }
    expect(prefixes[0]?.prefix).toBe('mari')
    expect(prefixes.length).toBeLessThanOrEqual(50)
  })

  test('say what share of checks did without the database', () => {
    const analytics = createAnalytics({ ...createClock(), random: () => 0 }, ['default'])
    for (const layer of ['filter', 'filter', 'memory', 'redis', 'database'] as const) analytics.answered('default', layer)
    expect(analytics.report().tenants['default']).toMatchObject({
      checks: 5,
      hit_rate: 0.8,
      layers: { filter: 2, memory: 1, redis: 1, database: 1 },
    })
  })
})

describe('the pace', () => {
  test('lets quick answers and slow ones go at the same beat', async () => {
    const clock = createClock()
    const pace = createPace(clock)
    const gone: string[] = []
    const startedMs = clock.monotonicMs()
    const leave = async (name: string): Promise<void> => {
      await pace.until(startedMs)
      gone.push(`${name} at ${clock.monotonicMs() - startedMs}`)
    }
    void leave('from memory')
    await clock.pass(2)
    void leave('from the database')
    await clock.pass(10)
    expect(gone).toEqual(['from memory at 3', 'from the database at 3'])
    void leave('late')
    await clock.pass(0)
    expect(gone.at(-1)).toBe('late at 12')
  })

  test('follows nine in ten look-ups in the database, within bounds', async () => {
    const clock = createClock()
    const pace = createPace(clock)
    for (let index = 0; index < 2_000; index += 1) pace.took(4 + (index % 10) / 20)
    const startedMs = clock.monotonicMs()
    let atMs = 0
    void pace.until(startedMs).then(() => (atMs = clock.monotonicMs() - startedMs))
    await clock.pass(20)
    expect(atMs).toBe(5)
    for (let index = 0; index < 2_000; index += 1) pace.took(500)
    const laterMs = clock.monotonicMs()
    void pace.until(laterMs).then(() => (atMs = clock.monotonicMs() - laterMs))
    await clock.pass(20)
    expect(atMs).toBe(6)
  })
})
