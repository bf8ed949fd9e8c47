import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { readBody } from '../../../src/listener/listener.ts'
import { Problem } from '../../../src/problem/problem.ts'

let server: Server | undefined
let client: Socket | undefined

afterEach(() => {
  client?.destroy()
  server?.closeAllConnections()
  server?.close()
})

async function arrive(octets: string): Promise<IncomingMessage> {
  return new Promise((resolve) => {
    const one = createServer((req) => resolve(req))
    server = one
    one.listen(0, '127.0.0.1', () => {
      client = connect((one.address() as AddressInfo).port, '127.0.0.1', () => client?.write(octets))
      client.on('error', () => undefined)
    })
  })
}

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'

test('reads a body to its end and counts it', async () => {
  const record = { bytesIn: 0 }
  expect((await readBody(await arrive(`${HEAD}hello`), 5, record)).toString()).toBe('hello')
  expect(record.bytesIn).toBe(5)
})

test('refuses one octet more, and leaves the rest and all other listeners alone', async () => {
  const req = await arrive(`${HEAD}hello`)
  let heard = 0
  req.on('data', (chunk: Buffer) => {
    heard += chunk.length
  })
  const failure = await readBody(req, 4, { bytesIn: 0 }).catch((error: unknown) => error)
  expect(failure instanceof Problem && failure.kind).toBe('payload_too_large')
  expect(heard).toBe(5)
  expect(req.listenerCount('data')).toBe(1)
})

test.each([
  ['before it is read', true],
  ['while it is read', false],
])('a client that breaks off %s is an invalid request, never a wait', async (_, before) => {
  const req = await arrive(`${HEAD}he`)
  const gone = new Promise((resolve) => req.once('close', resolve))
  if (before) {
    client?.destroy()
    await gone
  }
  const reading = readBody(req, 5, { bytesIn: 0 }).catch((error: unknown) => error)
  client?.destroy()
  const failure = await reading
  expect(failure instanceof Problem && failure.kind).toBe('invalid_request')
})

test('a body that cannot be read fails as the listener says', async () => {
  const req = await arrive(`${HEAD}he`)
  const reading = readBody(req, 5, { bytesIn: 0 }).catch((error: unknown) => error)
  req.emit('error', new Problem('request_timeout'))
  const failure = await reading
  expect(failure instanceof Problem && failure.kind).toBe('request_timeout')
})
