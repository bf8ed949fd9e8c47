/** Says back what it hears: node websocket-upstream.ts PORT */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const server = createServer((_, res) => {
  res.end('here')
})
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
server.listen(Number(process.argv[2]), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
