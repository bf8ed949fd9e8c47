import type { Socket } from 'node:net'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import type { Lines } from './http1-lines.ts'
import { off, on, once, type Heard } from './http1-listeners.ts'

type Value = string | number | readonly string[]

/** What an answer needs of the connection that carries it. */
export interface Carrier {
  readonly socket: Socket
  readonly lines: Lines
  /** How the connection goes on behind a head, as lines. */
  readonly keep: KeepLines
  /** The last octet of the answer was handed to the system, or the connection is gone. */
  readonly written: (error?: Error | null) => void
}

export interface KeepLines {
  readonly kept: string
  readonly closed: string
}

/** An answer, with what its connection notes on it. */
export interface Http1Answer extends AnswerMessage, Heard {
  /** Whether the connection takes another request behind it. */
  shouldKeepAlive: boolean
  headersSent: boolean
  destroyed: boolean
  writableEnded: boolean
  writableFinished: boolean
  readonly carrier: Carrier
  /** The head that was not written yet. */
  head: string
  /** Whatever is written, there is no body (RFC 9110 §6.4.1). */
  isBodyless: boolean
  isChunked: boolean
  own: Map<string, { readonly name: string; readonly value: Value }> | undefined
  trailers: string
}

/**
 * The answer to one request on a connection of ours. There is one for each request, so what it does is the same functions for all
 * of them, and what it knows stands on it.
 */
export function createHttp1Answer(carrier: Carrier, req: RequestMessage): Http1Answer {
  return {
    carrier,
    req,
    shouldKeepAlive: true,
    headersSent: false,
    destroyed: false,
    writableEnded: false,
    writableFinished: false,
    head: '',
    isBodyless: req.method === 'HEAD',
    isChunked: false,
    own: undefined,
    trailers: '',
    listeners: undefined,
    hasHeader,
    getHeaderNames,
    getHeader,
    setHeader,
    writeHead,
    writeInformation,
    writeContinue,
    addTrailers,
    write,
    end,
    destroy,
    on,
    once,
    off,
  }
}

function hasHeader(this: Http1Answer, name: string): boolean {
  return this.own?.has(name.toLowerCase()) === true
}

function getHeaderNames(this: Http1Answer): string[] {
  return this.own === undefined ? [] : [...this.own.keys()]
}

function getHeader(this: Http1Answer, name: string): Value | undefined {
  return this.own?.get(name.toLowerCase())?.value
}

function setHeader(this: Http1Answer, name: string, value: Value): void {
  this.own ??= new Map()
  this.own.set(name.toLowerCase(), { name, value })
}

function writeHead(this: Http1Answer, status: number, given: string[] | Record<string, string | string[]>): void {
  if (this.headersSent) throw new Error('the answer has a head already')
  const { lines, keep } = this.carrier
  const fields = this.own === undefined && Array.isArray(given) ? given : withOwn(this, given)
  let head = lines.status(status)
  let isDated = false
  let isFramed = false
  for (let index = 0; index < fields.length; index += 2) {
    const line = lines.field(index >> 1, fields[index] ?? '', fields[index + 1] ?? '')
    if (line.kind === 'plain') {
      head += line.text
      continue
    }
    if (line.kind === 'connection') {
      if (line.value.toLowerCase().includes('close')) this.shouldKeepAlive = false
      continue
    }
    // The framing of another message: ours is written below.
    if (line.kind === 'coding') continue
    if (line.kind === 'date') isDated = true
    else isFramed = true
    head += line.text
  }
  if (!isDated) head += lines.date()
  head += this.shouldKeepAlive ? keep.kept : keep.closed
  if (status === 204 || status === 304 || status < 200) this.isBodyless = true
  this.isChunked = !isFramed && !this.isBodyless
  this.head = head + (this.isChunked ? 'Transfer-Encoding: chunked\r\n\r\n' : '\r\n')
  this.headersSent = true
}

/** With what was set before, unless it is given anew. */
function withOwn({ own }: Http1Answer, given: string[] | Record<string, string | string[]>): string[] {
  const list = Array.isArray(given) ? given : flat(given)
  if (own === undefined) return list
  const names = new Set<string>()
  for (let index = 0; index < list.length; index += 2) names.add((list[index] ?? '').toLowerCase())
  const fields: string[] = []
  for (const [key, { name, value }] of own) {
    if (names.has(key)) continue
    if (typeof value === 'object') for (const one of value) fields.push(name, one)
    else fields.push(name, String(value))
  }
  for (const text of list) fields.push(text)
  return fields
}

function flat(given: Record<string, string | string[]>): string[] {
  const fields: string[] = []
  for (const name in given) {
    const value = given[name] ?? ''
    if (typeof value === 'string') fields.push(name, value)
    else for (const one of value) fields.push(name, one)
  }
  return fields
}

function writeInformation(this: Http1Answer, status: number, given: string[]): void {
  if (this.headersSent) return
  const { lines, socket } = this.carrier
  let head = lines.status(status)
  for (let index = 0; index < given.length; index += 2) {
    head += lines.field(index >> 1, given[index] ?? '', given[index + 1] ?? '').text
  }
  socket.write(`${head}\r\n`, 'latin1')
}

/** Nobody waits for it: whoever expects something is read by another reader. */
function writeContinue(): void {}

function addTrailers(this: Http1Answer, fields: readonly [string, string][]): void {
  for (const [index, [name, value]] of fields.entries()) this.trailers += this.carrier.lines.field(index, name, value).text
}

function write(this: Http1Answer, chunk: string | Uint8Array, encoding?: 'latin1' | 'utf8'): boolean {
  const { socket } = this.carrier
  if (this.writableEnded || this.destroyed) return true
  if (!this.headersSent) this.writeHead(200, [])
  const { head } = this
  this.head = ''
  if (chunk.length === 0 || this.isBodyless) return head === '' || socket.write(head, 'latin1')
  if (typeof chunk === 'string' && isOctets(chunk, encoding)) {
    return socket.write(head + (this.isChunked ? `${chunk.length.toString(16)}\r\n${chunk}\r\n` : chunk), 'latin1')
  }
  const octets = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  if (head === '' && !this.isChunked) return socket.write(octets)
  socket.cork()
  socket.write(this.isChunked ? `${head}${octets.length.toString(16)}\r\n` : head, 'latin1')
  let isTaken = socket.write(octets)
  if (this.isChunked) isTaken = socket.write('\r\n', 'latin1')
  socket.uncork()
  return isTaken
}

function end(this: Http1Answer, chunk?: string | Uint8Array, encoding?: 'latin1' | 'utf8'): void {
  if (this.writableEnded) return
  const { socket, written } = this.carrier
  if (!this.headersSent) this.writeHead(200, [])
  if (!this.isChunked && (chunk === undefined || this.isBodyless || isText(chunk, encoding))) {
    const text = typeof chunk === 'string' && !this.isBodyless ? this.head + chunk : this.head
    this.head = ''
    this.writableEnded = true
    socket.write(text, 'latin1', written)
    return
  }
  socket.cork()
  if (chunk !== undefined) write.call(this, chunk, encoding)
  this.writableEnded = true
  socket.write(this.isChunked ? `${this.head}0\r\n${this.trailers}\r\n` : '', 'latin1', written)
  this.head = ''
  socket.uncork()
}

function isText(chunk: string | Uint8Array, encoding: 'latin1' | 'utf8' | undefined): chunk is string {
  return typeof chunk === 'string' && isOctets(chunk, encoding)
}

/** Whether each character is the octet that it is to become. */
function isOctets(text: string, encoding: 'latin1' | 'utf8' | undefined): boolean {
  return encoding === 'latin1' || Buffer.byteLength(text) === text.length
}

function destroy(this: Http1Answer): void {
  // What is over is nobody's any more: another answer may be under way on the connection.
  if (this.writableFinished || this.destroyed) return
  this.destroyed = true
  this.carrier.socket.destroy()
}
