import { createExemplars, type Exemplars, type PlacedExemplar } from './exemplars.ts'
import type { Snapshot } from './merging.ts'

/** The metric whose buckets have exemplars: they travel with it between processes. */
const CARRIER = 'gatehouse_request_duration_seconds'
const TRACE_ID = /^[0-9a-f]{32}$/

export function withExemplars(snapshot: Snapshot, exemplars: Exemplars): Snapshot {
  if (exemplars.isEmpty()) return snapshot
  return snapshot.map((metric) => (metric.name === CARRIER ? { ...metric, exemplars: exemplars.list() } : metric))
}

/** The latest of each bucket. */
export function exemplarsIn(snapshots: readonly Snapshot[]): Exemplars {
  const merged = createExemplars([])
  for (const { name, exemplars } of snapshots.flat())
    if (name === CARRIER) for (const one of exemplars ?? []) if (isExemplar(one)) merged.add(one)
  return merged
}

function isExemplar(value: unknown): value is PlacedExemplar {
  if (typeof value !== 'object' || value === null || !('route' in value) || !('bucket' in value)) return false
  if (typeof value.route !== 'string' || typeof value.bucket !== 'string' || !('traceId' in value)) return false
  if (typeof value.traceId !== 'string' || !TRACE_ID.test(value.traceId)) return false
  return 'seconds' in value && typeof value.seconds === 'number' && 'atMs' in value && typeof value.atMs === 'number'
}
