import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { inSlices } from '../../../src/telemetry/slices.ts'
import { Counter } from '../../../src/telemetry/prom.ts'

describe('reading many metrics', () => {
  it('lets others have their turn whenever it has taken a millisecond, and leaves none out', async () => {
    const world = createWorld()
    const reading = inSlices(world, [registryOf('a', 'b', 'c'), registryOf('d', 'e')], async (_, name) => {
      world.nowMs += 0.6
      return name
    })
    await world.turn()
    expect(world.paused).toEqual([0])
    await world.turn()
    expect(world.paused).toEqual([0, 0])
    expect(await reading).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('waits for nothing where all of it takes less', async () => {
    const world = createWorld()
    expect(await inSlices(world, [registryOf('a', 'b')], async (_, name) => name)).toEqual(['a', 'b'])
    expect(world.paused).toEqual([])
  })
})

function registryOf(...names: readonly string[]): Registry {
  const registry = new Registry()
  for (const name of names) registry.registerMetric(new Counter({ name, help: name, registers: [] }))
  return registry
}

/** A clock that a reading moves, and timers that run when the test says so. */
function createWorld() {
  const waiting: (() => void)[] = []
  const world = {
    nowMs: 0,
    paused: Array.of<number>(),
    monotonicMs: () => world.nowMs,
    schedule(delayMs: number, run: () => void) {
      world.paused.push(delayMs)
      waiting.push(run)
      return () => undefined
    },
    /** Until it waits; then goes on. */
    async turn() {
      while (waiting.length === 0) await Promise.resolve()
      waiting.shift()?.()
    },
  }
  return world
}
