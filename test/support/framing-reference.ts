/**
 * What the octets of one side mean to a reader that goes by RFC 9112 alone. Unlike `strict-http.ts`, which reads what a careful sender
 * writes, it takes all that a recipient has to take (chunk extensions, HTTP/1.0, an empty line before a request), and says where that ends.
 */

export interface ReadRequest {
  readonly method: string
  readonly target: string
  readonly body: string
}

/**
 * How the reading of a connection ended: with its octets, in the middle of a message, at something that two readers could read in
 * two ways, or at a request behind which nothing may be read.
 */
type End = 'between' | 'partial' | 'ambiguous' | 'last'

export interface ClientReading {
  readonly requests: readonly ReadRequest[]
  readonly end: End
  readonly why: string
}

export type AnswerReading =
  | { readonly end: 'whole'; readonly status: number; readonly body: string; readonly extra: boolean }
  | { readonly end: 'partial' | 'ambiguous'; readonly why: string }

interface Head {
  readonly start: string
  readonly fields: readonly (readonly [string, string])[]
  readonly end: number
}

class Unclear extends Error {}
class Unfinished extends Error {}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** RFC 9112 §3: more than one space is read as one. The name of the protocol, which the parser has more than one of, says nothing. */
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([\x21-\x7e]+) +(?:HTTP|RTSP|ICE)\/1\.([01])$/
/** The version and the reason say nothing about how an answer is cut, and neither is passed on. */
const STATUS_LINE = /^HTTP\/(?:0\.9|1\.[01]|2\.0) ([1-5]\d\d)(?: .*)?$/
const LENGTH = /^(?:0|[1-9]\d{0,14})$/
/** What an answer may say besides (RFC 9110 §8.6): the length is written anew. */
const PADDED_LENGTH = /^0*\d{1,15}$/
/**
 * RFC 9112 §7.1: the size, and extensions with what whitespace they may have. The parser takes one without a name as well (`0;;a`),
 * which says nothing about where the line ends; no extension is passed on.
 */
const CHUNK_LINE =
  /^0*([0-9A-Fa-f]{1,16})(?:[\t ]*;[\t ]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[\t ]*=[\t ]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)?)*$/
/** What is no line of a head, however it goes on: a CR or LF alone, and NUL. */
const NO_LINE = /\r(?!\n|$)|(?:^|[^\r])\n|\0/

/** The requests of one connection, up to where nothing more may be read. */
export function readClient(octets: string): ClientReading {
  const requests: ReadRequest[] = []
  let at = 0
  try {
    for (;;) {
      at = skipEmptyLines(octets, at)
      if (at === octets.length) return { requests, end: 'between', why: '' }
      const read = readRequest(octets, at)
      requests.push(read.request)
      if (read.isLast) return { requests, end: 'last', why: 'nothing behind it is a request' }
      at = read.end
    }
  } catch (error) {
    if (error instanceof Unclear) return { requests, end: 'ambiguous', why: error.message }
    if (error instanceof Unfinished) return { requests, end: 'partial', why: error.message }
    throw error
  }
}

/** RFC 9112 §2.2: empty lines before a message mean nothing, however they are written. */
function skipEmptyLines(octets: string, from: number): number {
  let at = from
  while (octets[at] === '\r' || octets[at] === '\n') at += 1
  return at
}

function readRequest(octets: string, at: number): { request: ReadRequest; isLast: boolean; end: number } {
  const head = readHead(octets, at)
  const [, method = '', target = '', minor] = REQUEST_LINE.exec(head.start) ?? []
  if (method === '') throw new Unclear(`request line ${JSON.stringify(head.start)}`)
  const hosts = all(head, 'host')
  if (hosts.length > 1 || (hosts.length === 0 && minor === '1')) throw new Unclear(`${hosts.length} Host fields`)
  const framing = framingOf(head, minor === '0' ? 'old request' : 'request')
  const { body, end } = readBody(octets, head.end, framing)
  const options = all(head, 'connection').flatMap((value) => value.toLowerCase().split(',').map(trim))
  const isKept = !options.includes('close') && (minor === '1' || options.includes('keep-alive'))
  return { request: { method, target, body }, isLast: !isKept || method === 'CONNECT', end }
}

/** How every 100 (Continue) begins: nobody asked for one, so it is thrown away unread. */
const CONTINUE = 'HTTP/1.1 100'

/**
 * The first final answer to a request of this method, where the connection was closed behind the octets or not. What comes before it
 * and what has no body ends with its head, whatever that says (RFC 9112 §6.3).
 */
export function readAnswerOf(octets: string, method: string, closed: boolean): AnswerReading {
  try {
    let at = 0
    for (;;) {
      at = skipEmptyLines(octets, at)
      if (octets.startsWith(CONTINUE, at) && octets.includes('\r\n\r\n', at)) {
        at = octets.indexOf('\r\n\r\n', at) + 4
        continue
      }
      const head = readHead(octets, at)
      const status = Number(STATUS_LINE.exec(head.start)?.[1])
      if (Number.isNaN(status)) throw new Unclear(`status line ${JSON.stringify(head.start)}`)
      if (status === 101) throw new Unclear('another protocol, which nobody asked for')
      if (status < 200) {
        at = head.end
        continue
      }
      const isBodiless = method === 'HEAD' || status === 204 || status === 304
      const framing = isBodiless ? 0 : framingOf(head, 'answer')
      if (framing !== undefined) {
        const { body, end } = readBody(octets, head.end, framing)
        return { end: 'whole', status, body, extra: end < octets.length }
      }
      if (!closed) throw new Unfinished('a body until the connection ends')
      return { end: 'whole', status, body: octets.slice(head.end), extra: false }
    }
  } catch (error) {
    if (error instanceof Unclear) return { end: 'ambiguous', why: error.message }
    if (error instanceof Unfinished) return { end: 'partial', why: error.message }
    throw error
  }
}

function readHead(octets: string, at: number): Head {
  const close = octets.indexOf('\r\n\r\n', at)
  const text = octets.slice(at, close === -1 ? octets.length : close)
  // The reason of an answer may say what it likes.
  const reason = /^HTTP\/\S+ \d+ [^\r\n]*/.exec(text)?.[0].length ?? 0
  const wrong = NO_LINE.exec(text.slice(reason))
  if (wrong !== null) throw new Unclear(`${JSON.stringify(wrong[0])} in a head`)
  if (close === -1) throw new Unfinished('half a head')
  const [start = '', ...lines] = text.split('\r\n')
  return { start, fields: lines.map(readField), end: close + 4 }
}

function readField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0))
  const value = line.slice(colon + 1)
  if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw new Unclear(`field line ${JSON.stringify(line)}`)
  return [name.toLowerCase(), trim(value)]
}

type Framing = number | 'chunked' | undefined

function framingOf(head: Head, of: 'answer' | 'request' | 'old request'): Framing {
  const lengths = all(head, 'content-length')
  const codings = all(head, 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Unclear(`${lengths.length} lengths and ${codings.length} codings`)
  const [length] = lengths
  const [coding] = codings
  if (length !== undefined && !(of === 'answer' ? PADDED_LENGTH : LENGTH).test(length))
    throw new Unclear(`length ${JSON.stringify(length)}`)
  if (coding !== undefined && (of === 'old request' || coding.toLowerCase() !== 'chunked'))
    throw new Unclear(`coding ${JSON.stringify(coding)}`)
  if (coding !== undefined) return 'chunked'
  return length === undefined ? undefined : Number(length)
}

function readBody(octets: string, at: number, framing: Framing): { body: string; end: number } {
  if (framing === 'chunked') return readChunks(octets, at)
  const end = at + (framing ?? 0)
  if (end > octets.length) throw new Unfinished('half a body')
  return { body: octets.slice(at, end), end }
}

function readChunks(octets: string, from: number): { body: string; end: number } {
  let body = ''
  let at = from
  for (;;) {
    const line = lineAt(octets, at, 'a chunk size')
    const [, digits] = CHUNK_LINE.exec(line) ?? []
    if (digits === undefined) throw new Unclear(`chunk size ${JSON.stringify(line)}`)
    const size = Number.parseInt(digits, 16)
    at += line.length + 2
    if (size === 0) break
    const behind = octets.slice(at + size, at + size + 2)
    if (!'\r\n'.startsWith(behind)) throw new Unclear(`${JSON.stringify(behind)} behind a chunk`)
    if (behind.length < 2) throw new Unfinished('half a chunk')
    body += octets.slice(at, at + size)
    at += size + 2
  }
  for (;;) {
    const line = lineAt(octets, at, 'trailers')
    at += line.length + 2
    if (line === '') return { body, end: at }
    readField(line)
  }
}

function lineAt(octets: string, at: number, what: string): string {
  const end = octets.indexOf('\r\n', at)
  const line = octets.slice(at, end === -1 ? octets.length : end)
  if (NO_LINE.test(line)) throw new Unclear(`${JSON.stringify(line)} among ${what}`)
  if (end === -1) throw new Unfinished(`half of ${what}`)
  return line
}

function all({ fields }: Head, name: string): readonly string[] {
  return fields.flatMap(([field, value]) => (field === name ? [value] : []))
}

function trim(text: string): string {
  return text.replace(/^[\t ]+|[\t ]+$/g, '')
}
