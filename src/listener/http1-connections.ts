import type { Socket } from 'node:net'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { createHttp1Steps, type Http1Connection } from './http1-connection.ts'
import { createHeadReader } from './http1-head.ts'
import { createLines } from './http1-lines.ts'
import type { ParserError } from './parser-error.ts'

export interface Http1Needs {
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
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface Http1Connections {
  /** Answers what comes over a connection. */
  open(socket: Socket): void
  use(config: PublicListenerConfig): void
  /** Every answer that has not begun to go out, and those to what still comes, are the last of their connections. */
  drain(): void
  isAnswering(): boolean
  closeIdle(): void
  /** Cuts every connection. Returns on how many an answer was under way. */
  cut(): number
}

/** How often is looked for what takes too long. */
const SWEEP_MS = 250

/**
 * Connections of HTTP/1.1, as long as what comes over them is one simple request after the other: whole, without a body, and nothing
 * in it that two readers could take for two things. What came of one waits here for its rest. With anything else a connection goes
 * over to a parser that knows all of HTTP/1.1, and stays there.
 */
export function createHttp1Connections(needs: Http1Needs, config: PublicListenerConfig): Http1Connections {
  let { limits, timeouts } = config
  let draining = false
  let isSweeping = false
  const connections = new Map<Socket, Http1Connection>()
  const keep = { kept: '', closed: 'Connection: close\r\n' }
  const steps = createHttp1Steps({
    reader: createHeadReader(),
    lines: createLines(needs),
    keep,
    headBytes: () => limits.headerBytes,
    timeouts: () => timeouts,
    isDraining: () => draining,
    handle: needs.handle,
    handOver: needs.handOver,
    giveUp: needs.giveUp,
    left: (socket) => void connections.delete(socket),
    of: (socket) => connections.get(socket),
  })
  use(config)
  return { open, use, drain, isAnswering, closeIdle, cut }

  function open(socket: Socket): void {
    connections.set(socket, steps.open(socket))
    if (isSweeping) return
    isSweeping = true
    needs.schedule(SWEEP_MS, sweep)
  }

  function sweep(): void {
    for (const connection of connections.values()) steps.age(connection, SWEEP_MS)
    isSweeping = connections.size > 0
    if (isSweeping) needs.schedule(SWEEP_MS, sweep)
  }

  function use(next: PublicListenerConfig): void {
    ;({ limits, timeouts } = next)
    keep.kept = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(timeouts.keepAliveMs / 1000)}\r\n`
  }

  function drain(): void {
    draining = true
    for (const { answer } of connections.values()) if (answer?.headersSent === false) answer.shouldKeepAlive = false
  }

  function isAnswering(): boolean {
    for (const { answer } of connections.values()) if (answer !== undefined) return true
    return false
  }

  function closeIdle(): void {
    for (const connection of connections.values()) steps.closeIdle(connection)
  }

  function cut(): number {
    let answers = 0
    for (const { answer, socket } of connections.values()) {
      if (answer !== undefined) answers += 1
      socket.destroy()
    }
    return answers
  }
}
