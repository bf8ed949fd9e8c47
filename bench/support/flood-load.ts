/**
 * Good requests at fixed moments, and beside them whatever floods a gateway: reads a FloodLoad from standard input and writes a
 * FloodResult to standard output. As in open-load.ts the bytes are ready before, moments are kept by a loop that never sleeps,
 * and latency counts from the moment at which a request was due.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { timingOf, type Timing } from './latencies.ts'

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
  /** Connections that send a header, or a body, octet by octet. */
  readonly slow?: { readonly heads: number; readonly bodies: number; readonly bodyPath: string; readonly token: string }
}

export interface FloodResult {
  readonly good: Timing
  /** How often each status was answered. */
  readonly goodStatuses: Readonly<Record<string, number>>
  readonly floodStatuses: Readonly<Record<string, number>>
  /** Slow connections that were cut, and opened again. */
  readonly cut: number
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
  readonly statuses: Record<string, number>
  readonly lines: Line[]
  sent: number
  readonly afterMs: number
}

const LONGEST_CHUNK = 65_536
/** The flood begins so long after the good requests, whose tokens are known by then. */
const FLOOD_AFTER_MS = 1000
const DRIP_MS = 1000
const load = JSON.parse(readFileSync(0, 'utf8')) as FloodLoad
const { warmUpSeconds = 4 } = load
/** What arrives is read in place: a stream and a buffer for each answer would be work that good requests wait for. */
const chunk = Buffer.allocUnsafe(LONGEST_CHUNK)
const { hostname, port, host } = new URL(load.origin)
const good = await laneOf(load.good)
const lanes = [good, ...(load.flood === undefined ? [] : [await laneOf(load.flood, FLOOD_AFTER_MS)])]
let cut = 0
const slow = openSlow()
const startedMs = performance.now()
const measuredMs = startedMs + warmUpSeconds * 1000
const endMs = measuredMs + load.seconds * 1000
await new Promise<void>((resolve) => {
  const turn = (): void => {
    const nowMs = performance.now()
    for (const lane of lanes) send(lane, nowMs)
    if (nowMs < endMs) setImmediate(turn)
    else resolve()
  }
  turn()
})
slow.stop()
for (const { lines } of lanes) for (const { socket } of lines) socket.destroy()
const result: FloodResult = {
  good: timingOf(good.latencies, load.seconds),
  goodStatuses: good.statuses,
  floodStatuses: lanes[1]?.statuses ?? {},
  cut,
}
// Slow connections that were just being opened again would go on.
process.stdout.write(JSON.stringify(result), () => process.exit(0))

async function laneOf(stream: Stream, afterMs = 0): Promise<Lane> {
  const tokens = stream.tokens.length === 0 ? [''] : stream.tokens
  const requests = tokens.map((token) => {
    const authorization = token === '' ? '' : `authorization: Bearer ${token}\r\n`
    return Buffer.from(`GET ${stream.path} HTTP/1.1\r\nhost: ${host}\r\n${authorization}\r\n`)
  })
  const lane: Lane = { stream, requests, free: [], latencies: [], statuses: {}, lines: [], sent: 0, afterMs }
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
    if (status === '200') lane.latencies.push(nowMs - line.dueMs)
  }
  line.left = undefined
  line.head = ''
  lane.free.push(line)
  return true
}

/** Opens those that are slow, and opens another one for each that is cut. */
function openSlow(): { stop(): void } {
  const sockets = new Set<Socket>()
  let stopped = false
  const { heads = 0, bodies = 0, bodyPath = '', token = '' } = load.slow ?? {}
  const head = `GET / HTTP/1.1\r\nhost: ${host}\r\nx-slow: `
  const body = `POST ${bodyPath} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\ncontent-length: 60000\r\n\r\n`
  // Not all in the same moment: else those that measure would be held up by opening them, and again each time they are cut.
  for (let count = 0; count < heads; count += 1) setTimeout(start, Math.random() * warmUpSeconds * 1000, head)
  for (let count = 0; count < bodies; count += 1) setTimeout(start, Math.random() * warmUpSeconds * 1000, body)
  return {
    stop() {
      stopped = true
      for (const socket of sockets) socket.destroy()
    },
  }

  function start(beginning: string): void {
    if (stopped) return
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    sockets.add(socket)
    let timer: ReturnType<typeof setInterval> | undefined
    socket.once('connect', () => {
      socket.write(beginning)
      timer = setInterval(() => socket.write('a'), DRIP_MS)
    })
    socket.on('error', () => undefined)
    socket.resume()
    socket.once('close', () => {
      clearInterval(timer)
      sockets.delete(socket)
      if (stopped) return
      cut += 1
      start(beginning)
    })
  }
}
