import { http1Failure, MALFORMED } from './http1-failures.ts'
import { isFieldOctet, isTokenOctet } from './http1-octets.ts'

/** The fields of one message, and what they say about its framing and its connection. */
export interface Fields {
  /** Name in lower case, value, name, value … */
  list: string[]
  /** -1: not said. */
  length: number
  isChunked: boolean
  closes: boolean
  keepsAlive: boolean
  /** `timeout` of Keep-Alive, seconds; -1: not said. */
  keepAliveSeconds: number
}

/** Reads fields up to the blank line behind them. */
export interface FieldReader {
  /** Of what was read last. */
  readonly fields: Fields
  /**
   * @param text octets, a character each
   * @returns the index behind the blank line; {@link INCOMPLETE} where it is not there
   * @throws Error of the code `HTTP1_MALFORMED`
   */
  read(text: string, from: number): number
}

export const INCOMPLETE = -1

const MAX_FIELDS = 1000
/** RFC 9110 §8.6: as many digits as every number has that is counted exactly. */
const MAX_LENGTH_DIGITS = 15
const MAX_KNOWN = 64
const CR = 0x0d
const LF = 0x0a
const SP = 0x20
const TAB = 0x09
const COLON = 0x3a

type Kind = 'content-length' | 'transfer-encoding' | 'connection' | 'keep-alive'
const KINDS: ReadonlyMap<string, Kind> = new Map(
  (['content-length', 'transfer-encoding', 'connection', 'keep-alive'] as const).map((kind) => [kind, kind]),
)

/** The name of a field as it was spelt, colon included, and what it is. */
interface Known {
  readonly spelt: string
  readonly name: string
  readonly kind: Kind | undefined
}

/** An upstream sends the same fields in the same order again and again: a name that was read at its place is only compared. */
export function createFieldReader(): FieldReader {
  const known: Known[] = []
  const fields: Fields = { list: [], length: -1, isChunked: false, closes: false, keepsAlive: false, keepAliveSeconds: -1 }
  return { fields, read }

  function read(text: string, from: number): number {
    clear()
    let at = from
    for (let index = 0; ; index += 1) {
      if (at >= text.length) return INCOMPLETE
      if (text.charCodeAt(at) === CR) return endOfLine(text, at)
      if (index === MAX_FIELDS) throw malformed('too many fields')
      let one = known[index]
      if (one === undefined || !text.startsWith(one.spelt, at)) {
        one = nameAt(text, at)
        if (one === undefined) return INCOMPLETE
        if (index < MAX_KNOWN) known[index] = one
      }
      at += one.spelt.length
      const end = endOfValue(text, at)
      const next = end === INCOMPLETE ? INCOMPLETE : endOfLine(text, end)
      if (next === INCOMPLETE) return INCOMPLETE
      const value = trimmed(text, at, end)
      fields.list.push(one.name, value)
      if (one.kind !== undefined) {
        if (isFraming(one.kind) && hasTab(text, at, end)) throw malformed('a tab beside the framing')
        note(one.kind, value)
      }
      at = next
    }
  }

  function clear(): void {
    fields.list = []
    fields.length = -1
    fields.isChunked = false
    fields.closes = false
    fields.keepsAlive = false
    fields.keepAliveSeconds = -1
  }

  function note(kind: Kind, value: string): void {
    if (kind === 'content-length') {
      // One that is repeated is refused even where both are equal.
      if (fields.length !== -1 || fields.isChunked) throw malformed('a second framing')
      fields.length = lengthOf(value)
    } else if (kind === 'transfer-encoding') {
      // What is coded otherwise could not be passed on, and what is framed twice is read in two ways (RFC 9112 §6.1, §6.3).
      if (fields.length !== -1 || fields.isChunked) throw malformed('a second framing')
      if (value.toLowerCase() !== 'chunked') throw malformed('a transfer coding that is not chunked')
      fields.isChunked = true
    } else if (kind === 'connection') {
      noteConnection(value)
    } else {
      const seconds = /(?:^|[,;\s])timeout=(\d{1,9})/i.exec(value.slice(0, 100))?.[1]
      if (seconds !== undefined) fields.keepAliveSeconds = Number(seconds)
    }
  }

  function noteConnection(value: string): void {
    if (value === 'keep-alive') {
      fields.keepsAlive = true
      return
    }
    for (const option of value.toLowerCase().split(',')) {
      const name = option.trim()
      if (name === 'close') fields.closes = true
      else if (name === 'keep-alive') fields.keepsAlive = true
    }
  }
}

/** @returns undefined where the text ends within the name */
function nameAt(text: string, at: number): Known | undefined {
  let end = at
  while (end < text.length && isTokenOctet(text.charCodeAt(end))) end += 1
  if (end === text.length) return undefined
  // A space before the colon, and a line that goes on the one before, too (RFC 9112 §5.1, §5.2).
  if (end === at || text.charCodeAt(end) !== COLON) throw malformed('the name of a field')
  const name = text.slice(at, end).toLowerCase()
  return { spelt: text.slice(at, end + 1), name, kind: KINDS.get(name) }
}

function endOfValue(text: string, from: number): number {
  let at = from
  while (at < text.length && isFieldOctet(text.charCodeAt(at))) at += 1
  return at === text.length ? INCOMPLETE : at
}

/** The index behind the CRLF that must stand at `at`. */
export function endOfLine(text: string, at: number): number {
  if (text.charCodeAt(at) !== CR) throw malformed('a control character')
  if (at + 1 === text.length) return INCOMPLETE
  if (text.charCodeAt(at + 1) !== LF) throw malformed('a line that does not end in CRLF')
  return at + 2
}

/** Without the white space around it (RFC 9110 §5.5). */
function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isFraming(kind: Kind): boolean {
  return kind === 'content-length' || kind === 'transfer-encoding'
}

/** Some readers take it for white space there, and some for a part of the value. */
function hasTab(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (text.charCodeAt(at) === TAB) return true
  return false
}

function isSpace(octet: number): boolean {
  return octet === SP || octet === TAB
}

function lengthOf(value: string): number {
  if (value.length === 0 || value.length > MAX_LENGTH_DIGITS) throw malformed('a length')
  let length = 0
  for (let index = 0; index < value.length; index += 1) {
    const digit = value.charCodeAt(index) - 0x30
    if (digit < 0 || digit > 9) throw malformed('a length')
    length = length * 10 + digit
  }
  return length
}

export function malformed(what: string): Error {
  return http1Failure(MALFORMED, `the answer is not HTTP/1.1: ${what}`)
}
