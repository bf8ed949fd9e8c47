import type { Socket } from 'node:net'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { createHttp1Answer, tell, type Http1Answer, type KeepLines } from './http1-answer.ts'
import type { HeadReader, SimpleHead } from './http1-head.ts'
import { readShared } from './http1-inbox.ts'
import type { Lines } from './http1-lines.ts'

export interface Http1ConnectionNeeds {
  readonly reader: HeadReader
  readonly lines: Lines
  readonly keep: KeepLines
  /** Longest head that is read here, octets. */
  headBytes(): number
  timeouts(): PublicListenerConfig['timeouts']
  isDraining(): boolean
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /** Takes a connection over for good, with what came over it and was not answered. */
  handOver(socket: Socket, octets: Buffer): void
  /** Nothing ever came over it. */
  tooLate(socket: Socket): void
  /** It is gone, or somebody else's. */
  left(connection: Http1Connection): void
}

/** One connection of HTTP/1.1 with one request at a time. */
export interface Http1Connection {
  /** So much time has passed. */
  age(byMs: number): void
  /** Its answer, where none has begun to go out, is the last. */
  becomeLast(): void
  isAnswering(): boolean
  closeIdle(): void
  destroy(): void
}

/** A kept connection is closed so much later than its client was told: a request may be on its way. */
const KEEP_MARGIN_MS = 1000
/** Most that is held of what comes behind a request before that is answered. */
const MOST_HELD_BYTES = 64 * 1024

export function openHttp1Connection(needs: Http1ConnectionNeeds, socket: Socket): Http1Connection {
  const self: Http1Connection = { age, becomeLast, isAnswering, closeIdle, destroy }
  const carrier = { socket, lines: needs.lines, keep: needs.keep, written }
  let answer: Http1Answer | undefined
  let held: Buffer[] = []
  let heldBytes = 0
  let silentMs = 0
  let isUsed = false
  let isLeft = false
  socket.on('close', onClose)
  socket.on('drain', onDrain)
  socket.on('timeout', onTimeout)
  socket.on('data', onData)
  readShared(socket, take)
  return self

  /** What could not be taken at once, or was there already. */
  function onData(chunk: Buffer): void {
    if (take(chunk, chunk.length)) return
    if (answer === undefined) handOver(chunk)
    else hold(chunk)
  }

  function take(octets: Buffer, length: number): boolean {
    if (isLeft || answer !== undefined || length > needs.headBytes()) return false
    const head = needs.reader.read(octets.toString('latin1', 0, length))
    if (head === undefined) return false
    answerTo(head)
    return true
  }

  function answerTo({ method, target, fields }: SimpleHead): void {
    const req: RequestMessage = {
      method,
      url: target,
      httpVersion: '1.1',
      rawHeaders: fields,
      isPlain: true,
      socket,
      complete: true,
      destroyed: false,
      on: nothing,
      off: nothing,
      pause: nothing,
      resume: nothing,
      destroy: nothing,
    }
    answer = createHttp1Answer(carrier, req)
    if (needs.isDraining()) answer.shouldKeepAlive = false
    isUsed = true
    silentMs = 0
    void needs.handle(req, answer)
  }

  function hold(chunk: Buffer): void {
    held.push(chunk)
    heldBytes += chunk.length
    if (heldBytes > MOST_HELD_BYTES) socket.pause()
    // The last answer of a connection that is to end is the one to what came last.
    if (needs.isDraining() && answer?.headersSent === false) answer.shouldKeepAlive = true
  }

  function written(error?: Error | null): void {
    // Of a connection that fails is heard by its end.
    if (answer === undefined || (error !== undefined && error !== null)) return
    const done = answer
    answer = undefined
    done.writableFinished = true
    if (!done.shouldKeepAlive) socket.destroySoon()
    else if (heldBytes > 0) handOver(Buffer.concat(held))
    tell(done, 'finish')
    done.destroyed = true
    tell(done, 'close')
  }

  function handOver(octets: Buffer): void {
    leave()
    needs.handOver(socket, octets)
    socket.resume()
  }

  function leave(): void {
    isLeft = true
    held = []
    socket.off('close', onClose)
    socket.off('drain', onDrain)
    socket.off('timeout', onTimeout)
    socket.off('data', onData)
    limitSilence(0)
    needs.left(self)
  }

  function age(byMs: number): void {
    const { requestMs, keepAliveMs, headersMs } = needs.timeouts()
    if (answer !== undefined) {
      // Out of our hands: whoever takes none of it for so long is cut. What still goes on is watched by whoever answers.
      limitSilence(answer.writableEnded ? requestMs : 0)
      return
    }
    limitSilence(0)
    silentMs += byMs
    if (isUsed) {
      if (silentMs > keepAliveMs + KEEP_MARGIN_MS) socket.destroy()
    } else if (silentMs > headersMs) {
      leave()
      needs.tooLate(socket)
    }
  }

  function limitSilence(longestMs: number): void {
    if ((socket.timeout ?? 0) !== longestMs) socket.setTimeout(longestMs)
  }

  function onTimeout(): void {
    if (answer !== undefined) socket.destroy()
  }

  function becomeLast(): void {
    if (answer?.headersSent === false) answer.shouldKeepAlive = false
  }

  function isAnswering(): boolean {
    return answer !== undefined
  }

  function closeIdle(): void {
    if (answer === undefined) socket.destroy()
  }

  function destroy(): void {
    socket.destroy()
  }

  function onDrain(): void {
    if (answer?.writableEnded === false) tell(answer, 'drain')
  }

  function onClose(): void {
    needs.left(self)
    if (answer === undefined) return
    const cutOff = answer
    answer = undefined
    cutOff.destroyed = true
    Object.assign(cutOff.req, { destroyed: true })
    tell(cutOff, 'close')
  }
}

/** There is no body to hear of. */
function nothing(): void {}
