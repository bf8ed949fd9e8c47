/**
 * Bodies and streams over HTTP/2: what is not whole is never passed on as whole, and no flood takes the gateway down.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { createAuthority } from '../support/authority.ts'
import {
  CODES,
  encodeFields,
  FLAGS,
  FRAMES,
  openFrames,
  requestFields,
  settingsOf,
  type FrameClient,
} from '../support/http2-frames.ts'
import { openHttp2 } from '../support/http2.ts'
import { valuesOf } from '../support/strict-http.ts'
import { until } from '../support/until.ts'
import { openWire, strictUpstream, type StrictUpstream } from '../support/wire.ts'

const INITIAL_WINDOW_SIZE = 4

let upstream: StrictUpstream
let gateway: TestGateway
const clients: FrameClient[] = []

beforeAll(async () => {
  upstream = await strictUpstream()
  const { certificate, key } = createAuthority().server(['gateway.test'])
  gateway = await openWire(upstream.port, {
    listener: [
      'tls: { certificate: cert.pem, key: key.pem }',
      'limits: { streams: 50 }',
      'timeouts: { headers: 3s, request: 3s }',
    ],
    files: { 'cert.pem': certificate, 'key.pem': key },
  })
})
afterAll(async () => {
  await gateway.close()
  await upstream.close()
})
beforeEach(() => upstream.clear())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  const alive = await openHttp2(gateway.port)
  // What a flood has held up is refused for a moment, and then no more.
  await until(async () => (await alive.ask({ path: '/alive' })).status === 200, 'the gateway does not answer any more')
  alive.close()
  await until(async () => /^gatehouse_requests_in_flight 0$/m.test(await scrape()), 'requests that are over are counted still')
})

function scrape(): Promise<string> {
  return fetch(`${gateway.adminUrl}/metrics`).then((response) => response.text())
}

async function open(...settings: readonly (readonly [number, number])[]): Promise<FrameClient> {
  const client = await openFrames(gateway.port, { settings })
  clients.push(client)
  return client
}

describe('a length and a body that do not agree', () => {
  it.each([
    ['CVE-2026-90678: a shorter body', '5', 'abc'],
    ['CVE-2026-90678: a longer body', '2', 'abc'],
    ['CVE-2026-90678: a much longer body', '0', 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('%s is no request', async (_, length, body) => {
    const client = await open()
    client.head(1, requestFields('/x', [['content-length', length]], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.endStream, 1, Buffer.from(body))
    await client.until(() => client.isClosed() || client.outcome(1).reset !== undefined)
    expect(client.outcome(1).status).not.toBe(200)
    expect({ requests: upstream.requests.length, faults: upstream.faults }).toEqual({ requests: 0, faults: [] })
  })

  it('CVE-2026-48743: a length without a body is reset', async () => {
    const client = await open()
    client.head(1, requestFields('/x', [['content-length', '5']], 'POST'))
    expect(await client.over(1)).toMatchObject({ status: 0, reset: CODES.protocol })
    expect(upstream.requests).toEqual([])
  })

  it.each(['010', '+7', '7, 7', '', '0x7', '-1'])('a length of «%s» is none', async (length) => {
    const client = await open()
    client.head(1, requestFields('/x', [['content-length', length]], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.endStream, 1, Buffer.from('1234567'))
    const { status } = await client.over(1)
    expect([0, 400]).toContain(status)
    expect(upstream.requests).toEqual([])
  })
})

describe('a request that is reset', () => {
  it.each(Object.entries(CODES))('with %s is never whole to the upstream', async (_, code) => {
    const client = await open()
    client.head(1, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.none, 1, Buffer.from('half'))
    await upstream.until(() => upstream.rests().length > 0)
    client.send(FRAMES.reset, FLAGS.none, 1, Buffer.from([0, 0, 0, code]))
    await until(() => upstream.connections() === 0 || upstream.rests().length === 0, 'the upstream still waits')
    expect({ requests: upstream.requests.length, faults: upstream.faults }).toEqual({ requests: 0, faults: [] })
  })

  it('because the connection ends, neither', async () => {
    const client = await open()
    client.head(1, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.none, 1, Buffer.from('half'))
    await upstream.until(() => upstream.rests().length > 0)
    client.close()
    await until(() => upstream.rests().length === 0, 'the upstream still waits')
    expect(upstream.requests).toEqual([])
  })
})

describe('a body within a body', () => {
  it('that looks like a request is a body', async () => {
    const client = await open()
    client.head(1, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
    client.send(FRAMES.data, FLAGS.endStream, 1, Buffer.from('0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n'))
    expect((await client.over(1)).status).toBe(200)
    expect(upstream.requests.map(({ start, fields }) => [start, valuesOf(fields, 'transfer-encoding')])).toEqual([
      ['POST /x HTTP/1.1', ['chunked']],
    ])
    expect(upstream.rests()).toEqual([])
  })
})

describe('floods', () => {
  it('CVE-2023-44487: streams that are reset at once end the connection', async () => {
    const client = await open()
    for (let stream = 1; stream < 4000 && !client.isClosed(); stream += 2) {
      client.head(stream, requestFields('/x'))
      client.send(FRAMES.reset, FLAGS.none, stream, Buffer.from([0, 0, 0, CODES.cancel]))
    }
    expect(await client.until(() => client.isClosed() || client.frames().some(({ type }) => type === FRAMES.goaway))).toBe(true)
  })

  it('CVE-2024-27983, CVE-2024-28182: head that never ends closes the connection', async () => {
    const client = await open()
    client.send(FRAMES.headers, FLAGS.none, 1, encodeFields(requestFields('/x')))
    const more = encodeFields(Array.from({ length: 10 }, (_, at) => [`h${at}`, 'x'] as const))
    for (let count = 0; count < 2000 && !client.isClosed(); count += 1) client.send(FRAMES.continuation, FLAGS.none, 1, more)
    expect(await client.until(() => client.isClosed())).toBe(true)
    expect(upstream.requests).toEqual([])
  })

  it('CVE-2019-9512, CVE-2019-9515: pings and settings whose answers nobody reads do not pile up', async () => {
    const client = await open()
    client.socket.pause()
    for (let count = 0; count < 20_000; count += 1) {
      client.send(FRAMES.ping, FLAGS.none, 0, Buffer.alloc(8))
      if (count % 10 === 0) client.send(FRAMES.settings, FLAGS.none, 0, settingsOf([[INITIAL_WINDOW_SIZE, 65_535]]))
    }
    client.socket.resume()
    await client.until(() => client.isClosed(), 3000)
  })

  it('CVE-2019-9518: empty frames do not go on for ever', async () => {
    const client = await open()
    client.head(1, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
    for (let count = 0; count < 5000; count += 1) client.send(FRAMES.data, FLAGS.none, 1)
    // The body takes too long, or the connection is closed: it does not stay as it is.
    await client.until(() => client.outcome(1).status === 408)
    expect(client.isClosed() || client.outcome(1).status === 408).toBe(true)
    expect(upstream.requests).toEqual([])
  })

  it('more streams than are allowed are refused, those that are allowed go on', async () => {
    const client = await open()
    for (let stream = 1; stream < 2 * 60; stream += 2) client.head(stream, requestFields('/x', [], 'POST'), FLAGS.endHeaders)
    await client.until(() => client.outcome(101).reset !== undefined)
    expect(client.outcome(101).reset).toBe(7)
    client.send(FRAMES.data, FLAGS.endStream, 1, Buffer.from('body'))
    expect((await client.over(1)).status).toBe(200)
  })

  it('CVE-2019-9511, CVE-2019-9517: an answer that nobody takes is reset in the end', async () => {
    const client = await open([INITIAL_WINDOW_SIZE, 0])
    client.head(1, requestFields('/x'))
    expect(await client.until(() => client.outcome(1).reset !== undefined)).toBe(true)
    expect(client.outcome(1)).toMatchObject({ status: 200, body: '', reset: CODES.internal })
  })
})
