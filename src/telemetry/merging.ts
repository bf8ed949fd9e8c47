import { OPEN_METRICS_TYPE, openMetrics, wantsOpenMetrics } from './open-metrics.ts'
import { AggregatorRegistry } from './prom.ts'
import { exemplarsIn } from './snapshot-exemplars.ts'

/** The metrics of one process at one moment, as JSON can carry them. */
export type Snapshot = readonly Metric[]

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly values: readonly unknown[]
  readonly aggregator?: string
  /** Of the buckets of the one metric that has them. */
  readonly exemplars?: readonly unknown[]
}

type How = 'sum' | 'min' | 'max' | 'first'

/** What several processes make of a gauge. Counters and histograms are added up. */
export const GAUGES: ReadonlyMap<string, How> = new Map<string, How>([
  // Each has its own.
  ['gatehouse_connections', 'sum'],
  ['gatehouse_live_connections', 'sum'],
  ['gatehouse_requests_in_flight', 'sum'],
  ['gatehouse_redis_unconfirmed_writes', 'sum'],
  ['gatehouse_workers', 'sum'],
  ['process_resident_memory_bytes', 'sum'],
  ['nodejs_heap_size_total_bytes', 'sum'],
  ['nodejs_heap_size_used_bytes', 'sum'],
  ['nodejs_external_memory_bytes', 'sum'],
  // The worst of all is what clients meet.
  ['gatehouse_shed_share', 'max'],
  ['gatehouse_revocation_staleness_seconds', 'max'],
  ['gatehouse_event_loop_lag_seconds', 'max'],
  ['gatehouse_username_filter_age_seconds', 'max'],
  ['gatehouse_jwks_age_seconds', 'max'],
  ['gatehouse_breaker_state', 'max'],
  ['gatehouse_redis_up', 'min'],
  ['gatehouse_audit_up', 'min'],
  ['gatehouse_revocation_max_staleness_seconds', 'min'],
  ['gatehouse_signing_key_rotation_due_timestamp_seconds', 'min'],
  ['gatehouse_database_up', 'min'],
  ['gatehouse_upstream_healthy', 'min'],
  ['gatehouse_config_last_reload_success', 'min'],
  ['gatehouse_config_loaded_timestamp_seconds', 'min'],
  ['gatehouse_config_info', 'max'],
  ['gatehouse_certificate_expiry_timestamp_seconds', 'min'],
  ['gatehouse_certificates_last_reload_success', 'min'],
  ['process_max_fds', 'min'],
  ['process_start_time_seconds', 'min'],
  // All of them know the same.
  ['gatehouse_revocation_entries', 'max'],
  ['gatehouse_username_filter_names', 'max'],
  ['gatehouse_config_info', 'max'],
  ['gatehouse_config_loaded_timestamp_seconds', 'max'],
  ['nodejs_version_info', 'first'],
])

/** @returns undefined of anything that is no snapshot */
export function asSnapshot(value: unknown): Snapshot | undefined {
  return Array.isArray(value) && value.every(isMetric) ? value : undefined
}

/**
 * One text of all of them. Of none, an empty one.
 *
 * @param accept the field of that name: OpenMetrics, with exemplars, where that is asked for
 */
export async function mergeSnapshots(
  snapshots: readonly Snapshot[],
  accept = '',
): Promise<{ readonly contentType: string; readonly body: string }> {
  const merged = AggregatorRegistry.aggregate(snapshots.map(prepared))
  const body = await merged.metrics()
  if (!wantsOpenMetrics(accept)) return { contentType: merged.contentType, body }
  return { contentType: OPEN_METRICS_TYPE, body: openMetrics(body, exemplarsIn(snapshots)) }
}

/** What stays of processes that have ended: what they counted, so that no sum falls. What they measured is over. */
export async function foldCounters(snapshots: readonly Snapshot[]): Promise<Snapshot> {
  const merged = AggregatorRegistry.aggregate(snapshots.map((one) => prepared(one).filter(({ type }) => type !== 'gauge')))
  return asSnapshot(await merged.getMetricsAsJSON()) ?? []
}

function prepared(snapshot: Snapshot): Metric[] {
  return snapshot.map((metric) => ({
    ...metric,
    aggregator: metric.type === 'gauge' ? (GAUGES.get(metric.name) ?? 'sum') : 'sum',
  }))
}

function isMetric(value: unknown): value is Metric {
  if (typeof value !== 'object' || value === null || !('name' in value) || !('help' in value)) return false
  if (typeof value.name !== 'string' || typeof value.help !== 'string') return false
  if ('exemplars' in value && !Array.isArray(value.exemplars)) return false
  return 'type' in value && typeof value.type === 'string' && 'values' in value && Array.isArray(value.values)
}
