import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { AnswerMessage, RequestMessage } from '../../../src/exchange/exchange.ts'
import { createListener, type Listener } from '../../../src/listener/listener.ts'
import { schedule } from '../../../src/world.ts'
import { testConfig } from '../../support/config.ts'

const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x')

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

it('does not close a connection whose answer was ended but is not sent yet', async () => {
  const { listener, port } = await listen((_, res) => void res.end(LARGE))
  const client = await send(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(client, 'readable')
  const drained = listener.drain(() => undefined)
  await pause(800)
  let received = 0
  client.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  expect(await drained).toBe(0)
  expect(received).toBeGreaterThan(LARGE.length)
})

it('takes the connections that were made before it ended, although none was taken yet', async () => {
  const { listener, port } = await listen((_, res) => void res.end('answer'))
  // All in one turn: the system makes them, and the listener has not heard of one.
  const clients = Array.from({ length: 50 }, () => connect(port, '127.0.0.1'))
  sockets.push(...clients)
  const texts = clients.map((client) => textOf(client))
  for (const client of clients) client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  expect(await listener.drain(() => undefined)).toBe(0)
  expect((await Promise.all(texts)).filter((text) => !/^connection: close\r$[^]*answer/im.test(text))).toEqual([])
  await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED')
})

it('announces the end of a connection with the last of its pipelined answers only', async () => {
  const waiting: AnswerMessage[] = []
  const { listener, port } = await listen((_, res) => void waiting.push(res))
  const client = await send(port, 'GET /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
  await until(() => waiting.length === 1)
  const drained = listener.drain(() => undefined)
  client.write('GET /2 HTTP/1.1\r\nhost: a\r\n\r\n')
  await until(() => waiting.length === 2)
  const received = textOf(client)
  for (const res of waiting) res.end('answer')
  expect(await drained).toBe(0)
  expect((await received).match(/^connection: .*$/gim)).toEqual(['Connection: keep-alive', 'Connection: close'])
})

it('takes up a request that comes behind one that is not answered yet, and announces the end with its answer', async () => {
  const waiting: AnswerMessage[] = []
  const { listener, port } = await listen((_, res) => void waiting.push(res))
  const client = await send(port, 'GET /1 HTTP/1.1\r\nhost: a\r\n\r\n')
  await until(() => waiting.length === 1)
  const drained = listener.drain(() => undefined)
  client.write('GET /2 HTTP/1.1\r\nhost: a\r\n\r\n')
  await pause(100)
  const received = textOf(client)
  waiting[0]?.end('answer')
  await until(() => waiting.length === 2)
  waiting[1]?.end('answer')
  expect(await drained).toBe(0)
  expect((await received).match(/^connection: .*$/gim)).toEqual(['Connection: keep-alive', 'Connection: close'])
})

it('does not take up a request that comes behind the announced end', async () => {
  const waiting: AnswerMessage[] = []
  const { listener, port } = await listen((_, res) => void waiting.push(res))
  const client = await send(port, 'GET /1 HTTP/1.1\r\nhost: a\r\n\r\n')
  await until(() => waiting.length === 1)
  const drained = listener.drain(() => undefined)
  const received = textOf(client)
  waiting[0]?.write(Buffer.from('begin '))
  client.write('GET /2 HTTP/1.1\r\nhost: a\r\n\r\n')
  await pause(100)
  waiting[0]?.end('end')
  expect(await drained).toBe(0)
  expect(waiting).toHaveLength(1)
  expect(await received).toMatch(/begin [^]*end/)
})

it('counts what it cuts when told to wait no longer', async () => {
  const { listener, port } = await listen(() => undefined)
  const client = await send(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await send(port, '')
  await until(() => listener.connections() === 2)
  const drained = listener.drain(() => undefined)
  listener.cut()
  expect(await drained).toBe(1)
  expect(await textOf(client)).toBe('')
})

async function listen(handle: (req: RequestMessage, res: AnswerMessage) => void): Promise<{ listener: Listener; port: number }> {
  const config = testConfig('listeners: { public: { address: 127.0.0.1:0, origin: http://gateway.test } }')
  const listener = createListener(
    {
      handle: async (req, res) => handle(req, res),
      upgrade: async () => undefined,
      malformed: () => 'id',
      nowMs: Date.now,
      schedule,
      readFile: async () => '',
      certificatesRead: () => undefined,
    },
    config.listeners.public,
  )
  return { listener, port: (await listener.listen()).port }
}

async function send(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

async function textOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  if (!socket.closed) await once(socket, 'close')
  return text
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(2)
}

function pause(delayMs: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, delayMs)
  })
}
