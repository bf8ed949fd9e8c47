/**
 * The traces of requests, by OTLP over HTTP: which request is recorded, its spans, and their way to whoever stores them.
 *
 * What a client says of a trace counts only from a trusted proxy; from others a trace begins here. Spans wait in a bounded queue
 * and are dropped, and counted, when nobody takes them: this room delays no request, fails none, and never holds a token, a query
 * or, unless an operator asks for it, a person. A share of the traces is recorded from the beginning, which other services are told;
 * beside it, requests may be kept by how they end, and of these the gateway's own part alone.
 *
 * @module
 */
import type { TracesConfig } from '../config/config.ts'
import type { Arrived, Trace } from '../exchange/exchange.ts'
import type { Ended } from './attributes.ts'
import { readContext } from './context.ts'
import { openExporter } from './exporter.ts'
import { createIds, isSampled } from './ids.ts'
import { createQueue, type Told } from './queue.ts'
import { createRecording, traceparent, type OpenRecording, type RecordingNeeds } from './recording.ts'

export interface TracesNeeds extends Omit<RecordingNeeds, 'spanId'> {
  /** From 0, below 1. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  readonly told: Told
  /** Attributes of the resource that this process has beside the configured ones. */
  readonly identity: Readonly<Record<string, string>>
}

export interface Traces {
  /**
   * The trace of a request that has just arrived.
   *
   * @param httpVersion `1.1`, `2.0`
   */
  begin(arrived: Arrived, httpVersion: string): Trace
  /** The request is over. */
  end(ended: Ended): void
  /** Sends what waits, for two seconds at most. Later ends are dropped. */
  close(): Promise<void>
}

const LONGEST_CLOSE_MS = 2000
const LONGEST_TRY_MS = 2000

/**
 * Sends an export without spans, in the way in which spans would go: to whom, with which headers, authorities and certificates.
 *
 * @returns true where it was taken; else the status of the answer, or a code such as `ECONNREFUSED`, where there is either
 */
export async function tryExport(config: TracesConfig): Promise<true | number | string | undefined> {
  const exporter = await openExporter(config, {}, LONGEST_TRY_MS)
  try {
    await exporter.send([])
    return true
  } catch (error) {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
    return typeof code === 'number' || typeof code === 'string' ? code : undefined
  } finally {
    exporter.close()
  }
}

/** @throws Error when the libraries cannot be read, or refuse what is configured */
export async function openTraces(needs: TracesNeeds, config: TracesConfig): Promise<Traces> {
  const exporter = await openExporter(config, needs.identity)
  const queue = createQueue({ schedule: needs.schedule, send: exporter.send, told: needs.told })
  const ids = createIds(() => needs.random())
  const recordings = new WeakMap<Trace, OpenRecording>()
  const own: RecordingNeeds = { ...needs, spanId: ids.span }
  return { begin, end, close }

  function begin(arrived: Arrived, httpVersion: string): Trace {
    const remote = arrived.trusted ? readContext(arrived.rawHeaders) : undefined
    const id = remote?.traceId ?? ids.traceOf(arrived.id)
    const state = remote?.state === undefined ? undefined : { state: remote.state }
    const isOfShare = remote?.isSampled ?? isSampled(id, config.sample)
    const { include, keep } = config
    if (!isOfShare && keep === undefined) {
      // Without a span of ours the one before us stays the parent.
      return { id, parent: traceparent(id, remote?.spanId ?? ids.span(), false), ...state }
    }
    const spanId = ids.span()
    const facts = { traceId: id, spanId, remote, arrived, httpVersion, include }
    const recording = createRecording(own, isOfShare || keep === undefined ? facts : { ...facts, keep })
    const trace: Trace = { id, parent: traceparent(id, spanId, isOfShare), ...state, recording }
    recordings.set(trace, recording)
    return trace
  }

  function end(ended: Ended): void {
    const { trace } = ended.exchange
    const recording = trace === undefined ? undefined : recordings.get(trace)
    const spans = recording?.finish(ended)
    if (spans !== undefined && spans.length > 0) queue.add(spans)
  }

  async function close(): Promise<void> {
    await queue.close(LONGEST_CLOSE_MS)
    exporter.close()
  }
}
