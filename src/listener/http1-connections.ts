import type { Socket } from 'node:net'
import type { PublicListenerConfig } from '../config/config.ts'
import type { AnswerMessage, RequestMessage } from '../exchange/exchange.ts'
import { openHttp1Connection, type Http1Connection, type Http1ConnectionNeeds } from './http1-connection.ts'
import { createHeadReader } from './http1-head.ts'
import { createLines } from './http1-lines.ts'

export interface Http1Needs {
  /** Answers one request; never rejects. */
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  /** Takes a connection over for good, with what came over it and was not answered. */
  handOver(socket: Socket, octets: Buffer): void
  /** Nothing ever came over it. */
  tooLate(socket: Socket): void
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
 * in it that two readers could take for two things. With anything else a connection goes over to a parser that knows all of
 * HTTP/1.1, and stays there.
 */
export function createHttp1Connections(needs: Http1Needs, config: PublicListenerConfig): Http1Connections {
  let { limits, timeouts } = config
  let draining = false
  let isSweeping = false
  const connections = new Set<Http1Connection>()
  const keep = { kept: '', closed: 'Connection: close\r\n' }
  const shared: Http1ConnectionNeeds = {
    reader: createHeadReader(),
    lines: createLines(needs),
    keep,
    headBytes: () => limits.headerBytes,
    timeouts: () => timeouts,
    isDraining: () => draining,
    handle: needs.handle,
    handOver: needs.handOver,
    tooLate: needs.tooLate,
    left: (connection) => connections.delete(connection),
  }
  use(config)
  return { open, use, drain, isAnswering, closeIdle, cut }

  function open(socket: Socket): void {
    connections.add(openHttp1Connection(shared, socket))
    if (isSweeping) return
    isSweeping = true
    needs.schedule(SWEEP_MS, sweep)
  }

  function sweep(): void {
    for (const connection of connections) connection.age(SWEEP_MS)
    isSweeping = connections.size > 0
    if (isSweeping) needs.schedule(SWEEP_MS, sweep)
  }

  function use(next: PublicListenerConfig): void {
    ;({ limits, timeouts } = next)
    keep.kept = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(timeouts.keepAliveMs / 1000)}\r\n`
  }

  function drain(): void {
    draining = true
    for (const connection of connections) connection.becomeLast()
  }

  function isAnswering(): boolean {
    for (const connection of connections) if (connection.isAnswering()) return true
    return false
  }

  function closeIdle(): void {
    for (const connection of connections) connection.closeIdle()
  }

  function cut(): number {
    let answers = 0
    for (const connection of connections) {
      if (connection.isAnswering()) answers += 1
      connection.destroy()
    }
    return answers
  }
}
