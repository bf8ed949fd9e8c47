/**
 * Gives memory back to the system once it is quiet: what the start has left behind, and what a rush of requests or connections
 * or work of its own has. V8 itself collects when something is allocated, which in a quiet process nothing is.
 *
 * A collection holds everything up for some 30 ms, so there is one for each rush, and none while requests come.
 *
 * @module
 */

export interface TidinessNeeds {
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** Requests since the start. */
  requests(): number
  /** Of these, how many are under way. */
  underWay(): number
  /** Open connections of clients. */
  connections(): number
  /** Octets that V8 uses. */
  heapBytes(): number
  /** Octets that V8 holds, in use or not, and buffers beside them. */
  heldBytes(): number
  /** Collects all that can be; of a process that `hasServed` requests, not what makes the next ones fast. */
  tidyUp(hasServed: boolean): void
}

export interface Tidiness {
  start(): void
  stop(): void
}

const LOOK_MS = 1000
/** Up to so many requests between two looks it is quiet: probes are no traffic. */
const QUIET_REQUESTS = 2
/** It is worth it after so many requests, or with so many connections more or less. */
const WORTH_REQUESTS = 1000
const WORTH_CONNECTIONS = 500
/** Or with so much more held: a process that nobody asks anything also works, such as for its copy on the disk. */
const WORTH_BYTES = 32 * 1024 * 1024
/** With more in use a collection takes too long. */
const MOST_HEAP_BYTES = 256 * 1024 * 1024

export function createTidiness(needs: TidinessNeeds): Tidiness {
  let cancel: (() => void) | undefined
  let lookedRequests = 0
  let tidiedRequests = Number.NEGATIVE_INFINITY
  let tidiedConnections = 0
  let tidiedBytes = 0
  return { start: plan, stop: () => cancel?.() }

  function plan(): void {
    lookedRequests = needs.requests()
    cancel = needs.schedule(LOOK_MS, look)
  }

  function look(): void {
    if (isQuiet() && isWorthIt() && needs.heapBytes() < MOST_HEAP_BYTES) {
      needs.tidyUp(needs.requests() >= WORTH_REQUESTS)
      tidiedRequests = needs.requests()
      tidiedConnections = needs.connections()
      tidiedBytes = needs.heldBytes()
    }
    plan()
  }

  function isQuiet(): boolean {
    return needs.underWay() === 0 && needs.requests() - lookedRequests <= QUIET_REQUESTS
  }

  function isWorthIt(): boolean {
    if (needs.requests() - tidiedRequests >= WORTH_REQUESTS) return true
    if (needs.heldBytes() - tidiedBytes >= WORTH_BYTES) return true
    return Math.abs(needs.connections() - tidiedConnections) >= WORTH_CONNECTIONS
  }
}
