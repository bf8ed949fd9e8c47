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
/** Nor are so many connections that come or go. While a crowd does, one collection would follow the other. */
const QUIET_CONNECTIONS = 20
/**
 * Of a process that has served, it is quiet after so many looks in a row: a collection also forgets code that was optimized, which V8
 * makes again for seconds when requests are back, beside them; and what new objects took is only given back when hardly any were made
 * for some seconds.
 */
const QUIET_LOOKS = 60
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
  let lookedConnections = 0
  let quietLooks = 0
  let tidiedRequests = Number.NEGATIVE_INFINITY
  let tidiedConnections = 0
  let tidiedBytes = 0
  return { start: plan, stop: () => cancel?.() }

  function plan(): void {
    lookedRequests = needs.requests()
    lookedConnections = needs.connections()
    cancel = needs.schedule(LOOK_MS, look)
  }

  function look(): void {
    const hasServed = needs.requests() >= WORTH_REQUESTS
    quietLooks = isQuiet() ? quietLooks + 1 : 0
    if (quietLooks >= (hasServed ? QUIET_LOOKS : 1) && isWorthIt() && needs.heapBytes() < MOST_HEAP_BYTES) {
      needs.tidyUp(hasServed)
      tidiedRequests = needs.requests()
      tidiedConnections = needs.connections()
      tidiedBytes = needs.heldBytes()
    }
    plan()
  }

  function isQuiet(): boolean {
    if (needs.underWay() > 0 || needs.requests() - lookedRequests > QUIET_REQUESTS) return false
    return Math.abs(needs.connections() - lookedConnections) <= QUIET_CONNECTIONS
  }

  function isWorthIt(): boolean {
    if (needs.requests() - tidiedRequests >= WORTH_REQUESTS) return true
    if (needs.heldBytes() - tidiedBytes >= WORTH_BYTES) return true
    return Math.abs(needs.connections() - tidiedConnections) >= WORTH_CONNECTIONS
  }
}
