import { describe, expect, it } from 'vitest'
import type { Charged, SharedCounts, Taken } from '../../../src/quota/quota.ts'
import { createWorld, limitsOf, settled, type World } from './world.ts'

/** A store that answers when it is told to. */
function storeOf() {
  const asked: { readonly charges: readonly Charged[]; answer(taken: Taken): void; fail(): void }[] = []
  const looks: { answer(): void; fail(): void }[] = []
  const counts: SharedCounts = {
    parts: 1,
    partOf: () => 0,
    take: (_, charges) =>
      new Promise((resolve, reject) => asked.push({ charges, answer: resolve, fail: () => reject(new Error('away')) })),
    look: () => new Promise((resolve, reject) => looks.push({ answer: () => resolve(1), fail: () => reject(new Error('away')) })),
  }
  return { asked, looks, counts }
}

const rateLimit = limitsOf('3/60 ip')
const SECOND = 1_000_000

/** Lets requests fail until the store is given up. */
async function giveUp(world: World, store: ReturnType<typeof storeOf>, client = '203.0.113.9'): Promise<void> {
  for (let failure = 0; failure < 3; failure += 1) {
    const asking = world.ask({ rateLimit: limitsOf('1000/1 ip'), client })
    store.asked.at(-1)?.fail()
    await asking
  }
  expect(world.breakers.at(-1)).toBe('open')
}

describe('with counts of the fleet', () => {
  it('asks once for all limits of a request, with what a store needs to count', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const asking = world.ask({ rateLimit: limitsOf('3/60 user', '10/1 ip burst 20') })
    expect(store.asked.map(({ charges }) => charges)).toMatchObject([
      [
        { route: 'orders', policy: 'user', caller: 'user:acme:alice', intervalUs: 20 * SECOND, spanUs: 60 * SECOND },
        { route: 'orders', policy: 'ip', caller: 'ip:192.0.2.1', intervalUs: SECOND / 10, spanUs: 2 * SECOND },
      ],
    ])
    store.asked[0]?.answer({ isAdmitted: true, debtsUs: [40 * SECOND, SECOND / 10] })
    expect(await asking).toEqual({
      outcome: '200',
      remaining: '"user";r=1;t=40, "ip";r=19;t=1',
      policy: '"user";q=3;w=60, "ip";q=20;w=2',
      retryAfter: undefined,
    })
    expect(world.counted).toEqual(['shared'])
  })

  it('refuses what the fleet has no room for, with its words', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const asking = world.ask({ rateLimit })
    store.asked[0]?.answer({ isAdmitted: false, debtsUs: [45 * SECOND] })
    expect(await asking).toMatchObject({ outcome: 'rate_limited', retryAfter: '5', remaining: '"ip";r=0;t=45' })
    expect(world.limited).toEqual(['orders ip'])
  })

  it('refuses without a question whoever is known to have no room, until there is some', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const first = world.ask({ rateLimit })
    store.asked[0]?.answer({ isAdmitted: true, debtsUs: [60 * SECOND] })
    await first
    expect(await world.many(100, { rateLimit })).toBe(0)
    world.nowMs += 19_999
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: 'rate_limited', retryAfter: '1' })
    expect(store.asked.length).toBe(1)
    world.nowMs += 1
    void world.ask({ rateLimit })
    expect(store.asked.length).toBe(2)
  })

  it('counts here at once when the store says that it is away, and gives it up after three', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const outcomes: string[] = []
    for (let number = 0; number < 5; number += 1) {
      const asking = world.ask({ rateLimit })
      store.asked[number]?.fail()
      outcomes.push((await asking).outcome)
    }
    expect(outcomes).toEqual(['200', '200', '200', 'rate_limited', 'rate_limited'])
    expect(store.asked.length).toBe(3)
    expect(world.breakers).toEqual(['closed', 'open'])
    expect(world.counted).toEqual(Array(5).fill('here'))
  })

  it('waits for its timeout and no longer, and for nothing once the store is given up', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const asking = Promise.all([world.ask({ rateLimit }), world.ask({ rateLimit }), world.ask({ rateLimit })])
    await world.pass(49)
    expect(world.counted).toEqual([])
    await world.pass(1)
    expect((await asking).map(({ outcome }) => outcome)).toEqual(['200', '200', '200'])
    expect(world.breakers).toEqual(['closed', 'open'])
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: 'rate_limited' })
    expect(store.asked.length).toBe(3)
  })

  it('goes on from what the fleet had said: to give the store up sets nobody free', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const first = world.ask({ rateLimit })
    store.asked[0]?.answer({ isAdmitted: true, debtsUs: [40 * SECOND] })
    await first
    await giveUp(world, store)
    expect(await world.many(5, { rateLimit })).toBe(1)
  })

  it('looks by itself whether the store is back, and asks it again then', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    await giveUp(world, store)
    await world.pass(249)
    expect(store.looks.length).toBe(0)
    await world.pass(1)
    store.looks[0]?.fail()
    await world.pass(250)
    expect(store.looks.length).toBe(2)
    expect(world.breakers.at(-1)).toBe('open')
    store.looks[1]?.answer()
    await settled()
    expect(world.breakers).toEqual(['closed', 'open', 'closed'])
    const asking = world.ask({ rateLimit })
    store.asked.at(-1)?.answer({ isAdmitted: true, debtsUs: [20 * SECOND] })
    expect(await asking).toMatchObject({ outcome: '200', remaining: '"ip";r=2;t=20' })
    expect(world.counted.at(-1)).toBe('shared')
  })

  it('looks again where a look is not answered', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    await giveUp(world, store)
    await world.pass(250 + 50 + 250)
    expect(store.looks.length).toBe(2)
    world.quota.stop()
    await world.pass(10_000)
    expect(store.looks.length).toBe(2)
  })

  it('gives up nothing for failures between which there is an answer', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    for (let number = 0; number < 9; number += 1) {
      const asking = world.ask({ rateLimit: limitsOf('100/1 ip') })
      if (number % 3 === 2) store.asked[number]?.answer({ isAdmitted: true, debtsUs: [0] })
      else store.asked[number]?.fail()
      await asking
    }
    expect(world.breakers).toEqual(['closed'])
  })

  it('gives up only the part that is away', async () => {
    const store = storeOf()
    const counts: SharedCounts = {
      parts: 2,
      partOf: ([charge]) => (charge?.caller === 'ip:203.0.113.9' ? 1 : 0),
      take: (part, charges) => (part === 1 ? Promise.reject(new Error('away')) : store.counts.take(part, charges)),
      look: () => Promise.reject(new Error('away')),
    }
    const world = createWorld(counts)
    for (let number = 0; number < 5; number += 1) await world.ask({ rateLimit: limitsOf('9/1 ip'), client: '203.0.113.9' })
    expect(world.breakers).toEqual(['closed', 'open'])
    const asking = world.ask({ rateLimit })
    store.asked[0]?.answer({ isAdmitted: true, debtsUs: [20 * SECOND] })
    await asking
    expect(world.counted).toEqual([...Array(5).fill('here'), 'shared'])
    world.quota.stop()
  })

  it('takes an answer that comes late for none: the request was counted here', async () => {
    const store = storeOf()
    const world = createWorld(store.counts)
    const asking = world.ask({ rateLimit })
    await world.pass(50)
    store.asked[0]?.answer({ isAdmitted: false, debtsUs: [60 * SECOND] })
    expect(await asking).toMatchObject({ outcome: '200', remaining: '"ip";r=2;t=20' })
  })

  it('does not take the debt of somebody else for a reason to refuse, where the fleet knows better', async () => {
    const store = storeOf()
    const world = createWorld(store.counts, { entries: 256 })
    // More callers than there is room for, all of them spent.
    for (let caller = 0; caller < 3_000; caller += 1) {
      const asking = world.ask({ rateLimit, client: `10.0.${caller >> 8}.${caller & 255}` })
      store.asked.at(-1)?.answer({ isAdmitted: true, debtsUs: [60 * SECOND] })
      expect((await asking).outcome).toBe('200')
    }
  })
})
