/**
 * Requests at fixed moments, whatever becomes of those before: reads an OpenLoad from standard input and writes a
 * SessionLoadResult to standard output.
 *
 * Made so that what it measures is the server: the bytes of each request are ready before, arrivals are evenly spaced to some
 * ten microseconds by a loop that never sleeps, and an answer is read no further than to its length. Latency counts from the
 * moment at which a request was due, also where it had to wait for one of the connections.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { timingOf } from './latencies.ts'
import type { SessionLoadResult } from './session-load.ts'

export interface OpenLoad {
  readonly origin: string
  readonly path: string
  /** JSON texts that are sent in turn, or `tokens`. */
  readonly bodies?: readonly string[]
  /** Access tokens that GET is sent with in turn. */
  readonly tokens?: readonly string[]
  readonly perSecond: number
  readonly seconds: number
  readonly connections: number
}

interface Line {
  readonly socket: Socket
  /** Of the request under way. */
  dueMs: number
  /** Octets of its answer that are still to come; undefined before the head. */
  left: number | undefined
  head: string
}

/** V8 makes its code, and that of whoever answers, for as long; what that holds up would be all that is slow of a second. */
const WARM_UP_SECONDS = 4
const load = JSON.parse(readFileSync(0, 'utf8')) as OpenLoad
const { hostname, port, host } = new URL(load.origin)
const requests = load.tokens?.map(asking) ?? load.bodies?.map(posting) ?? []
const free: Line[] = await Promise.all(Array.from({ length: load.connections }, open))
const lines = [...free]
const total = Math.floor((WARM_UP_SECONDS + load.seconds) * load.perSecond)
const measuredFrom = WARM_UP_SECONDS * load.perSecond
const latencies = new Float64Array(total - measuredFrom)
let [sent, measured, served, errors] = [0, 0, 0, 0]
const startedMs = performance.now()
let firstMs = startedMs
await new Promise<void>((resolve) => {
  const turn = (): void => {
    const nowMs = performance.now()
    while (sent < total && free.length > 0 && dueOf(sent) <= nowMs) send()
    if (served + errors >= total) resolve()
    else setImmediate(turn)
  }
  turn()
})
const result: SessionLoadResult = {
  ...timingOf(latencies.subarray(0, measured), (performance.now() - firstMs) / 1000),
  errors,
  served,
  created: [],
  tokens: [],
}
for (const line of lines) line.socket.destroy()
process.stdout.write(JSON.stringify(result))

function asking(token: string): Buffer {
  return Buffer.from(`GET ${load.path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\n\r\n`)
}

function posting(body: string): Buffer {
  const head = `POST ${load.path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.from(head + body)
}

function dueOf(index: number): number {
  return startedMs + (index * 1000) / load.perSecond
}

function send(): void {
  const line = free.pop()
  const request = requests[sent % requests.length]
  if (line === undefined || request === undefined) return
  line.dueMs = dueOf(sent)
  line.socket.write(request)
  sent += 1
}

function open(): Promise<Line> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const line: Line = { socket, dueMs: 0, left: undefined, head: '' }
    socket.once('connect', () => resolve(line))
    socket.once('error', reject)
    socket.on('data', (chunk: Buffer) => take(line, chunk))
    socket.on('close', () => {
      if (served + errors < total) throw new Error('the gateway closed a connection')
    })
  })
}

function take(line: Line, chunk: Buffer): void {
  if (line.left === undefined) {
    line.head += chunk.toString('latin1')
    const end = line.head.indexOf('\r\n\r\n')
    if (end === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(line.head)?.[1])
    line.left = length - (line.head.length - end - 4)
  } else {
    line.left -= chunk.length
  }
  if (line.left > 0) return
  settle(line)
}

function settle(line: Line): void {
  if (line.head.startsWith('HTTP/1.1 200 ')) {
    served += 1
    if (line.dueMs >= dueOf(measuredFrom)) {
      if (measured === 0) firstMs = line.dueMs
      latencies[measured] = performance.now() - line.dueMs
      measured += 1
    }
  } else {
    errors += 1
    if (errors === 1) console.error(line.head.slice(0, 400))
  }
  line.left = undefined
  line.head = ''
  free.push(line)
}
