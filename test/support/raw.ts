/** Bare sockets: a client that sends exactly the octets of a test, and an upstream that records exactly those it gets. */
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'

/** A machine that is busy begins to answer late. */
const PATIENCE_MS = 15_000

/** Sends octets and collects what comes back until the other side closes, or until it is quiet for `quietMs` after something came. */
export function sendRaw(port: number, bytes: string | Buffer, quietMs = 300): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setTimeout(Math.max(quietMs, PATIENCE_MS))
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      socket.setTimeout(quietMs)
    })
    socket.on('timeout', () => socket.destroy())
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('close', () => resolve(received))
  })
}

/** Status of the first final answer in what came back; 0 when there is none. */
export function statusOf(received: string): number {
  for (const match of received.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)) {
    const status = Number(match[1])
    if (status >= 200) return status
  }
  return 0
}

export interface RawUpstream {
  readonly port: number
  /** All octets received, one entry a connection. */
  readonly connections: string[]
  /** Everything received, joined. */
  received(): string
  clear(): void
  close(): Promise<void>
}

/** An upstream on a bare socket that records what it gets and answers each head it sees with `answer`. */
export async function rawUpstream(
  answer: string | ((socket: Socket, received: string) => void) = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
): Promise<RawUpstream> {
  const connections: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const index = connections.push('') - 1
    sockets.add(socket)
    let answered = 0
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      connections[index] = (connections[index] ?? '') + chunk.toString('latin1')
      const received = connections[index] ?? ''
      if (typeof answer === 'function') {
        answer(socket, received)
        return
      }
      const heads = received.split('\r\n\r\n').length - 1
      if (answered === 0 && heads > 0) {
        answered = 1
        socket.write(answer)
      }
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    connections,
    received: () => connections.join(''),
    clear: () => connections.splice(0),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
