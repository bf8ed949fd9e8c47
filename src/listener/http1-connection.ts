import type { Socket } from 'node:net'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { createHttp1Answer, type Carrier, type Http1Answer, type KeepLines } from './http1-answer.ts'
import type { HeadReader, SimpleHead } from './http1-head.ts'
import { isPlain, readShared } from './http1-inbox.ts'
import type { Lines } from './http1-lines.ts'
import { tell } from './http1-listeners.ts'
import { clearPart, createHeadPart, endsHead, keepPiece, type HeadPart } from './http1-part.ts'
import { requestOf } from './http1-request.ts'
import { ENDS_EARLY, TAKES_TOO_LONG, type ParserError } from './parser-error.ts'

export interface Http1StepsNeeds {
  readonly reader: HeadReader
  readonly lines: Lines
  readonly keep: KeepLines
  /** Longest head that is read here, octets. */
  headBytes(): number
  timeouts(): PublicListenerConfig['timeouts']
  isDraining(): boolean
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /**
   * Takes a connection over for good, with what came over it and was not answered.
   *
   * @param waitedMs how long the head that these octets begin has been waited for
   */
  handOver(socket: Socket, octets: Buffer, waitedMs: number): void
  /** Nothing more is read of it. */
  giveUp(socket: Socket, why: ParserError): void
  /** It is gone, or somebody else's. */
  left(socket: Socket): void
  /** The connection of a socket that has not left. */
  of(socket: Socket): Http1Connection | undefined
}

/** One connection of HTTP/1.1 with one request at a time. What is done with it is the same functions for all. */
export interface Http1Connection extends Carrier {
  answer: Http1Answer | undefined
  /** What came behind the request that is being answered. */
  held: Buffer[] | undefined
  heldBytes: number
  readonly part: HeadPart
  silentMs: number
  isUsed: boolean
  isLeft: boolean
}

export interface Http1Steps {
  open(socket: Socket): Http1Connection
  /** So much time has passed. */
  age(connection: Http1Connection, byMs: number): void
  /** Closes it, unless a request is under way on it. */
  closeIdle(connection: Http1Connection): void
}

/** A kept connection is closed so much later than its client was told: a request may be on its way. */
const KEEP_MARGIN_MS = 1000
/** Most that is held of what comes behind a request before that is answered. */
const MOST_HELD_BYTES = 64 * 1024

export function createHttp1Steps(needs: Http1StepsNeeds): Http1Steps {
  const { reader, lines, keep } = needs
  return { open, age, closeIdle }

  function open(socket: Socket): Http1Connection {
    const connection: Http1Connection = {
      socket,
      lines,
      keep,
      written: (error) => written(connection, error),
      answer: undefined,
      held: undefined,
      heldBytes: 0,
      part: createHeadPart(),
      silentMs: 0,
      isUsed: false,
      isLeft: false,
    }
    socket.on('close', onClose)
    socket.on('drain', onDrain)
    socket.on('timeout', onTimeout)
    socket.on('end', onEnd)
    socket.on('data', onData)
    readShared(socket, (octets, length) => take(connection, octets, length))
    return connection
  }

  /** What could not be taken at once, or was there already. */
  function onData(this: Socket, chunk: Buffer): void {
    const connection = needs.of(this)
    if (connection === undefined || take(connection, chunk, chunk.length)) return
    if (connection.answer === undefined) handOver(connection, chunk)
    else hold(connection, chunk)
  }

  function take(connection: Http1Connection, octets: Buffer, length: number): boolean {
    const { answer, part } = connection
    if (connection.isLeft || answer !== undefined || part.text.length + length > needs.headBytes()) return false
    const piece = octets.toString('latin1', 0, length)
    const head = part.text === '' ? reader.read(piece, isPlain(octets, length)) : readRest(part, piece)
    if (head === undefined) return wait(connection, piece)
    answerTo(connection, head)
    return true
  }

  function readRest(part: HeadPart, piece: string): SimpleHead | undefined {
    if (!endsHead(part, piece)) return undefined
    const head = reader.read(part.text + piece)
    if (head !== undefined) clearPart(part)
    return head
  }

  /** A head that comes in pieces waits here: what takes long to come is to cost nothing but its octets. */
  function wait(connection: Http1Connection, piece: string): boolean {
    const { part, isUsed } = connection
    const isFirst = part.text === ''
    if (!keepPiece(part, piece)) return false
    // How long a kept connection was idle before is nothing that this request took.
    if (isFirst && isUsed) connection.silentMs = 0
    return true
  }

  function answerTo(connection: Http1Connection, head: SimpleHead): void {
    const req = requestOf(head, connection.socket)
    const answer = createHttp1Answer(connection, req)
    connection.answer = answer
    if (needs.isDraining()) answer.shouldKeepAlive = false
    connection.isUsed = true
    connection.silentMs = 0
    void needs.handle(req, answer)
  }

  function hold(connection: Http1Connection, chunk: Buffer): void {
    const { answer, socket } = connection
    if (connection.held === undefined) connection.held = [chunk]
    else connection.held.push(chunk)
    connection.heldBytes += chunk.length
    if (connection.heldBytes > MOST_HELD_BYTES) socket.pause()
    // The last answer of a connection that is to end is the one to what came last.
    if (needs.isDraining() && answer?.headersSent === false) answer.shouldKeepAlive = true
  }

  function written(connection: Http1Connection, error?: Error | null): void {
    const { answer: done, socket, held } = connection
    // Of a connection that fails is heard by its end.
    if (done === undefined || (error !== undefined && error !== null)) return
    connection.answer = undefined
    done.writableFinished = true
    if (!done.shouldKeepAlive) socket.destroySoon()
    else if (held !== undefined) handOver(connection, Buffer.concat(held))
    tell(done, 'finish')
    done.destroyed = true
    tell(done, 'close')
  }

  function handOver(connection: Http1Connection, octets: Buffer): void {
    const { socket, part, isUsed, silentMs } = connection
    const all = part.text === '' ? octets : Buffer.concat([Buffer.from(part.text, 'latin1'), octets])
    const waitedMs = part.text !== '' || !isUsed ? silentMs : 0
    leave(connection)
    needs.handOver(socket, all, waitedMs)
    socket.resume()
  }

  function leave(connection: Http1Connection): void {
    const { socket } = connection
    connection.isLeft = true
    connection.held = undefined
    clearPart(connection.part)
    socket.off('close', onClose)
    socket.off('drain', onDrain)
    socket.off('timeout', onTimeout)
    socket.off('end', onEnd)
    socket.off('data', onData)
    limitSilence(socket, 0)
    needs.left(socket)
  }

  function giveUp(connection: Http1Connection, why: ParserError): void {
    leave(connection)
    needs.giveUp(connection.socket, why)
  }

  function age(connection: Http1Connection, byMs: number): void {
    const { requestMs, keepAliveMs, headersMs } = needs.timeouts()
    const { answer, socket, silentMs } = connection
    if (answer !== undefined) {
      // Out of our hands: whoever takes none of it for so long is cut. What still goes on is watched by whoever answers.
      limitSilence(socket, answer.writableEnded ? requestMs : 0)
      return
    }
    limitSilence(socket, 0)
    // It may have begun just before it was looked for the first time.
    connection.silentMs = silentMs + byMs
    if (connection.isUsed && connection.part.text === '') {
      if (silentMs >= keepAliveMs + KEEP_MARGIN_MS) socket.destroy()
    } else if (silentMs >= headersMs) giveUp(connection, TAKES_TOO_LONG)
  }

  function closeIdle({ answer, part, socket }: Http1Connection): void {
    if (answer === undefined && part.text === '') socket.destroy()
  }

  function onEnd(this: Socket): void {
    const connection = needs.of(this)
    if (connection !== undefined && connection.part.text !== '') giveUp(connection, ENDS_EARLY)
  }

  function onTimeout(this: Socket): void {
    if (needs.of(this)?.answer !== undefined) this.destroy()
  }

  function onDrain(this: Socket): void {
    const answer = needs.of(this)?.answer
    if (answer?.writableEnded === false) tell(answer, 'drain')
  }

  function onClose(this: Socket): void {
    const connection = needs.of(this)
    needs.left(this)
    const cutOff = connection?.answer
    if (connection === undefined || cutOff === undefined) return
    connection.answer = undefined
    cutOff.destroyed = true
    Object.assign(cutOff.req, { destroyed: true })
    tell(cutOff, 'close')
  }
}

function limitSilence(socket: Socket, longestMs: number): void {
  if ((socket.timeout ?? 0) !== longestMs) socket.setTimeout(longestMs)
}
