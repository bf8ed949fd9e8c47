/**
 * Loaded into a gateway that is watched for hours (`--import`): on SIGUSR2 it collects garbage and writes what is left, as JSON,
 * to the file that SOAK_INSIDE names. What the process tells from outside, memory and descriptors, shows no timer.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Server, Socket } from 'node:net'
import { queryObjects } from 'node:v8'

export interface Inside {
  /** Counts up from 1. */
  readonly turn: number
  readonly timers: number
  readonly sockets: number
  readonly servers: number
  readonly promises: number
  readonly heapBytes: number
  /** Outside the heap, array buffers included. */
  readonly externalBytes: number
}

const file = process.env['SOAK_INSIDE']
const first = setTimeout(() => undefined, 0)
const Timer = first.constructor
let turn = 0
// The process that is started anew with other flags would not survive the signal until it listens.
if (file !== undefined) process.on('SIGUSR2', () => writeInside(file))

function writeInside(file: string): void {
  turn += 1
  const inside: Inside = {
    turn,
    timers: count(Timer),
    sockets: count(Socket),
    servers: count(Server),
    promises: count(Promise),
    heapBytes: process.memoryUsage().heapUsed,
    externalBytes: process.memoryUsage().external,
  }
  writeFileSync(`${file}.new`, JSON.stringify(inside))
  renameSync(`${file}.new`, file)
}

/** All that live, those that hold up nothing included. Collects garbage first. */
function count(of: Function): number {
  return queryObjects(of, { format: 'count' })
}
