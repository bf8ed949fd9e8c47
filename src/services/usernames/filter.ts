/** Bits for each name at which seven hashes find 1 % of others by mistake: -log2(0.01) / ln 2. */
const BITS_PER_NAME = 9.6
const HASHES = 7
/** How much more than what it holds at first fits in, before mistakes are more than 1 %. */
const HEADROOM = 1.08
const LEAST_CAPACITY = 4_096
const TWO_TO_32 = 4_294_967_296

/** Writes two hashes of a name, 32 bits each, to `into[at]` and the place after it. */
export type NameHash = (name: string, into: Uint32Array, at: number) => void

/**
 * Two mixed 32-bit hashes (cyrb53's rounds, MurmurHash3's end). The seed is secret, so that nobody outside finds names that the
 * filter mistakes for each other.
 */
export function createNameHash(seed: number): NameHash {
  const first = 0xdeadbeef ^ seed
  const second = 0x41c6ce57 ^ Math.imul(seed, 0x9e3779b1)
  return function hash(name, into, at) {
    let one = first
    let two = second
    for (let index = 0; index < name.length; index += 1) {
      const code = name.charCodeAt(index)
      one = Math.imul(one ^ code, 2_654_435_761)
      two = Math.imul(two ^ code, 1_597_334_677)
    }
    one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909)
    two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909)
    into[at] = one
    into[at + 1] = two
  }
}

/** A Bloom filter: what it does not have was never added; what it has was added, but for one in a hundred. */
export interface Filter {
  add(one: number, two: number): void
  has(one: number, two: number): boolean
  /** Names that were added; one that was added twice counts twice. */
  count(): number
  /** Past it, mistakes are more than 1 %. */
  readonly capacity: number
  readonly bytes: number
}

/** @param names - how many there are now: about 1.3 MB for each million */
export function createFilter(names: number): Filter {
  const capacity = Math.max(LEAST_CAPACITY, Math.ceil(names * HEADROOM))
  const words = new Uint32Array(Math.ceil((capacity * BITS_PER_NAME) / 32))
  const bits = words.length * 32
  let count = 0
  return { add, has, count: () => count, capacity, bytes: words.byteLength }

  function add(one: number, two: number): void {
    let at = one >>> 0
    let step = two >>> 0
    for (let index = 0; index < HASHES; index += 1) {
      const bit = Math.floor((at * bits) / TWO_TO_32)
      words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31))
      at = (at + step) >>> 0
      step = (step + index) >>> 0
    }
    count += 1
  }

  function has(one: number, two: number): boolean {
    let at = one >>> 0
    let step = two >>> 0
    for (let index = 0; index < HASHES; index += 1) {
      const bit = Math.floor((at * bits) / TWO_TO_32)
      if (((words[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false
      at = (at + step) >>> 0
      step = (step + index) >>> 0
    }
    return true
  }
}
