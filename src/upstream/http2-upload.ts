import type { ClientHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { errors } from './undici-errors.ts'

/** The body of one request on its way to the upstream. */
export interface Upload {
  /** Sends it all as `stream`: what was sent before, where it is sent again, then the rest as it comes. */
  sendTo(stream: ClientHttp2Stream): void
  /** The stream is gone; the rest waits. */
  hold(): void
  /** Whether all that was taken of the body is still here. */
  isRepeatable(): boolean
  /** It will not be sent again. */
  settle(): void
  hasEnded(): boolean
}

export interface UploadEvents {
  moved(): void
  failed(error: Error): void
}

/** How much of a body is kept until there is an answer. */
const KEPT_BYTES = 64 * 1024

/** What is written waits for the upstream's window; what is read waits for what is written. */
export function createUpload(body: Readable, on: UploadEvents): Upload {
  let stream: ClientHttp2Stream | undefined
  let kept: Buffer[] | undefined = []
  let keptBytes = 0
  let isRead = false
  let ended = false
  return { sendTo, hold, isRepeatable: () => kept !== undefined, settle, hasEnded: () => ended }

  function sendTo(given: ClientHttp2Stream): void {
    stream = given
    given.on('drain', () => body.resume())
    for (const chunk of kept ?? []) given.write(chunk)
    if (ended) given.end()
    else if (isRead) body.resume()
    else read()
  }

  function read(): void {
    isRead = true
    body.on('error', on.failed)
    body.on('close', onClose)
    body.on('end', onEnd)
    body.on('data', onData)
  }

  function onData(chunk: Buffer): void {
    keptBytes += chunk.length
    if (keptBytes > KEPT_BYTES) kept = undefined
    kept?.push(chunk)
    on.moved()
    if (stream === undefined || !stream.write(chunk)) body.pause()
  }

  function onEnd(): void {
    ended = true
    stream?.end()
  }

  function onClose(): void {
    if (!ended) on.failed(new errors.RequestAbortedError('the request was broken off'))
  }

  function hold(): void {
    stream = undefined
    body.pause()
  }

  function settle(): void {
    kept = undefined
    keptBytes = KEPT_BYTES
  }
}
