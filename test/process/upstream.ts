/**
 * An upstream as a process of its own: `/down?BYTES` sends so many, anything else says how many octets it was sent. With the word
 * `http2` behind the port it speaks HTTP/2.
 */
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2, type Http2ServerRequest } from 'node:http2'
import type { EitherAnswer } from '../support/http2-upstream.ts'

const CHUNK = Buffer.alloc(64 * 1024, 'x')

const server = process.argv[3] === 'http2' ? createHttp2(serve) : createServer(serve)
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'))

function serve(req: IncomingMessage | Http2ServerRequest, res: EitherAnswer): void {
  const { pathname, search } = new URL(req.url ?? '', 'http://upstream')
  if (pathname === '/down') send(Number(search.slice(1)), res)
  else count(req, res)
}

function send(bytes: number, res: EitherAnswer): void {
  res.setHeader('content-length', String(bytes))
  let left = bytes
  res.on('drain', more)
  more()

  function more(): void {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!res.write(chunk)) return
    }
    res.end()
  }
}

function count(req: IncomingMessage | Http2ServerRequest, res: EitherAnswer): void {
  let received = 0
  req.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  req.on('end', () => res.end(String(received)))
}
