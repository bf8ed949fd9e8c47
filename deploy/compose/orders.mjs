/** A service behind the gateway. It believes the identity headers, because nobody but the gateway can reach it. */
import { createServer } from 'node:http'

const server = createServer((req, res) => {
  if (req.url === '/healthz') {
    res.end('ok')
    return
  }
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify({ orders: [], user: req.headers['x-user-id'], tenant: req.headers['x-tenant-id'] }))
})
server.listen(Number(process.env['PORT'] ?? 9001))
process.once('SIGTERM', () => server.close())
