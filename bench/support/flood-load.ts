/**
 * Good requests at fixed moments, and beside them whatever floods a gateway: reads a FloodLoad from standard input and writes a
 * FloodResult to standard output. As in open-load.ts the bytes are ready before, moments are kept by a loop that never sleeps,
 * and latency counts from the moment at which a request was due.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { timingOf, type Timing } from './latencies.ts'
import { createOwnWaits, type Span } from './own-waits.ts'

export interface Stream {
  readonly path: string
  readonly perSecond: number
  /** Sent in turn; none: anonymous. */
  readonly tokens: readonly string[]
  readonly connections: number
}

export interface FloodLoad {
  readonly origin: string
  readonly seconds: number
  /** Before what is measured; default: 4. */
  readonly warmUpSeconds?: number
  readonly good: Stream
  readonly flood?: Stream
}

export interface FloodResult {
  readonly good: Timing & {
    /** How long after their moments requests were sent, for want of this process: in their latencies too. */
    readonly sentLateP99Ms: number
    /** Without the moments in which this process had to wait for its own core: it could neither send nor take then. */
    readonly besideOwnP99Ms: number
  }
  /** How often each status was answered. */
  readonly goodStatuses: Readonly<Record<string, number>>
  readonly floodStatuses: Readonly<Record<string, number>>
}

interface Line {
  readonly socket: Socket
  dueMs: number
  /** Octets of the answer that are still to come; undefined before the head. */
  left: number | undefined
  head: string
}

interface Lane {
  readonly stream: Stream
  readonly requests: readonly Buffer[]
  readonly free: Line[]
  readonly latencies: number[]
  readonly spans: Span[]
  readonly late: number[]
  readonly statuses: Record<string, number>
  readonly lines: Line[]
  sent: number
  readonly afterMs: number
}

const LONGEST_CHUNK = 65_536
/** The flood begins so long after the good requests, whose tokens are known by then. */
const FLOOD_AFTER_MS = 1000
const load = JSON.parse(readFileSync(0, 'utf8')) as FloodLoad
const { warmUpSeconds = 4 } = load
/** What arrives is read in place: a stream and a buffer for each answer would be work that good requests wait for. */
const chunk = Buffer.allocUnsafe(LONGEST_CHUNK)
const { hostname, port, host } = new URL(load.origin)
const good = await laneOf(load.good)
const lanes = [good, ...(load.flood === undefined ? [] : [await laneOf(load.flood, FLOOD_AFTER_MS)])]
const startedMs = performance.now()
const measuredMs = startedMs + warmUpSeconds * 1000
const endMs = measuredMs + load.seconds * 1000
const ownWaits = createOwnWaits(startedMs)
await new Promise<void>((resolve) => {
  const turn = (): void => {
    const nowMs = performance.now()
    ownWaits.turn(nowMs)
    for (const lane of lanes) send(lane, nowMs)
    if (nowMs < endMs) setImmediate(turn)
    else resolve()
  }
  turn()
})
for (const { lines } of lanes) for (const { socket } of lines) socket.destroy()
const result: FloodResult = {
  good: {
    ...timingOf(good.latencies, load.seconds),
    sentLateP99Ms: timingOf(good.late, load.seconds).p99Ms,
    besideOwnP99Ms: timingOf(ownWaits.without(good.spans), load.seconds).p99Ms,
  },
  goodStatuses: good.statuses,
  floodStatuses: lanes[1]?.statuses ?? {},
}
process.stdout.write(JSON.stringify(result), () => process.exit(0))

async function laneOf(stream: Stream, afterMs = 0): Promise<Lane> {
  const tokens = stream.tokens.length === 0 ? [''] : stream.tokens
  const requests = tokens.map((token) => {
    const authorization = token === '' ? '' : `authorization: Bearer ${token}\r\n`
    return Buffer.from(`GET ${stream.path} HTTP/1.1\r\nhost: ${host}\r\n${authorization}\r\n`)
  })
  const lane: Lane = { stream, requests, free: [], latencies: [], spans: [], late: [], statuses: {}, lines: [], sent: 0, afterMs }
  for (let count = 0; count < stream.connections; count += 1) await open(lane)
  return lane
}

function open(lane: Lane): Promise<void> {
  return new Promise((resolve, reject) => {
    const onread = { buffer: chunk, callback: (length: number) => take(lane, line, length) }
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread })
    const line: Line = { socket, dueMs: 0, left: undefined, head: '' }
    socket.once('connect', () => {
      lane.lines.push(line)
      lane.free.push(line)
      resolve()
    })
    socket.on('error', reject)
  })
}

function send(lane: Lane, nowMs: number): void {
  while (lane.free.length > 0) {
    const dueMs = startedMs + lane.afterMs + (lane.sent * 1000) / lane.stream.perSecond
    if (dueMs > nowMs) return
    const line = lane.free.shift()
    const request = lane.requests[lane.sent % lane.requests.length]
    if (line === undefined || request === undefined) return
    line.dueMs = dueMs
    line.socket.write(request)
    if (dueMs >= measuredMs) lane.late.push(nowMs - dueMs)
    lane.sent += 1
  }
}

/** Reads on from `chunk`; returns whether to go on, as the socket asks. */
function take(lane: Lane, line: Line, length: number): boolean {
  if (line.left === undefined) {
    line.head += chunk.toString('latin1', 0, length)
    const end = line.head.indexOf('\r\n\r\n')
    if (end === -1) return true
    const body = Number(/\r\ncontent-length: (\d+)/i.exec(line.head)?.[1])
    line.left = body - (line.head.length - end - 4)
  } else {
    line.left -= length
  }
  if (line.left > 0) return true
  const nowMs = performance.now()
  const status = line.head.slice(9, 12)
  if (line.dueMs >= measuredMs) {
    lane.statuses[status] = (lane.statuses[status] ?? 0) + 1
    if (status === '200') {
      lane.latencies.push(nowMs - line.dueMs)
      lane.spans.push({ fromMs: line.dueMs, toMs: nowMs })
    }
  }
  line.left = undefined
  line.head = ''
  lane.free.push(line)
  return true
}
