import { NO_COUNTS, quantileMs, type Counts } from './counts.ts'
import type { Traffic } from './history.ts'

/** A metric of one process at one moment, as JSON can carry it. */
export interface Metric {
  readonly name: string
  readonly values: readonly unknown[]
}

interface Sample {
  readonly labels: object
  readonly value: number
  /** Of a histogram: what of it. */
  readonly name: string
}

const REQUESTS = 'gatehouse_requests_total'
const DURATIONS = 'gatehouse_request_duration_seconds'
const LAG = 'gatehouse_revocation_lag_seconds'

/** What a process has counted of its requests, by route. */
export function trafficOf(metrics: readonly Metric[]): Traffic {
  const durations = new Map<string, Map<number, number>>()
  for (const { labels, value, name } of samplesOf(metrics, DURATIONS)) {
    if (name !== `${DURATIONS}_bucket`) continue
    const route = labelOf(labels, 'route')
    const known = durations.get(route)
    if (known === undefined) durations.set(route, new Map([[boundOf(labels), value]]))
    else known.set(boundOf(labels), value)
  }
  const traffic = new Map<string, Counts>()
  for (const { labels, value } of samplesOf(metrics, REQUESTS)) {
    const route = labelOf(labels, 'route')
    const code = Number(labelOf(labels, 'code'))
    const { requests, refused, failed } = traffic.get(route) ?? NO_COUNTS
    traffic.set(route, {
      requests: requests + value,
      refused: refused + (code >= 400 && code < 500 ? value : 0),
      failed: failed + (code >= 500 ? value : 0),
      durations: durations.get(route) ?? NO_COUNTS.durations,
    })
  }
  return traffic
}

/** How the whole is: of several processes sums, or the worst of them. */
export function figuresOf(processes: readonly (readonly Metric[])[]): unknown {
  const metrics = processes.flat()
  return {
    in_flight: total(metrics, 'gatehouse_requests_in_flight'),
    connections: total(metrics, 'gatehouse_connections'),
    live_connections: total(metrics, 'gatehouse_live_connections'),
    shed_share: most(metrics, 'gatehouse_shed_share'),
    revocation: {
      staleness_seconds: most(metrics, 'gatehouse_revocation_staleness_seconds'),
      entries: most(metrics, 'gatehouse_revocation_entries'),
      lag: lagOf(metrics),
    },
    redis_up: least(metrics, 'gatehouse_redis_up'),
    database_up: least(metrics, 'gatehouse_database_up'),
    breakers: worst(metrics, 'gatehouse_breaker_state', 'dependency'),
    issuers: worst(metrics, 'gatehouse_jwks_age_seconds', 'issuer'),
  }
}

function lagOf(metrics: readonly Metric[]) {
  const durations = new Map<number, number>()
  for (const { labels, value, name } of samplesOf(metrics, LAG)) {
    if (name === `${LAG}_bucket`) durations.set(boundOf(labels), (durations.get(boundOf(labels)) ?? 0) + value)
  }
  const count = durations.get(Number.POSITIVE_INFINITY) ?? 0
  return { count, p50_ms: quantileMs(durations, 0.5), p99_ms: quantileMs(durations, 0.99) }
}

function total(metrics: readonly Metric[], name: string): number {
  return valuesOf(metrics, name).reduce((one, other) => one + other, 0)
}

/** Null: nobody has it. */
function most(metrics: readonly Metric[], name: string): number | null {
  const values = valuesOf(metrics, name)
  return values.length === 0 ? null : Math.max(...values)
}

function least(metrics: readonly Metric[], name: string): number | null {
  const values = valuesOf(metrics, name)
  return values.length === 0 ? null : Math.min(...values)
}

/** The highest of each, in the order of their names. */
function worst(
  metrics: readonly Metric[],
  name: string,
  label: string,
): readonly { readonly name: string; readonly value: number }[] {
  const highest = new Map<string, number>()
  for (const { labels, value } of samplesOf(metrics, name)) {
    const key = labelOf(labels, label)
    highest.set(key, Math.max(value, highest.get(key) ?? value))
  }
  return [...highest].map(([key, value]) => ({ name: key, value })).toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

function valuesOf(metrics: readonly Metric[], name: string): readonly number[] {
  return samplesOf(metrics, name).map(({ value }) => value)
}

function samplesOf(metrics: readonly Metric[], name: string): readonly Sample[] {
  return metrics.filter((metric) => metric.name === name).flatMap(({ values }) => values.flatMap(sampleOf))
}

function sampleOf(value: unknown): readonly Sample[] {
  if (typeof value !== 'object' || value === null || !('value' in value) || typeof value.value !== 'number') return []
  const labels = 'labels' in value && typeof value.labels === 'object' && value.labels !== null ? value.labels : {}
  const name = 'metricName' in value && typeof value.metricName === 'string' ? value.metricName : ''
  return [{ labels, value: value.value, name }]
}

/** Empty where there is none. */
function labelOf(labels: object, name: string): string {
  const value: unknown = Reflect.get(labels, name)
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** `+Inf` and numbers, which JSON may have made texts. */
function boundOf(labels: Sample['labels']): number {
  const le = labelOf(labels, 'le')
  return le === '+Inf' || le === '' ? Number.POSITIVE_INFINITY : Number(le)
}
