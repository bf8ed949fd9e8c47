import { describe, expect, it } from 'vitest'
import { createTidiness } from '../../../src/tidiness.ts'

const MIB = 1024 * 1024

function world() {
  const due: (() => void)[] = []
  const made = {
    requests: 0,
    underWay: 0,
    connections: 0,
    heapBytes: 40 * MIB,
    heldBytes: 60 * MIB,
    tidied: 0,
    hasServed: false,
    due,
    second,
    seconds,
  }
  const tidiness = createTidiness({
    schedule(_delayMs, run) {
      due.push(run)
      return () => void due.splice(due.indexOf(run), 1)
    },
    requests: () => made.requests,
    underWay: () => made.underWay,
    connections: () => made.connections,
    heapBytes: () => made.heapBytes,
    heldBytes: () => made.heldBytes,
    tidyUp: (hasServed) => {
      made.tidied += 1
      made.hasServed = hasServed
    },
  })
  tidiness.start()
  return Object.assign(made, { tidiness })

  /** As one passes. */
  function second(): void {
    for (const run of due.splice(0)) run()
  }

  function seconds(count: number): void {
    for (let passed = 0; passed < count; passed += 1) second()
  }
}

describe('memory is given back', () => {
  it('once after a start, and not again while nothing happens', () => {
    const made = world()
    for (let second = 0; second < 10; second += 1) made.second()
    expect(made.tidied).toBe(1)
  })

  it('after a rush of requests, once there was none for a minute', () => {
    const made = world()
    made.second()
    made.requests += 10_000
    made.second()
    made.seconds(59)
    const early = made.tidied
    made.seconds(10)
    expect([early, made.tidied]).toEqual([1, 2])
  })

  it('after a rush of requests, not in the pauses that it makes', () => {
    const made = world()
    made.second()
    for (let rush = 0; rush < 5; rush += 1) {
      made.requests += 10_000
      made.seconds(60)
    }
    expect(made.tidied).toBe(1)
  })

  it('but for the code that was optimized for requests, once there were some', () => {
    const made = world()
    made.second()
    const atStart = made.hasServed
    made.requests += 10_000
    made.seconds(61)
    expect([atStart, made.tidied, made.hasServed]).toEqual([false, 2, true])
  })

  it('after many connections have come, and after they have gone', () => {
    const made = world()
    made.second()
    made.connections = 10_000
    made.second()
    made.second()
    const open = made.tidied
    made.connections = 0
    made.second()
    made.second()
    expect([open, made.tidied]).toEqual([2, 3])
  })

  it('after work that nobody asked for, such as writing a copy of much to the disk, and once for it', () => {
    const made = world()
    made.second()
    made.heldBytes += 31 * MIB
    made.second()
    const little = made.tidied
    made.heldBytes += 1 * MIB
    made.second()
    made.second()
    expect([little, made.tidied]).toEqual([1, 2])
  })

  it('although somebody asks how we are each second', () => {
    const made = world()
    made.second()
    made.requests += 5000
    made.second()
    for (let second = 0; second < 60; second += 1) {
      made.requests += 1
      made.second()
    }
    expect(made.tidied).toBe(2)
  })
})

describe('memory is not given back', () => {
  it('while requests come', () => {
    const made = world()
    for (let second = 0; second < 10; second += 1) {
      made.requests += 3
      made.second()
    }
    expect(made.tidied).toBe(0)
  })

  it('while connections come, or go, without asking for anything yet', () => {
    const made = world()
    made.second()
    for (let second = 0; second < 10; second += 1) {
      made.connections += 500
      made.second()
    }
    const coming = made.tidied
    for (let second = 0; second < 9; second += 1) {
      made.connections -= 500
      made.second()
    }
    expect([coming, made.tidied]).toEqual([1, 1])
  })

  it('while one is under way', () => {
    const made = world()
    made.underWay = 1
    for (let second = 0; second < 10; second += 1) made.second()
    expect(made.tidied).toBe(0)
  })

  it('where it would take long', () => {
    const made = world()
    made.heapBytes = 300 * MIB
    for (let second = 0; second < 10; second += 1) made.second()
    expect(made.tidied).toBe(0)
  })

  it('after a stop', () => {
    const made = world()
    made.tidiness.stop()
    made.second()
    expect([made.tidied, made.due]).toEqual([0, []])
  })
})
