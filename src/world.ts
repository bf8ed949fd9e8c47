/**
 * The ambient world: clocks, chance and timers. `gateway.ts` hands them to the rooms, which know them by their interfaces
 * only.
 *
 * @module
 */
import { constrainedMemory, memoryUsage } from 'node:process'
import { getHeapStatistics } from 'node:v8'

/** Wall clock, milliseconds since 1970. */
export function nowMs(): number {
  return Date.now()
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

export function monotonicMs(): number {
  return performance.now()
}

export function random(): number {
  return Math.random()
}

/** Longest delay that a timer takes; what is due later is planned again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Timers do not keep the process alive: the listeners do. */
export function schedule(delayMs: number, run: () => void): () => void {
  if (delayMs > LONGEST_TIMER_MS) {
    let cancel = schedule(LONGEST_TIMER_MS, () => {
      cancel = schedule(delayMs - LONGEST_TIMER_MS, run)
    })
    return () => cancel()
  }
  const timer = setTimeout(run, Math.max(delayMs, 0))
  timer.unref()
  return () => clearTimeout(timer)
}

/** Runs once after what came in with this turn of the event loop. */
export function endOfTurn(run: () => void): void {
  setImmediate(run)
}

/** What tells the time of day, chance and when it is time: handed over, so that a test can have hours pass in seconds. */
export interface World {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** The same in whole seconds. */
  nowSeconds(): number
  /** From 0, below 1. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

export const WORLD: World = Object.freeze({ nowMs, nowSeconds, random, schedule })

/** What the container is given; read once, because it takes half a millisecond. */
const GIVEN_BYTES = constrainedMemory()

/**
 * Share in use of the memory that this process may have, 0 to 1: of V8's heap, or of what its container is given.
 *
 * @param processes that live in the container, each as large as this one
 */
export function memoryShare(processes = 1): number {
  const heap = getHeapStatistics()
  const ofHeap = heap.used_heap_size / heap.heap_size_limit
  return GIVEN_BYTES > 0 ? Math.max(ofHeap, (memoryUsage.rss() * processes) / GIVEN_BYTES) : ofHeap
}

/** Octets of passed-on bodies after which their remains are collected. */
const LITTER_BYTES = 16 * 1024 * 1024

/**
 * Keeps memory flat while bodies stream through. V8 judges a buffer by its tiny handle and lets up to 130 MB of those that
 * are done with pile up; a young collection for every 16 MiB takes 1.3 ms, keeps it below 20 MB and makes streaming faster.
 * Needs a process that was started with `--expose-gc`; in others it does nothing.
 */
export function createLitterCount(): (octets: number) => void {
  const { gc } = globalThis
  let litter = 0
  return function count(octets) {
    litter += octets
    if (litter < LITTER_BYTES) return
    litter = 0
    gc?.({ type: 'minor', execution: 'sync' })
  }
}

/** Octets in use on V8's heap. */
export function heapBytes(): number {
  return getHeapStatistics().used_heap_size
}

/** Octets that V8's heap has of the system, used or not, and buffers beside it. */
export function heldBytes(): number {
  const { total_heap_size: heap, external_memory: buffers } = getHeapStatistics()
  return heap + buffers
}

/**
 * Gives back what starting or a rush of requests has left behind, 20 MB of an idle process and more. Takes some 30 ms, and a
 * process that was started with `--expose-gc`; in others it does nothing.
 *
 * @param hasServed whether requests were served: then the code that was optimized for them is kept
 */
export function tidyUp(hasServed: boolean): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: hasServed ? 'regular' : 'last-resort' })
}
