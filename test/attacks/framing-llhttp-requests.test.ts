/**
 * CVE-2019-15605, CVE-2021-22959, CVE-2021-22960, CVE-2022-32214, CVE-2022-32215, CVE-2022-35256, CVE-2023-30589: the request
 * messages of the parser's own test-suite, sent to the listener in front of an upstream that reads strictly.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode } from '../support/strict-http.ts'
import { readVectors } from '../support/vectors.ts'
import { openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

interface Vector {
  readonly id: string
  readonly mode: string
  readonly raw_b64: string
  readonly messages_complete: number
  readonly error: { readonly code: number; readonly reason: string } | null
}

interface Outcome {
  /** Status of each answer. */
  readonly answers: readonly number[]
  /** How many whole requests reached the upstream. */
  readonly forwarded: number
}

/** The parser's way of saying that the octets behind the message are not its business: an upgrade, a CONNECT. */
const PAUSED = 22
/** The message was fine; what followed `Connection: close` was not read. */
const AFTER_CLOSE = 5
const REFUSED: Outcome = { answers: [400], forwarded: 0 }
const WAITS: Outcome = { answers: [], forwarded: 0 }
/** How long silence has to last to count as waiting for more. */
const QUIET_MS = 120

/** Rows where the listener answers otherwise than the strict parser reads, and why. */
const DIVERGENCES: Readonly<Record<string, readonly [Outcome, string]>> = {
  ...refused('a length with leading zeros is octal to some readers', [
    'content-length/`Content-Length` with zeroes',
    'content-length/`Content-Length` with follow-up headers',
  ]),
  ...refused('the only transfer coding is chunked', [
    'transfer-encoding/POST with `chunked` as last transfer-encoding',
    'transfer-encoding/POST with `chunked` as last transfer-encoding (multiple headers)',
  ]),
  ...refused('octets above 0x7f are decoded in different ways', [
    'sample/Extended Characters',
    'sample/255 ASCII in header value',
  ]),
  ...refused('the Host is no host', ['sample/curl GET', 'sample/Firefox GET']),
  ...refused('the version is neither 1.0 nor 1.1', ['sample/No HTTP version', 'lenient-version/Invalid HTTP version (lenient)']),
  ...refused('the target is a form that other readers read otherwise', [
    'method/M-SEARCH request',
    'uri/Quotes in URI',
    'uri/Host terminated by a query string',
    'uri/`host:port` terminated by a query string',
    'uri/`host:port` terminated by a space',
    'uri/Fragment in URI',
    'uri/`host:port` and basic auth',
  ]),
  ...refused('the route takes no WebSocket', [
    'connection/Multiple tokens with folding and LWS',
    'connection/Upgrade GET request',
  ]),
  ...as({ answers: [405], forwarded: 0 }, 'CONNECT is refused whatever it names', [
    'method/CONNECT request',
    'method/CONNECT request with CAPS',
    'method/CONNECT with body',
    'uri/Underscore in hostname',
  ]),
  ...as({ answers: [200, 400], forwarded: 1 }, 'the first request is whole, what stands behind it is refused', [
    'connection/CRLF between requests, implicit `keep-alive`',
    'lenient-headers/Second request header value (lenient)',
  ]),
  ...as({ answers: [200], forwarded: 1 }, 'what stands behind `Connection: close` is not read, leniently or not', [
    'connection/Resetting flags when keep-alive is off (1.0, lenient)',
  ]),
  ...as(WAITS, 'the vector ends before its message does', [
    'content-length/Spaces in `Content-Length` (surrounding)',
    'content-length/Tabs in `Content-Length` (surrounding)',
    'content-length/Content-Length reset when no body is received',
    'finish/It should be unsafe to finish after incomplete PUT request',
    'finish/It should be unsafe to finish inside of the header',
    'transfer-encoding/Parsing and setting flag',
    'transfer-encoding/Chunk extensions',
    'transfer-encoding/Chunk extensions quoting',
  ]),
}

const { data, missing } = readVectors('http1/llhttp_messages.json')
const { vectors, count } = (data ?? { vectors: [], count: 0 }) as { vectors: readonly Vector[]; count: number }
const requests = vectors.filter(({ mode }) => mode.startsWith('request'))

describe.skipIf(missing !== undefined)(missing ?? 'requests of the llhttp suite', () => {
  let upstream: StrictUpstream
  let gateway: TestGateway

  beforeAll(async () => {
    upstream = await strictUpstream()
    gateway = await openWire(upstream.port)
  })
  afterAll(async () => {
    await gateway.close()
    await upstream.close()
  })

  test('every row is here', () => {
    expect({ all: vectors.length, requests: requests.length }).toEqual({ all: count, requests: 162 })
    const known = new Set(requests.map(nameOf))
    expect(Object.keys(DIVERGENCES).filter((name) => !known.has(name))).toEqual([])
  })

  test.each(requests.map((vector) => [`${nameOf(vector)} (${vector.mode})`, vector] as const))('%s', async (_, vector) => {
    expect(await outcomeOf(withHost(octetsOf(vector)), vector)).toEqual(expectedOf(vector))
  })

  test('without a Host nothing of HTTP/1.1 is forwarded', async () => {
    const bare = requests.filter((vector) => !/^host:/im.test(octetsOf(vector)) && !/HTTP\/1\.0/.test(octetsOf(vector)))
    const passed: string[] = []
    for (const vector of bare) if ((await outcomeOf(octetsOf(vector), vector)).forwarded > 0) passed.push(vector.id)
    expect({ passed, count: bare.length > 80 }).toEqual({ passed: [], count: true })
  })

  async function outcomeOf(octets: string, vector: Vector): Promise<Outcome> {
    upstream.clear()
    const expected = expectedOf(vector).answers.length
    const methods = octets.startsWith('HEAD') ? ['HEAD'] : []
    const got = await talk(gateway.port, octets, {
      count: Math.max(expected, 1),
      quietMs: expected === 0 ? QUIET_MS : 10_000,
      methods,
    })
    expect(upstream.faults).toEqual([])
    return {
      answers: readAnswers(got.octets, { closed: got.closed, methods }).messages.map(statusCode),
      forwarded: upstream.requests.length,
    }
  }
})

function expectedOf(vector: Vector): Outcome {
  const divergence = DIVERGENCES[nameOf(vector)]
  if (divergence !== undefined) return divergence[0]
  const code = vector.error?.code
  const read = vector.mode === 'request' || vector.mode === 'request-finish'
  if (!read || (code !== undefined && code !== PAUSED && code !== AFTER_CLOSE)) return REFUSED
  return { answers: Array.from({ length: vector.messages_complete }, () => 200), forwarded: vector.messages_complete }
}

function nameOf(vector: Vector): string {
  return vector.id.replace('llhttp/request/', '')
}

function octetsOf(vector: Vector): string {
  return Buffer.from(vector.raw_b64, 'base64').toString('latin1')
}

/** Most vectors have no Host, which is refused before anything else would be: each request line gets one. */
function withHost(octets: string): string {
  if (/^host:/im.test(octets)) return octets
  return octets.replace(/( (?:HTTP|RTSP|ICE)\/\d\.\d\r\n)/g, '$1Host: a\r\n')
}

function refused(reason: string, names: readonly string[]): Record<string, readonly [Outcome, string]> {
  return as(REFUSED, reason, names)
}

function as(outcome: Outcome, reason: string, names: readonly string[]): Record<string, readonly [Outcome, string]> {
  return Object.fromEntries(names.map((name) => [name, [outcome, reason] as const]))
}
