import type { Arrived, Recording, TracedAttempt, TraceTarget } from '../exchange/exchange.ts'
import type { KeepConfig, TracesConfig } from '../config/config.ts'
import { attributesOf, nameOf, type Ended } from './attributes.ts'
import type { RemoteContext } from './context.ts'
import type { Attributes, Span, SpanEvent } from './span.ts'

export interface RecordingNeeds {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number
  /** Id of another span. */
  spanId(): string
  /** The text without tokens and passwords. */
  redact(text: string): string
}

export interface Recorded {
  readonly traceId: string
  readonly spanId: string
  readonly remote: RemoteContext | undefined
  readonly arrived: Arrived
  /** `1.1`, `2.0`. */
  readonly httpVersion: string
  readonly include: TracesConfig['include']
  /** Absent: the request is of the share that is kept whatever becomes of it. */
  readonly keep?: KeepConfig
}

/** A request that is being recorded. */
export interface OpenRecording extends Recording {
  /** The spans of the whole request, none where it is not kept; what is told later is lost. */
  finish(ended: Ended): readonly Span[]
}

/** What became of a request whose client went away: no fault of anybody else. */
const ABORTED = 'aborted'
const SWITCHED = 101

export function createRecording(needs: RecordingNeeds, recorded: Recorded): OpenRecording {
  const { traceId, spanId, remote, arrived } = recorded
  // The wall clock may be set while the request runs; its spans keep their distances.
  const offsetMs = needs.nowMs() - needs.monotonicMs()
  const spans: Span[] = []
  const events: SpanEvent[] = []
  const open = new Set<TracedAttempt>()
  let resends = 0
  let isOver = false
  let isKept = recorded.keep === undefined
  let hasFailed = false
  return { isKept: () => isKept, event, step, attempt, finish }

  function event(name: string): void {
    events.push({ name, atMs: offsetMs + needs.monotonicMs() })
  }

  function step(name: string, startedMs: number, facts: Attributes, failure?: string): void {
    if (isOver) return
    const attributes = failure === undefined ? facts : { ...facts, 'error.type': failure }
    spans.push(child({ name, kind: 'internal', spanId: needs.spanId(), startedMs, attributes, isFailed: failure !== undefined }))
  }

  function attempt(to: TraceTarget): TracedAttempt {
    const id = needs.spanId()
    const startedMs = needs.monotonicMs()
    const facts = attemptFacts(to, arrived.method, resends, needs.redact)
    let status: number | undefined
    resends += 1
    const one: TracedAttempt = { parent: traceparent(traceId, id, recorded.keep === undefined), answered, ended }
    open.add(one)
    return one

    function answered(given: number): void {
      status = given
    }

    function ended(failure?: string): void {
      if (isOver || !open.delete(one)) return
      if (failure !== undefined && failure !== ABORTED) hasFailed = true
      const isFailed = failure !== undefined || (status !== undefined && status >= 400)
      const attributes = {
        ...facts,
        ...(status !== undefined && { 'http.response.status_code': status }),
        ...(isFailed && { 'error.type': failure ?? String(status) }),
      }
      spans.push(
        child({
          name: `${facts['http.request.method']} ${to.upstream}`,
          kind: 'client',
          spanId: id,
          startedMs,
          attributes,
          isFailed,
        }),
      )
    }
  }

  function deserves({ status }: Ended, { errors, slowerThanMs }: KeepConfig): boolean {
    if (errors && (hasFailed || status >= 500)) return true
    // A WebSocket takes as long as its ends have something to say.
    return status !== SWITCHED && needs.monotonicMs() - arrived.startedMs >= slowerThanMs
  }

  function child(given: Pick<Span, 'name' | 'kind' | 'spanId' | 'startedMs' | 'attributes' | 'isFailed'>): Span {
    return {
      ...given,
      ...whole(),
      parentId: spanId,
      isParentRemote: false,
      startedMs: offsetMs + given.startedMs,
      endedMs: offsetMs + needs.monotonicMs(),
      events: [],
    }
  }

  function whole(): Pick<Span, 'traceId' | 'state'> {
    return { traceId, ...(remote?.state !== undefined && { state: remote.state }) }
  }

  function finish(ended: Ended): readonly Span[] {
    for (const one of open) one.ended(ended.aborted ? ABORTED : undefined)
    isOver = true
    if (recorded.keep !== undefined) isKept = deserves(ended, recorded.keep)
    if (!isKept) return []
    return [
      ...spans,
      {
        ...whole(),
        name: nameOf(ended),
        kind: 'server',
        spanId,
        ...(remote !== undefined && { parentId: remote.spanId }),
        isParentRemote: remote !== undefined,
        startedMs: offsetMs + arrived.startedMs,
        endedMs: offsetMs + needs.monotonicMs(),
        attributes: attributesOf(ended, recorded.httpVersion, recorded.include, needs.redact),
        events,
        isFailed: ended.status >= 500,
      },
    ]
  }
}

/** W3C Trace Context §3.2. */
export function traceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

function attemptFacts(to: TraceTarget, method: string, resends: number, redact: (text: string) => string) {
  const { url, upstream, path } = to
  const port = Number(url.port)
  return {
    'http.request.method': method,
    'url.full': redact(`${url.origin}${path}`.slice(0, 1024)),
    'server.address': url.hostname,
    'server.port': port > 0 ? port : defaultPort(url),
    'gatehouse.upstream': upstream,
    ...(resends > 0 && { 'http.request.resend_count': resends }),
  }
}

function defaultPort(url: URL): number {
  return url.protocol === 'https:' ? 443 : 80
}
