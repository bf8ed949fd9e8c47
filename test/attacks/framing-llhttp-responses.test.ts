/** The response messages of the parser's own test-suite, sent by an upstream; what the client gets is read strictly. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { readVectors } from '../support/vectors.ts'
import { head, openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

interface Vector {
  readonly id: string
  readonly mode: string
  readonly raw_b64: string
  readonly error: { readonly code: number; readonly reason: string } | null
}

/** A whole answer of this status and body, or `cut`: a head at most, and the end of the connection. */
type Outcome = { readonly status: number; readonly body?: string } | 'cut'

/** The parser's way of saying that what follows an upgrade, or `Connection: close`, is not its business. */
const NOT_READ_ON: ReadonlySet<number> = new Set([22, 5])
const REFUSED: Outcome = { status: 502 }

type Rows = Readonly<Record<string, readonly [Outcome, string]>>

/** Rows where the client gets something else than the strict parser reads, and why. */
const DIVERGENCES: Rows = {
  ...as(REFUSED, 'a coding that the client would not hear of', [
    'transfer-encoding/`chunked` before other transfer-encoding',
    'transfer-encoding/multiple transfer-encoding where chunked is not the last one',
    'transfer-encoding/`chunkedchunked` transfer-encoding does not enable chunked enconding',
  ]),
  ...as(REFUSED, 'a switch of protocols that nobody asked for', [
    'connection/HTTP 101 response with Upgrade and Content-Length header',
    'connection/HTTP 101 response with Upgrade and Transfer-Encoding header',
  ]),
  ...as('cut', 'the vector ends before its message does', [
    'connection/HTTP 103 first, then 200',
    'content-length/Content-Length reset when no body is received',
    'transfer-encoding/Chunk extensions quoting',
  ]),
  ...as(REFUSED, 'a tab beside a length', ['content-length/Tabs in `Content-Length` (surrounding)']),
  ...as('cut', 'the head was fine and is with the client when the first chunk turns out not to be', [
    'transfer-encoding/Trailing space on chunked body',
    'transfer-encoding/No semicolon before chunk extensions',
    'transfer-encoding/No extension after semicolon',
    'transfer-encoding/Unbalanced chunk extensions quoting',
  ]),
  ...as({ status: 200, body: '2ad73' }, 'what stands behind the length is dropped, leniently or not', [
    'connection/HTTP/1.1 with keep-alive disabled, content-length (lenient)',
  ]),
  ...as({ status: 204, body: '' }, 'what stands behind `Connection: close` is dropped, leniently or not', [
    'connection/HTTP/1.1 with keep-alive disabled and 204 status (lenient)',
  ]),
}

/** By what speaks to the upstream. */
const DIVERGENCES_OF: Readonly<Record<string, Rows>> = {
  builtin: {
    ...as(REFUSED, 'an answer begins with HTTP/1, and no line before it', [
      'connection/HTTP 100 first, then 400',
      'sample/RTSP response',
      'sample/ICE response',
      'sample/HTTP version 0.9',
      'sample/Response starting with CRLF',
    ]),
    ...as(REFUSED, 'a bare CR in the line of the status', ['invalid/Bare CR followed by CR after response line']),
  },
  undici: {
    ...as({ status: 404 }, 'the 100 (Continue) is dropped, the answer behind it passed on', [
      'connection/HTTP 100 first, then 400',
    ]),
    ...as(
      { status: 200, body: 'Evil' },
      'the library takes a second bare CR for the end of the line; the framing is written anew',
      ['invalid/Bare CR followed by CR after response line'],
    ),
  },
}

const { data, missing } = readVectors('http1/llhttp_messages.json')
const { vectors, count } = (data ?? { vectors: [], count: 0 }) as { vectors: readonly Vector[]; count: number }
const responses = vectors.filter(({ mode }) => mode.startsWith('response'))

describe.skipIf(missing !== undefined).each(Object.entries(DIVERGENCES_OF))(
  `${missing ?? 'responses of the llhttp suite'} (%s)`,
  (client, own) => {
    const divergences: Rows = { ...DIVERGENCES, ...own }
    let octets: Buffer = Buffer.alloc(0)
    let upstream: StrictUpstream
    let gateway: TestGateway

    beforeAll(async () => {
      upstream = await strictUpstream((socket) => socket.end(octets))
      gateway = await openWire(upstream.port, { upstream: [`client: ${client}`] })
    })
    afterAll(async () => {
      await gateway.close()
      await upstream.close()
    })

    test('every row is here', () => {
      expect({ all: vectors.length, responses: responses.length }).toEqual({ all: count, responses: 84 })
      const known = new Set(responses.map(nameOf))
      expect(Object.keys(divergences).filter((name) => !known.has(name))).toEqual([])
    })

    test.each(responses.map((vector) => [`${nameOf(vector)} (${vector.mode})`, vector] as const))('%s', async (_, vector) => {
      octets = Buffer.from(vector.raw_b64, 'base64')
      const got = await talk(gateway.port, head('GET / HTTP/1.1'))
      const { messages, rest } = readAnswers(got.octets, { closed: got.closed })
      const final = messages.find((message) => statusCode(message) >= 200)
      const expected = expectedOf(vector, divergences)
      if (expected === 'cut') {
        expect({ final, closed: got.closed }).toEqual({ final: undefined, closed: true })
        return
      }
      expect({ status: statusCode(final), rest: rest.toString('latin1') }).toEqual({ status: expected.status, rest: '' })
      if (expected.body !== undefined) expect(final?.body.toString('latin1')).toBe(expected.body)
    })
  },
)

function expectedOf(vector: Vector, divergences: Rows): Outcome {
  const divergence = divergences[nameOf(vector)]
  if (divergence !== undefined) return divergence[0]
  const read = vector.mode === 'response' || vector.mode === 'response-finish'
  if (!read || (vector.error !== null && !NOT_READ_ON.has(vector.error.code))) return REFUSED
  return { status: Number(/^\s*[A-Z]+\/\d\.\d (\d{3})/.exec(Buffer.from(vector.raw_b64, 'base64').toString('latin1'))?.[1]) }
}

function nameOf(vector: Vector): string {
  return vector.id.replace('llhttp/response/', '')
}

function as(outcome: Outcome, reason: string, names: readonly string[]): Record<string, readonly [Outcome, string]> {
  return Object.fromEntries(names.map((name) => [name, [outcome, reason] as const]))
}
