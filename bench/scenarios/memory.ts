import { connect, type Socket } from 'node:net'
import { runLoad } from '../rig/load.ts'
import { treeResidentMiB } from '../rig/programs.ts'
import { CLIENTS, type Rig } from '../rig/rig.ts'
import { startGateway } from '../rig/subjects.ts'
import type { Effort, Table } from '../scenarios.ts'
import { median } from '../support/results.ts'

const IDLE_CONNECTIONS = 10_000
/** Opened at once. */
const BATCH = 200
/** From one look at the memory to the next, under load. */
const STEP_SECONDS = 10
/** Of load; 600 for the full ten minutes. */
const SECONDS = 120
const SETTLE_MS = 5000
/** The gateway gives back what a rush has left once it was quiet for a minute. */
const QUIET_MS = 75_000

/**
 * Resident memory of the process: idle after a start, with 10,000 idle connections each of which was answered once, and under full load
 * over 64 connections.
 */
export async function memory(rig: Rig, { seconds = SECONDS }: Effort): Promise<Table> {
  const calm = await startGateway(rig)
  await settle(SETTLE_MS)
  const idleMiB = treeResidentMiB(calm.pid)
  const sockets = await openMany(calm.port)
  await settle(QUIET_MS)
  const heldMiB = treeResidentMiB(calm.pid)
  for (const socket of sockets) socket.destroy()

  const busy = await startGateway(rig)
  const samples: number[] = []
  const rates: number[] = []
  for (let passed = 0; passed < seconds; passed += STEP_SECONDS) {
    const url = `http://127.0.0.1:${busy.port}/api/small`
    const load = {
      url,
      seconds: Math.min(STEP_SECONDS, seconds - passed),
      connections: CLIENTS,
      tokenFile: rig.warmTokens,
      pid: busy.pid,
    }
    rates.push((await runLoad(load, rig.wrkScript)).perSecond)
    samples.push(treeResidentMiB(busy.pid))
    busy.tidy()
  }
  const fifth = Math.max(1, Math.floor(samples.length / 5))
  return {
    idle: { residentMiB: Math.round(idleMiB) },
    'with idle connections': {
      residentMiB: Math.round(heldMiB),
      connections: sockets.length,
      kibEach: Math.round(((heldMiB - idleMiB) * 1024) / sockets.length),
    },
    'under load': {
      seconds,
      perSecond: Math.round(median(rates)),
      firstFifthMiB: Math.round(median(samples.slice(0, fifth))),
      lastFifthMiB: Math.round(median(samples.slice(-fifth))),
      mostMiB: Math.round(Math.max(...samples)),
    },
  }
}

async function openMany(port: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < IDLE_CONNECTIONS)
    sockets.push(...(await Promise.all(Array.from({ length: BATCH }, () => openOne(port)))))
  return sockets
}

/** Resolves once it was answered. */
function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', () => {
      socket.resume()
      resolve(socket)
    })
    socket.write('GET /health HTTP/1.1\r\nhost: gateway\r\n\r\n')
  })
}

function settle(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs))
}
