/** The library http-proxy-3 by itself, with connections that are kept: node http-proxy-peer.ts PORT UPSTREAM_PORT */
import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true, maxSockets: 128 })
const proxy = createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, agent })
proxy.on('error', (error) => console.error(error))
const server = createServer((req, res) => {
  proxy.web(req, res)
})
server.keepAliveTimeout = 60_000
server.listen(port, '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
