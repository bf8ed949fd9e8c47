export interface Gathered {
  add(chunk: Buffer): void
  /** All that was added, in order. */
  all(): Buffer
}

const LEAST_BYTES = 512

/**
 * Puts pieces together as they come. A list of them would take a hundred times as much as a body that comes octet by octet is long,
 * and each of them is one more thing that every collection has to look at while the body lasts.
 */
export function createGathered(): Gathered {
  let octets: Buffer | undefined
  let length = 0
  return { add, all }

  function add(chunk: Buffer): void {
    // What comes in one piece, as most bodies do, stays as it is.
    if (octets === undefined) {
      octets = chunk
      length = chunk.length
      return
    }
    if (length + chunk.length > octets.length) {
      const larger = Buffer.allocUnsafe(Math.max(LEAST_BYTES, 2 * (length + chunk.length)))
      octets.copy(larger, 0, 0, length)
      octets = larger
    }
    chunk.copy(octets, length)
    length += chunk.length
  }

  function all(): Buffer {
    return octets === undefined ? Buffer.alloc(0) : octets.subarray(0, length)
  }
}
