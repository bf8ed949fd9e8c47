import { countLive, EXPIRY, FACTS, FORMS, FULL, hashOf, moveLive, STRIDE, textOf } from './packed-table.ts'

/** A set of ids that are 128 bits written as text, each with an expiry: 24 bytes an entry, no object for any of them. */
export interface PackedIds {
  /**
   * Adds an id of an owner, or extends its expiry; `inLog` says that the log told it.
   *
   * @param owner - below 2^29: who has the id, and what it is an id of
   * @param id - 32 hex digits, or a UUID; in lower case
   * @returns whether that was new; undefined when it is no such text, and was not added
   */
  put(owner: number, id: string, expiresAt: number, inLog: boolean): boolean | undefined
  /** Undefined when it is no such text. */
  has(owner: number, id: string): boolean | undefined
  size(): number
  /** Forgets of every entry that the log told it. */
  forgetLog(): void
  /** Removes what expired before `nowSeconds` from some of the parts; true when the last one was done. */
  sweep(nowSeconds: number): boolean
  /** Every entry that expires no earlier than `nowSeconds`, part by part; the set may change in between. */
  parts(nowSeconds: number, which: 'all' | 'lacking'): Generator<readonly PackedEntry[], void>
}

export interface PackedEntry {
  readonly owner: number
  readonly id: string
  readonly expiresAt: number
}

/**
 * The entries are spread over so many tables, each of which grows and shrinks alone: with a million entries no step moves
 * more than some thousands.
 */
const PARTS = 256
const PARTS_SHIFT = 24
/** So much more room than it has entries is made when a table grows: tables are powers of two, so that doubles them. */
const GROWTH = 1.25
/** A sweep looks at so many slots and lets others have their turn: a millisecond or so. */
const SWEEP_SLOTS = 40_000

const DASH = 0x2d
const NIBBLES = Int8Array.from({ length: 256 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code)))

interface Part {
  /** A multiple of STRIDE long, a power of two of slots; none at first. */
  words: Uint32Array
  live: number
}

/** @param seed - makes the places of ids this process's own, so that nobody can choose ids that meet */
export function createPackedIds(seed: number): PackedIds {
  const parts: Part[] = Array.from({ length: PARTS }, () => ({ words: new Uint32Array(0), live: 0 }))
  // The id that is looked at, unpacked: a place of its own, so that a question allocates nothing.
  const asked = new Uint32Array(STRIDE)
  const text = Buffer.alloc(36)
  let size = 0
  let swept = 0
  return { put, has, size: () => size, forgetLog, sweep, parts: list }

  function put(owner: number, id: string, expiresAt: number, inLog: boolean): boolean | undefined {
    if (!unpack(owner, id)) return undefined
    // Beyond 2106 is for ever; 0 is a free slot.
    asked[EXPIRY] = Math.min(Math.max(Math.ceil(expiresAt), 1), 0xffff_ffff)
    const hash = hashOf(asked, 0, seed)
    const part = partOf(parts, hash)
    const at = find(part.words, hash)
    const known = at === -1 ? 0 : (part.words[at + EXPIRY] ?? 0)
    if (known === 0) {
      asked[FACTS] = (asked[FACTS] ?? 0) | Number(inLog)
      insert(part, hash)
      return true
    }
    const expiry = asked[EXPIRY] ?? 0
    if (expiry >= known) {
      part.words[at + EXPIRY] = expiry
      // What the log tells with a shorter life it does not have as it is known here.
      if (inLog) part.words[at + FACTS] = (part.words[at + FACTS] ?? 0) | 1
      else if (expiry > known) part.words[at + FACTS] = ((part.words[at + FACTS] ?? 0) & ~1) >>> 0
    }
    return expiry > known
  }

  function has(owner: number, id: string): boolean | undefined {
    if (!unpack(owner, id)) return undefined
    const hash = hashOf(asked, 0, seed)
    const { words } = partOf(parts, hash)
    const at = find(words, hash)
    return at !== -1 && words[at + EXPIRY] !== 0
  }

  function insert(part: Part, hash: number): void {
    part.live += 1
    size += 1
    if (part.live * STRIDE > part.words.length * FULL) part.words = moveLive(part.words, part.live * GROWTH, 0, seed)
    part.words.set(asked, find(part.words, hash))
  }

  /** Where the asked one is, or the free slot where it belongs; -1 in a table without slots. */
  function find(words: Uint32Array, hash: number): number {
    const mask = words.length / STRIDE - 1
    if (mask < 0) return -1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = slot * STRIDE
      if (words[at + EXPIRY] === 0 || isAsked(words, at)) return at
    }
  }

  function isAsked(words: Uint32Array, at: number): boolean {
    return (
      words[at] === asked[0] &&
      words[at + 1] === asked[1] &&
      words[at + 2] === asked[2] &&
      words[at + 3] === asked[3] &&
      (words[at + FACTS] ?? 0) >>> 1 === (asked[FACTS] ?? 0) >>> 1
    )
  }

  function forgetLog(): void {
    for (const { words } of parts) {
      for (let at = FACTS; at < words.length; at += STRIDE) words[at] = ((words[at] ?? 0) & ~1) >>> 0
    }
  }

  function sweep(nowSeconds: number): boolean {
    for (let looked = 0; looked < SWEEP_SLOTS; swept += 1) {
      const part = parts[swept]
      if (part === undefined) break
      looked += part.words.length / STRIDE + 1
      const live = countLive(part.words, nowSeconds)
      if (live === part.live) continue
      size -= part.live - live
      part.live = live
      part.words = moveLive(part.words, live, nowSeconds, seed)
    }
    if (swept < PARTS) return false
    swept = 0
    return true
  }

  function* list(nowSeconds: number, which: 'all' | 'lacking'): Generator<readonly PackedEntry[], void> {
    for (const { words } of parts) {
      const entries: PackedEntry[] = []
      for (let at = 0; at < words.length; at += STRIDE) {
        const expiresAt = words[at + EXPIRY] ?? 0
        const facts = words[at + FACTS] ?? 0
        if (expiresAt === 0 || expiresAt < nowSeconds || (which === 'lacking' && (facts & 1) === 1)) continue
        entries.push({ owner: facts >>> 2, id: textOf(words, at), expiresAt })
      }
      if (entries.length > 0) yield entries
    }
  }

  /** Into `asked`; false for another text. Written out, without a loop: this is most of what a question costs. */
  function unpack(owner: number, id: string): boolean {
    const length = id.length
    const form = length === 32 ? FORMS.hex : FORMS.uuid
    // A character beyond ASCII is octets that are no digit. All are written at once: `charCodeAt` on a string that was just
    // made costs several times as much.
    if ((form === FORMS.uuid && length !== 36) || text.write(id, 0, 36, 'utf8') !== length) return false
    if (form === FORMS.uuid && !hasDashes(text)) return false
    // RFC 9562 §4: 8-4-4-4-12, so there is one dash more before each of these.
    const dash = form === FORMS.uuid ? 1 : 0
    const [a, b, c, d] = [digits(text, 0), digits(text, 4), digits(text, 8 + dash), digits(text, 12 + 2 * dash)]
    const [e, f, g, h] = [
      digits(text, 16 + 3 * dash),
      digits(text, 20 + 4 * dash),
      digits(text, 24 + 4 * dash),
      digits(text, 28 + 4 * dash),
    ]
    asked[0] = (a << 16) | b
    asked[1] = (c << 16) | d
    asked[2] = (e << 16) | f
    asked[3] = (g << 16) | h
    asked[FACTS] = ((owner << 2) | (form << 1)) >>> 0
    return (a | b | c | d | e | f | g | h) >= 0
  }
}

/** The number that four hex digits are; negative where one of them is none. */
function digits(text: Uint8Array, at: number): number {
  return (nibble(text, at) << 12) | (nibble(text, at + 1) << 8) | (nibble(text, at + 2) << 4) | nibble(text, at + 3)
}

function nibble(text: Uint8Array, at: number): number {
  return NIBBLES[text[at] ?? 0] ?? -1
}

function hasDashes(text: Uint8Array): boolean {
  return text[8] === DASH && text[13] === DASH && text[18] === DASH && text[23] === DASH
}

function partOf(parts: readonly Part[], hash: number): Part {
  const part = parts[hash >>> PARTS_SHIFT]
  if (part === undefined) throw new RangeError('a hash of more than 32 bits')
  return part
}
