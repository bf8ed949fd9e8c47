/** Heads that come in pieces, on a connection: what is answered, what is handed over, and what is given up. */
import { Socket } from 'node:net'
import { afterEach, describe, expect, it, test } from 'vitest'
import type { AnswerMessage, RequestMessage } from '../../../src/exchange/exchange.ts'
import { createHttp1Connections } from '../../../src/listener/http1-connections.ts'
import { testConfig } from '../../support/config.ts'
import { byLlhttp, HEAD } from '../../support/heads.ts'
import { fc } from '../../support/properties.ts'

const CASES = 10_000
const SWEEP_MS = 250
const REQUEST = 'GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n'
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

describe('heads that come in pieces', () => {
  it('are answered when they are whole, and not before', () => {
    const { send, seen, answers } = scene()
    for (const octet of REQUEST.slice(0, -1)) send(octet)
    expect([answers(), seen.handed]).toEqual([[], []])
    send('\n')
    expect([answers(), seen.handed]).toEqual([[['GET', '/a?b', ['Host', 'a', 'X-A', '1']]], []])
  })

  it('are read anew on a connection that is kept', () => {
    const { send, seen, answers } = scene()
    for (const piece of ['GET /a?b HTTP', REQUEST.slice(13), REQUEST, REQUEST.slice(0, 3), REQUEST.slice(3)]) {
      send(piece)
      answerAll(seen.answered)
    }
    expect([answers().length, seen.handed]).toEqual([3, []])
  })

  test.each([
    ['a field that frames', 'GET / HTTP/1.1\r\nContent-', 'Length: 1\r\n\r\n'],
    ['a second request', 'GET / HT', 'TP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n'],
    ['another version', 'GET / HTTP/1', '.0'],
    ['an octet that is not plain', 'GET / HTTP/1.1\r\nHost: ', '\xe4'],
    ['too many fields', 'GET / HTTP/1.1\r\n', `${'a: b\r\n'.repeat(101)}\r\n`],
    ['an upgrade', 'GET / HTTP/1.1\r\nUpgrade: web', 'socket\r\n\r\n'],
  ])('are handed over whole and in order with %s', (_, first, second) => {
    const { send, seen, answers } = scene()
    send(first)
    expect(seen.handed).toEqual([])
    send(second)
    expect([answers(), seen.handed.map(({ text }) => text)]).toEqual([[], [first + second]])
  })

  it('are handed over when they are longer than a head may be, octet by octet too', () => {
    const { send, seen } = scene('limits: { headerBytes: 4KiB }')
    const text = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(4096)}`
    for (const octet of text) if (seen.handed.length === 0) send(octet)
    expect(seen.handed.map((handed) => handed.text)).toEqual([text.slice(0, 4097)])
  })

  it('are the same requests that llhttp reads, wherever they are cut', () => {
    let answered = 0
    let handedOver = 0
    fc.assert(
      fc.property(HEAD, fc.array(fc.nat(), { maxLength: 6 }), (text, places) => {
        const { send, seen, answers } = scene()
        let sent = ''
        for (const piece of cutAt(text, places)) {
          send(piece)
          sent += piece
          if (seen.answered.length + seen.handed.length > 0) break
        }
        handedOver += seen.handed.length
        for (const { text: handed } of seen.handed) expect(handed).toBe(sent)
        for (const [method, target, fields] of answers()) {
          answered += 1
          expect(byLlhttp(sent)).toEqual({ method, target, fields })
        }
        // What is still waited for is not a request yet.
        if (seen.answered.length + seen.handed.length === 0) expect(byLlhttp(sent)).toBeUndefined()
      }),
      { numRuns: CASES },
    )
    expect(answered).toBeGreaterThan(CASES / 100)
    expect(handedOver).toBeGreaterThan(CASES / 10)
  })
})

describe('time', () => {
  it('is over for a head that is not whole when timeouts.headers is, and never before', () => {
    const { send, pass, seen } = scene('timeouts: { headers: 1s, request: 2s }')
    send('GET / HTTP/1.1\r\nX: ')
    for (let sweeps = 0; sweeps < 4; sweeps += 1) {
      pass()
      send('a')
    }
    expect(seen.givenUp).toEqual([])
    pass()
    expect(seen).toMatchObject({ givenUp: ['ERR_HTTP_REQUEST_TIMEOUT'], answered: [], handed: [] })
  })

  it('of a head on a kept connection begins with its first octet', () => {
    const { send, pass, seen } = scene('timeouts: { headers: 1s, request: 2s, keepAlive: 5s }')
    send(REQUEST)
    answerAll(seen.answered)
    for (let sweeps = 0; sweeps < 12; sweeps += 1) pass()
    send('GET')
    for (let sweeps = 0; sweeps < 4; sweeps += 1) pass()
    expect(seen.givenUp).toEqual([])
    pass()
    expect(seen.givenUp).toEqual(['ERR_HTTP_REQUEST_TIMEOUT'])
  })

  it('that was waited goes with what is handed over', () => {
    const { send, pass, seen } = scene()
    send('GET / HTTP/1.1\r\nHost: a')
    pass()
    pass()
    send('\t')
    expect(seen.handed).toEqual([{ text: 'GET / HTTP/1.1\r\nHost: a\t', waitedMs: 2 * SWEEP_MS }])
  })

  it('that a kept connection was idle does not', () => {
    const { send, pass, seen } = scene()
    send(REQUEST)
    answerAll(seen.answered)
    pass()
    send('POST / HTTP/1.1\r\n')
    expect(seen.handed).toEqual([{ text: 'POST / HTTP/1.1\r\n', waitedMs: 0 }])
  })
})

it('gives up a head that ends early, and says nothing of a client that left between requests', () => {
  const [half, idle] = [scene(), scene()]
  half.send('GET / HTTP/1.1\r\n')
  half.socket.emit('end')
  idle.send(REQUEST)
  answerAll(idle.seen.answered)
  idle.socket.emit('end')
  expect([half.seen.givenUp, idle.seen.givenUp]).toEqual([['HPE_INVALID_EOF_STATE'], []])
})

it('closes idle connections at the end, and waits for a head that has begun', () => {
  const [half, idle] = [scene(), scene()]
  half.send('GET / HTTP/1.1\r\n')
  for (const { connections } of [half, idle]) {
    connections.drain()
    connections.closeIdle()
  }
  expect([half.socket.destroyed, idle.socket.destroyed]).toEqual([false, true])
  half.send('Host: a\r\n\r\n')
  answerAll(half.seen.answered)
  expect(half.seen.written).toEqual([expect.stringMatching(/^HTTP\/1\.1 204 [^]*\r\nConnection: close\r\n/)])
})

interface Seen {
  readonly answered: AnswerMessage[]
  readonly handed: { readonly text: string; readonly waitedMs: number }[]
  readonly givenUp: (string | undefined)[]
  readonly written: string[]
}

/** A connection without a network: what comes over it is what is sent here, piece by piece. */
function scene(listener = '') {
  const config = testConfig(`listeners: { public: { address: 127.0.0.1:0, origin: http://gateway.test, ${listener} } }`)
  const seen: Seen = { answered: [], handed: [], givenUp: [], written: [] }
  let sweep: (() => void) | undefined
  const connections = createHttp1Connections(
    {
      handle: async (_: RequestMessage, res: AnswerMessage) => void seen.answered.push(res),
      handOver: (_, octets, waitedMs) => seen.handed.push({ text: octets.toString('latin1'), waitedMs }),
      giveUp: (_, { code }) => seen.givenUp.push(code),
      nowMs: () => 0,
      schedule(delayMs, run) {
        expect(delayMs).toBe(SWEEP_MS)
        sweep = run
        return () => undefined
      },
    },
    config.listeners.public,
  )
  const socket = new Socket()
  sockets.push(socket)
  // Nobody takes what is written, and it is out of our hands all the same.
  Object.assign(socket, {
    write(text: string, _encoding: string, done?: () => void) {
      seen.written.push(text)
      done?.()
      return true
    },
  })
  connections.open(socket)
  return {
    socket,
    connections,
    seen,
    send: (text: string) => void socket.emit('data', Buffer.from(text, 'latin1')),
    pass: () => sweep?.(),
    answers: () => seen.answered.map(({ req: { method, url, rawHeaders } }) => [method, url, rawHeaders]),
  }
}

function answerAll(answers: readonly AnswerMessage[]): void {
  for (const res of answers) {
    if (res.headersSent) continue
    res.writeHead(204, [])
    res.end()
  }
}

function cutAt(text: string, places: readonly number[]): string[] {
  const ends = [...new Set(places.map((place) => place % (text.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...ends].map((from, index) => text.slice(from, ends[index])).filter((piece) => piece !== '')
}
