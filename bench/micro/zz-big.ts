/**
 * What one exchange with an upstream costs: our client against undici, through real sockets, to the same server in a process of its
 * own that answers without looking. Interleaved rounds; the median counts. `node bench/micro/http1-client.ts`
 */
import { fork } from 'node:child_process'
import { createServer } from 'node:net'
import { testConfig } from '../../test/support/config.ts'
import { openPool } from '../../src/upstream/destination.ts'
import type { AnswerHandler, DispatchPool } from '../../src/upstream/dispatch.ts'
import { endOfTurn, monotonicMs, schedule } from '../../src/world.ts'

const AT_ONCE = 8
const REQUESTS = 15_000
const ROUNDS = 5
const FIELDS: readonly (readonly [string, string])[] = [
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['accept', 'application/json'],
  ['accept-encoding', 'gzip, deflate, br'],
  ['x-forwarded-for', '198.51.100.7'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-host', 'api.example.com'],
  ['x-request-id', '0190e2b0-7a1c-7c3e-9d7f-3a4b5c6d7e8f'],
  ['x-user-id', 'usr_2f4c6e8a0b1d3f5a7c9e0b2d4f6a8c0e'],
  ['x-tenant-id', 'acme'],
  ['x-scopes', 'orders:read orders:write'],
]
const BODY = JSON.stringify({ ok: true, items: [1, 2, 3], name: 'a small answer of the size that services give' })
const BIG = Buffer.alloc(65536, 'x')
const ANSWER = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${BIG.length}\r\n\r\n`), BIG])
const OLD = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n` +
    `Keep-Alive: timeout=60\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
)

if (process.send === undefined) await measure()
else serve()

function serve(): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write(ANSWER))
  })
  server.listen(0, '127.0.0.1', () => process.send?.(server.address()))
}

async function measure(): Promise<void> {
  const server = fork(import.meta.filename)
  const { port } = await new Promise<{ port: number }>((resolve) => {
    server.once('message', (address: { port: number }) => resolve(address))
  })
  const names = ['builtin', 'undici'] as const
  const pools = names.map((client) => ({ client, pool: poolTo(port, client), took: [] as { rate: number; cpu: number }[] }))
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const { pool, took } of pools) {
      const result = await play(pool, round === 0 ? REQUESTS / 2 : REQUESTS)
      if (round > 0) took.push(result)
    }
  }
  for (const { client, took } of pools) {
    const rate = middle(took.map((one) => one.rate))
    const cpu = middle(took.map((one) => one.cpu))
    process.stdout.write(`${client}: ${Math.round(rate)} requests/s, ${cpu.toFixed(1)} µs of CPU each\n`)
  }
  await Promise.all(pools.map(({ pool }) => pool.destroy()))
  server.kill()
}

function poolTo(port: number, client: 'builtin' | 'undici'): DispatchPool {
  const config = testConfig(`upstreams: { a: { targets: ["http://127.0.0.1:${port}"], client: ${client} } }`)
  const upstream = config.upstreams.get('a')
  const url = upstream?.targets[0]?.url
  if (upstream === undefined || url === undefined) throw new Error('there is one')
  const limits = { connections: AT_ONCE, connectMs: 1000, responseMs: 30_000, idleMs: 60_000 }
  return openPool({ monotonicMs, schedule, endOfTurn }, { url, tlsName: '', upstream }, limits)
}

function play(pool: DispatchPool, requests: number): Promise<{ rate: number; cpu: number }> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const before = process.cpuUsage()
    let sent = 0
    let done = 0
    for (let index = 0; index < AT_ONCE; index += 1) ask()

    function ask(): void {
      sent += 1
      const headers: string[] = []
      for (const [name, value] of FIELDS) headers.push(name, value)
      const handler: AnswerHandler = {
        onRequestStart: () => undefined,
        onResponseStart: () => undefined,
        onResponseData: () => undefined,
        onResponseEnd: next,
        onResponseError: (_, error) => reject(error),
      }
      const request = { path: '/api/orders?page=2', method: 'GET', headers, body: null, servername: '127.0.0.1' }
      pool.dispatch({ ...request, headersTimeout: 30_000, bodyTimeout: 60_000 }, handler)
    }

    function next(): void {
      done += 1
      if (sent < requests) ask()
      if (done < requests) return
      const tookMs = performance.now() - startedMs
      const { user, system } = process.cpuUsage(before)
      resolve({ rate: (requests * 1000) / tookMs, cpu: (user + system) / requests })
    }
  })
}

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
