/** Servers behind a gateway that tests can make ill, stop and start again at the same port. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface TestServer {
  readonly port: number
  readonly url: string
  /** Paths of the requests that came, health checks left out. */
  readonly paths: string[]
  /** Requests of health checks. */
  checks(): number
  /** What health checks are answered. */
  setHealth(status: number): void
  /** What requests are answered. Default: 200 with the name of the server. */
  setReply(reply: (req: IncomingMessage, res: ServerResponse) => void): void
  /** Takes no connections any more and finishes what is under way, as a server does that is replaced. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Cuts everything. */
  kill(): Promise<void>
}

export async function startServer(name: string, host = '127.0.0.1', wanted = 0): Promise<TestServer> {
  const paths: string[] = []
  let checks = 0
  let health = 200
  let reply = (_: IncomingMessage, res: ServerResponse): void => void res.end(name)
  let port = wanted
  let server: Server | undefined
  const one: TestServer = {
    get port() {
      return port
    },
    get url() {
      return `http://${host}:${port}`
    },
    paths,
    checks: () => checks,
    setHealth: (status) => void (health = status),
    setReply: (given) => void (reply = given),
    stop,
    start,
    kill,
  }
  await start()
  return one

  async function start(): Promise<void> {
    const started = createServer(serve)
    started.on('connection', (socket: Socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve, reject) => {
      started.once('error', reject)
      started.listen(port, host, resolve)
    })
    server = started
    port = (started.address() as AddressInfo).port
  }

  function serve(req: IncomingMessage, res: ServerResponse): void {
    if (req.url === '/healthz') {
      checks += 1
      res.writeHead(health).end()
      return
    }
    paths.push(req.url ?? '')
    reply(req, res)
  }

  async function stop(): Promise<void> {
    const stopped = server
    server = undefined
    if (stopped === undefined) return
    await new Promise<void>((resolve) => {
      stopped.close(() => resolve())
      stopped.closeIdleConnections()
    })
  }

  async function kill(): Promise<void> {
    server?.closeAllConnections()
    await stop()
  }
}
