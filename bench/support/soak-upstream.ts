/**
 * A server behind the gateway that is stopped and started again: small answers, slow ones, WebSockets that echo.
 *
 * Killed it is gone at once. Told to end (SIGTERM) it fails its health check for a while before, as a deployment does it.
 */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const SLOW_MS = 20
/** Longer than the gateway takes to see it. */
const FAREWELL_MS = 2500
const body = JSON.stringify({ ok: true, items: [1, 2, 3], name: 'a small answer of the size that services give' })
const headers = ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))]
let isLeaving = false

const server = createServer((req, res) => {
  req.resume()
  const status = isLeaving && req.url === '/healthz' ? 503 : 200
  const answer = (): void => void res.writeHead(status, headers).end(body)
  if (req.url === '/slow') setTimeout(answer, SLOW_MS)
  else answer()
})
server.keepAliveTimeout = 60_000
const sockets = new WebSocketServer({ server })
sockets.on('connection', (socket) => {
  socket.on('error', () => undefined)
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
server.listen(Number(process.argv[2]), '127.0.0.1')
process.on('SIGTERM', () => {
  if (isLeaving) return
  isLeaving = true
  setTimeout(() => process.exit(0), FAREWELL_MS)
})
