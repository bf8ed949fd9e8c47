/** Upstreams that drop the connection at the worst moment: that request fails, cleanly; every other one does not notice. */
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { statusCode, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

/** What the upstream does for each path, and what the client must see. */
const DROPS: Readonly<Record<string, { readonly drop: (socket: Socket) => void; readonly status: number | 'cut' }>> = {
  'before any octet': { drop: (socket) => socket.destroy(), status: 502 },
  'before any octet, with a reset': { drop: (socket) => socket.resetAndDestroy(), status: 502 },
  'within the status line': { drop: (socket) => socket.end('HTTP/1.1 2'), status: 502 },
  'within the head': { drop: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le'), status: 502 },
  'behind a 103': { drop: (socket) => socket.end('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'), status: 502 },
  'behind the head': { drop: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'), status: 'cut' },
  'within the body': { drop: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'), status: 'cut' },
  'within a chunk': {
    drop: (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc'),
    status: 'cut',
  },
  'before the last chunk': {
    drop: (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'),
    status: 'cut',
  },
  'within the body, with a reset': {
    drop: (socket) =>
      void socket.write(
        'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc',
        () => void setTimeout(() => socket.resetAndDestroy(), 10),
      ),
    status: 'cut',
  },
}

describe.each(['builtin', 'undici'])('an upstream that is spoken to by the client %s', (client) => {
  let upstream: StrictUpstream
  let gateway: TestGateway

  beforeAll(async () => {
    upstream = await strictUpstream(reply)
    gateway = await openWire(upstream.port, { upstream: ['connections: 8', `client: ${client}`] })
  })
  afterAll(async () => {
    await gateway.close()
    await upstream.close()
  })

  function reply(socket: Socket, request: Message): void {
    const number = /\/drop\/(\d+)/.exec(request.start)?.[1]
    const drop = number === undefined ? undefined : Object.values(DROPS)[Number(number)]
    if (drop === undefined) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood')
    else drop.drop(socket)
  }

  describe.each(Object.keys(DROPS).map((name, index) => [name, index] as const))('%s', (name, index) => {
    test.each(['GET', 'POST'])('%s, ten times over', async (method) => {
      const body = method === 'POST' ? ['Content-Length: 3'] : []
      for (let turn = 0; turn < 10; turn += 1) {
        const client = await openClient(gateway.port)
        client.send(head(`${method} /drop/${index} HTTP/1.1`, ...body) + (body.length > 0 ? 'abc' : ''))
        const answers = await client.answered(1)
        if (DROPS[name]?.status === 'cut') expect({ answers, closed: client.isClosed() }).toEqual({ answers: [], closed: true })
        else expect(answers.map(statusCode)).toEqual([DROPS[name]?.status])
        client.close()
      }
    })
  })

  test('the requests beside them are all answered, and none is sent twice that may not be', async () => {
    upstream.clear()
    const total = 200
    const outcomes = await Promise.all(
      Array.from({ length: total }, async (_, turn) => {
        const drops = turn % 2 === 1
        const client = await openClient(gateway.port)
        const method = turn % 4 === 3 ? 'POST' : 'GET'
        client.send(
          head(
            `${method} ${drops ? `/drop/${turn % Object.keys(DROPS).length}` : '/good'}?${turn} HTTP/1.1`,
            ...(method === 'POST' ? ['Content-Length: 0'] : []),
          ),
        )
        const answers = await client.answered(1)
        client.close()
        return drops ? 'dropped' : `${statusCode(answers[0])} ${answers[0]?.body.toString()}`
      }),
    )
    expect(outcomes.filter((outcome) => outcome === '200 good')).toHaveLength(total / 2)
    const starts = upstream.requests.map(({ start }) => start)
    const times = (start: string): number => starts.filter((other) => other === start).length
    const posts = starts.filter((start) => start.startsWith('POST'))
    expect(posts).toHaveLength(total / 4)
    expect(new Set(posts).size).toBe(posts.length)
    // One that may be sent twice is, if its connection was kept and is closed before any octet: once more, on a new one.
    expect(Math.max(...starts.map(times))).toBeLessThanOrEqual(2)
  })
})
