import type { createTraceState, HrTime, SpanContext } from '@opentelemetry/api'
import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { TracesConfig } from '../config/config.ts'
import type { Span } from './span.ts'

export interface Exporter {
  /** Rejects when the receiver did not take them. */
  send(spans: readonly Span[]): Promise<void>
  /** Lets go of its connections when what is under way is over. */
  close(): void
}

const TIMEOUT_MS = 3000

/**
 * OTLP over HTTP in its binary form. The libraries are read here and not before: a gateway without traces does without their
 * megabytes.
 *
 * @param identity attributes of the resource that this process has beside the configured ones
 * @param timeoutMs how long a batch may take, further tries included
 */
export async function openExporter(
  config: TracesConfig,
  identity: Readonly<Record<string, string>>,
  timeoutMs = TIMEOUT_MS,
): Promise<Exporter> {
  const [exporter, resources, { createTraceState, SpanKind, SpanStatusCode }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/api'),
  ])
  const resource = resources.resourceFromAttributes({
    ...identity,
    'service.name': config.serviceName,
    ...Object.fromEntries(config.resource),
  })
  const library = new exporter.OTLPTraceExporter({
    url: config.url,
    headers: Object.fromEntries(config.headers),
    timeoutMillis: timeoutMs,
  })
  const kinds = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL, client: SpanKind.CLIENT } as const
  const codes = { failed: SpanStatusCode.ERROR, unset: SpanStatusCode.UNSET } as const
  const words: Words = { kinds, codes, createTraceState, resource }
  return {
    send: (spans) =>
      handOver(
        library,
        spans.map((span) => readable(span, words)),
      ),
    // It waits for what is under way, and nobody waits for it.
    close: () => void library.shutdown().catch(() => undefined),
  }
}

/** Of the library's ExportResultCode. */
const SUCCESS = 0

function handOver(library: OTLPTraceExporter, spans: ReadableSpan[]): Promise<void> {
  return new Promise((resolve, reject) => {
    library.export(spans, ({ code, error }) => {
      const outcome: number = code
      if (outcome === SUCCESS) resolve()
      else reject(error ?? new Error('the spans were not taken'))
    })
  })
}

/** What the library calls things. */
interface Words {
  readonly kinds: Readonly<Record<Span['kind'], ReadableSpan['kind']>>
  readonly codes: Readonly<Record<'failed' | 'unset', ReadableSpan['status']['code']>>
  readonly createTraceState: typeof createTraceState
  readonly resource: Resource
}

const SCOPE = { name: 'gatehouse' } as const
/** W3C Trace Context §3.2.2.5.1. */
const SAMPLED = 1

function readable(span: Span, { kinds, codes, createTraceState, resource }: Words): ReadableSpan {
  const { traceId, spanId, parentId, state } = span
  const traceState = state === undefined ? {} : { traceState: createTraceState(state) }
  const context: SpanContext = { traceId, spanId, traceFlags: SAMPLED, ...traceState }
  const parent = { ...context, spanId: parentId ?? '', isRemote: span.isParentRemote }
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => context,
    ...(parentId !== undefined && { parentSpanContext: parent }),
    startTime: hrTime(span.startedMs),
    endTime: hrTime(span.endedMs),
    duration: hrTime(span.endedMs - span.startedMs),
    status: { code: span.isFailed ? codes.failed : codes.unset },
    attributes: span.attributes,
    links: [],
    events: span.events.map(({ name, atMs }) => ({ name, time: hrTime(atMs) })),
    ended: true,
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)]
}
