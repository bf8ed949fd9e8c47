import { describe, expect, it } from 'vitest'
import { createWorld, type FakeProcess, type World } from './world.ts'

const ADDRESS = { host: '127.0.0.1', port: 8080 }

/** Says that it is ready. */
async function ready(world: World, process: FakeProcess = world.last()): Promise<void> {
  process.wire.tell('ready', ADDRESS)
  await world.settle()
}

/** A world whose workers have all started. */
async function started(wanted: number): Promise<World> {
  const world = createWorld(wanted)
  const starting = world.workers.start()
  await ready(world)
  for (const process of world.processes.slice(1)) await ready(world, process)
  await starting
  return world
}

describe('workers', () => {
  it('start with one, and the others when it is ready: what is made at a first start is made once', async () => {
    const world = createWorld(3)
    const starting = world.workers.start()
    expect(world.processes).toHaveLength(1)
    expect(await world.last().wire.ask('welcome', undefined, 1000)).toEqual({ worker: 1 })
    await ready(world)
    expect(world.processes).toHaveLength(3)
    expect(await world.last().wire.ask('welcome', undefined, 1000)).toEqual({ worker: 3 })
    for (const process of world.processes.slice(1)) await ready(world, process)
    expect(await starting).toEqual(ADDRESS)
    expect(world.workers.count()).toEqual({ wanted: 3, ready: 3 })
  })

  it('hear what one of them tells the others, and that one does not', async () => {
    const world = await started(3)
    const [first, ...others] = world.processes
    world.workers.tellAll('news', 7, 1)
    expect(first?.told).not.toContain('news')
    for (const other of others) expect(other.told.filter((name) => name === 'news')).toHaveLength(1)
  })

  it('cannot be started when the first cannot, for its reason', async () => {
    const world = createWorld(2)
    const starting = world.workers.start()
    world.last().wire.tell('refused', 'gatehouse: the port is taken')
    await world.settle()
    world.last().exit(1)
    await expect(starting).rejects.toThrow('gatehouse: the port is taken')
    expect(world.processes).toHaveLength(1)
  })

  it('cannot be started when another cannot; one that says nothing is told of by how it ended', async () => {
    const world = createWorld(2)
    const starting = world.workers.start()
    await ready(world)
    world.last().exit(9, 'SIGKILL')
    await expect(starting).rejects.toThrow('worker 2 ended by SIGKILL')
  })

  it('are replaced at once when one dies, under its number', async () => {
    const world = await started(2)
    await world.pass(60_000)
    world.processes[0]?.exit(0, 'SIGKILL')
    expect(world.workers.count()).toEqual({ wanted: 2, ready: 1 })
    await world.pass(0)
    expect(world.processes).toHaveLength(3)
    expect(await world.last().wire.ask('welcome', undefined, 1000)).toEqual({ worker: 1 })
    await ready(world)
    expect(world.workers.count()).toEqual({ wanted: 2, ready: 2 })
    expect(world.left).toEqual([1])
    expect(world.events).toContainEqual(['died', 1, { pid: 100, code: 0, signal: 'SIGKILL', againMs: 0 }])
  })

  it('that died let go of what they were handed, once all that they said was read', async () => {
    const world = await started(2)
    world.processes[0]?.exit(0, 'SIGKILL')
    await world.pass(99)
    expect(world.letGo).toEqual([])
    await world.pass(1)
    expect(world.letGo).toEqual([100])
  })

  it('are tried again ever more rarely while one dies again and again, and at once when it lived', async () => {
    const world = await started(2)
    const waits: number[] = []
    for (let death = 0; death < 9; death += 1) {
      const before = world.processes.length
      world.last().exit(1)
      let waited = 0
      while (world.processes.length === before) {
        await world.pass(waited === 0 ? 0 : 100)
        if (world.processes.length === before) waited += 100
      }
      waits.push(waited)
      await ready(world)
    }
    expect(waits).toEqual([0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
    await world.pass(10_000)
    world.last().exit(1)
    const before = world.processes.length
    await world.pass(0)
    expect(world.processes).toHaveLength(before + 1)
  })

  it('are lost when none is left and one has failed five times in a row', async () => {
    const world = await started(2)
    const [first, second] = world.processes
    let reason: unknown
    world.workers.lost.catch((error: unknown) => {
      reason = error
    })
    first?.exit(1)
    for (let failure = 0; failure < 5; failure += 1) {
      await world.pass(10_000)
      world.last().wire.tell('refused', 'no memory')
      await world.settle()
      world.last().exit(1)
    }
    // The other one still answers.
    await world.settle()
    expect(reason).toBeUndefined()
    await world.pass(10_000)
    second?.exit(1)
    world.last().wire.tell('refused', 'no memory')
    await world.settle()
    world.last().exit(1)
    await world.settle()
    expect(reason).toEqual(new Error('no memory'))
  })

  it('are told to stop, all of them, and say what they cut', async () => {
    const world = await started(3)
    const stopping = world.workers.stop(10_000)
    expect(world.processes.map(({ told }) => told.includes('stop'))).toEqual([true, true, true])
    for (const [index, process] of world.processes.entries()) {
      process.wire.tell('stopped', index)
      await world.settle()
      process.exit(0)
    }
    expect(await stopping).toBe(3)
    await world.pass(60_000)
    expect(world.processes).toHaveLength(3)
  })

  it('are killed when they do not end in time', async () => {
    const world = await started(2)
    const stopping = world.workers.stop(10_000)
    world.processes[0]?.exit(0)
    await world.pass(9_999)
    expect(world.processes.map(({ killed }) => killed)).toEqual([[], []])
    await world.pass(1)
    expect(world.processes.map(({ killed }) => killed)).toEqual([[], ['SIGKILL']])
    world.processes[1]?.exit(0, 'SIGKILL')
    expect(await stopping).toBe(0)
  })

  it('end their start when they are stopped before they are ready, and one that comes late hears of it', async () => {
    const world = createWorld(2)
    const starting = world.workers.start()
    const stopping = world.workers.stop(10_000)
    await expect(starting).rejects.toThrow('the gateway was closed before it was ready')
    await world.last().wire.ask('welcome', undefined, 1000)
    expect(world.last().told).toEqual(['stop', 'stop'])
    world.last().exit(0)
    expect(await stopping).toBe(0)
  })

  it('are asked one or all; who fails, dies or does not answer in time is left out', async () => {
    const world = await started(3)
    expect(await world.workers.askOne('echo', { a: 1 }, 1000)).toEqual({ a: 1 })
    expect(await world.workers.askAll('echo', 'x', 1000)).toEqual([
      { worker: 1, life: 1, body: 'x' },
      { worker: 2, life: 2, body: 'x' },
      { worker: 3, life: 3, body: 'x' },
    ])
    expect(await world.workers.askAll('fail', 'x', 1000)).toEqual([])
    const asking = world.workers.askAll('never', 'x', 1000)
    world.processes[0]?.exit(0, 'SIGKILL')
    await world.pass(1000)
    expect(await asking).toEqual([])
  })

  it('are asked when they can answer, before they take requests', async () => {
    const world = createWorld(2)
    const starting = world.workers.start()
    expect(await world.workers.askOne('echo', 1, 1000)).toBeUndefined()
    world.last().wire.tell('open')
    await world.settle()
    expect(await world.workers.askOne('echo', 1, 1000)).toBe(1)
    await ready(world)
    await ready(world)
    await starting
  })
})

describe('a wire', () => {
  it('tells whoever asks that the other side failed, without the reason', async () => {
    const world = await started(1)
    await expect(world.workers.askOne('fail', 1, 1000)).rejects.toThrow('the other process failed to answer')
    await expect(world.workers.askOne('unheard of', 1, 1000)).rejects.toThrow('the other process failed to answer')
  })

  it('takes no harm from what is no message', async () => {
    const world = await started(1)
    for (const message of [
      undefined,
      null,
      7,
      'x',
      [],
      {},
      { is: 'ask' },
      { is: 'answer' },
      { is: 'answer', id: 99 },
      { is: 'tell', name: 'x' },
    ])
      world.last().wire.receive(message)
    expect(await world.workers.askOne('echo', 1, 1000)).toBe(1)
  })
})
