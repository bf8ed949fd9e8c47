/** Clients of WebSockets: reads a WebSocketLoad from standard input and writes a WebSocketResult to standard output. */
import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'

export interface WebSocketLoad {
  readonly url: string
  readonly token: string
  readonly connections: number
  /** Of each message. */
  readonly bytes: number
  readonly seconds: number
}

export interface WebSocketResult {
  /** Sent and heard back. */
  readonly messages: number
  readonly perSecond: number
}

const load = JSON.parse(readFileSync(0, 'utf8')) as WebSocketLoad
const message = Buffer.alloc(load.bytes, 'x')
const sockets = await Promise.all(Array.from({ length: load.connections }, open))
let messages = 0
const startedMs = performance.now()
for (const socket of sockets) {
  socket.on('message', () => {
    messages += 1
    socket.send(message)
  })
  socket.on('close', () => {
    throw new Error('a connection was closed')
  })
  socket.send(message)
}
setTimeout(() => {
  const perSecond = (messages * 1000) / (performance.now() - startedMs)
  process.stdout.write(JSON.stringify({ messages, perSecond } satisfies WebSocketResult), () => process.exit(0))
}, load.seconds * 1000)

function open(): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(load.url, { headers: { authorization: `Bearer ${load.token}` }, perMessageDeflate: false })
    socket.once('open', () => resolve(socket))
    socket.once('error', reject)
  })
}
