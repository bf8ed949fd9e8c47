/** The front of our own beside Node's server: whatever it answers, clients get the same octets from both. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, it, test } from 'vitest'
import type { AnswerMessage, RequestMessage } from '../../../src/exchange/exchange.ts'
import { createHttp1Connections, type Http1Connections } from '../../../src/listener/http1-connections.ts'
import { schedule } from '../../../src/world.ts'
import { testConfig } from '../../support/config.ts'

type Handle = (req: RequestMessage, res: AnswerMessage) => void

const REQUEST = 'GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n'
const opened: { close(): unknown }[] = []
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const one of opened.splice(0)) one.close()
})

const ANSWERS: readonly (readonly [string, Handle])[] = [
  ['a text with a length', (_, res) => (res.writeHead(200, ['content-length', '2']), res.end('ok', 'latin1'))],
  ['fields by name', (_, res) => (res.writeHead(404, { 'content-length': '0', 'set-cookie': ['a=b', 'c=d'] }), res.end())],
  ['octets with a length', (_, res) => (res.writeHead(200, ['content-length', '2']), res.end(Buffer.from('ok')))],
  ['text that is not ASCII', (_, res) => (res.writeHead(200, ['content-length', '3']), res.end('€', 'utf8'))],
  ['a field that is not ASCII', (_, res) => (res.writeHead(200, ['x-a', '\xe4', 'content-length', '0']), res.end('', 'latin1'))],
  ['a date of its own', (_, res) => (res.writeHead(200, ['date', 'then', 'content-length', '0']), res.end('', 'latin1'))],
  ['no length', (_, res) => (res.writeHead(200, []), res.write('onetwo', 'latin1'), res.end())],
  ['no length, in one', (_, res) => (res.writeHead(200, []), res.end(Buffer.from('one')))],
  ['trailers', (_, res) => (res.writeHead(200, []), res.addTrailers([['x-t', '1']]), res.end(Buffer.from('a')))],
  ['no content', (_, res) => (res.writeHead(204, ['x-a', '1']), res.end())],
  ['not modified', (_, res) => (res.writeHead(304, ['etag', '"a"']), res.end())],
  ['an end of the connection', (_, res) => (res.writeHead(200, ['content-length', '1', 'connection', 'close']), res.end('a'))],
  ['early hints', (_, res) => (res.writeInformation(103, ['link', '</a>']), res.writeHead(204, []), res.end())],
  ['what was set before', (_, res) => (res.setHeader('x-a', '1'), res.writeHead(200, ['content-length', '0']), res.end())],
]

for (const method of ['GET', 'HEAD'] as const) {
  test.each(ANSWERS)(`${method} gets the same octets: %s`, async (_, handle) => {
    const request = REQUEST.replace('GET', method)
    const [ours, theirs] = [await answerOf(await own(handle), request), await answerOf(await nodes(handle), request)]
    expect(linesOf(ours)).toEqual(linesOf(theirs))
    expect(ours.split('\r\n')[0]).toMatch(/^HTTP\/1\.1 \d{3} /)
  })
}

it('says of a request what the server says', async () => {
  const seen: unknown[] = []
  const handle: Handle = ({ method, url, httpVersion, rawHeaders, complete }, res) => {
    seen.push({ method, url, httpVersion, rawHeaders, complete })
    res.writeHead(204, [])
    res.end()
  }
  await answerOf(await own(handle), REQUEST)
  expect(seen).toEqual([
    { method: 'GET', url: '/a?b', httpVersion: '1.1', rawHeaders: ['Host', 'a', 'X-A', '1'], complete: true },
  ])
})

it.each(['a\r\nb: c', 'a\nb', 'a\0', 'ā'])('writes no head that says more than it is given: %j', async (value) => {
  let thrown: unknown
  const port = await own((_, res) => {
    try {
      res.writeHead(200, ['x-a', value])
    } catch (error) {
      thrown = error
    }
    res.writeHead(500, ['content-length', '0'])
    res.end()
  })
  expect(await answerOf(port, REQUEST)).toMatch(/^HTTP\/1\.1 500 /)
  expect(thrown).toBeInstanceOf(TypeError)
})

it('answers one request after the other on a connection, and hands it over for good with what is not simple', async () => {
  const handed: string[] = []
  const port = await own(
    (_, res) => (res.writeHead(204, []), res.end()),
    (octets) => handed.push(octets.toString()),
  )
  const client = await open(port)
  const received = collect(client)
  for (const count of [1, 2, 3]) {
    client.write(REQUEST)
    await expect.poll(() => received().split('HTTP/1.1 204').length - 1).toBe(count)
  }
  client.write('POST / HTTP/1.1\r\n')
  await expect.poll(() => handed).toEqual(['POST / HTTP/1.1\r\n'])
})

it('hands over what came behind a request once that is answered, whole and in order', async () => {
  const handed: string[] = []
  const waiting: AnswerMessage[] = []
  const port = await own(
    (_, res) => void waiting.push(res),
    (octets) => handed.push(octets.toString()),
  )
  const client = await open(port)
  const received = collect(client)
  client.write(REQUEST)
  await expect.poll(() => waiting.length).toBe(1)
  const behind = 'x'.repeat(300_000)
  client.write(behind)
  await new Promise((done) => setTimeout(done, 50))
  expect(handed).toEqual([])
  waiting[0]?.writeHead(204, [])
  waiting[0]?.end()
  await expect.poll(() => received()).toMatch(/^HTTP\/1\.1 204/)
  expect(waiting).toHaveLength(1)
  expect(handed).toHaveLength(1)
  expect(behind.startsWith(handed[0] ?? '?')).toBe(true)
})

it('tells of a client that is gone, and never that its answer is out', async () => {
  const told: string[] = []
  let waiting: AnswerMessage | undefined
  const port = await own((_, res) => {
    waiting = res
    res.on('close', () => told.push('close'))
    res.on('finish', () => told.push('finish'))
  })
  const client = await open(port)
  client.write(REQUEST)
  await expect.poll(() => waiting !== undefined).toBe(true)
  client.destroy()
  await expect.poll(() => told).toEqual(['close'])
  expect([waiting?.destroyed, waiting?.req.destroyed, waiting?.writableFinished]).toEqual([true, true, false])
})

it('leaves the connection alone when an answer is cut that is over', async () => {
  const answers: AnswerMessage[] = []
  const port = await own((_, res) => (answers.push(res), res.writeHead(204, []), res.end()))
  const client = await open(port)
  const received = collect(client)
  client.write(REQUEST)
  await expect.poll(() => received()).toMatch(/204/)
  await expect.poll(() => answers[0]?.writableFinished).toBe(true)
  answers[0]?.destroy()
  client.write(REQUEST)
  await expect.poll(() => received().split('204').length).toBe(3)
})

it('takes what was written as taken only when the client takes it', async () => {
  let drained = 0
  const port = await own((_, res) => {
    res.on('drain', () => {
      drained += 1
      res.end()
    })
    res.writeHead(200, [])
    expect(res.write(Buffer.alloc(64 * 1024 * 1024))).toBe(false)
  })
  const client = await open(port)
  client.write(REQUEST)
  client.pause()
  await new Promise((done) => setTimeout(done, 50))
  expect(drained).toBe(0)
  let octets = 0
  client.on('data', (chunk: Buffer) => (octets += chunk.length))
  client.resume()
  await expect.poll(() => octets, { timeout: 20_000 }).toBeGreaterThan(64 * 1024 * 1024)
  expect(drained).toBe(1)
})

async function own(handle: Handle, handedOver: (octets: Buffer) => void = () => undefined): Promise<number> {
  const config = testConfig('listeners: { public: { address: 127.0.0.1:0, origin: http://gateway.test } }')
  const needs = { handle: async (req: RequestMessage, res: AnswerMessage) => handle(req, res), nowMs: () => 0, schedule }
  const connections: Http1Connections = createHttp1Connections(
    { ...needs, handOver: (_, octets) => handedOver(octets), giveUp: (socket) => socket.destroy() },
    config.listeners.public,
  )
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    connections.open(socket)
  })
  opened.push({ close: () => (connections.cut(), server.close()) })
  return listening(server)
}

async function nodes(handle: Handle): Promise<number> {
  const server: Server = createServer({ keepAliveTimeout: 65_000 }, handle)
  opened.push({ close: () => (server.closeAllConnections(), server.close()) })
  return listening(server)
}

async function listening(server: ReturnType<typeof createTcpServer> | Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port }: AddressInfo = addressOf(server.address())
  return port
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('no address')
  return address
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

function collect(socket: Socket): () => string {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  return () => text
}

/** All that comes until it has been quiet for a while. */
async function answerOf(port: number, request: string): Promise<string> {
  const client = await open(port)
  const received = collect(client)
  client.write(request)
  await expect.poll(() => received()).not.toBe('')
  await new Promise((done) => setTimeout(done, 30))
  return received()
}

/** Lines of the heads in the order of the alphabet, but for the time, and then the body. */
function linesOf(text: string): { readonly head: readonly string[]; readonly rest: string } {
  const end = text.indexOf('\r\n\r\n')
  const head = text.slice(0, end).replace(/^Date: .*GMT/m, 'Date: now')
  return { head: head.toLowerCase().split('\r\n').toSorted(), rest: text.slice(end).replace(/^Date: .*GMT/m, 'Date: now') }
}
