/** A store of keys that loses what it had: gateways that know better put it right, and no token is refused meanwhile. */
import { describe, expect, it } from 'vitest'
import type { KeyStore, Tenants } from '../../../src/tenants/tenants.ts'
import { configured, createWorld, memoryStore, MINUTE, OTHER_KEY, tenant, type MemoryStore, type World } from './world.ts'

const CONFIG = configured(tenant('acme'))
const ACT = { actor: 'admin', reason: 'test' }
const OWNERS = ['tenant:acme', 'gateway']
/** The life of a token, and how long a process may sign with a key that was replaced. */
const OVER_SECONDS = 30 * MINUTE

const states = async (one: Tenants): Promise<readonly string[]> => (await one.keys.list('acme')).map(({ state }) => state)
const current = async (one: Tenants): Promise<string | undefined> =>
  (await one.keys.list('acme')).find(({ state }) => state === 'current')?.kid
const published = (one: Tenants): readonly string[] => one.publicKeys('acme').map(({ kid }) => kid)

/** What the store holds now, to be put back later. */
function snapshot({ sets }: MemoryStore): () => void {
  const kept = new Map(sets)
  return () => {
    sets.clear()
    for (const [owner, sealed] of kept) sets.set(owner, sealed)
  }
}

async function openTwo(world: World): Promise<{ store: MemoryStore; one: Tenants; other: Tenants }> {
  const store = memoryStore()
  return { store, one: await world.open(store, CONFIG), other: await world.open(store, CONFIG) }
}

describe('a store that lost its sets', () => {
  it('and was given new ones by a gateway that starts first, has both in the end, and the older key signs on', async () => {
    const world = createWorld()
    const { store, one, other } = await openTwo(world)
    const old = await current(one)
    world.clock.now += MINUTE
    store.sets.clear()
    const fresh = await world.open(store, CONFIG)
    const made = await current(fresh)
    expect(made).not.toBe(old)
    await one.reload()
    await other.reload()
    await fresh.reload()
    for (const each of [one, other, fresh]) {
      expect(await current(each)).toBe(old)
      expect(published(each)).toEqual([old, made])
    }
    expect(fresh.passport.jwks()).toBe(one.passport.jwks())
    world.clock.now += OVER_SECONDS
    await one.reload()
    expect(await states(one)).toEqual(['current', 'retired'])
  })

  it('is put right once, however many know better, and is left alone then', async () => {
    const world = createWorld()
    const sets = new Map<string, string>()
    const store = memoryStore(sets, () => new Promise((resolve) => setImmediate(resolve)))
    const fleet = await Promise.all(Array.from({ length: 5 }, () => world.open(store, CONFIG)))
    const [first] = fleet
    if (first === undefined) throw new Error('nobody')
    const old = await current(first)
    world.clock.now += MINUTE
    sets.clear()
    const fresh = await world.open(store, CONFIG)
    const made = published(fresh)
    await Promise.all(fleet.map((one) => one.reload()))
    const healed = OWNERS.map((owner) => sets.get(owner))
    for (let round = 0; round < 3; round += 1) await Promise.all([fresh, ...fleet].map((one) => one.reload()))
    expect(OWNERS.map((owner) => sets.get(owner))).toEqual(healed)
    for (const one of [fresh, ...fleet]) expect(published(one)).toEqual([old, ...made])
  })

  it('gets what a copy on the disk of a starting gateway says, before a key is made anew', async () => {
    const world = createWorld()
    const { store, one } = await openTwo(world)
    const copies = new Map(store.sets)
    const old = await current(one)
    store.sets.clear()
    const heardAt = world.clock.now
    const withCopy: KeyStore = {
      ...store,
      kept: async (owner) => ({ sealed: copies.get(owner) ?? '', heardAt }),
    }
    expect(await current(await world.open(withCopy, CONFIG))).toBe(old)
    expect(store.sets).toEqual(copies)
    store.sets.clear()
    // Of another master key, a copy says nothing.
    const elsewhere = await world.open(withCopy, CONFIG, [OTHER_KEY])
    expect(await current(elsewhere)).not.toBe(old)
  })
})

describe('a store that went back', () => {
  it('does not bring a key back that was revoked', async () => {
    const world = createWorld()
    const { store, one, other } = await openTwo(world)
    const old = (await current(one)) ?? ''
    const putBack = snapshot(store)
    const { current: next } = await one.keys.revoke('acme', old, ACT)
    putBack()
    // Whoever has not heard of it yet reads the old set, and finds nothing wrong.
    await other.reload()
    expect(published(other)).toEqual([old])
    await one.reload()
    await other.reload()
    for (const each of [one, other]) expect([published(each), await states(each)]).toEqual([[next], ['current', 'revoked']])
    expect(await current(await world.open(store, CONFIG))).toBe(next)
  })

  it('keeps the key that became current since, and verifies what it signed', async () => {
    const world = createWorld()
    const { store, one, other } = await openTwo(world)
    const old = await current(one)
    const putBack = snapshot(store)
    await one.keys.rotate('acme', ACT)
    world.clock.now += 11 * MINUTE
    await one.keys.rotate('acme', ACT)
    await other.reload()
    const next = await current(one)
    putBack()
    await other.reload()
    const late = await world.open(store, CONFIG)
    for (const each of [one, other, late]) expect([await current(each), published(each)]).toEqual([next, [next, old]])
  })

  it('and in which others have made other keys since, has all of them, and one signs', async () => {
    const world = createWorld()
    const { store, one } = await openTwo(world)
    const old = (await current(one)) ?? ''
    const putBack = snapshot(store)
    const { current: mine } = await one.keys.revoke('acme', old, ACT)
    putBack()
    world.clock.now += 1
    const stranger = await world.open(store, CONFIG)
    const { current: theirs } = await stranger.keys.revoke('acme', old, ACT)
    await one.reload()
    await stranger.reload()
    for (const each of [one, stranger]) {
      expect([published(each), await states(each)]).toEqual([
        [mine, theirs],
        ['current', 'previous', 'revoked'],
      ])
    }
  })
})

it('a gateway that slept through many revocations brings none of those keys back', async () => {
  const world = createWorld()
  const { one, other } = await openTwo(world)
  for (let round = 0; round < 12; round += 1) {
    world.clock.now += 1
    await one.keys.revoke('acme', (await current(one)) ?? '', ACT)
  }
  const last = await current(one)
  await other.reload()
  await one.reload()
  expect([published(one), published(other)]).toEqual([[last], [last]])
})
