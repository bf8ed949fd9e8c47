import { describe, expect, it } from 'vitest'
import { createIds, isSampled } from '../../../src/traces/ids.ts'
import { createQueue } from '../../../src/traces/queue.ts'
import type { Span } from '../../../src/traces/span.ts'

const SPAN: Span = {
  name: 'GET',
  kind: 'server',
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  isParentRemote: false,
  startedMs: 0,
  endedMs: 1,
  attributes: {},
  events: [],
  isFailed: false,
}

const spans = (count: number): Span[] => Array.from({ length: count }, () => SPAN)

function scene() {
  const sent: number[] = []
  const counted: Record<string, number> = {}
  const states: string[] = []
  const timers: { delayMs: number; run: () => void }[] = []
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = []
  const queue = createQueue({
    schedule(delayMs, run) {
      const timer = { delayMs, run }
      timers.push(timer)
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1))
    },
    send(batch) {
      sent.push(batch.length)
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    told: {
      spans: (result, count) => void (counted[result] = (counted[result] ?? 0) + count),
      reachable: (state) => void states.push(state),
    },
  })
  return { queue, sent, counted, states, timers, settle }

  async function settle(error?: Error): Promise<void> {
    const one = waiting.shift()
    if (error === undefined) one?.resolve()
    else one?.reject(error)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the queue of spans', () => {
  it('waits a second for more, and sends what there is', async () => {
    const { queue, sent, timers, counted, settle } = scene()
    queue.add(spans(3))
    queue.add(spans(2))
    expect([sent, timers.map(({ delayMs }) => delayMs)]).toEqual([[], [1000]])
    timers[0]?.run()
    expect([sent, timers]).toEqual([[5], []])
    await settle()
    expect(counted).toEqual({ exported: 5 })
  })

  it('sends a full batch at once, and one after the other', async () => {
    const { queue, sent, settle } = scene()
    queue.add(spans(700))
    expect(sent).toEqual([256])
    await settle()
    expect(sent).toEqual([256, 256])
    await settle()
    expect(sent).toEqual([256, 256])
  })

  it('takes a request as a whole, and drops it where there is no room', async () => {
    const { queue, counted, sent } = scene()
    queue.add(spans(256))
    queue.add(spans(4096))
    queue.add(spans(1))
    expect([sent, counted]).toEqual([[256], { dropped: 1 }])
  })

  it('counts what is not taken, and says so when it begins and when it is over', async () => {
    const { queue, counted, states, settle } = scene()
    queue.add(spans(1024))
    await settle(new Error('refused'))
    await settle(new Error('refused'))
    await settle()
    await settle()
    expect([counted, states]).toEqual([{ failed: 512, exported: 512 }, ['down', 'up']])
  })

  it('sends the rest when it is closed, and drops what comes later', async () => {
    const { queue, counted, sent, settle } = scene()
    queue.add(spans(300))
    const closed = queue.close(2000)
    await settle()
    await settle()
    await closed
    queue.add(spans(2))
    expect([sent, counted]).toEqual([[256, 44], { exported: 300, dropped: 2 }])
  })

  it('gives up the rest when that takes too long', async () => {
    const { queue, counted, timers } = scene()
    queue.add(spans(300))
    const closed = queue.close(2000)
    timers.find(({ delayMs }) => delayMs === 2000)?.run()
    await closed
    expect(counted).toEqual({ dropped: 44 })
  })
})

describe('ids', () => {
  const chance = (): number => 0.5

  it.each([
    ['6c1bbd3c-5d63-4a3e-9a63-2f6dd0a7b4d1', '6c1bbd3c5d634a3e9a632f6dd0a7b4d1'],
    ['6c1bbd3c5d634a3e9a632f6dd0a7b4d1', '6c1bbd3c5d634a3e9a632f6dd0a7b4d1'],
    ['req-1', '80000000800000008000000080000000'],
    ['00000000-0000-0000-0000-000000000000', '80000000800000008000000080000000'],
    ['6C1BBD3C-5D63-4A3E-9A63-2F6DD0A7B4D1', '80000000800000008000000080000000'],
  ])('of the trace of the request %s: %s', (request, id) => {
    expect(createIds(chance).traceOf(request)).toBe(id)
  })

  it('are never zero', () => {
    expect(createIds(() => 0).span()).toBe('0000000000000001')
  })

  it('decide alone what is sampled', () => {
    const id = (end: string): string => end.padStart(32, 'a')
    expect([isSampled(id('00000000'), 0), isSampled(id('ffffffff'), 1)]).toEqual([false, true])
    expect([isSampled(id('19999998'), 0.1), isSampled(id('1999999a'), 0.1)]).toEqual([true, false])
  })
})
