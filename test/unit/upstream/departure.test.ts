/** When a request whose body is still coming is sent. */
import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { RequestMessage } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createDeparture } from '../../../src/upstream/departure.ts'
import type { Destination } from '../../../src/upstream/destination.ts'
import { createUploads } from '../../../src/upstream/uploads.ts'
import { testClock, testDestination, testExchange } from './world.ts'

const KIB = 1024
const MIB = 1024 * KIB

type Listener = (() => void) | ((chunk: Buffer) => void) | ((error: Error) => void)

interface TestBody {
  readonly req: RequestMessage
  come(octets: string | Buffer): void
  end(): void
  fail(error: Error): void
  isPaused(): boolean
  /** Listeners that could throw what they hear away. */
  listeners(): number
}

function clientBody(): TestBody {
  const wire = new EventEmitter()
  let complete = false
  let paused = false
  const req: RequestMessage = {
    httpVersion: '1.1',
    rawHeaders: [],
    socket: {},
    get complete() {
      return complete
    },
    destroyed: false,
    on: (event: string, listener: Listener) => wire.on(event, listener),
    off: (event: string, listener: Listener) => wire.off(event, listener),
    pause: () => (paused = true),
    resume: () => (paused = false),
    destroy: () => undefined,
  }
  return {
    req,
    come: (octets) => void wire.emit('data', Buffer.from(octets)),
    end() {
      complete = true
      wire.emit('end')
    },
    fail: (error) => void wire.emit('error', error),
    isPaused: () => paused,
    listeners: () => wire.listenerCount('data') + wire.listenerCount('end') + wire.listenerCount('close'),
  }
}

interface Options {
  readonly bodyLength: number | undefined
  readonly to?: Destination
  readonly ahead?: { octets: number }
  readonly limit?: number
}

function open({ bodyLength, to = testDestination(1), ahead = { octets: 0 }, limit = 10 * MIB }: Options) {
  const client = clientBody()
  const told: string[] = []
  const record = { bytesIn: 0 }
  let body: Readable | undefined
  const base = testExchange()
  const exchange = { ...base, bodyLength, route: { ...base.route, bodyBytes: limit } }
  const departure = createDeparture(
    { ahead, moved: () => undefined },
    { pick: () => to },
    { exchange, req: client.req, record },
    {
      go(_, stream) {
        told.push('goes')
        body = stream
      },
      gaveWay: () => void told.push('gave way'),
      failed: (error) => void told.push(error instanceof Problem ? error.kind : error.message),
    },
  )
  departure.start()
  return { client, told, record, ahead, departure, sent: async () => Buffer.concat((await body?.toArray()) ?? []).toString() }
}

test('a short body of known length goes when it is whole', async () => {
  const { client, told, record, sent } = open({ bodyLength: 6 })
  for (const octet of 'abcdef') client.come(octet)
  expect(told).toEqual([])
  client.end()
  expect(told).toEqual(['goes'])
  expect({ sent: await sent(), record }).toEqual({ sent: 'abcdef', record: { bytesIn: 6 } })
})

test('of a long one 64 KiB are enough, and the rest comes as it is sent', async () => {
  const { client, told, sent } = open({ bodyLength: 100 * KIB })
  client.come('a'.repeat(63 * KIB))
  expect(told).toEqual([])
  client.come('b'.repeat(KIB))
  expect({ told: [...told], paused: client.isPaused() }).toEqual({ told: ['goes'], paused: true })
  const whole = sent()
  client.come('c'.repeat(36 * KIB))
  client.end()
  expect(await whole).toBe('a'.repeat(63 * KIB) + 'b'.repeat(KIB) + 'c'.repeat(36 * KIB))
})

test('one of unknown length goes with what is there, since it may be a conversation', async () => {
  const { client, told, sent } = open({ bodyLength: undefined })
  expect(told).toEqual(['goes'])
  const whole = sent()
  client.come('abc')
  client.end()
  expect(await whole).toBe('abc')
})

test('one of unknown length that has to wait goes as soon as it is whole', async () => {
  const to = { ...testDestination(1), uploads: createUploads(testClock(), { waiting: 0, carried: 0 }, 2) }
  const slow = open({ bodyLength: undefined, to })
  const { client, told, sent } = open({ bodyLength: undefined, to })
  client.come('ab')
  expect({ slow: slow.told, told: [...told] }).toEqual({ slow: ['goes'], told: [] })
  client.come('c')
  client.end()
  expect({ told, sent: await sent() }).toEqual({ told: ['goes'], sent: 'abc' })
})

test('one that has to wait takes in no more than 64 KiB, and goes when its turn comes', () => {
  const to = { ...testDestination(1), uploads: createUploads(testClock(), { waiting: 0, carried: 0 }, 2) }
  const slow = open({ bodyLength: undefined, to })
  const { client, told } = open({ bodyLength: MIB, to })
  client.come(Buffer.alloc(64 * KIB))
  expect({ told: [...told], paused: client.isPaused() }).toEqual({ told: [], paused: true })
  slow.departure.leave()
  expect(told).toEqual(['goes'])
})

test('a body that is too long, or cannot be read, is told of before it goes', () => {
  const long = open({ bodyLength: undefined, limit: 3, to: { ...testDestination(1), uploads: busy() } })
  long.client.come('abcd')
  const broken = open({ bodyLength: 10 })
  broken.client.fail(new Problem('request_timeout'))
  expect([long.told, broken.told]).toEqual([['payload_too_large'], ['request_timeout']])
  // Whatever becomes of the connection, it is not unheard.
  broken.client.fail(new Error('gone'))
  expect([long.client.listeners(), broken.client.listeners()]).toEqual([0, 0])
})

test('when all that may be held is held, a little is enough', () => {
  const ahead = { octets: 64 * MIB }
  const { client, told, departure } = open({ bodyLength: 60 * KIB, ahead })
  client.come(Buffer.alloc(4000))
  expect(told).toEqual([])
  client.come(Buffer.alloc(200))
  expect(told).toEqual(['goes'])
  expect(ahead.octets).toBe(64 * MIB + 4200)
  departure.leave()
  departure.leave()
  expect(ahead.octets).toBe(64 * MIB)
})

test('one that is over before it went leaves nothing behind', () => {
  const { client, told, ahead, departure } = open({ bodyLength: 10 })
  client.come('abc')
  departure.leave()
  client.end()
  expect({ told, octets: ahead.octets, listeners: client.listeners() }).toEqual({ told: [], octets: 0, listeners: 0 })
})

test('sixty thousand single octets take the memory of a few pieces', async () => {
  const { client, told, sent } = open({ bodyLength: 60_000 })
  for (let index = 0; index < 60_000; index += 1) client.come(String(index % 10))
  client.end()
  expect(told).toEqual(['goes'])
  expect(await sent()).toBe('0123456789'.repeat(6000))
})

/** All places are taken. */
function busy() {
  const uploads = createUploads(testClock(), { waiting: 0, carried: 0 }, 1)
  open({ bodyLength: undefined, to: { ...testDestination(1), uploads } })
  return uploads
}
