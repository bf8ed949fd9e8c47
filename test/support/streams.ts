/** An upstream whose answers do not end by themselves, and a client that notes how an answer ended. */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface StreamUpstream {
  readonly port: number
  /** Paths of the requests whose connections were closed before they were answered in full. */
  readonly aborted: readonly string[]
  /** Paths that were asked for. */
  readonly asked: readonly string[]
  /** Answers those that wait at `/wait`. */
  answerWaiting(): void
  close(): Promise<void>
}

/** Length that `/download` says; it sends a part, and more each 20 ms. */
export const DOWNLOAD_BYTES = 512 * 1024 * 1024
const EVERY_MS = 20

/**
 * `/events` sends an event each 20 ms, `/download` a body with a length, `/wait` waits, `/sink` takes a body and answers at
 * its end, and anything else is answered at once. Only the last part of the path counts.
 */
export async function streamUpstream(): Promise<StreamUpstream> {
  const aborted: string[] = []
  const asked: string[] = []
  const waiting = new Set<ServerResponse>()
  const server = createServer((req, res) => {
    const path = req.url ?? ''
    asked.push(path)
    res.once('close', () => {
      waiting.delete(res)
      if (!res.writableFinished) aborted.push(path)
    })
    serve(path.slice(path.lastIndexOf('/') + 1), req, res)
  })
  // What no WebSocket is opened for gets an answer like any other.
  server.on('upgrade', (_req, socket) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
    const timer = setInterval(() => socket.write('9\r\ndata: 1\n\n\r\n'), EVERY_MS)
    socket.once('close', () => clearInterval(timer))
  })
  function serve(what: string, req: IncomingMessage, res: ServerResponse): void {
    if (what === 'events') {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      repeat(res, () => res.write('data: 1\n\n'))
    } else if (what === 'download') {
      res.writeHead(200, { 'content-length': DOWNLOAD_BYTES })
      repeat(res, () => res.write(Buffer.alloc(16 * 1024)))
    } else if (what === 'wait') {
      req.resume()
      waiting.add(res)
    } else if (what === 'sink') {
      req.on('data', () => undefined)
      req.on('end', () => res.end('taken'))
    } else {
      res.end('ok')
    }
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    aborted,
    asked,
    answerWaiting() {
      for (const res of waiting) res.end('at last')
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function repeat(res: ServerResponse, write: () => void): void {
  write()
  const timer = setInterval(write, EVERY_MS)
  res.once('close', () => clearInterval(timer))
}

export interface StreamClient {
  /** 0 until the head came. */
  status(): number
  requestId(): string
  bytes(): number
  body(): string
  /** `whole`: its framing says that nothing is missing. `broken`: the connection ended before. */
  end(): 'open' | 'whole' | 'broken'
  close(): void
}

/** One request on a connection of its own; the body is what the caller writes. */
export function openStream(url: string, token: string, upload?: Buffer): StreamClient {
  const chunks: Buffer[] = []
  let answer: IncomingMessage | undefined
  let end: 'open' | 'whole' | 'broken' = 'open'
  const over = (how: 'whole' | 'broken'): void => {
    if (end === 'open') end = how
  }
  const headers = { authorization: `Bearer ${token}`, ...(upload === undefined ? {} : { 'transfer-encoding': 'chunked' }) }
  const request = httpRequest(url, { method: upload === undefined ? 'GET' : 'POST', headers, agent: false }, (response) => {
    answer = response
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => over('whole'))
    response.on('error', () => over('broken'))
  })
  request.on('error', () => over('broken'))
  if (upload === undefined) request.end()
  else request.write(upload)
  return {
    status: () => answer?.statusCode ?? 0,
    requestId: () => String(answer?.headers['x-request-id'] ?? ''),
    bytes: () => chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    body: () => Buffer.concat(chunks).toString(),
    end: () => end,
    close: () => void request.destroy(),
  }
}
