import { cpuUsage } from 'node:process'
import observeCollections from 'prom-client/lib/metrics/gc.js'
import observeHeap from 'prom-client/lib/metrics/heapSizeAndUsed.js'
import observeMemory from 'prom-client/lib/metrics/osMemoryHeap.js'
import observeMostFiles from 'prom-client/lib/metrics/processMaxFileDescriptors.js'
import observeStart from 'prom-client/lib/metrics/processStartTime.js'
import observeVersion from 'prom-client/lib/metrics/version.js'
import { Counter, Registry } from './prom.ts'

// Facts of the process, not of an instance; and prom-client's observers of the garbage collector cannot be taken off again.
let shared: Registry | undefined

/** Memory, processor time and garbage collection of this process, in a registry of their own. */
export function processMetrics(): Registry {
  if (shared !== undefined) return shared
  const registry = new Registry()
  observeProcessor(registry)
  for (const observe of OBSERVERS) observe(registry)
  for (const name of UNUSED) registry.removeSingleMetric(name)
  shared = registry
  return registry
}

// Without those that list each handle or file descriptor: with thousands of connections a scrape would hold up requests.
const OBSERVERS = [observeStart, observeMemory, observeMostFiles, observeHeap, observeVersion, observeCollections]
const UNUSED = ['process_virtual_memory_bytes', 'process_heap_bytes']

const MICROS = 1e6

/** As prom-client's own, which would have the API of OpenTelemetry loaded. */
function observeProcessor(registry: Registry): void {
  const registers = [registry]
  const system = new Counter({
    name: 'process_cpu_system_seconds_total',
    help: 'Total system CPU time spent in seconds.',
    registers,
  })
  const all = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
  })
  let last = cpuUsage()
  const user = new Counter({
    name: 'process_cpu_user_seconds_total',
    help: 'Total user CPU time spent in seconds.',
    registers,
    collect() {
      const now = cpuUsage()
      user.inc((now.user - last.user) / MICROS)
      system.inc((now.system - last.system) / MICROS)
      all.inc((now.user - last.user + now.system - last.system) / MICROS)
      last = now
    },
  })
}
