import { constants, type ServerHttp2Stream } from 'node:http2'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'

type Fields = string[] | Record<string, string | string[]>

/** RFC 9113 §8.2.2: fields about a connection have no place in HTTP/2. Names of ours and of upstreams alike. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
  'host',
])

/**
 * The answer on a stream. The head waits for the first octet of the body or for the end, so that an answer without a body is
 * one frame that says so: clients of gRPC take it for an error in one piece.
 */
export function createHttp2Answer(stream: ServerHttp2Stream, req: RequestMessage): AnswerMessage {
  const set = new Map<string, string | string[]>()
  let head: string[] | undefined
  let state: 'open' | 'written' | 'sent' | 'ended' = 'open'
  let bodyless = req.method === 'HEAD'
  /** Without a prototype: upstreams may name a field like what every object has. */
  let trailers: Record<string, string[]> | undefined
  stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}))
  return {
    req,
    get headersSent() {
      return state !== 'open'
    },
    get destroyed() {
      return stream.destroyed || stream.closed
    },
    get writableEnded() {
      return state === 'ended'
    },
    get writableFinished() {
      // A reset by the client finishes the stream as well.
      return state === 'ended' && stream.writableFinished
    },
    getHeader: (name) => set.get(name.toLowerCase()),
    hasHeader: (name) => set.has(name.toLowerCase()),
    getHeaderNames: () => [...set.keys()],
    setHeader: (name, value) => set.set(name.toLowerCase(), typeof value === 'object' ? [...value] : String(value)),
    writeHead,
    writeInformation,
    writeContinue: () => inform({ ':status': '100' }),
    addTrailers,
    write,
    end,
    destroy: () => cutStream(stream),
    on,
    once,
    off,
  }

  function writeHead(status: number, fields: Fields): void {
    const given = flat(fields)
    head = [':status', String(status)]
    for (const [name, value] of set) if (!names(given, name)) push(head, name, value)
    for (const part of given) head.push(part)
    if (status === 204 || status === 304) bodyless = true
    state = 'written'
  }

  /** @param last whether there is no body */
  function sendHead(last: boolean): void {
    if (state !== 'written' || head === undefined) return
    state = 'sent'
    if (isGone()) return
    const endStream = (last && trailers === undefined) || bodyless
    // A length that is announced leaves no room for trailers: they would have to be announced too.
    stream.respond(head, { endStream, waitForTrailers: !endStream && !names(head, 'content-length') })
  }

  function write(chunk: string | Uint8Array): boolean {
    sendHead(false)
    if (chunk.length === 0 || bodyless || isGone()) return true
    return stream.write(chunk)
  }

  function end(chunk?: string | Uint8Array, encoding: 'latin1' | 'utf8' = 'utf8'): void {
    const isEmpty = chunk === undefined || chunk.length === 0
    const wasSent = state === 'sent'
    sendHead(isEmpty)
    state = 'ended'
    if (isGone()) return
    if (!req.complete) stream.once('finish', stopBody)
    if (bodyless || (isEmpty && !wasSent && trailers === undefined)) return
    if (isEmpty) stream.end()
    else stream.end(chunk, encoding)
  }

  /** RFC 9113 §8.1: the answer is whole, and nobody wants the rest of the request. */
  function stopBody(): void {
    setImmediate(() => {
      if (!req.complete && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }

  function writeInformation(status: number, fields: string[]): void {
    const given: Record<string, string | string[]> = Object.create(null)
    given[':status'] = String(status)
    const pairs = flat(fields)
    for (let index = 0; index < pairs.length; index += 2) {
      const name = pairs[index] ?? ''
      const before = given[name]
      given[name] = before === undefined ? (pairs[index + 1] ?? '') : [before, pairs[index + 1] ?? ''].flat()
    }
    inform(given)
  }

  function inform(fields: Record<string, string | string[]>): void {
    if (state === 'open' && !isGone()) stream.additionalHeaders(fields)
  }

  function addTrailers(fields: readonly [string, string][]): void {
    const named: Record<string, string[]> = trailers ?? Object.create(null)
    trailers = named
    for (const [name, value] of fields) {
      const key = name.toLowerCase()
      if (!OF_CONNECTIONS.has(key)) named[key] = [...(named[key] ?? []), value]
    }
  }

  function isGone(): boolean {
    return stream.destroyed || stream.closed
  }

  function on(event: string, listener: () => void): void {
    stream.on(event, listener)
  }

  function once(event: string, listener: () => void): void {
    stream.once(event, listener)
  }

  function off(event: string, listener: () => void): void {
    stream.off(event, listener)
  }
}

/**
 * Resets a stream at once. The library's `close` would end it in order first, and half an answer would look whole.
 */
export function cutStream(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.destroy(new Error('the stream was cut'))
}

/** Name, value, name, value … with names in lower case, without fields about a connection. */
function flat(fields: Fields): string[] {
  const out: string[] = []
  if (Array.isArray(fields)) {
    for (let index = 0; index < fields.length; index += 2) push(out, fields[index] ?? '', fields[index + 1] ?? '')
    return out
  }
  for (const name in fields) push(out, name, fields[name] ?? '')
  return out
}

function push(out: string[], name: string, value: string | string[]): void {
  const key = name.toLowerCase()
  if (OF_CONNECTIONS.has(key)) return
  if (typeof value === 'string') out.push(key, value)
  else for (const one of value) out.push(key, one)
}

function names(fields: readonly string[], name: string): boolean {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return true
  return false
}
