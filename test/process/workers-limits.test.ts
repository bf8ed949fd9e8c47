/** What a gateway takes is the same however many processes it has. */
import { connect, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pause, waitFor } from '../support/process.ts'
import { ask, startCrew } from './crew.ts'

const WORKERS = 3
const FORM = 'application/x-www-form-urlencoded'
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

  it('of wrong secrets of clients is one for all processes', { timeout: 120_000 }, async () => {
    const yaml = `clients: { billing: { tenant: default, secret: { env: WORKERS_CLIENT_SECRET }, scopes: [sessions:write] } }
routes:${ROUTES}  - { name: oauth, match: { path: /oauth/* }, service: oauth }
`
    process.env['WORKERS_CLIENT_SECRET'] = 'the right secret of the client billing'
    const gateway = await startCrew(WORKERS, yaml).finally(() => delete process.env['WORKERS_CLIENT_SECRET'])
    const authorization = `Basic ${Buffer.from('billing:wrong').toString('base64')}`
    const guess = async (): Promise<number> =>
      (await ask(gateway, '/oauth/token', { method: 'POST', headers: { authorization, 'content-type': FORM } })).status
    const statuses: number[] = []
    while (statuses.length < 20) statuses.push(await guess())
    expect(new Set(statuses)).toEqual(new Set([401]))
    const each: number[] = []
    await waitFor(async () => {
      each.splice(0)
      while (each.length < WORKERS) each.push(await guess())
      return each.every((status) => status === 429)
    }, gateway)
    expect(await gateway.end()).toEqual({ code: 0, signal: null })
  })
})

/** Time of the processor that a process has had, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}
