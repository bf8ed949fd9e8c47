/** A gateway that is told to stop before whoever sends it clients knows: a Service of Kubernetes, a balancer that asks `/readyz`. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { pause, startGatewayProcess, waitFor, type GatewayProcess } from '../support/process.ts'

const STOPPED = { code: 0, signal: null }

describe('a gateway with a drainDelay', () => {
  let upstream: Server
  let yaml = ''

  beforeAll(async () => {
    upstream = createServer((_, res) => void res.end('served'))
    const sockets = new WebSocketServer({ server: upstream })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    yaml = `
upstreams: { app: { targets: ['http://127.0.0.1:${(upstream.address() as AddressInfo).port}'] } }
routes: [{ name: app, match: { path: /* }, auth: public, websocket: true, upstream: app }]`
  })
  afterAll(() => {
    upstream.closeAllConnections()
    upstream.close()
  })

  it('is not ready from the signal on, and serves who still comes, also where nobody was connected', async () => {
    const gateway = await startGatewayProcess(yaml, { listener: 'timeouts: { drainDelay: 2s, drain: 5s }' })
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)) === '503 draining')
    expect(await call(gateway)).toEqual({ status: 200, body: 'served', connection: 'close' })
    expect(await readiness(gateway)).toBe('503 draining')
    expect(await gateway.exited).toEqual(STOPPED)
    await expect(fetch(gateway.url)).rejects.toThrow()
    expect(gateway.lines().at(-1)).toMatchObject({ level: 'info', msg: 'stopped' })
  })

  it('fails no request while clients learn one after the other that they shall go elsewhere', async () => {
    const gateway = await startGatewayProcess(yaml, { listener: 'timeouts: { drainDelay: 2s, drain: 5s }' })
    const isElsewhere = { said: false }
    const answers: number[] = []
    const clients = [1, 2, 3, 4].map(async () => {
      while (!isElsewhere.said) answers.push((await call(gateway)).status)
    })
    await waitFor(() => answers.length > 20)
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)) === '503 draining')
    const before = answers.length
    await waitFor(() => answers.length > before + 20)
    isElsewhere.said = true
    await Promise.all(clients)
    expect(answers.filter((status) => status !== 200)).toEqual([])
    expect(await gateway.exited).toEqual(STOPPED)
  })

  it('takes new WebSockets for as long, and closes all of them only after it', async () => {
    const gateway = await startGatewayProcess(yaml, { listener: 'timeouts: { drainDelay: 2s, drain: 5s }' })
    const early = await socketTo(gateway)
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)) === '503 draining')
    const late = await socketTo(gateway)
    const closed = Promise.all([early, late].map(async (socket) => (await once(socket, 'close'))[0]))
    for (const socket of [early, late]) {
      socket.send('still here')
      expect(String((await once(socket, 'message'))[0])).toBe('still here')
    }
    expect(await closed).toEqual([1001, 1001])
    expect(await gateway.exited).toEqual(STOPPED)
  })

  it('waits no longer when a person interrupts it a second time', async () => {
    const gateway = await startGatewayProcess(yaml, { listener: 'timeouts: { drainDelay: 5m }' })
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)) === '503 draining')
    await pause(1200)
    expect(gateway.child.exitCode).toBeNull()
    expect(await gateway.end('SIGINT')).toEqual(STOPPED)
  })

  it('does the same as several processes', async () => {
    const options = { listener: 'timeouts: { drainDelay: 2s, drain: 5s }', startMs: 30_000 }
    const gateway = await startGatewayProcess(`workers: 2\n${yaml}`, options)
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)) === '503 draining')
    expect(await call(gateway)).toEqual({ status: 200, body: 'served', connection: 'close' })
    expect(await gateway.exited).toEqual(STOPPED)
  }, 60_000)
})

/** Over a connection of its own. */
async function call(gateway: GatewayProcess): Promise<{ status: number; body: string; connection: string | null }> {
  const answer = await fetch(gateway.url, { headers: { connection: 'close' } })
  return { status: answer.status, body: await answer.text(), connection: answer.headers.get('connection') }
}

async function readiness(gateway: GatewayProcess): Promise<string> {
  const answer = await fetch(`${gateway.adminUrl}/readyz`)
  return `${answer.status} ${((await answer.json()) as { readonly status: string }).status}`
}

async function socketTo(gateway: GatewayProcess): Promise<WebSocket> {
  const socket = new WebSocket(gateway.url.replace('http', 'ws'))
  await once(socket, 'open')
  return socket
}
