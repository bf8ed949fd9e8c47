import { createChunkReader } from './http1-chunks.ts'
import type { ReceivedFields } from './dispatch.ts'
import { http1Failure, TOO_LONG } from './http1-failures.ts'
import { createFieldReader, endOfLine, INCOMPLETE, malformed } from './http1-fields.ts'
import { isFieldOctet } from './http1-octets.ts'

/** Reads answers off one connection, one after the other (RFC 9112 §4 – §7). */
export interface AnswerReader {
  /** An answer is asked for. To a HEAD it has no body. */
  expect(isToHead: boolean): void
  /**
   * Takes in `bytes` up to `length`, and may change them.
   *
   * @throws Error of the code `HTTP1_MALFORMED` or `HTTP1_HEAD_TOO_LONG`; nothing may be read after that
   */
  read(bytes: Buffer, length: number): void
  /** The upstream sends no more. @returns whether that was the end of an answer */
  end(): boolean
  /** Reads nothing more of the answer. */
  stop(): void
  /** How long the connection may be kept after the answer, by what the upstream says of it, seconds; 0: not at all, -1: not said. */
  keepSeconds(): number
}

export interface AnswerEvents {
  /** From 101 to 199: a switch of protocols is not asked for, and is refused. */
  interim(status: number, fields: ReceivedFields): void
  head(status: number, fields: ReceivedFields): void
  /**
   * The octets `from` up to `to` belong to the body. They are theirs who lent them once this returns.
   *
   * @param isAll they are all of it
   */
  data(bytes: Buffer, from: number, to: number, isAll: boolean): void
  /** @param isLast nothing came behind the answer */
  end(trailers: ReceivedFields, isLast: boolean): void
}

/** Longest head, and longest trailers, as of Node's own parser. */
const MAX_HEAD_BYTES = 16 * 1024
/** So much of what came is looked at for a head at first. */
const USUAL_HEAD_BYTES = 2048
/** More answers before the final one than any server has a use for. */
const MAX_INTERIMS = 1000

const CR = 0x0d
const LF = 0x0a
const SP = 0x20
const VERSION = 'HTTP/1.'
const STATUS_AT = 9
const REASON_AT = 12

const IDLE = 0
const HEAD = 1
const LENGTH = 2
const CHUNKS = 3
const TRAILERS = 4
const REST = 5

const NONE: ReceivedFields = Object.freeze([])

/** What breaks a rule is refused where a reader behind us might see it otherwise; there is no lenient mode. */
export function createAnswerReader(on: AnswerEvents): AnswerReader {
  const { fields, read: readFields } = createFieldReader()
  const chunks = createChunkReader()
  let state = IDLE
  let isToHead = false
  let status = 0
  /** It is of HTTP/1.0, which keeps no connection unasked. */
  let isOld = false
  let left = 0
  let interims = 0
  let keeps = 0
  /** A head as it was read last, while `status`, `isOld` and `fields` are what it says. */
  let known: Buffer | undefined
  let lastBytes = 0
  /** A head or trailers that did not come at once. */
  let held: Buffer | undefined
  let heldBytes = 0
  return { expect, read, end, stop, keepSeconds: () => keeps }

  function expect(given: boolean): void {
    state = HEAD
    isToHead = given
    interims = 0
    keeps = 0
  }

  function read(bytes: Buffer, length: number): void {
    let at = 0
    while (at < length) {
      if (state === HEAD || state === TRAILERS) at = held === undefined ? readText(bytes, at, length) : readOn(bytes, at, length)
      else if (state === CHUNKS) at = readChunks(bytes, at, length)
      else if (state === LENGTH) at = readLength(bytes, at, length)
      else if (state === REST) {
        on.data(bytes, at, length, false)
        return
      } else return
    }
  }

  /** A head, or trailers, that begin here. Upstreams give many answers of one size and one head: that is only compared. */
  function readText(bytes: Buffer, at: number, length: number): number {
    const isAlike = state === HEAD && length - at === lastBytes
    if (isAlike && known !== undefined && bytes.compare(known, 0, known.length, at, at + known.length) === 0) {
      return understood(at + known.length, length)
    }
    lastBytes = length - at
    let text = bytes.toString('latin1', at, Math.min(length, at + USUAL_HEAD_BYTES))
    let end = parse(text)
    if (end === INCOMPLETE && length - at > USUAL_HEAD_BYTES) {
      text = bytes.toString('latin1', at, Math.min(length, at + MAX_HEAD_BYTES))
      end = parse(text)
    }
    if (end === INCOMPLETE) {
      hold(bytes, at, length)
      return length
    }
    // What is as long as the answer before it may well have the same head.
    if (isAlike) known = Buffer.from(bytes.subarray(at, at + end))
    return understood(at + end, length)
  }

  function hold(bytes: Buffer, at: number, length: number): void {
    if (heldBytes + length - at >= MAX_HEAD_BYTES) throw http1Failure(TOO_LONG, 'the head of the answer is too long')
    held ??= Buffer.allocUnsafe(MAX_HEAD_BYTES)
    bytes.copy(held, heldBytes, at, length)
    heldBytes += length - at
  }

  /** One that began before. It is looked at again when a line ends, so that one that comes octet by octet costs little. */
  function readOn(bytes: Buffer, at: number, length: number): number {
    const before = heldBytes
    const taken = Math.min(length, at + MAX_HEAD_BYTES - 1 - before)
    const line = bytes.indexOf(LF, at)
    if (line === -1 || line >= taken || held === undefined) {
      hold(bytes, at, length)
      return length
    }
    hold(bytes, at, taken)
    const end = parse(held.toString('latin1', 0, heldBytes))
    if (end === INCOMPLETE) {
      if (taken < length) throw http1Failure(TOO_LONG, 'the head of the answer is too long')
      return length
    }
    held = undefined
    heldBytes = 0
    return understood(at + end - before, length)
  }

  function parse(text: string): number {
    known = undefined
    if (state === TRAILERS) return readFields(text, 0)
    const from = readStatusLine(text)
    return from === INCOMPLETE ? INCOMPLETE : readFields(text, from)
  }

  function readStatusLine(text: string): number {
    const isWhole = text.length > REASON_AT
    if (!(isWhole ? text.startsWith(VERSION) : isBeginning(text))) throw malformed('the version')
    if (!isWhole) return INCOMPLETE
    const minor = text.charCodeAt(7)
    if ((minor !== 0x30 && minor !== 0x31) || text.charCodeAt(8) !== SP) throw malformed('the version')
    isOld = minor === 0x30
    status = 0
    for (let at = STATUS_AT; at < REASON_AT; at += 1) {
      const digit = text.charCodeAt(at) - 0x30
      if (digit < 0 || digit > 9) throw malformed('the status')
      status = status * 10 + digit
    }
    if (status < 100) throw malformed('the status')
    let at = REASON_AT
    if (text.charCodeAt(at) !== CR && text.charCodeAt(at) !== SP) throw malformed('the status')
    while (at < text.length && isFieldOctet(text.charCodeAt(at))) at += 1
    return at === text.length ? INCOMPLETE : endOfLine(text, at)
  }

  /** @param at behind the blank line */
  function understood(at: number, length: number): number {
    if (state === TRAILERS) {
      if (fields.length !== -1 || fields.isChunked) throw malformed('framing in the trailers')
      finish(fields.list, at === length)
    } else if (status < 200) interim()
    else begin(at, length)
    return at
  }

  function interim(): void {
    interims += 1
    // It has none, and must not say so (RFC 9110 §8.6, RFC 9112 §6.1): who believes it reads something else behind it.
    if (fields.isChunked || fields.length !== -1) throw malformed('a body in an answer before the final one')
    if (isOld || fields.closes) throw malformed('an end before the final answer')
    if (status === 101) throw malformed('a switch of protocols that was not asked for')
    if (interims > MAX_INTERIMS) throw malformed('too many answers before the final one')
    // We ask for no 100 (Continue), and have to bear it (RFC 9110 §15.2).
    if (status !== 100) on.interim(status, fields.list)
  }

  /** What its body is (RFC 9112 §6.3). */
  function begin(at: number, length: number): void {
    const isEmpty = isToHead || status === 204 || status === 304
    keeps = keepsFor(isEmpty)
    const bodyBytes = fields.length
    if (isEmpty || bodyBytes === 0) state = IDLE
    else if (fields.isChunked) {
      chunks.begin()
      state = CHUNKS
    } else if (bodyBytes > 0) {
      left = bodyBytes
      state = LENGTH
    } else {
      keeps = 0
      state = REST
    }
    const isOver = state === IDLE
    on.head(status, fields.list)
    if (isOver) finish(NONE, at === length)
  }

  function keepsFor(isEmpty: boolean): number {
    // Who says that there is a body may well have sent it.
    if (isEmpty && (fields.length > 0 || fields.isChunked)) return 0
    if (fields.closes) return 0
    // HTTP/1.0 has no chunks: what says so has been through something that does not know what it does (RFC 9112 §6.1).
    return isOld && (fields.isChunked || !fields.keepsAlive) ? 0 : fields.keepAliveSeconds
  }

  function finish(trailers: ReceivedFields, isLast: boolean): void {
    state = IDLE
    on.end(trailers, isLast)
  }

  function readLength(bytes: Buffer, at: number, length: number): number {
    const to = Math.min(length, at + left)
    left -= to - at
    on.data(bytes, at, to, to - at === fields.length)
    if (left === 0 && state === LENGTH) finish(NONE, to === length)
    return to
  }

  function readChunks(bytes: Buffer, at: number, length: number): number {
    const to = chunks.read(bytes, at, length)
    if (chunks.piece.to > chunks.piece.from) on.data(bytes, chunks.piece.from, chunks.piece.to, false)
    if (state === CHUNKS && chunks.isAtTrailers()) state = TRAILERS
    return to
  }

  function end(): boolean {
    if (state !== REST) return false
    finish(NONE, true)
    return true
  }

  function stop(): void {
    state = IDLE
    held = undefined
    heldBytes = 0
    known = undefined
  }
}

/** Whether what came of a status line may become one. */
function isBeginning(text: string): boolean {
  return text.startsWith(VERSION) || VERSION.startsWith(text)
}
