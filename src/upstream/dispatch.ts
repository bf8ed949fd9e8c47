import type { Readable } from 'node:stream'

/** Fields as they were received, line by line: name in lower case, value, name, value … */
export type ReceivedFields = readonly string[]

/** Fields that were made in one piece, and are not looked at again. */
export interface ReadyLines {
  /** Whole lines of HTTP/1.1. */
  readonly lines: string
  /** Puts the same behind others as name, value, name, value … */
  addTo(fields: string[]): void
}

/** One request as a pool takes it. */
export interface DispatchRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Name, value, name, value … without those of a connection. `content-length` where there is a body whose length is known. */
  readonly headers: string[]
  /** What stands behind the headers. */
  readonly ready?: ReadyLines | undefined
  readonly body: Readable | null
  /** Until the head of the answer; absent: as the pool is configured. */
  readonly headersTimeout?: number
  /** Longest silence in the body of the answer. */
  readonly bodyTimeout?: number
  readonly servername?: string
  /** Its connection is for this one request. */
  readonly reset?: boolean
}

/** What whoever asked may do to an exchange that has a connection. Of one that is over it does nothing. */
export interface DispatchController {
  abort(error: Error): void
  pause(): void
  resume(): void
}

/** What is told of an exchange: its end, or its failure, is the last. */
export interface AnswerHandler {
  /** It has a connection. Over HTTP/2 it may be told again, where the upstream did not look at it. */
  onRequestStart(controller: DispatchController): void
  /** Interim answers first, 100 (Continue) excepted, then the final one. */
  onResponseStart(controller: DispatchController, status: number, fields: ReceivedFields): void
  onResponseData(controller: DispatchController, chunk: Buffer): void
  /** A small body that came in one piece, an octet each character. Absent: it is told like any other. */
  onResponseText?(controller: DispatchController, text: string): void
  onResponseEnd(controller: DispatchController, trailers: ReceivedFields): void
  /** Without a controller where it never had a connection. */
  onResponseError(controller: DispatchController | undefined, error: Error): void
}

/** Connections to one place. */
export interface DispatchPool {
  dispatch(request: DispatchRequest, handler: AnswerHandler): void
  /** Takes nothing more, and resolves when all that is under way is over. */
  close(): Promise<void>
  destroy(): Promise<void>
}
