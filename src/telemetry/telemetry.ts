/**
 * Every request ends here, once: one line in the access log, and the counters that Prometheus reads.
 *
 * This room hears what the others have to say through the small interfaces that they declare. It decides nothing, waits
 * for nothing and fails no request; neither a token, a query, a password nor a key reaches a line or a label.
 *
 * @module
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Config } from '../config/config.ts'
import type { Arrived } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import { createAccessLine, tenantOf } from './access-line.ts'
import { createEvents } from './events.ts'
import type { Events } from './events.ts'
import { createExemplars } from './exemplars.ts'
import { registerGauges } from './gauges.ts'
import type { Gauges } from './gauges.ts'
import { createLineBuffer } from './line-buffer.ts'
import type { LineBufferNeeds } from './line-buffer.ts'
import { createLog } from './log.ts'
import type { Log } from './log.ts'
import type { Snapshot } from './merging.ts'
import { asSnapshot } from './merging.ts'
import { createMetrics, REQUEST_BUCKETS } from './metrics.ts'
import { NONE, createNames } from './names.ts'
import { OPEN_METRICS_TYPE, openMetrics, wantsOpenMetrics } from './open-metrics.ts'
import { processMetrics } from './process-metrics.ts'
import type { Registry } from './prom.ts'
import { readPulse, type Pulse } from './pulse.ts'
import type { RequestRecord } from './record.ts'
import { createRefusals } from './refusals.ts'
import { createSelection } from './selection.ts'
import { inSlices } from './slices.ts'
import { withExemplars } from './snapshot-exemplars.ts'
import { createStamp } from './stamp.ts'

export type { Events } from './events.ts'
export type { Gauges } from './gauges.ts'
export type { Log } from './log.ts'
export type { Snapshot } from './merging.ts'
export { asSnapshot, foldCounters, mergeSnapshots } from './merging.ts'
export type { Pulse } from './pulse.ts'
export type { RequestRecord } from './record.ts'
export { redact } from './redact.ts'

export interface TelemetryNeeds extends LineBufferNeeds {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Monotonic clock, milliseconds; the one of {@link Arrived.startedMs}. */
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  /** Number of this process among those that answer requests; it stands in each line. Absent: there is one. */
  readonly worker?: number
}

export type TelemetryConfig = Pick<Config, 'telemetry' | 'version' | 'routes' | 'tenants' | 'upstreams' | 'issuers'>

export interface Telemetry {
  /** The record of a request that has just arrived. */
  open(arrived: Arrived): RequestRecord
  /** The end of a request. A record that was closed already is left alone. */
  close(record: RequestRecord): void
  /** Requests that were opened and not closed. */
  inFlight(): number
  readonly log: Log
  /** What the other rooms report, by room. */
  readonly events: Events
  /** Says where values come from that are read at a scrape; may be called more than once. */
  observe(gauges: Gauges): void
  /** Notes how the last reading of the configuration went; success until told otherwise. */
  reloaded(outcome: 'ok' | 'failed'): void
  /** Takes on the names of another configuration. What was counted stays. */
  use(config: TelemetryConfig): void
  /**
   * The metrics in the text format of Prometheus, or as OpenMetrics where that is asked for.
   *
   * @param accept the field of that name
   */
  scrape(accept?: string): Promise<{ readonly contentType: string; readonly body: string }>
  /** The same for another process, which puts those of several together. */
  snapshot(): Promise<Snapshot>
  /** What is watched of it, and the refusals since the last look, which one alone may take; cheap enough for each second. */
  pulse(): Promise<Pulse>
  /** Writes out what is buffered. */
  flush(): void
  /** Flushes and ends every timer. Later lines are written at once. */
  stop(): void
}

/** Status in log and metrics of a request whose client went away before there was one. */
const CLIENT_GONE = 499
const LAG_RESOLUTION_MS = 20
/** Lines a second for requests that were refused as one of a flood: a line costs half of what is saved by refusing. */
const FLOOD_LINES = 10

export function createTelemetry(needs: TelemetryNeeds, config: TelemetryConfig): Telemetry {
  const lines = createLineBuffer(needs)
  const stamp = createStamp(() => needs.nowMs())
  const tag = needs.worker === undefined ? '' : `,"worker":${needs.worker}`
  const log = createLog(lines, stamp, tag)
  const names = createNames(config)
  const metrics = createMetrics(names)
  let accessLine = createAccessLine(stamp, config, tag)
  const sources: Gauges = {}
  const lag = createLagMeter()
  let open = 0
  const refusals = createRefusals()
  const exemplars = createExemplars(REQUEST_BUCKETS)
  const floods = createFewEachSecond(FLOOD_LINES)
  let selection = createSelection(() => needs.random(), config)
  registerGauges(sources, {
    registry: metrics.registry,
    names,
    eventLoopLagSeconds: () => lag.readSeconds(),
  })
  metrics.reload.set(1)
  inForceIs(config)
  return {
    open: openRecord,
    close,
    inFlight: () => open,
    log,
    events: createEvents(metrics, log),
    observe: (gauges) => void Object.assign(sources, gauges),
    reloaded,
    use,
    scrape: (accept = '') => (wantsOpenMetrics(accept) ? scrapeOpen() : scrape()),
    snapshot,
    pulse: () => readPulse(metrics, refusals),
    flush: () => lines.flush(),
    stop,
  }

  function reloaded(outcome: 'ok' | 'failed'): void {
    metrics.reload.set(outcome === 'ok' ? 1 : 0)
    metrics.reloads.add(outcome)
  }

  function use(next: TelemetryConfig): void {
    names.use(next)
    accessLine = createAccessLine(stamp, next, tag)
    selection = createSelection(() => needs.random(), next)
    inForceIs(next)
  }

  function inForceIs({ version }: TelemetryConfig): void {
    metrics.configInfo.reset()
    metrics.configInfo.set({ version }, 1)
    metrics.configLoaded.set(needs.nowMs() / 1000)
  }

  function openRecord(arrived: Arrived): RequestRecord {
    const record: RequestRecord = {
      exchange: arrived,
      problem: undefined,
      status: 0,
      announced: undefined,
      bytesIn: 0,
      bytesOut: 0,
      upstream: undefined,
      upstreamMs: 0,
      aborted: false,
      ended: undefined,
      isClosed: false,
    }
    open += 1
    return record
  }

  function close(record: RequestRecord): void {
    if (record.isClosed) return
    record.isClosed = true
    open -= 1
    const exchange = record.exchange
    const durationMs = needs.monotonicMs() - exchange.startedMs
    const status = record.status === 0 && record.aborted ? CLIENT_GONE : record.status
    const route = 'route' in exchange ? exchange.route.name : NONE
    metrics.requests.add(route, tenantOf(exchange) ?? NONE, status)
    metrics.requestSeconds.observe(durationMs / 1000, route)
    if (exchange.trace?.recording?.isKept() === true) noteExemplar(route, durationMs / 1000, exchange.trace.id)
    if (record.problem !== undefined) refusals.add(record, status, needs.nowMs())
    if (record.problem !== undefined && isOneOfMany(record.problem) && !floods.admits(needs.monotonicMs())) return
    if (selection.isLogged(route, status)) lines.add(selection.trim(accessLine(record, status, durationMs)))
  }

  function noteExemplar(route: string, seconds: number, traceId: string): void {
    exemplars.note(names.route(route), { traceId, seconds, atMs: needs.nowMs() })
  }

  async function scrape(): Promise<{ contentType: string; body: string }> {
    const texts = await inSlices(needs, registries(), (registry, name) => registry.getSingleMetricAsString(name))
    return { contentType: metrics.registry.contentType, body: `${texts.join('\n\n')}\n` }
  }

  async function scrapeOpen(): Promise<{ contentType: string; body: string }> {
    const { body } = await scrape()
    return { contentType: OPEN_METRICS_TYPE, body: openMetrics(body, exemplars) }
  }

  async function snapshot(): Promise<Snapshot> {
    const all = await inSlices(needs, registries(), (registry, name) => registry.getSingleMetric(name)?.get())
    return withExemplars(asSnapshot(all) ?? [], exemplars)
  }

  function registries(): readonly Registry[] {
    return [metrics.registry, processMetrics()]
  }

  function stop(): void {
    lag.stop()
    lines.stop()
  }
}

function isOneOfMany({ kind, facts }: Problem): boolean {
  return kind === 'overloaded' || facts.isOneOfMany === true
}

function createFewEachSecond(most: number): { admits(nowMs: number): boolean } {
  let second = 0
  let count = 0
  return {
    admits(nowMs) {
      const now = Math.floor(nowMs / 1000)
      count = now === second ? count + 1 : 1
      second = now
      return count <= most
    },
  }
}

function createLagMeter(): { readSeconds(): number; stop(): void } {
  const delays = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
  delays.enable()
  return {
    readSeconds() {
      // What is measured is the time between two ticks of the meter, the wanted one included.
      const lagMs = delays.percentile(99) / 1e6 - LAG_RESOLUTION_MS
      delays.reset()
      return lagMs > 0 ? lagMs / 1000 : 0
    },
    stop: () => void delays.disable(),
  }
}
