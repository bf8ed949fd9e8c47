/**
 * Clients who take their time, and newcomers: reads a SlowLoad from standard input and writes a SlowResult to standard output.
 * A process of its own, so that what it costs to open connections and to send single octets is not in the latencies of others.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

export interface SlowLoad {
  readonly origin: string
  readonly seconds: number
  /** Connections that send a head, or a body, octet by octet. Those that are cut are opened again. */
  readonly heads: number
  readonly bodies: number
  readonly bodyPath: string
  /** Connections that are made for one request each, and closed by its answer: what those who are cut and come back can be held against. */
  readonly newcomersPerSecond: number
  readonly path: string
  readonly token: string
}

export interface SlowResult {
  /** Slow connections that were cut. */
  readonly cut: number
  /** Newcomers that got an answer. */
  readonly answered: number
}

const DRIP_MS = 1000
/** All come within so long, as clients do that do not know of each other. */
const ARRIVE_MS = 4000
const load = JSON.parse(readFileSync(0, 'utf8')) as SlowLoad
const { hostname, port, host } = new URL(load.origin)
const authorization = `authorization: Bearer ${load.token}\r\n`
const head = `GET / HTTP/1.1\r\nhost: ${host}\r\nx-slow: `
const body = `POST ${load.bodyPath} HTTP/1.1\r\nhost: ${host}\r\n${authorization}content-length: 60000\r\n\r\n`
const whole = `GET ${load.path} HTTP/1.1\r\nhost: ${host}\r\n${authorization}connection: close\r\n\r\n`
let cut = 0
let answered = 0
for (let count = 0; count < load.heads; count += 1) setTimeout(start, Math.random() * ARRIVE_MS, head)
for (let count = 0; count < load.bodies; count += 1) setTimeout(start, Math.random() * ARRIVE_MS, body)
if (load.newcomersPerSecond > 0) setInterval(arrive, 1000 / load.newcomersPerSecond)
setTimeout(() => {
  const result: SlowResult = { cut, answered }
  process.stdout.write(JSON.stringify(result), () => process.exit(0))
}, load.seconds * 1000)

function start(beginning: string): void {
  const socket = opened()
  let timer: ReturnType<typeof setInterval> | undefined
  socket.once('connect', () => {
    socket.write(beginning)
    timer = setInterval(() => socket.write('a'), DRIP_MS)
  })
  socket.resume()
  socket.once('close', () => {
    clearInterval(timer)
    cut += 1
    start(beginning)
  })
}

function arrive(): void {
  const socket = opened()
  socket.once('connect', () => socket.write(whole))
  socket.once('data', (chunk: Buffer) => {
    if (chunk.toString('latin1', 0, 12) === 'HTTP/1.1 200') answered += 1
  })
}

function opened(): Socket {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  socket.on('error', () => undefined)
  return socket
}
