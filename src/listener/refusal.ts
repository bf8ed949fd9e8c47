import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { fieldOf, type AnswerMessage, type RequestMessage } from '../exchange/exchange.ts'
import { describeProblem, type Problem } from '../problem/problem.ts'
import { announce } from './answer.ts'
import { asksGrpc, grpcFields } from './grpc-refusal.ts'

/** How much of an unwanted body is read and thrown away before the connection is cut. */
const DISCARD_BYTES = 1024 * 1024

/**
 * Answers with a problem, unless an answer has begun: that one is cut, so that nobody takes it for whole.
 *
 * @param announced what the answer says in any case, where the problem does not say it
 */
export function refuse(res: AnswerMessage, problem: Problem, requestId: string, announced?: readonly string[]): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  announce(res, announced)
  if (asksGrpc(res.req)) {
    res.writeHead(200, grpcFields(problem, requestId))
    res.end()
    return
  }
  if (leavesMuch(res.req)) res.setHeader('connection', 'close')
  const answer = describeProblem(problem, requestId)
  res.writeHead(answer.status, answer.headers)
  res.end(answer.body, answer.encoding)
}

/**
 * Whether reading on is not worth the connection: more is announced than is thrown away, or the client waits for a 100
 * and may never send the body, so that what comes next could be either (RFC 9110 §10.1.1).
 */
function leavesMuch(req: RequestMessage): boolean {
  return fieldOf(req, 'expect') !== undefined || Number(fieldOf(req, 'content-length') ?? 0) > DISCARD_BYTES
}

/** The same on a bare socket: after an upgrade, or where the parser gave up. Ends the socket. There is no body for a HEAD. */
export function refuseSocket(socket: Duplex, problem: Problem, requestId: string, method?: string): void {
  if (!socket.writable) return
  const answer = describeProblem(problem, requestId)
  let head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\n`
  for (const name in answer.headers) if (name !== 'connection') head += `${name}: ${answer.headers[name]}\r\n`
  socket.once('finish', () => socket.destroy())
  socket.end(`${head}connection: close\r\n\r\n${method === 'HEAD' ? '' : answer.body}`)
}

/**
 * Reads what is left of a request that was answered before it was whole, and throws it away: a connection that is closed
 * with unread octets is reset, and the client may lose the answer. Past a bound it is cut all the same.
 */
export function discardRest(req: RequestMessage): void {
  if (req.complete || req.destroyed) return
  let discarded = 0
  req.on('data', (chunk: Buffer) => {
    discarded += chunk.length
    if (discarded > DISCARD_BYTES) req.destroy()
  })
  req.on('error', ignore)
  req.resume()
}

/** The connection is going; there is nobody left to tell. */
function ignore(): void {}
