import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Problem } from '../problem/problem.ts'
import { socketAddress } from './client-address.ts'
import { ENDED_EARLY, problemOf, type ParserError } from './parser-error.ts'
import { refuseSocket } from './refusal.ts'

export interface UnreadNeeds {
  /** Notes what could not be read as a request. Returns the id for its answer. */
  malformed(problem: Problem, peer: string): string
}

/**
 * What becomes of a connection on which the parser gave up: what was asked on it before is answered first, and what could not
 * be read is refused once.
 *
 * @param latestOn the latest answer on a connection
 */
export function createUnread(
  needs: UnreadNeeds,
  latestOn: (socket: Duplex) => ServerResponse | undefined,
): (error: ParserError, socket: Duplex) => void {
  /** Those on which it did; it reports each further packet as well. */
  const unreadable = new WeakSet<Duplex>()
  /** Those whose request was given another turn to be read in. */
  const awaited = new WeakSet<ServerResponse>()
  return onClientError

  function onClientError(error: ParserError, socket: Duplex): void {
    if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    if (unreadable.has(socket)) return
    unreadable.add(socket)
    const res = latestOn(socket)
    if (res === undefined || (res.writableFinished && res.req.complete)) refuseUnread(error, socket)
    // What cannot be read came behind a whole request: that one gets its answer first.
    else if (res.req.complete) res.once('close', () => refuseUnread(error, socket))
    else breakOff(error, res)
  }

  /** A request whose own body cannot be read: whoever reads it answers, so that it ends once and under its own id. */
  function breakOff(error: ParserError, res: ServerResponse): void {
    const { req } = res
    if (res.headersSent || error.code === ENDED_EARLY) req.socket.destroy()
    else if (req.listenerCount('error') > 0) {
      res.shouldKeepAlive = false
      req.emit('error', problemOf(error))
    }
    // Nobody reads it yet. An answer on the connection now would be taken for that to a request before it.
    else if (res.socket === null) res.once('socket', () => breakOff(error, res))
    // What came in one piece with the head is read before anybody could begin with the body.
    else if (!awaited.has(res)) {
      awaited.add(res)
      setImmediate(() => breakOff(error, res))
    } else refuseUnread(error, req.socket, req.method)
  }

  function refuseUnread(error: ParserError, socket: Duplex, method?: string): void {
    if (!socket.writable) return
    const problem = problemOf(error)
    refuseSocket(socket, problem, needs.malformed(problem, socketAddress(socket)), method)
  }
}
