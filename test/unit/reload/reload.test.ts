/** What is looked at and when, and what becomes of what is found. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createReloads, type Reading, type Reloads } from '../../../src/reload/reload.ts'

const FAULT = new Error('a fault')
/** Content by path: `bad` in the first file is a fault. */
let content: Map<string, string>
/** State by path, as the file system tells it. */
let states: Map<string, string>
let inForce: string
let told: string[]
let applyFails: boolean
let watch: boolean
let nowMs: number
let timers: { atMs: number; run: () => void }[]
let reads: number
let reloads: Reloads<string>

beforeEach(() => {
  content = new Map([['gateway.yaml', 'one']])
  states = new Map([['gateway.yaml', '1']])
  told = []
  applyFails = false
  watch = true
  nowMs = 0
  timers = []
  reads = 0
  inForce = 'one'
  reloads = createReloads(
    {
      read,
      look: async (path) => states.get(path),
      async apply(config) {
        if (applyFails) throw FAULT
        inForce = config
      },
      schedule(delayMs, run) {
        const timer = { atMs: nowMs + delayMs, run }
        timers.push(timer)
        return () => {
          timers = timers.filter((one) => one !== timer)
        }
      },
      events: {
        reloaded: (config) => told.push(`reloaded ${config}`),
        refused: (cause) => told.push(cause instanceof Error ? cause.message : String(cause)),
      },
    },
    read(),
    () => ({ watch, intervalMs: 1000 }),
  )
  reads = 0
})

function read(): Reading<string> {
  reads += 1
  const config = content.get('gateway.yaml') ?? 'none'
  const files = [...content.keys()].toSorted()
  const facts = { files, digest: JSON.stringify([...content]) }
  return config === 'bad' || config === 'none' ? { ...facts, fault: new Error(`fault in ${config}`) } : { ...facts, config }
}

function write(text: string, path = 'gateway.yaml'): void {
  content.set(path, text)
  states.set(path, `${Number(states.get(path) ?? 0) + 1}`)
}

/** Lets time pass, and what was due come to its end. */
async function pass(ms: number): Promise<void> {
  const untilMs = nowMs + ms
  for (;;) {
    const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0]
    if (next === undefined || next.atMs > untilMs) break
    timers = timers.filter((one) => one !== next)
    nowMs = next.atMs
    next.run()
    await settled()
  }
  nowMs = untilMs
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((done) => setImmediate(done))
}

describe('a file that is looked after', () => {
  it('is read again when it is another, once it stays as it is for a moment', async () => {
    reloads.start()
    await pass(5000)
    write('half')
    await pass(300)
    write('two')
    await pass(1500)
    expect({ inForce, told }).toEqual({ inForce: 'two', told: ['reloaded two'] })
  })

  it('is not put in force again when its content is the same, however it was written', async () => {
    reloads.start()
    await pass(5000)
    write('one')
    await pass(5000)
    expect({ inForce, told }).toEqual({ inForce: 'one', told: [] })
  })

  it('was changed before the first look: that is found by its content', async () => {
    write('two')
    reloads.start()
    await pass(2000)
    expect({ inForce, told }).toEqual({ inForce: 'two', told: ['reloaded two'] })
  })

  it('is read once for each change, not with each look', async () => {
    reloads.start()
    await pass(60_000)
    expect(reads).toBe(1)
    write('two')
    await pass(60_000)
    expect(reads).toBe(2)
  })

  it('that has a fault changes nothing, is told once, and is taken when it is mended', async () => {
    reloads.start()
    write('bad')
    await pass(10_000)
    expect({ inForce, told }).toEqual({ inForce: 'one', told: ['fault in bad'] })
    write('two')
    await pass(2000)
    expect({ inForce, told: told.at(-1) }).toEqual({ inForce: 'two', told: 'reloaded two' })
  })

  it('that had a fault and is what it was before, is in force again, and said to be', async () => {
    reloads.start()
    write('bad')
    await pass(2000)
    write('one')
    await pass(2000)
    expect(told).toEqual(['fault in bad', 'reloaded one'])
  })

  it('that is away for a moment is told, and read when it is back', async () => {
    reloads.start()
    await pass(2000)
    const state = states.get('gateway.yaml')
    states.delete('gateway.yaml')
    await pass(1000)
    states.set('gateway.yaml', state ?? '')
    await pass(5000)
    expect({ inForce, told }).toEqual({ inForce: 'one', told: [] })
    content.set('gateway.yaml', 'none')
    states.delete('gateway.yaml')
    await pass(3000)
    expect({ inForce, told }).toEqual({ inForce: 'one', told: ['fault in none'] })
  })

  it('names others, which are looked after as well', async () => {
    reloads.start()
    write('the secret', 'secret.txt')
    write('two')
    await pass(5000)
    expect(inForce).toBe('two')
    write('three')
    content.set('gateway.yaml', 'two')
    write('another secret', 'secret.txt')
    await pass(3000)
    expect(told).toEqual(['reloaded two', 'reloaded two'])
  })
})

describe('what cannot be put in force', () => {
  it('though its file has no fault is tried again, less and less often, until it can', async () => {
    reloads.start()
    applyFails = true
    write('two')
    await pass(2000)
    expect({ inForce, told }).toEqual({ inForce: 'one', told: ['a fault'] })
    await pass(120_000)
    expect(told.length).toBeGreaterThan(3)
    expect(told.length).toBeLessThan(10)
    applyFails = false
    await pass(60_000)
    expect({ inForce, told: told.at(-1) }).toEqual({ inForce: 'two', told: 'reloaded two' })
    const { length } = told
    await pass(120_000)
    expect(told.length).toBe(length)
  })

  it('is not tried again once the file is another, and good', async () => {
    reloads.start()
    applyFails = true
    write('two')
    await pass(2000)
    applyFails = false
    write('three')
    await pass(5000)
    expect({ inForce, told }).toEqual({ inForce: 'three', told: ['a fault', 'reloaded three'] })
  })
})

describe('whoever asks', () => {
  it('has it read and put in force, changed or not, watched or not', async () => {
    watch = false
    reloads.start()
    write('two')
    await pass(60_000)
    expect(told).toEqual([])
    expect(await reloads.reload()).toEqual({ outcome: 'reloaded', config: 'two' })
    expect(await reloads.reload()).toEqual({ outcome: 'reloaded', config: 'two' })
    expect(told).toEqual(['reloaded two', 'reloaded two'])
  })

  it('hears what is wrong', async () => {
    write('bad')
    expect(await reloads.reload()).toEqual({ outcome: 'refused', cause: new Error('fault in bad') })
    applyFails = true
    write('two')
    expect(await reloads.reload()).toEqual({ outcome: 'refused', cause: FAULT })
    expect(inForce).toBe('one')
  })

  it('waits for the one before', async () => {
    write('two')
    const first = reloads.reload()
    write('three')
    expect(await Promise.all([first, reloads.reload()])).toMatchObject([{ config: 'three' }, { config: 'three' }])
  })
})

it('looks no more when it is stopped, and takes nothing on', async () => {
  reloads.start()
  await pass(3000)
  await reloads.stop()
  write('two')
  await pass(10_000)
  expect({ inForce, told, timers }).toEqual({ inForce: 'one', told: [], timers: [] })
  expect(await reloads.reload()).toMatchObject({ outcome: 'refused' })
})
