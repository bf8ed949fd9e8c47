import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { TOOK_TOO_LONG, type ParserError } from './parser-error.ts'

/** In a turn of the event loop one of so many that wait is cut, and one at least. A cut takes about as long as a request. */
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
 * their time together, and a crowd that is cut at once holds up everybody.
 *
 * @param refuse what becomes of a connection of which nothing more can be read
 * @param latestOn the latest answer on a connection
 */
export function createSlowCuts(
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
    if (waiting.length === 1) setImmediate(cutSome)
  }

  function cutSome(): void {
    const end = next + Math.ceil((waiting.length - next) / PART)
    for (; next < end; next += 1) {
      const slow = waiting[next]
      if (slow !== undefined && !isWholeNow(slow)) refuse(slow.error, slow.socket)
    }
    if (next < waiting.length) {
      setImmediate(cutSome)
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
