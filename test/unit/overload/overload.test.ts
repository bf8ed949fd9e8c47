import { describe, expect, it } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import {
  BATCH,
  FRONT,
  HEALTH,
  LOGIN,
  ORDERS,
  REFRESH,
  ask,
  exchangeOf,
  flood,
  openWorld,
  passes,
  routeOf,
  serviceRoute,
  tenant,
} from './world.ts'

const ACME = tenant('acme')
const GLOBEX = tenant('globex')
const WHO = 'https://issuer.test/ alice'
const OF_ACME = exchangeOf(ORDERS, ACME)
const OF_GLOBEX = exchangeOf(ORDERS, GLOBEX)

describe('requests in flight', () => {
  it('are counted from when the route is known until they are over, once', () => {
    const world = openWorld()
    const place = world.overload.place()
    const counts = [world.overload.inFlight()]
    world.overload.enter(place, OF_ACME)
    counts.push(world.overload.inFlight())
    world.overload.claim(place, OF_ACME)
    counts.push(world.overload.inFlight())
    world.overload.leave(place)
    world.overload.leave(place)
    counts.push(world.overload.inFlight())
    world.overload.leave(world.overload.place())
    counts.push(world.overload.inFlight())
    expect(counts).toEqual([0, 1, 1, 0, 0])
  })

  it('leave the rest of the room to those of higher priority', () => {
    const world = openWorld({ maxRequests: 100 })
    const filled = [exchangeOf(BATCH, ACME), OF_ACME, exchangeOf(HEALTH)].map((exchange) => {
      while (!(ask(world, exchange) instanceof Problem));
      return world.overload.inFlight()
    })
    expect(filled).toEqual([80, 90, 100])
    expect(world.sheds).toEqual(['requests low', 'requests normal', 'requests high'])
  })

  it('are refused with overloaded, and told to come back at different times', () => {
    const world = openWorld({ maxRequests: 1 })
    ask(world, OF_ACME)
    const refusals = Array.from({ length: 200 }, () => ask(world, OF_GLOBEX))
    const told = refusals.map((refusal) => (refusal instanceof Problem ? [refusal.kind, refusal.facts.headers] : []))
    expect(new Set(told.map(([kind]) => kind))).toEqual(new Set(['overloaded']))
    const headers = new Set(told.map(([, facts]) => JSON.stringify(facts)))
    expect([...headers].toSorted()).toEqual(['1', '2', '3', '4', '5'].map((seconds) => `{"retry-after":"${seconds}"}`))
  })

  it('lose their connection when they are refused and connections are short', () => {
    const world = openWorld({ maxRequests: 1 })
    world.connections = 0.9
    ask(world, OF_ACME)
    expect(ask(world, OF_GLOBEX)).toMatchObject({
      kind: 'overloaded',
      facts: { headers: { connection: 'close', 'retry-after': expect.stringMatching(/^[1-5]$/) } },
    })
  })

  it('of one tenant leave room for another, which finds it at once and gets as much in the end', () => {
    const world = openWorld({ maxRequests: 100 })
    const ofAcme = Array.from({ length: 200 }, () => ask(world, OF_ACME)).filter((place) => !(place instanceof Problem))
    // Alone it may fill all the room of its priority.
    expect(ofAcme.length).toBe(90)
    const ofBoth = { acme: 90, globex: 0 }
    for (let turn = 0; turn < 200; turn += 1) {
      const oldest = ofAcme.shift()
      if (oldest !== undefined && !(oldest instanceof Problem)) world.overload.leave(oldest)
      const other = ask(world, OF_GLOBEX)
      if (!(other instanceof Problem)) ofBoth.globex += 1
      const again = ask(world, OF_ACME)
      if (!(again instanceof Problem)) ofAcme.push(again)
      ofBoth.acme = ofAcme.length
    }
    expect(ofBoth.globex).toBe(45)
    expect(ofBoth.acme).toBe(45)
    expect(new Set(world.sheds)).toEqual(new Set(['requests normal', 'share normal']))
  })

  it('of a tenant with a handful are never refused for the sake of its share', () => {
    const world = openWorld({ maxRequests: 100 })
    for (let index = 0; index < 75; index += 1) ask(world, OF_ACME)
    const others = Array.from({ length: 10 }, (_, index) => ask(world, exchangeOf(ORDERS, tenant(`small-${index}`))))
    expect(others.some((place) => place instanceof Problem)).toBe(false)
    expect(ask(world, OF_ACME)).toMatchObject({ kind: 'overloaded' })
  })

  it('keep nobody out before it is known who asks, and have a bound of their own until then', () => {
    const world = openWorld({ maxRequests: 10 })
    const places = Array.from({ length: 9 }, () => world.overload.place())
    for (const place of places) world.overload.enter(place, OF_ACME)
    expect(ask(world, OF_GLOBEX)).toMatchObject({ kind: 'overloaded' })
    const [first] = places
    if (first !== undefined) world.overload.leave(first)
    expect(passes(world, OF_GLOBEX)).toBe(true)
    expect([world.overload.inFlight(), world.sheds]).toEqual([8, ['requests normal']])
    for (const place of places.slice(1)) world.overload.claim(place, OF_ACME)
    expect([world.overload.inFlight(), passes(world, OF_GLOBEX)]).toEqual([8, true])
  })
})

describe('lag', () => {
  it('that stands begins to refuse, the least important first, and ends when the loop is well again', () => {
    const world = openWorld()
    world.lag(270, 4)
    expect(world.overload.share()).toBe(0)
    world.lag(270, 3)
    expect(world.overload.share()).toBeCloseTo(0.5)
    expect(world.overload.isOverloaded()).toBe(false)
    world.lag(900, 10)
    expect(world.overload.share()).toBe(0.9)
    world.rest(500)
    expect(world.overload.share()).toBe(0)
    expect(passes(world, OF_ACME)).toBe(true)
  })

  it('of one long pause refuses nobody', () => {
    const world = openWorld()
    for (let time = 0; time < 10; time += 1) {
      world.turn(2000)
      world.turn(900)
      world.rest(200)
    }
    expect(world.overload.share()).toBe(0)
  })

  it('stays bounded under a flood of twice what can be done', () => {
    const world = openWorld()
    const { outcome, longestMs } = flood(world, [{ name: 'acme', exchange: OF_ACME, rate: 20 }], 8000)
    // Of 20 in a millisecond 5.7 can be served beside refusing the others; if none were refused, turns would grow for ever.
    expect(longestMs).toBeLessThan(700)
    expect(outcome['acme']?.share).toBeGreaterThan(0.15)
    expect(outcome['acme']?.share).toBeLessThan(0.5)
  })

  it('costs nobody anything while there is less to do than can be done', () => {
    const world = openWorld()
    const { outcome } = flood(world, [{ name: 'acme', exchange: OF_ACME, rate: 9 }], 5000)
    expect([outcome['acme']?.share, world.sheds]).toEqual([1, []])
  })

  it('is paid for by the tenant that floods, and not by the others', () => {
    const world = openWorld()
    const { outcome } = flood(
      world,
      [
        { name: 'acme', exchange: OF_ACME, rate: 20 },
        { name: 'globex', exchange: OF_GLOBEX, rate: 1 },
        { name: 'small', exchange: exchangeOf(ORDERS, tenant('small')), rate: 0.05 },
      ],
      8000,
    )
    expect(outcome['globex']?.share).toBeGreaterThan(0.99)
    expect(outcome['small']?.share).toBeGreaterThan(0.99)
    expect(outcome['acme']?.share).toBeLessThan(0.5)
  })

  it('is paid for by low priority before normal and by normal before high, also within a flood', () => {
    const world = openWorld()
    const { outcome } = flood(
      world,
      [
        { name: 'batch', exchange: exchangeOf(BATCH, ACME), rate: 6 },
        { name: 'front', exchange: exchangeOf(FRONT), rate: 2 },
        { name: 'orders', exchange: OF_ACME, rate: 6 },
        { name: 'refresh', exchange: exchangeOf(REFRESH), rate: 0.5 },
        { name: 'health', exchange: exchangeOf(HEALTH), rate: 0.01 },
      ],
      8000,
    )
    expect([outcome['refresh']?.share, outcome['health']?.share]).toEqual([1, 1])
    expect(outcome['orders']?.share).toBeGreaterThan(0.9)
    expect(outcome['batch']?.share).toBeLessThan(0.6)
  })

  it('is paid for by a flood of what has the highest priority, where nothing else is left', () => {
    const world = openWorld()
    const { outcome, longestMs } = flood(
      world,
      [
        { name: 'refresh', exchange: exchangeOf(REFRESH), rate: 20 },
        { name: 'health', exchange: exchangeOf(HEALTH), rate: 0.01 },
      ],
      8000,
    )
    expect(longestMs).toBeLessThan(700)
    expect(outcome['health']?.share).toBe(1)
    expect(outcome['refresh']?.share).toBeLessThan(0.5)
  })

  it('is paid for by public routes each for itself', () => {
    const world = openWorld()
    const { outcome } = flood(
      world,
      [
        { name: 'front', exchange: exchangeOf(FRONT), rate: 20 },
        { name: 'login', exchange: exchangeOf(LOGIN), rate: 0.5 },
      ],
      8000,
    )
    expect(outcome['login']?.share).toBeGreaterThan(0.97)
    expect(outcome['front']?.share).toBeLessThan(0.5)
  })
})

describe('memory', () => {
  it('near its bound refuses requests until some is free again', () => {
    const world = openWorld()
    world.memory = 0.96
    for (let time = 0; time < 200; time += 1) {
      passes(world, OF_ACME)
      world.rest(10)
    }
    expect(world.overload.share()).toBeCloseTo(1 / 3)
    expect(new Set(world.sheds)).toEqual(new Set(['memory normal']))
    world.memory = 0.94
    world.rest(200)
    expect([world.overload.share(), passes(world, OF_ACME)]).toEqual([0, true])
  })
})

describe('an episode', () => {
  it('has one line at its beginning and one at its end, however much comes and goes between', () => {
    const world = openWorld({ maxRequests: 1 })
    const place = ask(world, OF_ACME)
    for (let time = 0; time < 30; time += 1) {
      ask(world, OF_GLOBEX)
      world.rest(1000)
    }
    expect([world.log, world.overload.isOverloaded()]).toEqual([['began requests'], true])
    if (!(place instanceof Problem)) world.overload.leave(place)
    world.rest(3500)
    expect(world.overload.isOverloaded()).toBe(true)
    world.rest(1000)
    expect([world.log, world.overload.isOverloaded()]).toEqual([['began requests', 'ended 29 s 30'], false])
  })
})

describe('effort for signatures', () => {
  it('is spent on whoever has done nothing wrong, and on single errors', () => {
    const world = openWorld()
    const refusals = Array.from({ length: 100 }, () => {
      const refusal = world.overload.effort.refuse(OF_ACME, WHO)
      world.overload.effort.failed(OF_ACME, WHO)
      return refusal
    })
    expect(new Set(refusals)).toEqual(new Set([undefined]))
  })

  it('ends for a network with too many that did not hold, and comes back with time', () => {
    const world = openWorld()
    for (let count = 0; count < 101; count += 1) world.overload.effort.failed(OF_ACME, WHO)
    expect(world.overload.effort.refuse(OF_ACME, WHO)).toMatchObject({
      kind: 'rate_limited',
      facts: { headers: { 'retry-after': '1' }, detail: expect.stringContaining('wrong signatures'), isOneOfMany: true },
    })
    expect(world.overload.effort.refuse(exchangeOf(ORDERS, ACME, { client: '192.0.2.2' }), WHO)).toBeUndefined()
    world.rest(110)
    expect(world.overload.effort.refuse(OF_ACME, WHO)).toBeUndefined()
    world.overload.effort.failed(OF_ACME, WHO)
    expect(world.overload.effort.refuse(OF_ACME, WHO)).toMatchObject({ kind: 'rate_limited' })
    expect(world.sheds).toEqual([])
  })

  it('is one account for all addresses of a customer: a /64', () => {
    const world = openWorld()
    for (let count = 0; count < 101; count += 1) {
      world.overload.effort.failed(exchangeOf(ORDERS, ACME, { client: `2001:db8:1:2::${count.toString(16)}` }), WHO)
    }
    const refusalOf = (client: string) => world.overload.effort.refuse(exchangeOf(ORDERS, ACME, { client }), WHO)?.kind
    expect([refusalOf('2001:db8:1:2:ffff::1'), refusalOf('2001:db8:1:3::1')]).toEqual(['rate_limited', undefined])
  })

  it('remembers a bounded number of networks', () => {
    const world = openWorld()
    for (let count = 0; count < 101; count += 1) world.overload.effort.failed(OF_ACME, WHO)
    for (let index = 0; index < 10_000; index += 1) {
      const client = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      world.overload.effort.failed(exchangeOf(ORDERS, ACME, { client }), WHO)
    }
    expect(world.overload.effort.refuse(OF_ACME, WHO)).toBeUndefined()
  })

  it('is still spent on a user who was seen at the network, for whom a token is as new as a forged one', () => {
    const world = openWorld({ badSignaturesPerMinute: 6 })
    const { effort } = world.overload
    effort.held(OF_ACME, 'alice')
    for (let count = 0; count < 50; count += 1) effort.failed(OF_ACME, 'mallory')
    const elsewhere = exchangeOf(ORDERS, ACME, { client: '192.0.2.2' })
    for (let count = 0; count < 50; count += 1) effort.failed(elsewhere, 'mallory')
    const kinds = [effort.refuse(OF_ACME, 'alice'), effort.refuse(OF_ACME, 'mallory'), effort.refuse(elsewhere, 'alice')]
    expect(kinds.map((problem) => problem?.kind)).toEqual([undefined, 'rate_limited', 'rate_limited'])
    // Who forges tokens in her name costs her what is hers, and nobody else anything.
    effort.held(OF_ACME, 'bob')
    for (let count = 0; count < 50; count += 1) effort.failed(OF_ACME, 'alice')
    expect([effort.refuse(OF_ACME, 'alice')?.kind, effort.refuse(OF_ACME, 'bob')]).toEqual(['rate_limited', undefined])
  })

  it('is a party of its own under load: tokens that are known already are not slowed down by those that are not', () => {
    const world = openWorld()
    const { outcome } = flood(
      world,
      [
        { name: 'unknown', exchange: OF_ACME, rate: 20, ask: () => world.overload.effort.refuse(OF_ACME, WHO) === undefined },
        { name: 'acme', exchange: OF_ACME, rate: 1 },
        { name: 'globex', exchange: OF_GLOBEX, rate: 1 },
      ],
      8000,
    )
    expect(outcome['acme']?.share).toBeGreaterThan(0.85)
    expect(outcome['globex']?.share).toBeGreaterThan(0.85)
    expect(outcome['unknown']?.share).toBeLessThan(0.5)
    expect(new Set(world.sheds)).toEqual(new Set(['lag normal']))
  })
})

describe('without it', () => {
  it('nothing is refused, and requests are counted', () => {
    const world = openWorld({ enabled: false, maxRequests: 1 })
    for (let count = 0; count < 200; count += 1) world.overload.effort.failed(OF_ACME, WHO)
    world.lag(500, 20)
    const places = Array.from({ length: 5 }, () => ask(world, OF_ACME))
    expect(places.some((place) => place instanceof Problem)).toBe(false)
    expect([world.overload.inFlight(), world.overload.effort.refuse(OF_ACME, WHO), world.sheds]).toEqual([5, undefined, []])
  })

  it('a configuration that says otherwise is in force a moment later', () => {
    const world = openWorld({ enabled: false, maxRequests: 1 })
    ask(world, OF_ACME)
    world.config = { ...world.config, enabled: true }
    world.rest(200)
    expect(ask(world, OF_ACME)).toMatchObject({ kind: 'overloaded' })
  })
})

describe('priorities', () => {
  it.each([
    ['a route with a token', ORDERS, 'normal'],
    ['a public route', FRONT, 'low'],
    ['an optional route', routeOf({ auth: 'optional' }), 'normal'],
    ['a public route that says so', routeOf({ auth: 'public', priority: 'high' }), 'high'],
    ['health', HEALTH, 'high'],
    ['refresh', REFRESH, 'high'],
    ['logout', serviceRoute('accounts', 'logout'), 'high'],
    ['revoke', serviceRoute('sessions', 'revoke', 'public'), 'high'],
    ['the published keys', serviceRoute('discovery', 'jwks', 'public'), 'high'],
    ['validate', serviceRoute('sessions', 'validate', 'public'), 'normal'],
    ['the profile', serviceRoute('accounts', 'profile'), 'normal'],
    ['login', LOGIN, 'low'],
    ['register', serviceRoute('accounts', 'register', 'public'), 'low'],
    ['a check of a username', serviceRoute('usernames', 'availability', 'optional'), 'low'],
    ['a public echo', serviceRoute('echo', 'below', 'public'), 'low'],
  ])('of %s', (_, route, priority) => {
    const world = openWorld({ maxRequests: 1 })
    ask(world, exchangeOf(HEALTH))
    ask(world, exchangeOf(route))
    expect(world.sheds).toEqual([`requests ${priority}`])
  })

  it('a large body makes its request one of the first to go, but for those that go last', () => {
    const world = openWorld({ maxRequests: 1 })
    ask(world, exchangeOf(HEALTH))
    for (const route of [ORDERS, REFRESH]) {
      for (const bodyLength of [1024 * 1024, 1024 * 1024 + 1]) ask(world, exchangeOf(route, ACME, { bodyLength }))
    }
    expect(world.sheds).toEqual(['requests normal', 'requests low', 'requests high', 'requests high'])
  })
})
