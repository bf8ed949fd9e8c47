import { describe, expect, it } from 'vitest'
import type { CopyState, Revocation, RevocationCopy } from '../../../src/revocation/revocation.ts'
import { START_SECONDS, createWorld, exchangeOf, PRINCIPAL } from './world.ts'

const LATER = START_SECONDS + 100_000

interface FakeCopy extends RevocationCopy {
  kept: { readonly state: CopyState; readonly facts: Revocation[] } | undefined
  isDamaged: boolean
  isFull: boolean
  outgrown: boolean
  readonly calls: string[]
}

function createCopy(): FakeCopy {
  const copy: FakeCopy = {
    kept: undefined,
    isDamaged: false,
    isFull: false,
    outgrown: false,
    calls: [],
    async load(take) {
      if (copy.isDamaged) throw new Error('damaged')
      if (copy.kept !== undefined) take(copy.kept.facts)
      return copy.kept?.state
    },
    async replace(state, pages) {
      copy.calls.push('replace')
      if (copy.isFull) throw new Error('full')
      copy.kept = { state, facts: [...pages].flat() }
    },
    async append(state, facts) {
      copy.calls.push(`append ${facts.length}`)
      if (copy.isFull) throw new Error('full')
      copy.kept = { state, facts: [...(copy.kept?.facts ?? []), ...facts] }
      return copy.outgrown ? 'outgrown' : 'kept'
    },
    async close() {
      copy.calls.push('close')
    },
  }
  return copy
}

function token(id: string): Revocation {
  return { kind: 'token', tenant: 'acme', id, expiresAt: LATER }
}

function lists(world: ReturnType<typeof createWorld>, tokenId: string): boolean {
  return world.room.lists({ tenant: 'acme', user: 'nobody', tokenId, epoch: 0 })
}

function stateAgo(milliseconds: number, position = '1'): CopyState {
  return { position, confirmedAtMs: START_SECONDS * 1000 - milliseconds }
}

describe('starting with a copy', () => {
  it('enforces it while the log is away, as old as it is', async () => {
    const copy = createCopy()
    copy.kept = { state: stateAgo(7000), facts: [token('known')] }
    const world = createWorld({ copy })
    world.log.mode = 'fails'
    await world.room.start()
    expect([world.room.isReady(), world.room.stalenessMs(), lists(world, 'known')]).toEqual([true, 7000, true])
    expect(world.told).toEqual(['copy of 7 s', 'feed down'])
    expect(() => world.room.check(exchangeOf({ ...PRINCIPAL, tokenId: 'known' }, 'allow'))).toThrow('token_revoked')
    expect(world.room.check(exchangeOf())).toMatchObject({ revocation: 'checked' })
    await world.pass(3001)
    expect(() => world.room.check(exchangeOf())).toThrow('revocation_unavailable')
    expect(world.room.check(exchangeOf(PRINCIPAL, 'allow'))).toMatchObject({ revocation: 'skipped' })
    await world.room.stop()
  })

  it('goes on from where it left off when the log can', async () => {
    const copy = createCopy()
    const world = createWorld({ copy })
    world.log.append(token('known'))
    world.log.append(token('missed'))
    copy.kept = { state: stateAgo(60_000), facts: [token('known')] }
    await world.room.start()
    expect([lists(world, 'known'), lists(world, 'missed'), world.room.stalenessMs()]).toEqual([true, true, 0])
    expect([world.log.snapshots, world.log.reads]).toEqual([0, 1])
    await world.room.stop()
  })

  it('puts what only the copy knows back into a log that lost it', async () => {
    const copy = createCopy()
    copy.kept = { state: stateAgo(1000, '5'), facts: [token('known'), token('lost')] }
    const world = createWorld({ copy })
    world.log.append(token('known'))
    await world.room.start()
    await world.pass(1000)
    expect(world.log.entries).toEqual([token('known'), token('lost')])
    expect(world.told).toEqual(expect.arrayContaining(['copy of 1 s', 'restored 1']))
    await world.room.stop()
  })

  it('says that it knows no age when the clock went backwards', async () => {
    const copy = createCopy()
    copy.kept = { state: stateAgo(-5000), facts: [token('known')] }
    const world = createWorld({ copy })
    world.log.mode = 'fails'
    await world.room.start()
    expect([world.room.isReady(), world.room.stalenessMs(), lists(world, 'known')]).toEqual([true, Infinity, true])
    expect(() => world.room.check(exchangeOf())).toThrow('revocation_unavailable')
    await world.room.stop()
    expect(copy.calls).toEqual(['close'])
  })

  it('waits for the log when the copy is damaged', async () => {
    const copy = createCopy()
    copy.isDamaged = true
    const world = createWorld({ copy })
    world.log.append(token('known'))
    world.log.mode = 'fails'
    const starting = world.room.start()
    await world.pass(5000)
    expect(world.room.isReady()).toBe(false)
    expect(world.told).toEqual(['copy refused: damaged', 'feed down'])
    world.log.mode = 'answers'
    await world.pass(2000)
    await starting
    expect(lists(world, 'known')).toBe(true)
    await world.room.stop()
  })
})

describe('keeping a copy', () => {
  it('writes the whole once, then what is new, then only that it is still true', async () => {
    const copy = createCopy()
    const world = createWorld({ copy })
    world.log.append(token('a'))
    await world.room.start()
    await world.pass(2000)
    expect(copy.calls).toEqual(['replace'])
    expect(copy.kept).toEqual({ state: { position: '1', confirmedAtMs: START_SECONDS * 1000 + 1750 }, facts: [token('a')] })
    world.log.append(token('b'))
    await world.pass(2000)
    expect(copy.calls).toEqual(['replace', 'append 1'])
    expect(copy.kept?.facts).toEqual([token('a'), token('b')])
    expect(copy.kept?.state.position).toBe('2')
    await world.pass(60_000)
    expect(copy.calls.slice(2)).toEqual(Array.from({ length: 10 }, () => 'append 0'))
    copy.outgrown = true
    world.log.append(token('c'))
    await world.pass(2000)
    copy.outgrown = false
    await world.pass(2000)
    expect(copy.calls.slice(12)).toEqual(['append 1', 'replace'])
    expect(copy.kept?.facts).toEqual([token('a'), token('b'), token('c')])
    await world.room.stop()
  })

  it('keeps the last of it when the room is stopped', async () => {
    const copy = createCopy()
    const world = createWorld({ copy })
    await world.room.start()
    await world.pass(2000)
    world.log.append(token('a'))
    await world.pass(0)
    await world.room.stop()
    expect(copy.calls).toEqual(['replace', 'append 1', 'close'])
    expect(copy.kept?.facts).toEqual([token('a')])
  })

  it('says nothing newer than the log has confirmed', async () => {
    const copy = createCopy()
    const world = createWorld({ copy })
    await world.room.start()
    await world.pass(3000)
    world.log.mode = 'fails'
    await world.pass(60_000)
    await world.room.stop()
    expect(copy.kept?.state.confirmedAtMs).toBe(START_SECONDS * 1000 + 3000)
  })

  it('goes on without it when the disk is full, and writes the whole when there is room', async () => {
    const copy = createCopy()
    const world = createWorld({ copy })
    await world.room.start()
    copy.isFull = true
    world.log.append(token('a'))
    await world.pass(10_000)
    expect(lists(world, 'a')).toBe(true)
    expect(world.told.filter((line) => line.startsWith('copy'))).toEqual(['copy down'])
    copy.isFull = false
    await world.pass(2000)
    expect(world.told.filter((line) => line.startsWith('copy'))).toEqual(['copy down', 'copy up'])
    expect(copy.kept?.facts).toEqual([token('a')])
    await world.room.stop()
  })
})
