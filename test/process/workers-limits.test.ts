/** What a gateway takes is the same however many processes it has. */
import { connect, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pause, waitFor } from '../support/process.ts'
import { ask, startCrew } from './crew.ts'

const WORKERS = 3
const ROUTES = `
  - { name: health, match: { path: /health }, service: health }
`

describe('a limit', () => {
  it('of connections is kept, and a flood of more does not keep the primary busy', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, `routes:${ROUTES}`, { listener: 'limits: { connections: 6 }' })
    let closed = 0
    const sockets = Array.from({ length: 30 }, (): Socket => {
      const socket = connect(gateway.port, '127.0.0.1')
      socket.on('close', () => (closed += 1))
      socket.on('error', () => undefined)
      return socket
    })
    await waitFor(() => closed === 24, gateway)
    const before = cpuTicks(gateway.pid)
    await pause(1000)
    expect(closed).toBe(24)
    // Of a hundred in a second.
    expect(cpuTicks(gateway.pid) - before).toBeLessThan(30)
    for (const socket of sockets) socket.destroy()
    await waitFor(async () => (await ask(gateway, '/health').catch(() => ({ status: 0 }))).status === 200, gateway)
    expect(await gateway.end()).toEqual({ code: 0, signal: null })
  })
})

/** Time of the processor that a process has had, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}
