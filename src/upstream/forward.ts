import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Admitted, LiveEnd, LiveExchange } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { answerFields, interimFields, isReadable, trailerFields, type ResponseHeaders } from './answer-headers.ts'
import { streamBody } from './request-body.ts'
import { problemOfEnd, problemOfFailure } from './failures.ts'
import type { Destination, ForwardRecord, HttpIo, UpstreamNeeds } from './upstream.ts'

/** One request to an upstream, and its answer to the client. */
export function exchangeMessages(
  needs: UpstreamNeeds,
  to: Destination,
  exchange: Admitted,
  fields: string[],
  io: HttpIo,
  record: ForwardRecord,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { req, res } = io
    const { route, bodyLength, principal } = exchange
    const startedMs = needs.monotonicMs()
    let controller: Dispatcher.DispatchController | undefined
    let started = false
    let ended = false
    let remaining = -1
    let cancelStall: (() => void) | undefined
    const body = openBody()
    const live: LiveExchange | undefined = principal.kind === 'identified' ? { exchange, principal, end: tokenIsOver } : undefined

    if (route.host === 'preserve') fields.push('host', exchange.authority)
    res.on('close', clientGone)
    // Nothing more is heard of a connection that went while the steps before had to wait.
    if (res.destroyed) {
      clientGone()
      return
    }
    if (live !== undefined) needs.live.enter(live)
    const request = {
      path: to.basePath + exchange.forwardPath + exchange.query,
      method: exchange.method,
      headers: fields,
      body: body ?? null,
      // The same for all: otherwise it is taken from the Host field, and a change of it costs the connection.
      servername: to.url.hostname,
      ...(route.responseTimeoutMs === undefined ? {} : { headersTimeout: route.responseTimeoutMs }),
    }
    to.pool.dispatch(request, { onRequestStart, onResponseStart, onResponseData, onResponseEnd, onResponseError })
    res.on('drain', resume)

    function openBody(): Readable | undefined {
      if (bodyLength === 0) return undefined
      if (bodyLength !== undefined) fields.push('content-length', String(bodyLength))
      return streamBody(req, route.bodyBytes, record, needs)
    }

    function onRequestStart(given: Dispatcher.DispatchController): void {
      controller = given
      if (ended) given.abort(new Error('the client is gone'))
    }

    function onResponseStart(given: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
      if (ended) return
      if (status < 200) return passInterim(status, headers)
      if (!isReadable(headers)) return given.abort(new Error('the transfer coding of the answer is not chunked'))
      const answer = answerFields({ status, headers }, route.responseHeaders, exchange.id)
      res.writeHead(status, answer.fields)
      started = true
      remaining = answer.length ?? -1
      record.status = status
      record.upstreamMs = needs.monotonicMs() - startedMs
      needs.answered(to.upstream.name, record.upstreamMs / 1000)
      // The rest of this packet is parsed before microtasks run: a body that came with the head leaves with it.
      queueMicrotask(flushHead)
    }

    function passInterim(status: number, headers: ResponseHeaders): void {
      if (req.httpVersionMinor === 0) return
      if (status === 102 || status === 103) res.writeInformation(status, interimFields(headers, route.responseHeaders))
    }

    function flushHead(): void {
      // Not `flushHeaders`, which would write octets above 0x7f as UTF-8.
      if (record.bytesOut === 0 && !ended && !res.destroyed) res.write('', 'latin1')
    }

    function onResponseData(given: Dispatcher.DispatchController, chunk: Buffer): void {
      record.bytesOut += chunk.length
      needs.moved(chunk.length)
      if (record.bytesOut === remaining) {
        res.end(chunk)
        return
      }
      if (res.write(chunk)) return
      given.pause()
      cancelStall?.()
      cancelStall = needs.schedule(needs.stallMs, () => res.destroy())
    }

    function resume(): void {
      cancelStall?.()
      controller?.resume()
    }

    function onResponseEnd(_: Dispatcher.DispatchController, trailers: ResponseHeaders): void {
      if (ended) return
      const fields = trailerFields(trailers, route.responseHeaders)
      if (fields.length > 0 && remaining < 0) res.addTrailers(fields)
      close()
      res.end()
      leaveBody(body, req)
      resolve()
    }

    function close(): void {
      ended = true
      if (live !== undefined) needs.live.leave(live)
    }

    function onResponseError(_: Dispatcher.DispatchController, error: Error): void {
      if (ended) return
      close()
      const problem = error instanceof Problem ? error : problemOfFailure(error)
      leaveBody(body, req)
      if (!started) {
        reject(req.destroyed && !req.complete ? broken() : problem)
        return
      }
      cut()
    }

    function cut(): void {
      record.aborted = true
      cancelStall?.()
      // A length or a last chunk that never comes tells the client that the answer was cut (RFC 9112 §8). An HTTP/1.0
      // client reads until the connection closes, so there only a reset can tell.
      if (remaining < 0 && req.httpVersionMinor === 0 && req.socket instanceof Socket) req.socket.resetAndDestroy()
      else res.destroy()
      resolve()
    }

    function tokenIsOver(reason: LiveEnd): boolean {
      if (ended || res.writableEnded) return true
      // Whoever asked in time gets the answer: refused now, a change that the upstream makes would be made twice.
      if (reason === 'expired' && !started && (body === undefined || req.complete)) return false
      close()
      record.ended = reason
      body?.destroy()
      controller?.abort(new Error('the token of the request is over'))
      if (started) cut()
      else reject(problemOfEnd(reason))
      return true
    }

    function clientGone(): void {
      cancelStall?.()
      if (ended || res.writableFinished) return
      close()
      record.aborted = true
      body?.destroy()
      controller?.abort(new Error('the client is gone'))
      resolve()
    }

    function broken(): Problem {
      record.aborted = true
      return new Problem('invalid_request', { detail: 'the client broke off its request' })
    }
  })
}

/** Lets go of a request body that nobody wants any more; what still comes is read and thrown away by the listener. */
function leaveBody(body: Readable | undefined, req: IncomingMessage): void {
  if (body === undefined || req.complete) return
  body.destroy()
}
