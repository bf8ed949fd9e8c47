import { malformed } from './http1-fields.ts'
import { isFieldOctet, isTokenOctet } from './http1-octets.ts'

/** Takes a chunked body apart (RFC 9112 §7.1), up to the trailers. */
export interface ChunkReader {
  /** The octets of the body in what was read last: they were moved together. */
  readonly piece: { from: number; to: number }
  begin(): void
  /**
   * Reads `bytes` from `from` up to `to`, and changes them.
   *
   * @returns where it stopped
   * @throws Error of the code `HTTP1_MALFORMED`
   */
  read(bytes: Buffer, from: number, to: number): number
  /** The last chunk was read: what comes now are trailers. */
  isAtTrailers(): boolean
}

/** Thirteen digits are 2^52, which every number counts exactly. */
const MAX_DIGITS = 13
/** Extensions mean nothing to us, and cost as much as the octets of a body. */
const MAX_EXTENSION_BYTES = 4096
const CR = 0x0d
const LF = 0x0a
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SEMICOLON = 0x3b
const EQUALS = 0x3d

const SIZE = 0
const EXTENSION = 1
const NAME = 2
const VALUE = 3
const TOKEN = 4
const QUOTED = 5
const ESCAPED = 6
const UNQUOTED = 7
const SIZE_END = 8
const DATA = 9
const DATA_CR = 10
const DATA_LF = 11
const TRAILERS = 12

export function createChunkReader(): ChunkReader {
  const piece = { from: 0, to: 0 }
  let state = SIZE
  let digits = 0
  let left = 0
  let extensionBytes = 0
  return { piece, begin, read, isAtTrailers: () => state === TRAILERS }

  function begin(): void {
    state = SIZE
    digits = 0
    left = 0
    extensionBytes = 0
  }

  function read(bytes: Buffer, from: number, to: number): number {
    piece.from = 0
    piece.to = 0
    let at = from
    while (at < to && state !== TRAILERS) {
      if (state === DATA) at = takeData(bytes, at, to)
      else step(bytes[at++] ?? 0)
    }
    return at
  }

  function takeData(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + left)
    left -= end - at
    if (left === 0) state = DATA_CR
    if (piece.to === 0) {
      piece.from = at
      piece.to = end
    } else {
      bytes.copyWithin(piece.to, at, end)
      piece.to += end - at
    }
    return end
  }

  function step(octet: number): void {
    if (state === SIZE) size(octet)
    else if (state === SIZE_END) lineEnd(octet)
    else if (state === DATA_CR) {
      expect(octet, CR)
      state = DATA_LF
    } else if (state === DATA_LF) {
      expect(octet, LF)
      begin()
    } else extension(octet)
  }

  function size(octet: number): void {
    const digit = hexDigit(octet)
    if (digit >= 0) {
      digits += 1
      if (digits > MAX_DIGITS) throw malformed('the size of a chunk')
      left = left * 16 + digit
      return
    }
    if (digits === 0) throw malformed('the size of a chunk')
    endOfPart(octet)
  }

  /** Behind a size, or an extension. */
  function endOfPart(octet: number): void {
    if (octet === CR) state = SIZE_END
    else if (octet === SEMICOLON) state = EXTENSION
    else throw malformed('the extension of a chunk')
  }

  function extension(octet: number): void {
    extensionBytes += 1
    if (extensionBytes > MAX_EXTENSION_BYTES) throw malformed('the extensions of a chunk are too long')
    if (state === QUOTED) quoted(octet)
    else if (state === ESCAPED) {
      if (!isFieldOctet(octet)) throw malformed('the extension of a chunk')
      state = QUOTED
    } else if (state === UNQUOTED) endOfPart(octet)
    else word(octet)
  }

  function word(octet: number): void {
    if (isTokenOctet(octet)) {
      if (state === EXTENSION) state = NAME
      else if (state === VALUE) state = TOKEN
      return
    }
    if (state === VALUE && octet === QUOTE) state = QUOTED
    else if (state === NAME && octet === EQUALS) state = VALUE
    else if (state === NAME || state === TOKEN) endOfPart(octet)
    else throw malformed('the extension of a chunk')
  }

  function quoted(octet: number): void {
    if (octet === QUOTE) state = UNQUOTED
    else if (octet === BACKSLASH) state = ESCAPED
    else if (!isFieldOctet(octet)) throw malformed('the extension of a chunk')
  }

  function lineEnd(octet: number): void {
    expect(octet, LF)
    state = left === 0 ? TRAILERS : DATA
  }

  function expect(octet: number, wanted: number): void {
    if (octet !== wanted) throw malformed('a line that does not end in CRLF')
  }
}

/** -1 where it is none. */
function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const letter = octet | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
