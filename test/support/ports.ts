/** Ports on loopback for servers that are told theirs before they start. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

/** Below are ports that browsers refuse. */
const LOWEST = 11_000
/** The system picks from here on, for connections and for servers that ask for any port. */
const PICKED_FROM = firstOfSystem()
const COUNT = Math.max(0, PICKED_FROM - LOWEST)
/** Processes that run side by side have numbers that are near each other: their ports are not. */
const STRIDE = 7_919

let given = 0

/**
 * A port that nobody listens on, and that nobody gets by chance before it is used: it is none of those that the system picks, and
 * is not given twice.
 */
export async function freePort(): Promise<number> {
  while (given < COUNT) {
    const port = LOWEST + ((process.pid * STRIDE + given) % COUNT)
    given += 1
    if ((await listensOn(port)) !== undefined) return port
  }
  const port = await listensOn(0)
  if (port === undefined) throw new Error('no port is free')
  return port
}

/** The port, after listening on it for a moment; undefined when that was not possible. */
async function listensOn(wanted: number): Promise<number | undefined> {
  const server = createServer()
  try {
    server.listen(wanted, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    return port
  } catch {
    return undefined
  }
}

function firstOfSystem(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)[0])
  } catch {
    // From here on by IANA, and so on macOS.
    return 49_152
  }
}
