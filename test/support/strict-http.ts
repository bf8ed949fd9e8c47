/** Reads HTTP/1.1 messages as RFC 9112 says and nothing else: whatever two readers could read in two ways is an error. */

export interface Message {
  /** Request line or status line. */
  readonly start: string
  /** Name in lower case and value, as received. */
  readonly fields: readonly (readonly [string, string])[]
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  readonly body: Buffer
  readonly trailers: readonly (readonly [string, string])[]
}

export interface Reading {
  readonly messages: readonly Message[]
  /** What stands behind the last whole message: part of the next one, or nothing. */
  readonly rest: Buffer
}

export class Ambiguity extends Error {}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Z-]+) ([\x21-\x7e]+) HTTP\/1\.1$/
const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e\x80-\xff]*$/
/** A name that some reader takes for a framing field. */
const LOOK_ALIKE = /^(?:content[^a-z0-9]length|transfer[^a-z0-9]encoding)$/

/** The requests of one connection. */
export function readRequests(octets: Buffer): Reading {
  return readAll(octets, (start) => {
    if (!REQUEST_LINE.test(start)) throw new Ambiguity(`request line: ${JSON.stringify(start)}`)
    return 'request'
  })
}

export interface AnswersOptions {
  /** Methods of the requests, in order: an answer to HEAD has no body. Default: none is HEAD. */
  readonly methods?: readonly string[]
  /** Whether the connection was closed behind the octets. */
  readonly closed?: boolean
}

/** The answers of one connection, interim ones included. */
export function readAnswers(octets: Buffer, { methods = [], closed = false }: AnswersOptions = {}): Reading {
  let final = 0
  return readAll(octets, (start) => {
    const status = Number(STATUS_LINE.exec(start)?.[1])
    if (Number.isNaN(status)) throw new Ambiguity(`status line: ${JSON.stringify(start)}`)
    if (status < 200) return 'bodiless'
    const method = methods[final]
    final += 1
    if (method === 'HEAD' || status === 304) return 'bodiless'
    if (status === 204) return 'empty'
    return closed ? 'answer-then-close' : 'answer'
  })
}

type Kind = 'request' | 'bodiless' | 'empty' | 'answer' | 'answer-then-close'

function readAll(octets: Buffer, kindOf: (start: string) => Kind): Reading {
  const messages: Message[] = []
  let at = 0
  while (at < octets.length) {
    const read = readOne(octets, at, kindOf)
    if (read === undefined) break
    messages.push(read.message)
    at = read.end
  }
  return { messages, rest: octets.subarray(at) }
}

function readOne(octets: Buffer, at: number, kindOf: (start: string) => Kind): { message: Message; end: number } | undefined {
  const headEnd = octets.indexOf('\r\n\r\n', at)
  if (headEnd === -1) {
    // Half a head must at least begin like one.
    const line = octets.subarray(at, at + 16).toString('latin1')
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(line)) throw new Ambiguity(`not the start of a message: ${JSON.stringify(line)}`)
    return undefined
  }
  const [start = '', ...lines] = octets.subarray(at, headEnd).toString('latin1').split('\r\n')
  const kind = kindOf(start)
  const fields = lines.map(readField)
  const bodyAt = headEnd + 4
  const framing = framingOf(fields, kind)
  const plain = (body: Buffer, end: number) => ({ message: { start, fields, framing, body, trailers: [] }, end })
  if (framing === 'none') return plain(Buffer.alloc(0), bodyAt)
  if (framing === 'close') return kind === 'answer-then-close' ? plain(octets.subarray(bodyAt), octets.length) : undefined
  if (framing === 'length') {
    const end = bodyAt + Number(valuesOf(fields, 'content-length')[0])
    return end > octets.length ? undefined : plain(octets.subarray(bodyAt, end), end)
  }
  const chunked = readChunked(octets, bodyAt)
  if (chunked === undefined) return undefined
  return { message: { start, fields, framing, body: chunked.body, trailers: chunked.trailers }, end: chunked.end }
}

function readField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0))
  const value = line.slice(colon + 1)
  if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw new Ambiguity(`field line: ${JSON.stringify(line)}`)
  return [name.toLowerCase(), value.replace(/^[\t ]+|[\t ]+$/g, '')]
}

function framingOf(fields: Message['fields'], kind: Kind): Message['framing'] {
  const lengths = valuesOf(fields, 'content-length')
  const codings = valuesOf(fields, 'transfer-encoding')
  const strange = fields.find(([name]) => LOOK_ALIKE.test(name) && name !== 'content-length' && name !== 'transfer-encoding')
  if (strange !== undefined) throw new Ambiguity(`a field that looks like framing: ${strange[0]}`)
  if (lengths.length + codings.length > 1) throw new Ambiguity(`${lengths.length} lengths and ${codings.length} codings`)
  if (lengths[0] !== undefined && !/^(?:0|[1-9]\d{0,14})$/.test(lengths[0])) throw new Ambiguity(`length: ${lengths[0]}`)
  if (codings[0] !== undefined && codings[0] !== 'chunked') throw new Ambiguity(`coding: ${codings[0]}`)
  if (kind === 'empty' && lengths.length + codings.length > 0) throw new Ambiguity('framing in an answer that has no body')
  if (kind === 'bodiless' || kind === 'empty') return 'none'
  if (codings.length > 0) return 'chunked'
  if (lengths.length > 0) return 'length'
  return kind === 'request' ? 'none' : 'close'
}

function readChunked(octets: Buffer, from: number): { body: Buffer; trailers: Message['trailers']; end: number } | undefined {
  const chunks: Buffer[] = []
  let at = from
  for (;;) {
    const lineEnd = octets.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const line = octets.subarray(at, lineEnd).toString('latin1')
    if (!/^[0-9A-Fa-f]{1,8}$/.test(line)) throw new Ambiguity(`chunk size: ${JSON.stringify(line)}`)
    const size = Number.parseInt(line, 16)
    at = lineEnd + 2
    if (size === 0) break
    if (at + size + 2 > octets.length) return undefined
    if (octets.subarray(at + size, at + size + 2).toString('latin1') !== '\r\n') throw new Ambiguity('no line end behind a chunk')
    chunks.push(octets.subarray(at, at + size))
    at += size + 2
  }
  const trailers: (readonly [string, string])[] = []
  for (;;) {
    const lineEnd = octets.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const line = octets.subarray(at, lineEnd).toString('latin1')
    at = lineEnd + 2
    if (line === '') return { body: Buffer.concat(chunks), trailers, end: at }
    trailers.push(readField(line))
  }
}

/** All values of a field; `name` is lower case. */
export function valuesOf(fields: Message['fields'], name: string): readonly string[] {
  return fields.flatMap(([field, value]) => (field === name ? [value] : []))
}

/** Status of an answer. */
export function statusCode(message: Message | undefined): number {
  return Number(message?.start.split(' ')[1] ?? 0)
}
