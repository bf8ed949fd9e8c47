import type { Snapshot } from './merging.ts'
import { asSnapshot } from './merging.ts'
import type { Metrics } from './metrics.ts'
import type { Refusal, Refusals } from './refusals.ts'

/** What a process says of itself to whoever watches it each second. */
export interface Pulse {
  /** Of the metrics, those that are watched. */
  readonly metrics: Snapshot
  /** Those since the last look, oldest first. */
  readonly refusals: readonly Refusal[]
}

/**
 * Few of all, so that a look costs little; and none that begins anew when it is read, as the lag of the event loop does: that is
 * for the scrape.
 */
const WATCHED = [
  'gatehouse_requests_total',
  'gatehouse_request_duration_seconds',
  'gatehouse_requests_in_flight',
  'gatehouse_connections',
  'gatehouse_live_connections',
  'gatehouse_shed_share',
  'gatehouse_revocation_staleness_seconds',
  'gatehouse_revocation_entries',
  'gatehouse_revocation_lag_seconds',
  'gatehouse_breaker_state',
  'gatehouse_redis_up',
  'gatehouse_database_up',
  'gatehouse_jwks_age_seconds',
] as const

export async function readPulse({ registry }: Pick<Metrics, 'registry'>, refusals: Refusals): Promise<Pulse> {
  const read = await Promise.all(WATCHED.map(async (name) => registry.getSingleMetric(name)?.get()))
  return { metrics: asSnapshot(read.filter((one) => one !== undefined)) ?? [], refusals: refusals.take() }
}
