/**
 * Reads along with what a server says and tells when it stops being answers of Redis in RESP2.
 *
 * The client's decoder takes any octets for digits: noise that begins like a list becomes room for millions of items, which
 * holds up everything for up to a second, and a length below zero makes it go back and read the same for ever. It also goes
 * on for long after an answer whose end is not where it has to be, and gives what follows to the wrong questions. So nothing
 * is decoded that does not have the form.
 */
export interface Framing {
  /**
   * How many of these octets may be decoded: all, or those up to the end of the last whole answer before what is none. After
   * that nothing means anything any more.
   */
  sound(chunk: Uint8Array): number
}

/** Redis' own limit of a text, octets (`proto-max-bulk-len`). */
const LONGEST_TEXT = 512 * 1024 * 1024
/** Many times what any question of ours is answered with, and little memory to set aside. */
const MOST_ITEMS = 1_000_000
/** A status, or an error with its message. */
const LONGEST_LINE = 65_536
/** Of a number with 64 bits. */
const MOST_DIGITS = 19

const PLUS = 0x2b
const MINUS = 0x2d
const COLON = 0x3a
const DOLLAR = 0x24
const STAR = 0x2a
const CR = 0x0d
const LF = 0x0a
const ZERO = 0x30

/** What the next octet is part of. */
type Part = 'type' | 'line' | 'number' | 'end' | 'text' | 'text end' | 'last'

/** For one connection from its begin. */
export function createFraming(): Framing {
  let part: Part = 'type'
  let type = 0
  let [value, digits, isNegative] = [0, 0, false]
  /** Octets that a line may still have, or a text still has. */
  let left = 0
  /** Items until the answer is whole; 0 between two answers. */
  let awaited = 0
  return { sound }

  function sound(chunk: Uint8Array): number {
    let whole = 0
    for (let at = 0; at < chunk.length;) {
      if (part === 'text') {
        const here = Math.min(left, chunk.length - at)
        at += here
        left -= here
        if (left === 0) part = 'text end'
      } else if (!takes(chunk[at++] ?? 0)) {
        return whole
      }
      if (awaited === 0) whole = at
    }
    return chunk.length
  }

  function takes(octet: number): boolean {
    switch (part) {
      case 'type':
        return begins(octet)
      case 'line':
        if (octet === CR) part = 'end'
        else left -= 1
        return octet !== LF && left >= 0
      case 'number':
        return counts(octet)
      case 'end':
        return octet === LF && goesOn()
      case 'text end':
        part = 'last'
        return octet === CR
      default:
        return octet === LF && ends()
    }
  }

  function begins(octet: number): boolean {
    if (awaited === 0) awaited = 1
    type = octet
    ;[value, digits, isNegative, left] = [0, 0, false, LONGEST_LINE]
    part = octet === PLUS || octet === MINUS ? 'line' : 'number'
    return part === 'line' || octet === COLON || octet === DOLLAR || octet === STAR
  }

  function counts(octet: number): boolean {
    if (octet === CR) {
      part = 'end'
      return digits > 0
    }
    if (octet === MINUS && digits === 0 && !isNegative) {
      isNegative = true
      return true
    }
    value = value * 10 + octet - ZERO
    digits += 1
    return octet >= ZERO && octet <= ZERO + 9 && digits <= MOST_DIGITS
  }

  /** After the first line of an answer, or of an item of one: it is over, or its text follows, or its items do. */
  function goesOn(): boolean {
    if (type !== DOLLAR && type !== STAR) return ends()
    // Nothing, as RESP2 says it, which is something else than an empty text or an empty list.
    if (isNegative) return value === 1 && digits === 1 && ends()
    if (type === STAR) {
      awaited += value
      return value <= MOST_ITEMS && ends()
    }
    left = value
    part = value === 0 ? 'text end' : 'text'
    return value <= LONGEST_TEXT
  }

  function ends(): boolean {
    part = 'type'
    awaited -= 1
    return true
  }
}
