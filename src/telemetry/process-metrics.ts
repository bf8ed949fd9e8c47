import { Registry, collectDefaultMetrics } from 'prom-client'

// Facts of the process, not of an instance; and prom-client's observers of the garbage collector cannot be taken off again.
let shared: Registry | undefined

/** Memory, processor time and garbage collection of this process, in a registry of their own. */
export function processMetrics(): Registry {
  if (shared !== undefined) return shared
  const registry = new Registry()
  // The precision belongs to a metric that is dropped below; a high one keeps its timer quiet.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 })
  for (const { name } of registry.getMetricsAsArray()) if (!USEFUL.has(name)) registry.removeSingleMetric(name)
  shared = registry
  return registry
}

// Without those that list each handle or file descriptor: with thousands of connections a scrape would hold up requests.
const USEFUL: ReadonlySet<string> = new Set([
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'process_max_fds',
  'nodejs_heap_size_total_bytes',
  'nodejs_heap_size_used_bytes',
  'nodejs_external_memory_bytes',
  'nodejs_gc_duration_seconds',
  'nodejs_version_info',
])
