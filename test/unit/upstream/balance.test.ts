import { describe, expect, test } from 'vitest'
import type { BalanceConfig } from '../../../src/config/config.ts'
import type { Identified } from '../../../src/exchange/exchange.ts'
import { createBalancer, type Balancer } from '../../../src/upstream/balance.ts'
import type { Destination } from '../../../src/upstream/destination.ts'
import { testChance, testClock, testDestination, testExchange, type Asked } from './world.ts'

const clock = testClock()

function balancerOf(config: BalanceConfig, members: readonly Destination[], random = testChance()): Balancer {
  const balancer = createBalancer({ monotonicMs: clock.monotonicMs, random }, config)
  balancer.use(members)
  return balancer
}

const many = (count: number, weight = 1): Destination[] =>
  Array.from({ length: count }, (_, index) => testDestination(index, weight))
const ask = (balancer: Balancer, asked: Asked = {}, not?: Destination): number => balancer.next(testExchange(asked), not).target

/** How often each target comes in so many turns; `each` has the chosen one. */
function shares(balancer: Balancer, turns: number, each: (one: Destination) => void = () => undefined): number[] {
  const counts: number[] = []
  for (let turn = 0; turn < turns; turn += 1) {
    const one = balancer.next(testExchange(), undefined)
    counts[one.target] = (counts[one.target] ?? 0) + 1
    each(one)
  }
  return counts
}

const user = (name: string, tenant = 'acme'): Asked => {
  const principal: Identified = {
    kind: 'identified',
    issuer: 'gateway',
    tenant,
    user: name,
    scopes: [],
    expiresAt: 0,
    skewSeconds: 0,
    tokenType: 'access',
    algorithm: 'RS256',
    claims: {},
  }
  return { principal }
}

describe('roundRobin', () => {
  test('takes each in turn', () => {
    const balancer = balancerOf({ kind: 'roundRobin' }, many(3))
    expect(Array.from({ length: 7 }, () => ask(balancer))).toEqual([0, 1, 2, 0, 1, 2, 0])
  })

  test('takes those with more weight more often, and spreads them', () => {
    const balancer = balancerOf({ kind: 'roundRobin' }, [testDestination(0, 5), testDestination(1), testDestination(2)])
    expect(Array.from({ length: 14 }, () => ask(balancer)).join('')).toBe('00102000010200')
  })

  test('goes on where it was when one is out and back again', () => {
    const members = many(3)
    const balancer = balancerOf({ kind: 'roundRobin' }, members)
    ask(balancer)
    balancer.use(members.slice(0, 2))
    const between = shares(balancer, 10)
    expect(Math.abs((between[0] ?? 0) - 5)).toBeLessThan(2)
    expect(between).toHaveLength(2)
    balancer.use(members)
    const after = shares(balancer, 30)
    for (const share of after) expect(Math.abs(share - 10)).toBeLessThan(2)
  })

  test('takes another one than that which failed, and that one where there is no other', () => {
    const members = many(2)
    const balancer = balancerOf({ kind: 'roundRobin' }, members)
    for (let turn = 0; turn < 5; turn += 1) expect(ask(balancer, {}, members[0])).toBe(1)
    balancer.use(members.slice(0, 1))
    expect(ask(balancer, {}, members[0])).toBe(0)
  })
})

describe('leastRequests', () => {
  test('takes the one with the fewest under way, for its weight', () => {
    const members = [testDestination(0, 1), testDestination(1, 4), testDestination(2, 1)]
    const balancer = balancerOf({ kind: 'leastRequests' }, members)
    const load = (...inFlight: number[]) => {
      for (const [index, count] of inFlight.entries()) {
        const member = members[index]
        if (member !== undefined) member.load.inFlight = count
      }
    }
    load(1, 3, 2)
    expect(ask(balancer)).toBe(1)
    load(1, 5, 2)
    expect(ask(balancer)).toBe(0)
    load(2, 9, 1)
    expect(ask(balancer)).toBe(2)
  })

  test('of equals takes each as often as its weight says', () => {
    const balancer = balancerOf({ kind: 'leastRequests' }, [testDestination(0, 1), testDestination(1, 3)])
    const [first = 0, second = 0] = shares(balancer, 4000)
    expect(second / first).toBeGreaterThan(2.7)
    expect(second / first).toBeLessThan(3.3)
  })

  test.each([3, 12])('of %i, one that is slow gets little', (count) => {
    const members = many(count)
    const balancer = balancerOf({ kind: 'leastRequests' }, members)
    const under: Destination[] = []
    const counts = shares(balancer, 3000, (one) => {
      one.load.inFlight += 1
      if (one.target !== 0) under.push(one)
      // Those of the others are answered at once; those of the slow one stay for long.
      while (under.length > count) {
        const over = under.shift()
        if (over !== undefined) over.load.inFlight -= 1
      }
    })
    expect(counts[0]).toBeLessThan(count === 3 ? 20 : 60)
  })

  test('of many, keeps the busiest close to the others, by two that chance names', () => {
    const members = many(20)
    const balancer = balancerOf({ kind: 'leastRequests' }, members)
    shares(balancer, 2000, (one) => (one.load.inFlight += 1))
    const loads = members.map(({ load }) => load.inFlight)
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(12)
  })

  test.each([2, 3, 12])('of %i, takes another one than that which failed', (count) => {
    const members = many(count)
    const balancer = balancerOf({ kind: 'leastRequests' }, members)
    for (let turn = 0; turn < 200; turn += 1) expect(ask(balancer, {}, members[1])).not.toBe(1)
    balancer.use(members.slice(1, 2))
    expect(ask(balancer, {}, members[1])).toBe(1)
  })
})

describe('ewma', () => {
  test('sends more to those who are fast, and believes a slow answer at once', () => {
    const members = many(2)
    const [fast, slow] = members
    const balancer = balancerOf({ kind: 'ewma' }, members)
    if (fast === undefined || slow === undefined) throw new Error('there are two')
    for (let turn = 0; turn < 10; turn += 1) {
      balancer.observe?.(fast, 10)
      balancer.observe?.(slow, 10)
    }
    balancer.observe?.(slow, 500)
    expect(shares(balancer, 100)[1] ?? 0).toBe(0)
    fast.load.inFlight = 100
    expect(ask(balancer)).toBe(1)
  })

  test('forgets, so that the slow one is tried again', () => {
    const members = many(2)
    const [fast, slow] = members
    const balancer = balancerOf({ kind: 'ewma' }, members)
    if (fast === undefined || slow === undefined) throw new Error('there are two')
    balancer.observe?.(slow, 1000)
    for (let second = 0; second < 60; second += 1) {
      clock.pass(1000)
      balancer.observe?.(fast, 10)
    }
    fast.load.inFlight = 1
    expect(ask(balancer)).toBe(1)
  })

  test('believes fast answers little by little', () => {
    const [one] = many(1)
    if (one === undefined) throw new Error('there is one')
    const balancer = balancerOf({ kind: 'ewma' }, [one])
    balancer.observe?.(one, 1000)
    clock.pass(1000)
    balancer.observe?.(one, 10)
    expect(one.load.costMs).toBeGreaterThan(800)
    for (let second = 0; second < 60; second += 1) {
      clock.pass(1000)
      balancer.observe?.(one, 10)
    }
    expect(one.load.costMs).toBeLessThan(20)
  })

  test('counts weights', () => {
    const members = [testDestination(0, 1), testDestination(1, 3)]
    const balancer = balancerOf({ kind: 'ewma' }, members)
    const counts = shares(balancer, 400, (one) => (one.load.inFlight += 1))
    expect((counts[1] ?? 0) / (counts[0] ?? 1)).toBeGreaterThan(2.8)
    expect((counts[1] ?? 0) / (counts[0] ?? 1)).toBeLessThan(3.2)
  })
})

describe('hash', () => {
  const names = Array.from({ length: 3000 }, (_, index) => `user-${index}`)
  const placed = (balancer: Balancer): number[] => names.map((name) => ask(balancer, user(name)))

  test('is the same for the same key, on every gateway', () => {
    expect(placed(balancerOf({ kind: 'hash', by: 'user' }, many(5)))).toEqual(
      placed(balancerOf({ kind: 'hash', by: 'user' }, many(5))),
    )
  })

  test('spreads keys as the weights say', () => {
    const counts: number[] = []
    for (const target of placed(
      balancerOf({ kind: 'hash', by: 'user' }, [testDestination(0, 1), testDestination(1, 2), testDestination(2, 3)]),
    )) {
      counts[target] = (counts[target] ?? 0) + 1
    }
    for (const [index, share] of [500, 1000, 1500].entries()) expect(Math.abs((counts[index] ?? 0) - share)).toBeLessThan(120)
  })

  test('moves only the keys of a destination that goes, to all the others, and back again', () => {
    const members = many(5)
    const balancer = balancerOf({ kind: 'hash', by: 'user' }, members)
    const before = placed(balancer)
    balancer.use(members.filter(({ target }) => target !== 2))
    const without = placed(balancer)
    expect(without.filter((target, index) => target !== before[index] && before[index] !== 2)).toEqual([])
    expect(new Set(without.filter((_, index) => before[index] === 2))).toEqual(new Set([0, 1, 3, 4]))
    balancer.use(members)
    expect(placed(balancer)).toEqual(before)
  })

  test('passes over one that has more than its share to do, for the same second one each time', () => {
    const members = many(4)
    const balancer = balancerOf({ kind: 'hash', by: 'user' }, members)
    const home = members[ask(balancer, user('busy'))]
    if (home === undefined) throw new Error('there is one')
    home.load.inFlight = 100
    const second = ask(balancer, user('busy'))
    expect(second).not.toBe(home.target)
    expect(ask(balancer, user('busy'))).toBe(second)
    for (const member of members) member.load.inFlight = 100
    expect(ask(balancer, user('busy'))).toBe(home.target)
  })

  test('takes another one than that which failed', () => {
    const members = many(3)
    const balancer = balancerOf({ kind: 'hash', by: 'ip' }, members)
    const home = members[ask(balancer)]
    expect(ask(balancer, {}, home)).not.toBe(home?.target)
    balancer.use(members.slice(0, 1))
    expect(ask(balancer, {}, members[0])).toBe(0)
  })

  test('users of one name in two tenants are two', () => {
    const balancer = balancerOf({ kind: 'hash', by: 'user' }, many(50))
    const differing = names.slice(0, 50).filter((name) => ask(balancer, user(name)) !== ask(balancer, user(name, 'globex')))
    expect(differing.length).toBeGreaterThan(40)
  })

  test('goes by the header, whatever the case of its name, and by the first where there are two', () => {
    const balancer = balancerOf({ kind: 'hash', by: 'header', header: 'x-cart' }, many(50))
    const one = ask(balancer, { rawHeaders: ['x-cart', 'seven'] })
    expect(ask(balancer, { client: '10.0.0.9', rawHeaders: ['accept', '*/*', 'X-Cart', 'seven', 'x-cart', 'eight'] })).toBe(one)
    const others = names.slice(0, 20).map((name) => ask(balancer, { rawHeaders: ['x-cart', name] }))
    expect(new Set(others).size).toBeGreaterThan(10)
  })

  test.each([
    ['a request without a user', { kind: 'hash', by: 'user' }],
    ['a request without the header', { kind: 'hash', by: 'header', header: 'x-cart' }],
  ] as const)('%s goes by the address of its client', (_, config) => {
    const balancer = balancerOf(config, many(50))
    const byIp = balancerOf({ kind: 'hash', by: 'ip' }, many(50))
    const clients = names.slice(0, 20).map((_name, index) => `10.0.0.${index}`)
    expect(clients.map((client) => ask(balancer, { client }))).toEqual(clients.map((client) => ask(byIp, { client })))
  })
})
