/**
 * Good requests at fixed moments over connections that are kept, and WebSockets that stay open: reads a SoakLoad from standard
 * input and writes a SoakResult to standard output.
 *
 * Latency counts from the moment at which a request was due, looked at each millisecond. Every answer that is not what a good
 * request gets is a failure, and so is a connection that ends with a request under way, or a WebSocket that ends.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { timingOf, type Timing } from './latencies.ts'
import { keepSockets, type KeptSockets, type SocketsLoad } from './soak-sockets.ts'

export interface Kind {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Sent in turn; none: anonymous. */
  readonly tokens: readonly string[]
  readonly body?: string
  /** Of `sum of all shares` requests. */
  readonly share: number
  /** Statuses of good answers. */
  readonly expected: readonly number[]
}

export interface SoakLoad {
  readonly origin: string
  readonly kinds: readonly Kind[]
  readonly connections: number
  /** Without it each connection sends its next request when it is answered. */
  readonly perSecond?: number
  readonly seconds: number
  readonly sockets?: SocketsLoad
}

export interface SoakResult extends Timing {
  /** How often each kind was answered with each status. */
  readonly statuses: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Times of each fifth. */
  readonly fifths: readonly Timing[]
  readonly failed: number
  /** The first of them: seconds since the start, and what happened. */
  readonly failures: readonly string[]
  /** Kept connections that the gateway closed between two requests. */
  readonly closedIdle: number
  readonly sockets: KeptSockets
}

interface Line {
  readonly socket: Socket
  kind: Kind | undefined
  dueMs: number
  /** Octets of the answer that are still to come; undefined before the head. */
  left: number | undefined
  head: string
}

const FIFTHS = 5
const MOST_TOLD = 30
const load = JSON.parse(readFileSync(0, 'utf8')) as SoakLoad
const { hostname, port, host } = new URL(load.origin)
const turns = load.kinds.flatMap((kind) =>
  Array.from({ length: kind.share }, (_, nth) => ({ kind, at: (nth + 0.5) / kind.share })),
)
const order = turns.toSorted((a, b) => a.at - b.at).map(({ kind }) => kind)
const requests = new Map(load.kinds.map((kind) => [kind, { next: 0, texts: textsOf(kind) }]))
const statuses: Record<string, Record<string, number>> = Object.fromEntries(load.kinds.map(({ name }) => [name, {}]))
const latencies: number[][] = Array.from({ length: FIFTHS }, () => [])
const failures: string[] = []
const free: Line[] = []
const flow = { sent: 0, underWay: 0 }
let [failed, closedIdle, isOver] = [0, 0, false]

for (let count = 0; count < load.connections; count += 1) await open()
const sockets = load.sockets === undefined ? undefined : await keepSockets(load.origin, load.sockets, fail)
const startedMs = performance.now()
const endMs = startedMs + load.seconds * 1000
while (performance.now() < endMs) {
  send()
  await new Promise((resolve) => setTimeout(resolve, 1))
}
for (let waited = 0; flow.underWay > 0 && waited < 5000; waited += 10) await new Promise((resolve) => setTimeout(resolve, 10))
if (flow.underWay > 0) fail(`${flow.underWay} requests were never answered`)
isOver = true
const result: SoakResult = {
  ...timingOf(latencies.flat(), load.seconds),
  statuses,
  fifths: latencies.map((fifth) => timingOf(fifth, load.seconds / FIFTHS)),
  failed,
  failures,
  closedIdle,
  sockets: sockets?.stop() ?? { kept: 0, messages: 0, reopened: 0, slowestMs: 0 },
}
process.stdout.write(JSON.stringify(result), () => process.exit(0))

function textsOf({ method, path, tokens, body }: Kind): readonly Buffer[] {
  return (tokens.length === 0 ? [''] : tokens).map((token) => {
    const authorization = token === '' ? '' : `authorization: Bearer ${token}\r\n`
    const length = body === undefined ? '' : `content-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
    return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${authorization}${length}\r\n${body ?? ''}`)
  })
}

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const line: Line = { socket, kind: undefined, dueMs: 0, left: undefined, head: '' }
    socket.once('connect', () => {
      free.push(line)
      resolve()
    })
    // What it means is told when it closes.
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => take(line, chunk))
    socket.on('close', () => {
      if (isOver) return
      if (line.kind === undefined) closedIdle += 1
      else settle(line, 'closed')
      const at = free.indexOf(line)
      if (at !== -1) free.splice(at, 1)
      void open().then(resolve)
    })
  })
}

function send(): void {
  const nowMs = performance.now()
  if (nowMs >= endMs) return
  while (free.length > 0) {
    const dueMs = load.perSecond === undefined ? nowMs : startedMs + (flow.sent * 1000) / load.perSecond
    if (dueMs > nowMs) return
    const kind = order[flow.sent % order.length]
    const line = free.shift()
    const texts = kind === undefined ? undefined : requests.get(kind)
    if (kind === undefined || texts === undefined || line === undefined) return
    const text = texts.texts[texts.next % texts.texts.length] ?? ''
    texts.next += 1
    line.kind = kind
    line.dueMs = dueMs
    line.socket.write(text)
    flow.sent += 1
    flow.underWay += 1
  }
}

function take(line: Line, chunk: Buffer): void {
  line.head += line.left === undefined ? chunk.toString('latin1') : ''
  if (line.left === undefined) {
    const end = line.head.indexOf('\r\n\r\n')
    if (end === -1) return
    // Every answer that is asked for here says its length.
    line.left = Number(/\r\ncontent-length: (\d+)/i.exec(line.head)?.[1]) - (line.head.length - end - 4)
  } else {
    line.left -= chunk.length
  }
  if (line.left > 0) return
  settle(line, line.head.slice(9, 12))
  line.left = undefined
  line.head = ''
  free.push(line)
  if (load.perSecond === undefined) send()
}

/** @param outcome - a status, or what happened instead */
function settle(line: Line, outcome: string): void {
  const { kind } = line
  if (kind === undefined) return fail(`an answer that nobody asked for: ${outcome}`)
  line.kind = undefined
  flow.underWay -= 1
  const counts = statuses[kind.name] ?? {}
  counts[outcome] = (counts[outcome] ?? 0) + 1
  if (!kind.expected.includes(Number(outcome))) return fail(`${kind.name}: ${outcome} ${line.head}`)
  const fifth = Math.min(FIFTHS - 1, Math.floor(((line.dueMs - startedMs) / (endMs - startedMs)) * FIFTHS))
  latencies[fifth]?.push(performance.now() - line.dueMs)
}

function fail(what: string): void {
  failed += 1
  if (failures.length >= MOST_TOLD) return
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
  failures.push(`${seconds} s, ${new Date().toISOString()}: ${what.slice(0, 700)}`)
}
