import type { HrTime, SpanContext } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { TracesConfig } from '../config/config.ts'
import type { Span } from './span.ts'

export interface Exporter {
  /** Rejects when the receiver did not take them. */
  send(spans: readonly Span[]): Promise<void>
  /** Lets go of its connections when what is under way is over. */
  close(): void
}

/** How long a batch may take, further tries included. */
const TIMEOUT_MS = 3000

/**
 * OTLP over HTTP in its binary form. The libraries are read here and not before: a gateway without traces does without their
 * megabytes.
 *
 * @param identity attributes of the resource that this process has beside the configured ones
 */
export async function openExporter(config: TracesConfig, identity: Readonly<Record<string, string>>): Promise<Exporter> {
  const [{ OTLPTraceExporter }, { resourceFromAttributes }, { createTraceState, SpanKind, SpanStatusCode, TraceFlags }] =
    await Promise.all([
      import('@opentelemetry/exporter-trace-otlp-proto'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/api'),
    ])
  const resource = resourceFromAttributes({
    ...identity,
    'service.name': config.serviceName,
    ...Object.fromEntries(config.resource),
  })
  const kinds = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL, client: SpanKind.CLIENT } as const
  const library = new OTLPTraceExporter({
    url: config.url,
    headers: Object.fromEntries(config.headers),
    timeoutMillis: TIMEOUT_MS,
  })
  return {
    send: (spans) =>
      new Promise((resolve, reject) => {
        library.export(spans.map(readable), ({ code, error }) => {
          // ExportResultCode.SUCCESS
          if (code === 0) resolve()
          else reject(error ?? new Error('the spans were not taken'))
        })
      }),
    // It waits for what is under way, and nobody waits for it.
    close: () => void library.shutdown().catch(() => undefined),
  }

  function readable(span: Span): ReadableSpan {
    const context = contextOf(span, span.spanId, false)
    return {
      name: span.name,
      kind: kinds[span.kind],
      spanContext: () => context,
      ...(span.parentId !== undefined && { parentSpanContext: contextOf(span, span.parentId, span.isParentRemote) }),
      startTime: hrTime(span.startedMs),
      endTime: hrTime(span.endedMs),
      duration: hrTime(span.endedMs - span.startedMs),
      status: { code: span.isFailed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
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

  function contextOf({ traceId, state }: Span, spanId: string, isRemote: boolean): SpanContext {
    const traceState = state === undefined ? undefined : createTraceState(state)
    return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote, ...(traceState !== undefined && { traceState }) }
  }
}

const SCOPE = { name: 'gatehouse' } as const

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)]
}
