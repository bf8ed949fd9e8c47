/** Requests that are sent before those in front of them are answered: each gets its own answer, whole, and in its turn. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf, type Message } from '../support/strict-http.ts'
import { head, openClient, openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

let upstream: StrictUpstream
let gateway: TestGateway
/** What the upstream answers to a target, instead of the target. */
const replies = new Map<string, string>()

beforeAll(async () => {
  upstream = await strictUpstream((socket, { start }) => {
    const [method = '', target = ''] = start.split(' ')
    const body = method === 'HEAD' ? '' : target
    socket.write(replies.get(target) ?? `HTTP/1.1 200 OK\r\ncontent-length: ${target.length}\r\n\r\n${body}`)
  })
  gateway = await openWire(upstream.port)
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.clear()
  replies.clear()
})

async function answersTo(octets: string, count: number, methods: readonly string[] = []): Promise<readonly Message[]> {
  const got = await talk(gateway.port, octets, { count, methods })
  const { messages, rest } = readAnswers(got.octets, { methods })
  expect(rest.toString('latin1')).toBe('')
  return messages
}

function bodiesOf(answers: readonly Message[]): [number, string][] {
  return answers.map((answer) => [statusCode(answer), answer.body.toString('latin1')])
}

describe('an interim answer', () => {
  test.each([1, 2, 3])('100 stands before the answer that it belongs to, behind %i others', async (before) => {
    const first = Array.from({ length: before }, (_, index) => head(`GET /${index} HTTP/1.1`))
    const octets = `${first.join('')}${head('POST /own HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 1')}a${head('GET /next HTTP/1.1')}`
    const answers = bodiesOf(await answersTo(octets, before + 2))
    expect(answers.filter(([status]) => status !== 100)).toEqual([
      ...first.map((_, index) => [200, `/${index}`]),
      [200, '/own'],
      [200, '/next'],
    ])
  })

  test('100 comes when it is its turn, for a client that waits for it', async () => {
    const client = await openClient(gateway.port)
    client.send(head('GET /first HTTP/1.1') + head('POST /own HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 1'))
    await client.until((octets) => octets.includes('100 Continue'))
    client.send('a')
    expect(bodiesOf(await client.answered(2))).toEqual([
      [200, '/first'],
      [200, '/own'],
    ])
    client.close()
  })

  test('103 of an upstream does not get into a body', async () => {
    replies.set('/hinted', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    const answers = bodiesOf(
      await answersTo(head('GET /first HTTP/1.1') + head('GET /hinted HTTP/1.1') + head('GET /next HTTP/1.1'), 3),
    )
    expect(answers.filter(([status]) => status !== 103)).toEqual([
      [200, '/first'],
      [200, 'ok'],
      [200, '/next'],
    ])
  })
})

describe('a body that cannot be read', () => {
  const bad = `${head('POST /bad HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`

  test('is refused behind the answers that are due', async () => {
    const answers = await answersTo(head('GET /first HTTP/1.1') + bad, 2)
    expect(bodiesOf(answers)[0]).toEqual([200, '/first'])
    expect(answers.map(statusCode)).toEqual([200, 400])
    expect(upstream.requests.map(({ start }) => start)).toEqual(['GET /first HTTP/1.1'])
  })

  test('of a HEAD is refused without one', async () => {
    const octets = `${head('HEAD /bad HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`
    expect(bodiesOf(await answersTo(octets, 1, ['HEAD']))).toEqual([[400, '']])
  })

  test.each(['end', 'reset'] as const)('and whose client leaves (%s) ends no more than itself', async (way) => {
    const faults: unknown[] = []
    const note = (error: unknown): void => void faults.push(error)
    process.on('uncaughtException', note)
    for (const octets of [bad, `${head('POST /half HTTP/1.1', 'Content-Length: 30')}abc`]) {
      const client = await openClient(gateway.port)
      client.send(head('GET /first HTTP/1.1') + octets)
      await upstream.until(() => upstream.requests.length > 0)
      if (way === 'end') client.socket.end()
      else client.socket.resetAndDestroy()
      await client.ended()
      client.close()
      upstream.clear()
    }
    expect(bodiesOf(await answersTo(head('GET /alive HTTP/1.1'), 1))).toEqual([[200, '/alive']])
    await upstream.until(() => upstream.rests().length === 0)
    process.off('uncaughtException', note)
    expect({ faults, rests: upstream.rests() }).toEqual({ faults: [], rests: [] })
  })
})

test.each(['chunked', ' chunked\t'])('«%s» beside an upgrade is not taken for no body', async (coding) => {
  const octets = head('PUT /x HTTP/1.1', 'Upgrade: h2c', 'Connection: upgrade', `Transfer-Encoding:${coding}`)
  expect((await answersTo(`${octets}zz\r\n`, 1)).map(statusCode)).toEqual([400])
  expect(upstream.requests).toEqual([])
})

test.each(['close, keep-alive', 'keep-alive, close', 'CLOSE, Keep-Alive'])(
  'behind a request of HTTP/1.0 that says «%s» nothing is read',
  async (connection) => {
    const first = head('GET /first HTTP/1.0', `Connection: ${connection}`)
    const answers = await answersTo(first + head('GET /behind HTTP/1.1'), 2)
    expect(bodiesOf(answers)).toEqual([[200, '/first']])
    expect(valuesOf(answers[0]?.fields ?? [], 'connection')).toEqual(['close'])
    expect(upstream.requests.map(({ start }) => start)).toEqual(['GET /first HTTP/1.1'])
  },
)

describe('an answer of an upstream', () => {
  test.each(['Transfer_Encoding', 'transfer.encoding', 'Content_Length', 'content~length'])(
    'does not hand %s on',
    async (name) => {
      replies.set('/x', `HTTP/1.1 200 OK\r\n${name}: chunked\r\ncontent-length: 2\r\n\r\nok`)
      const [answer] = await answersTo(head('GET /x HTTP/1.1'), 1)
      expect([statusCode(answer), answer?.fields.filter(([field]) => field === name.toLowerCase())]).toEqual([200, []])
    },
  )

  test.each(['600', '999'])('with the status %s is none', async (status) => {
    replies.set('/x', `HTTP/1.1 ${status} Odd\r\ncontent-length: 2\r\n\r\nok`)
    expect((await answersTo(head('GET /x HTTP/1.1'), 1)).map(statusCode)).toEqual([502])
  })
})
