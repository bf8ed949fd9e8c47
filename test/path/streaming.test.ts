/** Bodies pass whole, octet by octet, and no faster than the slower side takes them. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { head, openClient, openWire } from '../support/wire.ts'

const MIB = 1024 * 1024
/** What the kernel may hold for two connections: it gives a receiver up to 32 MiB and a sender up to 4. */
const KERNEL_BUFFERS = 96 * MIB
/** Around the sizes in which sockets and streams hand out their data. */
const SIZES = [0, 1, 2, 1000, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 1_000_003, 5 * MIB + 7]

let server: Server
let gateway: TestGateway
/** Octets that the upstream has taken of the request under way, and has written of its answer. */
let taken = 0
let written = 0

beforeAll(async () => {
  server = createServer((req, res) => void serve(req, res))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  gateway = await openWire((server.address() as AddressInfo).port, { listener: ['limits: { bodyBytes: 1GiB }'] })
})
afterAll(async () => {
  await gateway.close()
  server.closeAllConnections()
  server.close()
})

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/echo') {
    const length = req.headers['content-length']
    if (length !== undefined) res.setHeader('content-length', length)
    req.pipe(res)
  } else if (req.url === '/hash') {
    const hash = createHash('sha256')
    for await (const chunk of req) hash.update(chunk as Buffer)
    res.end(hash.digest('hex'))
  } else if (req.url === '/slow') {
    req.on('data', (chunk: Buffer) => {
      taken += chunk.length
      req.pause()
    })
  } else if (req.url?.startsWith('/flood') === true) {
    const pump = (): void => {
      while (!res.destroyed) {
        written += 65536
        if (!res.write(Buffer.alloc(65536))) {
          res.once('drain', pump)
          return
        }
      }
    }
    pump()
  } else if (req.url === '/ping-pong') {
    // Answers each octet when it comes: neither side may wait for the other's end.
    res.flushHeaders()
    req.on('data', (chunk: Buffer) => res.write(chunk.toString().toUpperCase()))
    req.on('end', () => res.end())
  }
}

/** Sends a body by length or by chunks, cut at random, and gives what comes back. */
async function echo(path: string, body: Buffer, coding: 'length' | 'chunked'): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = coding === 'length' ? { 'content-length': String(body.length) } : { 'transfer-encoding': 'chunked' }
    const request = httpRequest(`${gateway.url}${path}`, { method: 'POST', headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks)))
      response.on('error', reject)
    })
    request.on('error', reject)
    const send = async (): Promise<void> => {
      for (let at = 0; at < body.length;) {
        const step = 1 + Math.floor(Math.random() * 100_000)
        if (!request.write(body.subarray(at, at + step))) await new Promise((drained) => request.once('drain', drained))
        at += step
      }
      request.end()
    }
    void send()
  })
}

test.each(['length', 'chunked'] as const)('random bodies of every size come back as they went, by %s', async (coding) => {
  for (const size of SIZES) {
    const body = randomBytes(size)
    const back = await echo('/echo', body, coding)
    expect({ size, length: back.length, same: back.equals(body) }).toEqual({ size, length: size, same: true })
  }
})

test('many bodies at once do not mix', async () => {
  const bodies = Array.from({ length: 40 }, (_, index) => randomBytes(10_000 + index * 7_919))
  const backs = await Promise.all(bodies.map((body, index) => echo('/echo', body, index % 2 === 0 ? 'length' : 'chunked')))
  expect(backs.every((back, index) => back.equals(bodies[index] ?? Buffer.alloc(0)))).toBe(true)
})

test('an answer begins before the request ends, and either goes on', async () => {
  const client = await openClient(gateway.port)
  client.send(`${head('POST /ping-pong HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\na\r\n`)
  await client.until((octets) => octets.includes('A'))
  client.send('1\r\nb\r\n')
  await client.until((octets) => octets.includes('B'))
  client.send('0\r\n\r\n')
  const [answer] = await client.answered(1)
  expect(answer?.body.toString()).toBe('AB')
  client.close()
})

test('a client that does not read holds up the upstream, not our memory', async () => {
  written = 0
  const before = process.memoryUsage.rss()
  const client = await openClient(gateway.port)
  client.socket.pause()
  client.send(head('GET /flood HTTP/1.1'))
  const level = await settled(() => written)
  expect(level).toBeGreaterThan(0)
  expect(level).toBeLessThan(KERNEL_BUFFERS)
  client.socket.resume()
  await client.until((octets) => octets.length > 2 * MIB)
  expect(await grown(() => written, level)).toBe(true)
  client.close()
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 * MIB)
})

test('an upstream that does not read holds up the client, not our memory', async () => {
  taken = 0
  const size = 256 * MIB
  const before = process.memoryUsage.rss()
  const client = await openClient(gateway.port)
  client.send(head('POST /slow HTTP/1.1', `Content-Length: ${size}`))
  let sent = 0
  const chunk = Buffer.alloc(256 * 1024)
  const pump = (): void => {
    while (sent < size && !client.socket.destroyed) {
      sent += chunk.length
      if (!client.socket.write(chunk)) {
        client.socket.once('drain', pump)
        return
      }
    }
  }
  pump()
  const level = await settled(() => sent)
  expect(level).toBeGreaterThan(0)
  expect(level).toBeLessThan(KERNEL_BUFFERS)
  client.close()
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 * MIB)
})

test('a large body goes up whole', async () => {
  const body = randomBytes(24 * MIB)
  expect((await echo('/hash', body, 'length')).toString()).toBe(createHash('sha256').update(body).digest('hex'))
})

/** The value once it has not changed for a while. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1, same = 0; ;) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    same = value() === last ? same + 1 : 0
    last = value()
    if (last > 0 && same >= 6) return last
  }
}

async function grown(value: () => number, from: number): Promise<boolean> {
  for (let turn = 0; turn < 100; turn += 1) {
    if (value() > from) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return false
}
