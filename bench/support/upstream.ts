/** The service behind the gateway: a small JSON answer, as fast as node:http gives it. */
import { createServer } from 'node:http'

const body = JSON.stringify({ ok: true, items: [1, 2, 3], name: 'a small answer of the size that services give' })
const headers = ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))]

const server = createServer((req, res) => {
  req.resume()
  res.writeHead(200, headers)
  res.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.argv[2]), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
