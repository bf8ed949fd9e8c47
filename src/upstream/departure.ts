import type { Readable } from 'node:stream'
import type { Admitted, RequestMessage } from '../exchange/exchange.ts'
import type { Destination } from './destination.ts'
import { gatherBody, type GatherNeeds } from './gather.ts'
import { streamBody } from './request-body.ts'
import type { Servers } from './servers.ts'
import type { Upload, Uploads } from './uploads.ts'

/** A request that is not sent before there is something to send. */
export interface Departure {
  start(): void
  /** There is an answer, or nobody waits for one: it is an upload no more. May be called more than once. */
  leave(): void
}

export interface DepartureEvents {
  /** Called once. */
  go(to: Destination, body: Readable): void
  /** Others need its connection more. */
  gaveWay(): void
  /** The body was broken off before it went. */
  failed(error: Error): void
}

export interface Departing {
  readonly exchange: Admitted
  readonly req: RequestMessage
  readonly record: { bytesIn: number }
}

/**
 * Keeps a request whose body is not all here from a connection that it would only hold: one whose length is known until it is
 * here, or a good part of it; a longer one, and one of unknown length, until uploads have a connection to spare. The latter may be
 * a conversation, so it waits for nothing else.
 */
export function createDeparture(
  needs: GatherNeeds,
  servers: Pick<Servers, 'pick'>,
  { exchange, req, record }: Departing,
  told: DepartureEvents,
): Departure {
  const source = { req, record, limit: exchange.route.bodyBytes }
  const gathering = gatherBody(needs, source, { full, whole, failed: told.failed })
  const upload: Upload = { go, octets: () => record.bytesIn, isHungry, giveWay: told.gaveWay }
  let to: Destination | undefined
  let uploads: Uploads | undefined
  let body: Readable | undefined
  return { start, leave }

  function start(): void {
    if (exchange.bodyLength === undefined) queueUp()
  }

  function full(): void {
    if (to === undefined) queueUp()
    uploads?.prefer(upload)
  }

  function queueUp(): void {
    to = servers.pick(exchange, undefined)
    uploads = to.uploads
    if (uploads === undefined) go()
    else uploads.enter(upload)
  }

  function whole(): void {
    uploads?.leave(upload)
    go()
  }

  function go(): void {
    const early = gathering.take()
    to ??= servers.pick(exchange, undefined)
    body = streamBody(source, needs, early)
    if (!early.isWhole && uploads !== undefined) body.once('close', leavePlace)
    told.go(to, body)
  }

  function isHungry(): boolean {
    return body?.readableFlowing === true && body.readableLength === 0
  }

  function leavePlace(): void {
    uploads?.leave(upload)
  }

  function leave(): void {
    gathering.release()
    leavePlace()
  }
}
