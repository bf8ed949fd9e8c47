/** Where a connection puts what it reads. */
export interface Inbox {
  /** For what is read next. */
  next(): Buffer
  /** What was read last is in here. */
  current(): Buffer
  /** The octets `from` up to `to` of what was read last, to be kept. */
  take(from: number, to: number): Buffer
}

const INBOX_BYTES = 64 * 1024
/** What is smaller is copied, so that little does not hold much. */
const LEAST_LENT_BYTES = 16 * 1024
/** Connections read one after the other, and leave nothing in it. */
const SHARED = Buffer.allocUnsafeSlow(INBOX_BYTES)

/**
 * All connections read into one buffer; one that has read a large body has its own, and what is large
 * is passed on as it is.
 */
export function createInbox(): Inbox {
  let inbox = SHARED
  let isLent = false
  return { next, current: () => inbox, take }

  function next(): Buffer {
    if (isLent) {
      isLent = false
      inbox = Buffer.allocUnsafeSlow(INBOX_BYTES)
    }
    return inbox
  }

  function take(from: number, to: number): Buffer {
    const isLarge = to - from >= LEAST_LENT_BYTES
    if (isLarge) isLent = true
    if (isLarge && inbox !== SHARED) return inbox.subarray(from, to)
    const copy = Buffer.allocUnsafe(to - from)
    inbox.copy(copy, 0, from, to)
    return copy
  }
}
