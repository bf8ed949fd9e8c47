/** Upstreams that mean harm, or are broken enough to look like it: their requests fail, and the gateway goes on. */
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startServer, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { strictUpstream, type StrictUpstream } from '../support/wire.ts'

let hostile: StrictUpstream
let well: TestServer
let gateway: TestGateway
let attack: (socket: Socket) => void
const timers: ReturnType<typeof setInterval>[] = []

beforeAll(async () => {
  hostile = await strictUpstream((socket) => attack(socket))
  well = await startServer('well')
  gateway = await startGateway(`listeners:
  public:
    {{public}}
    overload: { enabled: false } # The harm is done in this very process.
  admin: { address: 127.0.0.1:0 }
upstreams:
  bare: { targets: ["http://127.0.0.1:${hostile.port}"], connections: 8, timeouts: { response: 700ms, idle: 700ms } }
  careful:
    targets: ["http://127.0.0.1:${hostile.port}"]
    connections: 8
    timeouts: { response: 700ms, idle: 700ms }
    retries: { attempts: 2, budget: 100% }
    breaker: { minRequests: 1000 }
    outliers: {}
  well: { targets: ["${well.url}"] }
routes:
  - { name: bare, match: { path: /bare/* }, auth: public, upstream: bare }
  - { name: careful, match: { path: /careful/* }, auth: public, upstream: careful }
  - { name: well, match: { path: /well/* }, auth: public, upstream: well }
`)
})
beforeEach(() => hostile.clear())
afterEach(() => {
  for (const timer of timers.splice(0)) clearInterval(timer)
})
afterAll(async () => {
  await gateway.close()
  await hostile.close()
  await well.kill()
})

/** Status, or `cut` where the answer broke off. */
async function get(path: string): Promise<number | 'cut'> {
  try {
    const answer = await fetch(`${gateway.url}${path}`)
    await answer.arrayBuffer()
    return answer.status
  } catch {
    return 'cut'
  }
}

/** Writes on and on, as long as it is taken. */
function pour(socket: Socket, octets: string | Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(octets)) if (socket.writableLength > 1_000_000) return
  }
  socket.on('drain', more)
  more()
}

/** Writes a little every 20 ms. */
function trickle(socket: Socket, octets: string): void {
  let at = 0
  const timer = setInterval(() => {
    if (socket.destroyed || at >= octets.length) return clearInterval(timer)
    socket.write(octets.slice(at, at + 1))
    at += 1
  }, 20)
  timers.push(timer)
}

const ATTACKS: Readonly<
  Record<string, { readonly attack: (socket: Socket) => void; readonly outcomes: readonly (number | 'cut')[] }>
> = {
  'closes before it has read': { attack: (socket) => socket.destroy(), outcomes: [502] },
  resets: { attack: (socket) => socket.resetAndDestroy(), outcomes: [502] },
  'never answers': { attack: () => undefined, outcomes: [504] },
  'sends garbage': {
    attack: (socket) => void socket.write(Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7919) % 256))),
    outcomes: [502],
  },
  'speaks TLS': { attack: (socket) => void socket.write(Buffer.from('16030100a5010000a10303', 'hex')), outcomes: [502, 504] },
  'speaks HTTP/2': { attack: (socket) => void socket.write(Buffer.from('000000040000000000', 'hex')), outcomes: [502, 504] },
  'sends a head without end': {
    attack: (socket) => pour(socket, `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(2000)}`),
    outcomes: [502],
  },
  'sends 100 MB of headers': {
    attack: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      pour(socket, `x-${'a'.repeat(1000)}: ${'b'.repeat(63_000)}\r\n`)
    },
    outcomes: [502],
  },
  'sends one field without end': {
    attack: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-a: ')
      pour(socket, Buffer.alloc(65_536, 'b'))
    },
    outcomes: [502],
  },
  'sends its head in tiny pieces, slower than it may': {
    attack: (socket) => trickle(socket, `HTTP/1.1 200 OK\r\nx-a: ${'b'.repeat(1000)}`),
    outcomes: [504],
  },
  'sends interim answers without end': {
    attack: (socket) => pour(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(1000)),
    outcomes: [502, 504],
  },
  'says 100 (Continue) without end': {
    attack: (socket) => pour(socket, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)),
    outcomes: [502, 504],
  },
  'says two lengths': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc'),
    outcomes: [502],
  },
  'says a length and a coding': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
    outcomes: [502],
  },
  'says a length before its answer': {
    attack: (socket) =>
      void socket.write('HTTP/1.1 103 Hints\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
    outcomes: [502],
  },
  'ends its lines with LF alone': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\ncontent-length: 0\n\n'),
    outcomes: [502],
  },
  'says a length below 0': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'),
    outcomes: [502],
  },
  'says a length beyond all numbers': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n'),
    outcomes: [502],
  },
  'says an unknown version': {
    attack: (socket) => void socket.write('HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n'),
    outcomes: [502],
  },
  'says a status that there is not': {
    attack: (socket) => void socket.write('HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n'),
    outcomes: [502],
  },
  'switches protocols unasked': {
    attack: (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    outcomes: [502],
  },
  'breaks off its body': {
    attack: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc'),
    outcomes: ['cut'],
  },
  'sends chunks that are none': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n'),
    outcomes: ['cut', 502],
  },
  'is silent within its body': {
    attack: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc'),
    outcomes: ['cut'],
  },
}

describe.each(Object.entries(ATTACKS))('an upstream that %s', (_, { attack: how, outcomes }) => {
  test.each(['bare', 'careful'])('%s, many times at once', async (route) => {
    attack = how
    const answers = Promise.all(Array.from({ length: 6 }, (_one, turn) => get(`/${route}/${turn}`)))
    expect(await get('/well/x')).toBe(200)
    for (const outcome of await answers) expect(outcomes).toContain(outcome)
    expect(await get('/well/x')).toBe(200)
    await until(() => hostile.connections() <= 8)
  })
})

test('a second answer behind the first is nobody’s', async () => {
  attack = (socket) =>
    void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond')
  for (let turn = 0; turn < 10; turn += 1) {
    const answer = await fetch(`${gateway.url}/bare/x`)
    expect([answer.status, await answer.text()]).toEqual([200, 'first'])
  }
})

test('an answer that comes before it was asked for is nobody’s', async () => {
  attack = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine')
    setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen'), 20)
  }
  for (let turn = 0; turn < 10; turn += 1) {
    const answer = await fetch(`${gateway.url}/bare/x`)
    expect([answer.status, await answer.text()]).toEqual([200, 'mine'])
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
})

test('nothing of its address is told to a client, whatever it does', async () => {
  attack = (socket) => socket.destroy()
  const answer = await fetch(`${gateway.url}/careful/x`)
  const text = `${JSON.stringify([...answer.headers])}${await answer.text()}`
  expect(text).not.toMatch(/127\.0\.0\.1|careful|ECONN|UND_ERR|socket/)
  expect(text).not.toContain(String(hostile.port))
})
