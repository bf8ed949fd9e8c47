/**
 * Sends GET requests at even moments over kept connections and writes down how long each took: a process of its own, with nothing
 * else to do, so that what it measures are the gateways and not the test that breaks things beside it. Started by `probe.ts`.
 */
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { COLUMNS, type Order, type Target } from './probe.ts'

/** A connection, and the request that is under way on it. */
interface Line {
  readonly socket: Socket
  readonly free: Line[]
  group: number
  sentMs: number
  head: string
}

/** A target with its requests as they are sent. */
interface Ready {
  readonly target: Target
  readonly requests: readonly Buffer[]
  next: number
}

const TICK_MS = 1
const HURRIED = -10
/** What a busy machine may owe: no more is sent at once. */
const MOST_AT_ONCE = 20
/** Kept where no collection of garbage has to look at them. */
const samples = new Float64Array(COLUMNS * 250_000)
let filled = 0

const idle = new Map<number, Line[]>()
let ready: readonly Ready[] = []
let perSecond = 0
let [turn, sent, fromMs] = [0, 0, 0]

try {
  setPriority(HURRIED)
} catch {
  // Only the superuser may; without it the figures are those of a process that waits for its turn.
}
const ticking = setInterval(tick, TICK_MS)
process.on('message', (order: Order) => {
  if (order.kind === 'ask') {
    ready = order.targets.map((target) => ({ target, requests: target.tokens.map((token) => requestOf(target, token)), next: 0 }))
    ;({ perSecond } = order)
    ;[sent, fromMs] = [0, nowMs()]
    return
  }
  clearInterval(ticking)
  process.send?.(samples.slice(0, filled), () => process.exit(0))
})
process.on('disconnect', () => process.exit(0))

/** The same for every process of the machine. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

function requestOf({ path }: Target, token: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n\r\n`)
}

function tick(): void {
  const due = Math.floor(((nowMs() - fromMs) / 1000) * perSecond)
  if (due - sent > MOST_AT_ONCE) sent = due - MOST_AT_ONCE
  for (; sent < due; sent += 1) {
    const one = ready[turn++ % ready.length]
    if (one !== undefined) send(one)
  }
}

function send(one: Ready): void {
  const { group, port } = one.target
  const request = one.requests[one.next++ % one.requests.length]
  if (request === undefined) return
  const free = idle.get(port) ?? []
  idle.set(port, free)
  const line = free.pop() ?? open(port, free)
  line.group = group
  line.head = ''
  line.sentMs = nowMs()
  line.socket.write(request)
}

function open(port: number, free: Line[]): Line {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const line: Line = { socket, free, group: 0, sentMs: 0, head: '' }
  socket.on('data', (chunk: Buffer) => take(line, chunk))
  socket.on('error', () => undefined)
  socket.on('close', () => {
    const at = free.indexOf(line)
    if (at >= 0) free.splice(at, 1)
    else note(line, 0)
  })
  return line
}

/** An answer ends with its length, which each of ours has. */
function take(line: Line, chunk: Buffer): void {
  line.head += chunk.toString('latin1')
  const end = line.head.indexOf('\r\n\r\n')
  if (end < 0) return
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(line.head.slice(0, end))?.[1])
  if (line.head.length - end - 4 < length) return
  note(line, Number(line.head.slice(9, 12)))
  line.free.push(line)
}

function note({ group, sentMs }: Line, status: number): void {
  if (filled === samples.length) return
  samples[filled] = group
  samples[filled + 1] = sentMs
  samples[filled + 2] = nowMs() - sentMs
  samples[filled + 3] = status
  filled += COLUMNS
}
