/** The trace that a request is part of (W3C Trace Context). */
export interface Trace {
  /** 32 hex digits in lower case. */
  readonly id: string
  /** `traceparent` for whoever is asked for the sake of this request. */
  readonly parent: string
  /** `tracestate` for the same; absent: none. */
  readonly state?: string
  /** Absent: the trace is passed on, and nothing of it is written down. */
  readonly recording?: Recording
}

/** What is written down of a request that is being traced. Nothing of it throws or waits. */
export interface Recording {
  /** Whether the request goes to whoever stores traces; of some that is not known before they are over. */
  isKept(): boolean
  /** Something happened, and took no time worth telling. */
  event(name: string): void
  /**
   * A step of the request is over.
   *
   * @param startedMs reading of the monotonic clock
   * @param facts further attributes of its span
   * @param failure kind of the problem that it ended with
   */
  step(name: string, startedMs: number, facts: Readonly<Record<string, string>>, failure?: string): void
  /** The request is about to be sent to a server. */
  attempt(to: TraceTarget): TracedAttempt
}

export interface TraceTarget {
  /** Name of the upstream. */
  readonly upstream: string
  readonly url: URL
  /** Without its query. */
  readonly path: string
}

/** One request to a server; the first end counts. */
export interface TracedAttempt {
  /** `traceparent` for this server. */
  readonly parent: string
  answered(status: number): void
  /** @param failure kind of the problem that it ended with */
  ended(failure?: string): void
}
