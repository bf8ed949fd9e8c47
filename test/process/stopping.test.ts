import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { pause, startGatewayProcess, waitFor, type GatewayProcess } from '../support/process.ts'

const STOPPED = { code: 0, signal: null }
const BULK = 8 * 1024 * 1024

describe('stopping', () => {
  let upstream: Server
  let yaml = ''
  let served = 0
  /** Requests that have come and are not answered. */
  let held = 0
  /** Paths of all that have come. */
  const came: string[] = []

  beforeAll(async () => {
    upstream = createServer((req, res) => void serve(req, res))
    const sockets = new WebSocketServer({ server: upstream })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const { port } = upstream.address() as AddressInfo
    yaml = `
upstreams: { slow: { targets: ['http://127.0.0.1:${port}'] } }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: slow, match: { path: /* }, auth: public, websocket: true, upstream: slow }`
  })
  afterAll(() => {
    upstream.closeAllConnections()
    upstream.close()
  })

  /** `/late?MS` answers after a while, `/stream?MS` begins at once and ends after a while, `/bulk` is large. */
  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    held += 1
    came.push(req.url ?? '')
    res.once('close', () => (held -= 1))
    const { pathname, search } = new URL(req.url ?? '', 'http://upstream')
    const delayMs = Number(search.slice(1))
    if (pathname === '/late') await pause(delayMs)
    if (pathname === '/stream') {
      res.write('begin ')
      await pause(delayMs)
    }
    served += 1
    res.end(pathname === '/bulk' ? Buffer.alloc(BULK, 'x') : 'end')
  }

  it('answers everything that is in flight, whole, and then ends with 0', async () => {
    const gateway = await startGatewayProcess(yaml)
    served = 0
    came.length = 0
    const paths = ['/late?60', '/late?1500', '/stream?90', '/stream?900', '/quick']
    const clients = paths.flatMap((path) => Array.from({ length: 6 }, () => useUntilClosed(gateway, path)))
    await waitFor(() => paths.every((path) => came.filter((one) => one === path).length >= 6), gateway)
    gateway.child.kill('SIGTERM')
    await waitFor(async () => (await readiness(gateway)).status === 503)
    const unreadyAt = performance.now()
    expect((await readiness(gateway)).body).toMatchObject({ status: 'draining' })

    const answers = (await Promise.all(clients)).flat()
    expect(await gateway.exited).toEqual(STOPPED)
    expect(answers.filter((answer) => answer.body !== (answer.path.startsWith('/stream') ? 'begin end' : 'end'))).toEqual([])
    expect(answers).toHaveLength(served)
    // Their heads cannot have been written before.
    const answeredAfter = answers.filter((answer) => answer.begunAt + delayOf(answer.path) > unreadyAt + 5)
    expect(answeredAfter).not.toEqual([])
    expect(answeredAfter.filter((answer) => answer.connection !== 'close')).toEqual([])
    expect(gateway.lines().at(-1)).toMatchObject({ level: 'info', msg: 'stopped' })
  })

  it('does the same when a person interrupts it', async () => {
    const gateway = await startGatewayProcess(yaml)
    const streaming = ending(gateway, '/stream?400')
    const late = ending(gateway, '/late?400')
    await waitFor(() => held === 2, gateway)
    expect(await gateway.end('SIGINT')).toEqual(STOPPED)
    expect(await Promise.all([streaming, late])).toEqual(['whole', 'whole'])
  })

  it('sends the rest of an answer to a slow reader', async () => {
    const gateway = await startGatewayProcess(yaml)
    const answer = await begin(gateway, '/bulk')
    gateway.child.kill('SIGTERM')
    await pause(900)
    let received = 0
    answer.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    await once(answer, 'end')
    expect(received).toBe(BULK)
    expect(await gateway.exited).toEqual(STOPPED)
  })

  it('tells WebSockets that it goes away', async () => {
    const gateway = await startGatewayProcess(yaml)
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket`)
    await once(socket, 'open')
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).toBe('hello')
    const closed = once(socket, 'close')
    gateway.child.kill('SIGTERM')
    expect((await closed)[0]).toBe(1001)
    expect(await gateway.exited).toEqual(STOPPED)
  })

  it('cuts what takes longer than the drain may, says so, and ends with 0 all the same', async () => {
    const gateway = await startGatewayProcess(yaml, { listener: 'timeouts: { drain: 1s }' })
    const late = ending(gateway, '/late?9000')
    const streaming = ending(gateway, '/stream?9000')
    await waitFor(() => held === 2, gateway)
    const took = await timeOf(() => gateway.end('SIGTERM'))
    expect(await gateway.exited).toEqual(STOPPED)
    expect(took).toBeGreaterThan(900)
    expect(took).toBeLessThan(6000)
    expect(await Promise.all([late, streaming])).toEqual(['broken off', 'broken off'])
    expect(gateway.lines()).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: 'cut what was still in flight', requests: 2 }),
    )
  })

  it('ignores a second interrupt that comes at once, and obeys a later one at once', async () => {
    const gateway = await startGatewayProcess(yaml)
    const late = ending(gateway, '/late?9000')
    await waitFor(() => held === 1, gateway)
    gateway.child.kill('SIGINT')
    await pause(50)
    gateway.child.kill('SIGINT')
    await pause(1200)
    expect(gateway.child.exitCode).toBeNull()
    expect(await timeOf(() => gateway.end('SIGINT'))).toBeLessThan(4000)
    expect(await gateway.exited).toEqual(STOPPED)
    expect(await late).toBe('broken off')
  })

  it('stops at once when there is nothing to finish', async () => {
    const unused = await startGatewayProcess(yaml)
    expect(await timeOf(() => unused.end())).toBeLessThan(3000)
    const idle = await startGatewayProcess(yaml)
    const agent = new Agent({ keepAlive: true })
    const answer = await begin(idle, '/quick', agent)
    answer.resume()
    await once(answer, 'end')
    expect(await timeOf(() => idle.end())).toBeLessThan(3000)
    expect([await unused.exited, await idle.exited]).toEqual([STOPPED, STOPPED])
    agent.destroy()
  })

  it('takes no connections any more once it stops listening', async () => {
    const gateway = await startGatewayProcess(yaml)
    const streaming = ending(gateway, '/stream?1500')
    await waitFor(() => held === 1, gateway)
    gateway.child.kill('SIGTERM')
    await waitFor(() => fetch(`${gateway.url}/health`).then(dismiss, () => true))
    expect(await streaming).toBe('whole')
    expect(await gateway.exited).toEqual(STOPPED)
  })
})

interface Answer {
  readonly path: string
  readonly begunAt: number
  readonly connection: string | undefined
  readonly body: string
}

/** Requests over one kept-alive connection, one after the other, until an answer says that it is the last. */
async function useUntilClosed(gateway: GatewayProcess, path: string): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answers: Answer[] = []
  while (answers.at(-1)?.connection !== 'close') {
    const begunAt = performance.now()
    const answer = await begin(gateway, path, agent)
    let body = ''
    for await (const chunk of answer) body += String(chunk)
    answers.push({ path, begunAt, connection: answer.headers.connection, body })
  }
  agent.destroy()
  return answers
}

/** How long the upstream waits before the head of its answer. */
function delayOf(path: string): number {
  return path.startsWith('/late?') ? Number(path.slice(6)) : 0
}

async function readiness(gateway: GatewayProcess): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${gateway.adminUrl}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

function begin(gateway: GatewayProcess, path: string, agent?: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(`${gateway.url}${path}`, agent === undefined ? {} : { agent }, resolve).on('error', reject)
  })
}

async function ending(gateway: GatewayProcess, path: string): Promise<'whole' | 'broken off'> {
  try {
    const answer = await begin(gateway, path)
    for await (const _ of answer);
    return 'whole'
  } catch {
    return 'broken off'
  }
}

async function dismiss(response: Response): Promise<boolean> {
  await response.arrayBuffer()
  return false
}

async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const before = performance.now()
  await run()
  return performance.now() - before
}
