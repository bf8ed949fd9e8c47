import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** What the traces report. */
export interface TraceEvents {
  spans(result: 'exported' | 'dropped' | 'failed', count: number): void
  /** Spans are taken again, or not any more. */
  reachable(state: 'up' | 'down', cause?: unknown): void
}

export function traceEvents(metrics: Metrics, log: Log): TraceEvents {
  return {
    spans(result, count) {
      for (let counted = 0; counted < count; counted += 1) metrics.traceSpans.add(result)
    },
    reachable(state, cause) {
      if (state === 'up') log.info('traces are taken again')
      else log.warn('traces are not taken: their spans are lost, requests go on', { cause })
    },
  }
}
