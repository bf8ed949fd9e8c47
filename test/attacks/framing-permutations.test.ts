/**
 * The spellings of Transfer-Encoding and Content-Length of HTTP Request Smuggler: each request is refused, or reaches an upstream
 * that reads strictly as exactly one request with one framing field.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { readAnswers, statusCode, valuesOf } from '../support/strict-http.ts'
import { readVectors } from '../support/vectors.ts'
import { openWire, strictUpstream, talk, type StrictUpstream } from '../support/wire.ts'

interface Vector {
  readonly id: string
  readonly header_line_b64: string
}

/** Rows that are not run, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'hrs/h2/*': 'fields of HTTP/2: see http2-fields.test.ts',
}
/** Rows that are forwarded, because they say one thing to every reader. All others are refused. */
const FORWARDED: Readonly<Record<string, string>> = {
  'hrs/TE/underjoin1': 'Transfer_Encoding is dropped',
  'hrs/TE/contentEnc': 'Content-Encoding is no framing',
  'hrs/TE/encode': 'Transfer-%45ncoding is no framing',
  'hrs/CL/vanilla': 'the plain form',
  'hrs/CL/underjoin1': 'Content_Length is dropped: a request without a body, and garbage behind it',
  'hrs/CL/valueprefix1': 'whitespace around a value means nothing',
  'hrs/CL/nospace1': 'whitespace around a value means nothing',
  'hrs/CL/multiCase': 'case means nothing',
  'hrs/CL/UPPERCASE': 'case means nothing',
  'hrs/CL/CL-expect': 'the expectation is answered here',
  'hrs/CL/connection': 'framing is not taken away by Connection',
  'hrs/CL/spacefix1:9': 'whitespace around a value means nothing',
  'hrs/CL/prefix1:9': 'whitespace around a value means nothing',
  'hrs/CL/suffix1:9': 'whitespace around a value means nothing',
  'hrs/CL/tabsuffix': 'whitespace around a value means nothing',
}

const { data, missing } = readVectors('http1/portswigger_hrs_permutations.json')
const file = (data ?? { vectors: [], h2: [], count: 0 }) as { vectors: readonly Vector[]; h2: readonly unknown[]; count: number }
/** The body that a reader of chunks ends early and a reader of lengths does not, and the other way round. */
const BODIES = { 'TE.CL': '0\r\n\r\nX', 'CL.TE': '1\r\nZ\r\n0\r\n\r\n' } as const
const LENGTHS = { 'TE.CL': 6, 'CL.TE': 4 } as const

describe.skipIf(missing !== undefined)(missing ?? 'permutations of the framing fields', () => {
  let upstream: StrictUpstream
  let gateway: TestGateway
  const forwarded = new Set<string>()

  beforeAll(async () => {
    upstream = await strictUpstream()
    gateway = await openWire(upstream.port)
  })
  afterAll(async () => {
    await gateway.close()
    await upstream.close()
  })

  test('every row is here', () => {
    expect({ run: file.vectors.length, notRun: file.h2.length, reasons: Object.keys(NOT_RUN) }).toEqual({
      run: 135,
      notRun: file.count - 135,
      reasons: ['hrs/h2/*'],
    })
  })

  test.each(file.vectors.map((vector) => [vector.id, vector] as const))('%s', async (id, vector) => {
    const line = Buffer.from(vector.header_line_b64, 'base64').toString('latin1')
    for (const octets of requestsWith(id, line)) {
      upstream.clear()
      const got = await talk(gateway.port, octets, { quietMs: 10_000 })
      const statuses = readAnswers(got.octets, { closed: got.closed }).messages.map(statusCode)
      const framing = upstream.requests.map(({ fields }) => [
        ...valuesOf(fields, 'content-length'),
        ...valuesOf(fields, 'transfer-encoding'),
      ])
      expect({ faults: upstream.faults, rests: upstream.rests() }).toEqual({ faults: [], rests: [] })
      if (statuses.includes(200)) {
        forwarded.add(id)
        expect({ requests: upstream.requests.length, framing: framing.map((all) => all.length) }).toEqual({
          requests: 1,
          framing: [1],
        })
      } else {
        expect({
          refused: statuses.length === 1 && (statuses[0] === 400 || statuses[0] === 417),
          requests: upstream.requests.length,
        }).toEqual({
          refused: true,
          requests: 0,
        })
      }
    }
  })

  test('what is forwarded says one thing to every reader', () => {
    expect([...forwarded].toSorted()).toEqual(Object.keys(FORWARDED).toSorted())
  })
})

function requestsWith(id: string, line: string): string[] {
  if (id.startsWith('hrs/CL/')) return [`POST /x HTTP/1.1\r\n${line}\r\nHost: gateway.test\r\n\r\nabcdefg`]
  return (['TE.CL', 'CL.TE'] as const).map(
    (kind) => `POST /x HTTP/1.1\r\n${line}\r\nHost: gateway.test\r\nContent-Length: ${LENGTHS[kind]}\r\n\r\n${BODIES[kind]}`,
  )
}
