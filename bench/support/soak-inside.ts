/**
 * Loaded into a gateway that is watched for long (`--import`): on SIGUSR2 it collects garbage and writes what is left, as JSON, to
 * the file that SOAK_INSIDE names. What a process shows from outside, memory and descriptors, tells nothing of timers.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Server, Socket } from 'node:net'
import { queryObjects } from 'node:v8'

/** What is alive after a collection, whether or not it keeps the process. */
export interface Inside {
  readonly timers: number
  readonly sockets: number
  readonly servers: number
  readonly promises: number
  readonly heapMiB: number
  /** Outside the heap, array buffers included. */
  readonly externalMiB: number
  /** All that the process has of the machine. */
  readonly rssMiB: number
}

const MIB = 1024 ** 2
const file = process.env['SOAK_INSIDE']
const Timer = setTimeout(() => undefined, 0).constructor
if (file !== undefined) process.on('SIGUSR2', () => void writeInside(file))

async function writeInside(file: string): Promise<void> {
  const inside: Inside = {
    timers: await count(Timer),
    sockets: await count(Socket),
    servers: await count(Server),
    promises: await count(Promise),
    heapMiB: process.memoryUsage().heapUsed / MIB,
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
