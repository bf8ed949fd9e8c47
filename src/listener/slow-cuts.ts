import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { TOOK_TOO_LONG, type ParserError } from './parser-error.ts'

/**
 * Between two cuts there is so much time for everybody else: who is cut comes back at once, and a connection that is made takes
 * longer than a request.
 */
const PAUSE_MS = 2
/** At a time one of so many that wait is cut, and one at least, so that a crowd waits seconds and not minutes. */
const PART = 256

interface Slow {
  readonly error: ParserError
  readonly socket: Duplex
  /** The latest answer on it, and whether its request was whole. */
  readonly res: ServerResponse | undefined
  readonly wasWhole: boolean
}

/**
 * Cuts slow clients one after the other, with the requests of everybody else in between: those who came together have used up
 * their time together, and a crowd that is cut at once, or in one turn of the event loop after the other, holds up everybody.
 *
 * @param refuse what becomes of a connection of which nothing more can be read
 * @param latestOn the latest answer on a connection
 */
export function createSlowCuts(
  needs: { schedule(delayMs: number, run: () => void): () => void },
  refuse: (error: ParserError, socket: Duplex) => void,
  latestOn: (socket: Duplex) => ServerResponse | undefined,
): (error: ParserError, socket: Duplex) => void {
  let waiting: Slow[] = []
  let next = 0
  return onClientError

  function onClientError(error: ParserError, socket: Duplex): void {
    if (error.code !== TOOK_TOO_LONG) {
      refuse(error, socket)
      return
    }
    const res = latestOn(socket)
    waiting.push({ error, socket, res, wasWhole: res?.req.complete === true })
    if (waiting.length === 1) needs.schedule(PAUSE_MS, cutSome)
  }

  function cutSome(): void {
    const end = next + Math.ceil((waiting.length - next) / PART)
    for (; next < end; next += 1) {
      const slow = waiting[next]
      if (slow !== undefined && !isWholeNow(slow)) refuse(slow.error, slow.socket)
    }
    if (next < waiting.length) {
      needs.schedule(PAUSE_MS, cutSome)
      return
    }
    waiting = []
    next = 0
  }

  /** What was late has come to its end while it waited for its turn. */
  function isWholeNow({ socket, res, wasWhole }: Slow): boolean {
    const latest = latestOn(socket)
    return latest?.req.complete === true && (latest !== res || !wasWhole)
  }
}
