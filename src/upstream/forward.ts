import type { Readable } from 'node:stream'
import type { RetryReason } from '../config/config.ts'
import type { Admitted, LiveEnd, LiveExchange } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { announce, answerFields, isReadable, leaveOut, trailerFields, type ResponseHeaders } from './answer-headers.ts'
import { attempt, type Attempt, type AttemptEvents } from './attempt.ts'
import { createDeparture, type Departure } from './departure.ts'
import { noteLatency, type Destination } from './destination.ts'
import { createInterims, type Interims } from './interims.ts'
import { SMALL_BYTES, soon } from './outbox.ts'
import { leaveBody, streamBody } from './request-body.ts'
import { isOfUpstream, problemOfEnd, problemOfFailure, problemOfGivingWay, reasonOfFailure } from './failures.ts'
import { reset } from './reset.ts'
import { isRepeatable, isUnseen, reasonOfStatus } from './retries.ts'
import type { Servers } from './servers.ts'
import { tracedAttempt } from './traced-attempt.ts'
import type { ForwardFields, ForwardNeeds, ForwardRecord, HttpIo } from './upstream.ts'

/** One request to an upstream, in as many attempts as it may have, and its answer to the client. */
export function exchangeMessages(
  needs: ForwardNeeds,
  servers: Servers,
  exchange: Admitted,
  { list: fields, ready }: ForwardFields,
  io: HttpIo,
  record: ForwardRecord,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { req, res } = io
    const { route, bodyLength, principal } = exchange
    const { name, timeouts, retries } = servers
    const isHarmless = isRepeatable(exchange.method, bodyLength)
    const responseMs = route.responseTimeoutMs ?? timeouts.responseMs
    const requestMs = route.requestTimeoutMs ?? timeouts.requestMs
    let to: Destination
    let body: Readable | undefined
    let departure: Departure | undefined
    let startedMs = 0
    let sentMs = 0
    let running: Attempt | undefined
    let attempts = 0
    let started = false
    let ended = false
    let isLeaving = false
    let remaining = -1
    let interims: Interims | undefined
    let cancelStall: (() => void) | undefined
    let cancelAgain: (() => void) | undefined
    let cancelLimit: (() => void) | undefined
    const live: LiveExchange | undefined =
      principal.kind === 'identified' ? { exchange, principal, end: tokenIsOver, place: -1 } : undefined
    const told: AttemptEvents = { interim: passInterim, head, data, text, end, failed }

    if (route.hostName !== undefined) fields.push('host', route.hostName)
    else if (route.host === 'preserve') fields.push('host', exchange.authority)
    res.on('close', clientGone)
    // Nothing more is heard of a connection that went while the steps before had to wait.
    if (res.destroyed) {
      clientGone()
      return
    }
    if (live !== undefined) needs.live.enter(live)
    if (requestMs !== undefined) cancelLimit = needs.schedule(requestMs, tookTooLong)
    if (bodyLength === 0) go(servers.pick(exchange, undefined), undefined)
    else openBody()

    function openBody(): void {
      if (bodyLength !== undefined) fields.push('content-length', String(bodyLength))
      if (req.complete) {
        go(servers.pick(exchange, undefined), streamBody({ req, record, limit: route.bodyBytes }, needs))
        return
      }
      departure = createDeparture(needs, servers, { exchange, req, record }, { go, gaveWay, failed: neverSent })
      departure.start()
    }

    function go(given: Destination, stream: Readable | undefined): void {
      to = given
      body = stream
      try {
        servers.admit()
      } catch (error) {
        close()
        leaveBody(body, req)
        reject(error)
        return
      }
      startedMs = needs.monotonicMs()
      sentMs = startedMs
      servers.retries?.deposit()
      res.on('drain', resume)
      send(responseMs)
    }

    function send(headersTimeout: number): void {
      const request = {
        path: to.basePath + exchange.forwardPath + exchange.query,
        method: exchange.method,
        headers: fields,
        ready,
        body: body ?? null,
        // The same for all: otherwise it is taken from the Host field, and a change of it costs the connection.
        servername: to.url.hostname,
        headersTimeout,
        bodyTimeout: route.idleTimeoutMs ?? timeouts.idleMs,
      }
      const recording = exchange.trace?.recording
      running = recording === undefined ? attempt(to, request, told) : tracedAttempt(recording, to, request, told)
    }

    function head(status: number, headers: ResponseHeaders): boolean {
      if (ended) return false
      if (!isReadable(status, headers)) {
        running?.abort(new Error('the status of the answer is none, or its transfer coding is not chunked'))
        return true
      }
      const nowMs = needs.monotonicMs()
      const failure = reasonOfStatus(status)
      noteLatency(to, nowMs - sentMs)
      to.judge?.(to, failure === undefined, nowMs - sentMs)
      if (failure !== undefined && isHarmless && isTriedAgain(failure, nowMs)) return false
      const answer = answerFields({ status, headers }, route.responseHeaders, exchange.id)
      leaveOut(answer.fields, res)
      if (record.announced !== undefined) announce(answer.fields, record.announced)
      res.writeHead(status, answer.fields)
      started = true
      remaining = answer.length ?? -1
      record.status = status
      record.upstreamMs = nowMs - startedMs
      needs.answered(name, record.upstreamMs / 1000)
      // The rest of this packet is parsed before microtasks run: a body that came with the head leaves with it.
      soon(flushHead)
      departure?.leave()
      return true
    }

    /** Sends it once more, where it may be, to another destination, where there is one. */
    function isTriedAgain(reason: RetryReason, nowMs: number): boolean {
      // All attempts together have the time of one.
      if (retries === undefined || nowMs - startedMs >= responseMs || !retries.spend(reason, attempts)) return false
      const waitMs = retries.backOffMs(attempts)
      attempts += 1
      running = undefined
      cancelAgain = needs.schedule(waitMs, () => {
        sentMs = needs.monotonicMs()
        to = servers.pick(exchange, to)
        send(Math.max(1, responseMs - (sentMs - startedMs)))
      })
      return true
    }

    function passInterim(status: number, headers: ResponseHeaders): void {
      if (ended) return
      interims ??= createInterims(io, route.responseHeaders)
      interims.pass(status, headers)
    }

    function flushHead(): void {
      // Not `flushHeaders`, which would write octets above 0x7f as UTF-8.
      if (record.bytesOut === 0 && !ended && !res.destroyed) res.write('', 'latin1')
    }

    function text(body: string): void {
      record.bytesOut += body.length
      needs.moved(body.length)
      leave(body)
    }

    function data(chunk: Buffer): boolean {
      if (chunk.length === remaining && remaining <= SMALL_BYTES) {
        text(chunk.toString('latin1'))
        return true
      }
      record.bytesOut += chunk.length
      needs.moved(chunk.length)
      if (record.bytesOut === remaining) {
        res.end(chunk)
        return true
      }
      if (res.write(chunk)) return true
      cancelStall?.()
      cancelStall = needs.schedule(needs.stallMs, () => res.destroy())
      return false
    }

    function resume(): void {
      cancelStall?.()
      running?.resume()
    }

    function end(trailers: ResponseHeaders): void {
      if (ended) return
      const fields = trailerFields(trailers, route.responseHeaders)
      if (fields.length > 0 && remaining < 0) res.addTrailers(fields)
      close()
      leaveBody(body, req)
      if (record.bytesOut === 0) leave('')
      if (isLeaving) return
      res.end()
      resolve()
    }

    function leave(text: string): void {
      isLeaving = req.socket.isPipelined !== true
      if (isLeaving) needs.outbox.leave(res, text, left)
      else res.end(text, 'latin1')
    }

    function left(): void {
      isLeaving = false
      if (ended) resolve()
    }

    function close(): void {
      ended = true
      departure?.leave()
      cancelAgain?.()
      cancelLimit?.()
      if (live !== undefined) needs.live.leave(live)
    }

    function failed(error: Error, wasSent: boolean): void {
      if (ended) return
      const isBroken = req.destroyed && !req.complete
      const problem = error instanceof Problem ? error : problemOfFailure(error)
      if (!isBroken && isOfUpstream(problem)) {
        const nowMs = needs.monotonicMs()
        to.judge?.(to, false, nowMs - sentMs)
        const reason = started ? undefined : reasonOfFailure(error, wasSent)
        if (reason !== undefined && (isHarmless || isUnseen(reason, body)) && isTriedAgain(reason, nowMs)) return
      }
      close()
      leaveBody(body, req)
      if (started) cut()
      else reject(isBroken ? broken() : problem)
    }

    function neverSent(error: Error): void {
      if (ended) return
      close()
      reject(error instanceof Problem ? error : broken())
    }

    function cut(): void {
      record.aborted = true
      cancelStall?.()
      // A length or a last chunk that never comes tells the client that the answer was cut (RFC 9112 §8). An HTTP/1.0
      // client reads until the connection closes, so there only a reset can tell.
      if (remaining < 0 && req.httpVersion === '1.0') reset(req.socket)
      res.destroy()
      resolve()
    }

    function tokenIsOver(reason: LiveEnd): boolean {
      if (ended || res.writableEnded) return true
      // Whoever asked in time gets the answer: refused now, a change that the upstream makes would be made twice.
      if (reason === 'expired' && !started && (bodyLength === 0 || req.complete)) return false
      record.ended = reason
      breakOff(new Error('the token of the request is over'), problemOfEnd(reason))
      return true
    }

    function tookTooLong(): void {
      if (ended) return
      const kind = running === undefined && attempts === 0 ? 'request_timeout' : 'upstream_timeout'
      breakOff(new Error('the exchange took too long'), new Problem(kind, { detail: 'timeouts.request' }))
    }

    function gaveWay(): void {
      if (!ended) breakOff(new Error('the upload gave way'), problemOfGivingWay())
    }

    function breakOff(error: Error, problem: Problem): void {
      close()
      body?.destroy()
      running?.abort(error)
      if (started) cut()
      else reject(problem)
    }

    function clientGone(): void {
      cancelStall?.()
      if (ended || res.writableFinished) return
      close()
      record.aborted = true
      body?.destroy()
      running?.abort(new Error('the client is gone'))
      resolve()
    }

    function broken(): Problem {
      record.aborted = true
      return new Problem('invalid_request', { detail: 'the client broke off its request' })
    }
  })
}
