import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { UNKNOWN_LENGTH } from './http1-head.ts'
import { errors } from './undici-errors.ts'

/** The body of one request on its way to the upstream. */
export interface Upload {
  /** The connection takes more. */
  drained(): void
  /** Nobody wants the rest. */
  stop(): void
}

export interface UploadEvents {
  /** The upstream takes no more for now, or takes more again; what then is waited for is the client. */
  blocked(isBlocked: boolean): void
  done(): void
  failed(error: Error): void
}

/** What goes out in one piece with its head. */
const SMALL_BYTES = 16 * 1024

/**
 * Sends a head and a body, which go together where all of the body is there already. What is written waits for the upstream;
 * what is read waits for what is written.
 *
 * @param length {@link UNKNOWN_LENGTH}: in chunks
 */
export function startUpload(socket: Socket, head: string, body: Readable, length: number, on: UploadEvents): Upload | undefined {
  let sent = 0
  let isOver = false
  if (body.destroyed) {
    fail(body.errored ?? new errors.RequestAbortedError('the request was broken off'))
    return undefined
  }
  const first: unknown = body.read()
  if (sendFirst()) {
    body.on('error', ignore)
    body.resume()
    on.done()
    return undefined
  }
  body.on('data', onData)
  body.on('end', onEnd)
  body.on('error', fail)
  body.on('close', onClose)
  body.resume()
  return { drained, stop }

  /** @returns whether that was all */
  function sendFirst(): boolean {
    if (!(first instanceof Buffer)) {
      socket.write(head, 'latin1')
      return length === 0
    }
    if (length === first.length && first.length <= SMALL_BYTES) {
      const whole = Buffer.allocUnsafe(head.length + first.length)
      whole.write(head, 0, 'latin1')
      first.copy(whole, head.length)
      socket.write(whole)
      return true
    }
    socket.cork()
    socket.write(head, 'latin1')
    send(first)
    socket.uncork()
    return length === sent
  }

  function onData(chunk: Buffer): void {
    send(chunk)
    if (isOver || !socket.writableNeedDrain) return
    body.pause()
    on.blocked(true)
  }

  function send(chunk: Buffer): void {
    if (chunk.length === 0) return
    sent += chunk.length
    if (length !== UNKNOWN_LENGTH) {
      if (sent > length) fail(new errors.RequestContentLengthMismatchError())
      else socket.write(chunk)
      return
    }
    socket.cork()
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
    socket.write(chunk)
    socket.write('\r\n', 'latin1')
    socket.uncork()
  }

  function drained(): void {
    on.blocked(false)
    body.resume()
  }

  function onEnd(): void {
    if (length !== UNKNOWN_LENGTH && sent !== length) {
      fail(new errors.RequestContentLengthMismatchError())
      return
    }
    if (length === UNKNOWN_LENGTH) socket.write('0\r\n\r\n', 'latin1')
    leaveOff()
    on.done()
  }

  function onClose(): void {
    fail(new errors.RequestAbortedError('the request was broken off'))
  }

  function fail(error: Error): void {
    if (isOver) return
    leaveOff()
    on.failed(error)
  }

  function leaveOff(): void {
    isOver = true
    body.off('data', onData)
    body.off('end', onEnd)
    body.off('error', fail)
    body.off('close', onClose)
    body.on('error', ignore)
  }

  function stop(): void {
    leaveOff()
    body.destroy()
  }
}

function ignore(): void {}
