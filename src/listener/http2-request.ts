import { EventEmitter } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import type { Connection, RequestMessage } from '../exchange/exchange.ts'
import { cutStream } from './http2-answer.ts'
import type { Http2Head } from './http2-head.ts'

/** A request over HTTP/2, and the way to tell whoever reads it that it will not end. */
export interface Http2Request {
  readonly message: RequestMessage
  /** False when nobody reads it at present. */
  fail(error: Error): boolean
}

type Listener = (() => void) | ((chunk: Buffer) => void) | ((error: Error) => void)

export interface Http2RequestFacts {
  readonly head: Http2Head
  readonly socket: Connection
}

/**
 * The request on a stream. To the library a stream that the client resets ends like one that is whole, so an end is passed on
 * only where nothing says that it was reset: half a body must not be taken for a whole one (RFC 9113 §8.1).
 */
export function createHttp2Request(stream: ServerHttp2Stream, { head, socket }: Http2RequestFacts): Http2Request {
  const { framed } = head
  const own = new EventEmitter()
  let whole = framed.bodyless
  stream.on('end', onEnd)
  // Unread, a stream without a body would not close.
  if (whole) stream.resume()
  const message: RequestMessage = {
    method: head.method,
    url: head.target,
    httpVersion: '2.0',
    rawHeaders: head.rawHeaders,
    socket,
    framed,
    get complete() {
      return whole
    },
    get destroyed() {
      return stream.destroyed
    },
    on,
    off,
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    destroy: () => cutStream(stream),
  }
  return { message, fail }

  function onEnd(): void {
    if (stream.aborted || stream.destroyed) return
    whole = true
    own.emit('end')
  }

  function on(event: string, listener: Listener): void {
    if (event === 'end' || event === 'error') own.on(event, listener)
    else stream.on(event, listener)
  }

  function off(event: string, listener: Listener): void {
    if (event === 'end' || event === 'error') own.off(event, listener)
    else stream.off(event, listener)
  }

  function fail(error: Error): boolean {
    return own.listenerCount('error') > 0 && own.emit('error', error)
  }
}
