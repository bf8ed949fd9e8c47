/** An upstream as a process of its own: `/down?BYTES` sends so many, anything else says how many octets it was sent. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

const CHUNK = Buffer.alloc(64 * 1024, 'x')

const server = createServer((req, res) => {
  const { pathname, search } = new URL(req.url ?? '', 'http://upstream')
  if (pathname === '/down') send(Number(search.slice(1)), res)
  else count(req, res)
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'))

function send(bytes: number, res: ServerResponse): void {
  res.setHeader('content-length', bytes)
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

function count(req: IncomingMessage, res: ServerResponse): void {
  let received = 0
  req.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  req.on('end', () => res.end(String(received)))
}
