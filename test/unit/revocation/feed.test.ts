import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import type { Revocation, TokenFacts } from '../../../src/revocation/revocation.ts'
import { START_SECONDS, covers, createWorld, rest } from './world.ts'
import type { World } from './world.ts'

const LATER = START_SECONDS + 100_000

function token(id: string, expiresAt = LATER): Revocation {
  return { kind: 'token', tenant: 'acme', id, expiresAt }
}

function lists(world: World, tokenId: string): boolean {
  return world.room.lists({ tenant: 'acme', user: 'nobody', tokenId, epoch: 0 })
}

describe('starting', () => {
  it('is ready when the snapshot is loaded', async () => {
    const world = createWorld()
    world.log.append(token('before'))
    expect(world.room.isReady()).toBe(false)
    await world.room.start()
    expect(world.room.isReady()).toBe(true)
    expect(lists(world, 'before')).toBe(true)
    expect(world.room.stalenessMs()).toBe(0)
    expect(world.log.snapshots).toBe(1)
    await world.room.stop()
  })

  it('tries until the log answers', async () => {
    const world = createWorld()
    world.log.append(token('before'))
    world.log.mode = 'fails'
    const starting = world.room.start()
    await world.pass(10_000)
    expect(world.room.isReady()).toBe(false)
    expect(world.log.snapshots).toBeGreaterThan(5)
    expect(world.log.snapshots).toBeLessThan(20)
    world.log.mode = 'answers'
    await world.pass(2000)
    await starting
    expect([world.room.isReady(), lists(world, 'before')]).toEqual([true, true])
    expect(world.told).toEqual(['feed down', 'feed up'])
    await world.room.stop()
  })

  it('ends when the room is stopped before', async () => {
    const world = createWorld()
    world.log.mode = 'hangs'
    const starting = world.room.start()
    await world.room.stop()
    await starting
    expect(world.room.isReady()).toBe(false)
    await expect(world.room.synced()).rejects.toMatchObject({ kind: 'storage_unavailable' })
  })
})

describe('following', () => {
  it('applies what it is woken for at once, and says how long it took', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('a'))
    await rest()
    expect(lists(world, 'a')).toBe(true)
    expect(world.told).toEqual(['lag 0'])
    await world.room.stop()
  })

  it('looks every 250 ms when nobody wakes it', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('a'), 'silent')
    await world.pass(249)
    expect(lists(world, 'a')).toBe(false)
    await world.pass(1)
    expect(lists(world, 'a')).toBe(true)
    await world.pass(60_000)
    expect(world.room.stalenessMs()).toBeLessThanOrEqual(250)
    expect(world.log.snapshots).toBe(1)
    await world.room.stop()
  })

  it('is fresh only when it has reached the end of a long log', async () => {
    const world = createWorld()
    await world.room.start()
    for (let number = 0; number < 100; number += 1) world.log.append(token(`t${number}`), 'silent')
    let whileBehind = 0
    world.room.onRevoked((revocation) => {
      if (revocation.kind === 'token' && revocation.id === 't99') whileBehind = world.room.stalenessMs()
    })
    await world.pass(250)
    expect(world.room.entries()).toBe(100)
    expect(whileBehind).toBe(250)
    expect(world.room.stalenessMs()).toBe(0)
    await world.room.stop()
  })

  it('is as old as the beginning of its last read', async () => {
    const world = createWorld()
    await world.room.start()
    const gate = Promise.withResolvers<void>()
    world.log.gate = gate.promise
    await world.pass(1000)
    expect(world.log.reads).toBe(1)
    gate.resolve()
    await rest()
    expect(world.room.stalenessMs()).toBe(750)
    await world.room.stop()
  })

  it('keeps what it knows while the log is away, grows stale, and catches up', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('known'))
    await rest()
    world.log.mode = 'fails'
    world.log.append(token('missed'))
    await world.pass(30_000)
    expect([lists(world, 'known'), lists(world, 'missed')]).toEqual([true, false])
    expect(world.room.stalenessMs()).toBe(30_000)
    expect(world.room.isReady()).toBe(true)
    expect(world.log.reads + world.log.snapshots).toBeLessThan(40)
    world.log.mode = 'answers'
    await world.pass(2000)
    expect([lists(world, 'known'), lists(world, 'missed')]).toEqual([true, true])
    expect(world.room.stalenessMs()).toBeLessThan(2000)
    expect(world.told.filter((line) => line.startsWith('feed'))).toEqual(['feed down', 'feed up'])
    await world.room.stop()
  })

  it('gives up a read that hangs, and takes a new one', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.mode = 'hangs'
    world.log.append(token('a'))
    await world.pass(4999)
    expect(world.log.reads).toBe(1)
    world.log.mode = 'answers'
    await world.pass(1000)
    expect(lists(world, 'a')).toBe(true)
    expect(world.room.stalenessMs()).toBeLessThan(1000)
    await world.room.stop()
  })

  it('loads the whole again when the log moved backwards, and forgets nothing that is alive', async () => {
    const world = createWorld()
    world.log.append(token('old'))
    await world.room.start()
    world.log.append(token('lost'))
    world.log.append({ kind: 'user', tenant: 'acme', id: 'u', epoch: 7, at: 0, expiresAt: LATER })
    await rest()
    world.log.putBack(1)
    await world.pass(250)
    expect(world.log.snapshots).toBe(2)
    expect([lists(world, 'old'), lists(world, 'lost')]).toEqual([true, true])
    world.log.append({ kind: 'user', tenant: 'acme', id: 'u', epoch: 6, at: 0, expiresAt: LATER })
    world.log.append(token('new'))
    await rest()
    expect(lists(world, 'new')).toBe(true)
    expect(world.room.lists({ tenant: 'acme', user: 'u', epoch: 6 })).toBe(true)
    expect(world.room.lists({ tenant: 'acme', user: 'u', epoch: 7 })).toBe(false)
    await world.room.stop()
  })

  it('loads the whole when the log refuses its position again and again', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.refusesPosition = true
    world.log.append(token('a'))
    await world.pass(1000)
    expect(lists(world, 'a')).toBe(true)
    world.log.refusesPosition = false
    world.log.append(token('b'))
    await rest()
    expect(lists(world, 'b')).toBe(true)
    await world.room.stop()
  })

  it('reads on from where it was after a log was away for long', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.mode = 'away'
    await world.pass(60_000)
    world.log.mode = 'hangs'
    await world.pass(60_000)
    world.log.append(token('a'))
    world.log.mode = 'answers'
    await world.pass(8000)
    expect([lists(world, 'a'), world.log.snapshots]).toEqual([true, 1])
    await world.room.stop()
  })

  it('lets other work have its turn in a log without end', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.batch = 1
    for (let number = 0; number < 100; number += 1) world.log.append(token(`t${number}`), 'silent')
    const readsBefore = world.log.reads
    void world.room.synced()
    await rest()
    expect(world.log.reads - readsBefore).toBeLessThanOrEqual(16)
    await world.pass(1)
    expect(world.room.entries()).toBe(100)
    await world.room.stop()
  })

  it('reads no more after it was stopped', async () => {
    const world = createWorld()
    await world.room.start()
    await world.room.stop()
    const before = world.log.reads
    world.log.append(token('a'))
    await world.pass(10_000)
    expect([world.log.reads, lists(world, 'a')]).toEqual([before, false])
  })
})

describe('synced', () => {
  it('resolves when what was appended before is in force, without a wake', async () => {
    const world = createWorld()
    await world.room.start()
    for (let number = 0; number < 10; number += 1) world.log.append(token(`t${number}`), 'silent')
    await world.room.synced()
    expect(world.room.entries()).toBe(10)
    await world.room.stop()
  })

  it('does not take a read for its own that began before the call', async () => {
    const world = createWorld()
    await world.room.start()
    await rest()
    const first = world.room.synced()
    // The read of `first` has looked already; it knows nothing of what follows.
    world.log.append(token('a'), 'silent')
    const second = world.room.synced().then(() => lists(world, 'a'))
    await first
    expect(await second).toBe(true)
    await world.room.stop()
  })

  it('rejects when the log cannot be read for a second', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.mode = 'fails'
    const refused = expect(world.room.synced()).rejects.toMatchObject({
      kind: 'storage_unavailable',
      facts: { headers: { 'retry-after': '1' } },
    })
    await world.pass(1100)
    await refused
    await world.room.stop()
  })

  it('reads again for whoever waits when a read fails, and resolves when that succeeds', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('a'), 'silent')
    world.log.mode = 'away'
    let inStep = false
    const synced = world.room.synced().then(() => (inStep = true))
    await world.pass(300)
    expect(inStep).toBe(false)
    world.log.mode = 'answers'
    await world.pass(50)
    await synced
    expect(lists(world, 'a')).toBe(true)
    await world.room.stop()
  })

  it('is not kept waiting by a log that was away for long and wakes its readers when it is back', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.mode = 'away'
    await world.pass(20_000)
    world.log.mode = 'answers'
    world.log.append(token('a'))
    await rest()
    expect([lists(world, 'a'), world.room.stalenessMs()]).toEqual([true, 0])
    await world.room.stop()
  })
})

describe('expiry', () => {
  it('brings memory back to its base', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.batch = 100_000
    for (let number = 0; number < 25_000; number += 1) {
      const tenant = `tenant-${number % 50}`
      const expiresAt = START_SECONDS + 30
      world.log.append({ kind: 'token', tenant, id: `t${number}`, expiresAt }, 'silent')
      world.log.append({ kind: 'session', tenant, id: `s${number}`, expiresAt }, 'silent')
      world.log.append({ kind: 'user', tenant, id: `u${number}`, epoch: 1, at: 0, expiresAt }, 'silent')
    }
    world.log.append(token('alive'), 'silent')
    await world.room.synced()
    expect(world.room.entries()).toBe(75_001)
    await world.pass(59_999)
    expect(world.room.entries()).toBe(75_001)
    await world.pass(1000)
    expect(world.room.entries()).toBe(1)
    expect(lists(world, 'alive')).toBe(true)
    await world.room.stop()
  })

  it('keeps an entry as long as the longest that was said of it', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('a', START_SECONDS + 200))
    world.log.append(token('a', START_SECONDS + 30))
    world.log.append(token('b', START_SECONDS + 30))
    world.log.append(token('b', START_SECONDS + 200))
    await world.pass(130_000)
    expect([lists(world, 'a'), lists(world, 'b')]).toEqual([true, true])
    await world.pass(120_000)
    expect([lists(world, 'a'), lists(world, 'b'), world.room.entries()]).toEqual([false, false, 0])
    await world.room.stop()
  })

  it('comes after the last second, not before', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.append(token('past', START_SECONDS + 59))
    world.log.append(token('last', START_SECONDS + 60))
    await world.pass(60_999)
    expect([lists(world, 'past'), lists(world, 'last')]).toEqual([false, true])
    await world.room.stop()
  })
})

type Step =
  | { readonly kind: 'append'; readonly revocation: Revocation; readonly how: 'wakes' | 'silent' }
  | { readonly kind: 'mode'; readonly mode: 'answers' | 'fails' | 'hangs' }
  | { readonly kind: 'pass'; readonly milliseconds: number }
  | { readonly kind: 'putBack'; readonly by: number }
  | { readonly kind: 'turn' }

const ids = fc.constantFrom('a', 'b', 'c', 'd')
const tenants = fc.constantFrom('x', 'y')
const expiresAt = fc.integer({ min: START_SECONDS + 1, max: START_SECONDS + 400 })
const revocations: fc.Arbitrary<Revocation> = fc.oneof(
  fc.record({ kind: fc.constant('token' as const), tenant: tenants, id: ids, expiresAt }),
  fc.record({ kind: fc.constant('session' as const), tenant: tenants, id: ids, expiresAt }),
  fc.record({
    kind: fc.constant('user' as const),
    tenant: tenants,
    id: ids,
    epoch: fc.integer({ min: 1, max: 5 }),
    at: fc.integer({ min: START_SECONDS - 5, max: START_SECONDS + 5 }),
    expiresAt,
  }),
  fc.record({ kind: fc.constant('key' as const), tenant: tenants, id: ids, expiresAt }),
  fc.record({
    kind: fc.constant('tenant' as const),
    tenant: fc.constantFrom('z', 'zz'),
    at: fc.integer({ min: START_SECONDS - 5, max: START_SECONDS + 5 }),
    expiresAt,
  }),
)
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      revocation: revocations,
      how: fc.constantFrom('wakes' as const, 'silent' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      mode: fc.constantFrom('answers' as const, 'fails' as const, 'hangs' as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), milliseconds: fc.integer({ min: 0, max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('putBack' as const), by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
)

/** A token that the revocation, alone, kills. */
function victim(revocation: Revocation): TokenFacts {
  const nobody = { tenant: revocation.tenant, user: 'nobody', epoch: 99 }
  if (revocation.kind === 'token') return { ...nobody, tokenId: revocation.id }
  if (revocation.kind === 'session') return { ...nobody, session: revocation.id }
  if (revocation.kind === 'key') return { ...nobody, keyId: revocation.id }
  if (revocation.kind === 'tenant') return { ...nobody, issuedAt: revocation.at }
  return { tenant: revocation.tenant, user: revocation.id, epoch: revocation.epoch - 1 }
}

describe('whatever appends, failures, wakes, reads and roll-backs do', () => {
  it('what was read is in force until it expires, nothing else is, and memory returns to its base', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (script) => {
        const world = createWorld()
        const everAppended: Revocation[] = []
        const read: Revocation[] = []
        world.room.onRevoked((revocation) => read.push(revocation))
        void world.room.start()
        const isAlive = (revocation: Revocation): boolean => revocation.expiresAt >= world.nowSeconds()
        for (const step of script) {
          if (step.kind === 'append') {
            everAppended.push(step.revocation)
            world.log.append(step.revocation, step.how)
          }
          if (step.kind === 'mode') world.log.mode = step.mode
          if (step.kind === 'putBack') {
            // A position is a number: it shows that a log went back only until the log has grown past it again.
            world.log.putBack(Math.max(0, world.log.entries.length - step.by))
            world.log.mode = 'answers'
            await world.pass(8000)
          }
          if (step.kind === 'pass') await world.pass(step.milliseconds)
          if (step.kind === 'turn') await rest()
          for (const revocation of read.filter(isAlive)) expect(world.room.lists(victim(revocation))).toBe(true)
          for (const revocation of everAppended) {
            const told = everAppended.some((other) => covers(other, victim(revocation)) && read.includes(other))
            if (!told) expect(world.room.lists(victim(revocation))).toBe(false)
          }
        }
        world.log.mode = 'answers'
        await world.pass(8000)
        for (const revocation of world.log.entries.filter(isAlive)) expect(world.room.lists(victim(revocation))).toBe(true)
        expect(world.room.stalenessMs()).toBeLessThanOrEqual(250)
        await world.pass(500_000)
        expect(world.room.entries()).toBe(0)
        await world.room.stop()
      }),
      { numRuns: 100 },
    )
  }, 60_000)
})
