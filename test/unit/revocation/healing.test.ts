import { describe, expect, it } from 'vitest'
import type { Revocation } from '../../../src/revocation/revocation.ts'
import { START_SECONDS, createWorld, rest } from './world.ts'

const LATER = START_SECONDS + 100_000

function token(id: string, expiresAt = LATER): Revocation {
  return { kind: 'token', tenant: 'acme', id, expiresAt }
}

describe('a log that lost what was in it', () => {
  it('gets back exactly what it lacks, of every kind, and once', async () => {
    const world = createWorld()
    const facts: Revocation[] = [
      token('kept'),
      token('0123456789abcdef0123456789abcdef'),
      { kind: 'session', tenant: 'acme', id: 'lost', expiresAt: LATER },
      { kind: 'user', tenant: 'acme', id: 'u', epoch: 7, at: START_SECONDS, expiresAt: LATER },
      { kind: 'tenant', tenant: 'globex', at: START_SECONDS, expiresAt: LATER },
      { kind: 'key', tenant: 'acme', id: 'k', expiresAt: LATER },
      token('expires', START_SECONDS),
    ]
    for (const fact of facts) world.log.append(fact)
    await world.room.start()
    await world.pass(3000)
    world.log.putBack(1)
    await world.pass(1250)
    expect(world.log.restores).toHaveLength(1)
    expect(new Set(world.log.restores[0])).toEqual(new Set(facts.slice(1, -1)))
    expect(new Set(world.log.entries)).toEqual(new Set(facts.slice(0, -1)))
    expect(world.told).toContain('restored 5')
    await world.pass(600_000)
    expect(world.log.restores).toHaveLength(1)
    await world.room.stop()
  })

  it('is asked again until it takes it', async () => {
    const world = createWorld()
    world.log.append(token('a'))
    await world.room.start()
    world.log.putBack(0)
    await world.pass(260)
    world.log.mode = 'fails'
    await world.pass(60_000)
    const attempts = world.log.restores.length
    expect(attempts).toBeGreaterThan(2)
    expect(attempts).toBeLessThan(20)
    expect(world.log.entries).toEqual([])
    world.log.mode = 'answers'
    await world.pass(40_000)
    expect(world.log.entries).toEqual([token('a')])
    expect(world.told).toContain('restored 1')
    await world.room.stop()
  })

  it('is left alone when another gateway was first', async () => {
    const first = createWorld()
    first.log.append(token('a'))
    first.log.append(token('b'))
    const second = createWorld({ log: first.log })
    await first.room.start()
    await second.room.start()
    first.log.putBack(0)
    await first.pass(250)
    await second.pass(250)
    await first.pass(1000)
    await second.pass(250)
    await second.pass(2000)
    expect(new Set(first.log.entries)).toEqual(new Set([token('a'), token('b')]))
    expect(first.log.restores).toHaveLength(1)
    expect([...first.told, ...second.told].filter((line) => line.startsWith('restored'))).toEqual(['restored 2'])
    await first.room.stop()
    await second.room.stop()
  })

  it('lost nothing when it can be followed, and nothing is put into it', async () => {
    const world = createWorld()
    for (let number = 0; number < 10; number += 1) world.log.append(token(`t${number}`))
    await world.room.start()
    world.log.append(token('more'))
    await world.pass(600_000)
    expect([world.log.restores, world.log.snapshots]).toEqual([[], 1])
    await world.room.stop()
  })

  it('gets nothing from a gateway that was stopped', async () => {
    const world = createWorld()
    world.log.append(token('a'))
    await world.room.start()
    world.log.putBack(0)
    await world.pass(260)
    await world.room.stop()
    await world.pass(10_000)
    expect(world.log.restores).toEqual([])
  })
})

describe('a log that lags', () => {
  it('confirms what it had then, and no later', async () => {
    const world = createWorld()
    await world.room.start()
    world.log.lagMs = 3000
    await world.pass(10_000)
    expect(world.room.stalenessMs()).toBe(3000)
    world.log.lagMs = 20_000
    await world.pass(5000)
    // What was confirmed before stays so.
    expect(world.room.stalenessMs()).toBe(8000)
    await world.room.stop()
  })

  it('keeps whoever wants to be in step waiting until it has that moment, and not for ever', async () => {
    const world = createWorld()
    await world.room.start()
    await rest()
    world.log.lagMs = 500
    let inStep = false
    const synced = world.room.synced().then(() => (inStep = true))
    await world.pass(400)
    expect(inStep).toBe(false)
    await world.pass(200)
    expect(inStep).toBe(true)
    await synced
    world.log.lagMs = 60_000
    const late = expect(world.room.synced()).rejects.toMatchObject({ kind: 'storage_unavailable' })
    await world.pass(2500)
    await late
    await world.room.stop()
  })
})
