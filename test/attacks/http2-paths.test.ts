/**
 * CVE-2021-39206, CVE-2023-33189: what a path means does not depend on the version of HTTP. Every spelling of the table has the
 * answer that it has over HTTP/1.1, or its stream is reset.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CODES, openFrames, requestFields, type FrameClient } from '../support/http2-frames.ts'
import { openTlsScene, type TlsScene } from '../support/http2.ts'
import { NO_PASS, SPELLINGS_SCENE } from '../support/path-spellings.ts'

/** RFC 9113 §8.3.1: what does not begin with a slash is no path, and the library minds octets that no path has. */
const NO_PATH = /^[^/]|[\p{Cc} ]/u

let scene: TlsScene
let client: FrameClient
let stream = -1

beforeAll(async () => {
  scene = await openTlsScene(SPELLINGS_SCENE)
  client = await openFrames(scene.port)
})
afterAll(async () => {
  client.close()
  await scene.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
  stream += 2
})

describe('without a token', () => {
  it.each(NO_PASS)('%s: GET %s does not pass', async (_, target, [status, error]) => {
    client.head(stream, requestFields(target))
    const outcome = await client.over(stream)
    expect(scene.upstream.seen).toEqual([])
    if (NO_PATH.test(target)) {
      expect(outcome).toMatchObject({ status: 0, reset: CODES.protocol })
      return
    }
    const { error: said } = JSON.parse(outcome.body) as { readonly error: string }
    // Octets that the parser of HTTP/1.1 refuses come as far as the router here.
    expect([outcome.status, said]).toEqual([status, /[\x80-\xff]/.test(target) ? 'ambiguous_path' : error])
  })
})

describe('with a token, what was matched is what is forwarded', () => {
  it.each([
    ['CVE-2019-9901', '/public/../admin/x', '/admin/x'],
    ['CVE-2026-27587', '/%61dmin/X', '/admin/X'],
    ['CVE-2021-43557', '/./admin//x/', '/admin/x/'],
    ['GHSA-r9fw-vxmp-hwf2', '/admin/a%20b%C3%A4', '/admin/a%20b%C3%A4'],
  ])('%s: GET %s reaches the upstream as %s', async (_, target, forwarded) => {
    client.head(stream, requestFields(target, [['authorization', `Bearer ${scene.token()}`]]))
    const outcome = await client.over(stream)
    expect([outcome.status, scene.upstream.seen.map((seen) => seen.target)]).toEqual([200, [forwarded]])
  })
})

describe('requests without a path of their own', () => {
  it.each([
    ['CVE-2026-33186', 'Service/Method'],
    ['CVE-2026-33186', '*'],
    ['CVE-2026-33186', ''],
    ['CVE-2026-33186', 'https://gateway.test/admin'],
  ])('%s: :path %s is reset', async (_, path) => {
    client.head(stream, requestFields(path))
    expect([await client.over(stream), scene.upstream.seen]).toMatchObject([{ status: 0, reset: CODES.protocol }, []])
  })

  it('CVE-2026-50572: OPTIONS * is refused', async () => {
    client.head(stream, requestFields('*', [], 'OPTIONS'))
    expect([(await client.over(stream)).status, scene.upstream.seen]).toEqual([400, []])
  })

  it('CVE-2026-73547: CONNECT is refused, and the gateway lives', async () => {
    client.head(stream, [
      [':method', 'CONNECT'],
      [':authority', 'gateway.test:443'],
    ])
    expect((await client.over(stream)).status).toBe(405)
    stream += 2
    client.head(stream, requestFields('/public/alive'))
    expect((await client.over(stream)).status).toBe(200)
  })

  it('a WebSocket by extended CONNECT is reset: none is offered (RFC 8441)', async () => {
    client.head(stream, requestFields('/public/socket', [[':protocol', 'websocket']], 'CONNECT'))
    expect([await client.over(stream), scene.upstream.seen]).toMatchObject([{ status: 0, reset: CODES.protocol }, []])
  })
})
