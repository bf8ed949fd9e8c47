/**
 * Loaded into a gateway that is watched for long (`--import`): on SIGUSR2 it collects garbage and writes what is left, as JSON, to
 * the file that SOAK_INSIDE names. What a process shows from outside, memory and descriptors, tells nothing of timers. What V8 has
 * left over each time that it looks through all of its heap by itself is a line of the file of that name with `.collections`.
 */
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { Server, Socket } from 'node:net'
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { queryObjects } from 'node:v8'

/** What is alive after a collection, whether or not it keeps the process. */
export interface Inside {
  readonly timers: number
  readonly sockets: number
  readonly servers: number
  readonly promises: number
  readonly heapMiB: number
  /** What V8 has of the machine for its heap. */
  readonly heldMiB: number
  /** Outside the heap, array buffers included. */
  readonly externalMiB: number
  /** All that the process has of the machine. */
  readonly rssMiB: number
}

/** One collection of all of the heap. */
export interface Collection {
  /** Wall clock, milliseconds. */
  readonly atMs: number
  readonly heapMiB: number
}

const MIB = 1024 ** 2
const file = process.env['SOAK_INSIDE']
const Timer = setTimeout(() => undefined, 0).constructor
if (file !== undefined) {
  process.on('SIGUSR2', () => void writeInside(file))
  noteCollections(`${file}.collections`)
}

function noteCollections(file: string): void {
  const observer = new PerformanceObserver((list) => {
    const isMajor = list.getEntries().some((entry) => kindOf(entry) === constants.NODE_PERFORMANCE_GC_MAJOR)
    if (!isMajor) return
    const collection: Collection = { atMs: Date.now(), heapMiB: process.memoryUsage().heapUsed / MIB }
    appendFileSync(file, `${JSON.stringify(collection)}\n`)
  })
  observer.observe({ entryTypes: ['gc'] })
}

function kindOf(entry: PerformanceEntry): unknown {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined
  return typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined
}

async function writeInside(file: string): Promise<void> {
  const inside: Inside = {
    timers: await count(Timer),
    sockets: await count(Socket),
    servers: await count(Server),
    promises: await count(Promise),
    heapMiB: process.memoryUsage().heapUsed / MIB,
    heldMiB: process.memoryUsage().heapTotal / MIB,
    externalMiB: process.memoryUsage().external / MIB,
    rssMiB: process.memoryUsage.rss() / MIB,
  }
  writeFileSync(`${file}.new`, JSON.stringify(inside))
  renameSync(`${file}.new`, file)
}

/** Each one stops everything for a second: for moments without load. */
async function count(kind: Function): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 200))
  return queryObjects(kind, { format: 'count' })
}
