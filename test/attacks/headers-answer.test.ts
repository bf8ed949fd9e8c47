/**
 * What an upstream says to the gateway alone stays with the gateway.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { ask, readAnswer } from '../support/attack.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { rawUpstream, sendRaw, type RawUpstream } from '../support/raw.ts'

let gateway: TestGateway | undefined
let upstream: RawUpstream | undefined

afterEach(async () => {
  await gateway?.close()
  await upstream?.close()
})

async function behind(answer: string): Promise<number> {
  upstream = await rawUpstream(answer)
  gateway = await startGateway(`
upstreams: { raw: { targets: ["http://127.0.0.1:${upstream.port}"] } }
routes: [{ name: all, match: { path: /* }, auth: public, upstream: raw, websocket: true }]`)
  return gateway.port
}

const SECRET_FIELDS = 'X-Secret: 1\r\nX_Secret_Two: 2\r\nX-Shown: 3\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\n'

describe('hop-by-hop fields of an answer (CVE-2026-71849, commit 25b3eab6d)', () => {
  it.each([
    ['Connection: x-secret, x_secret_two'],
    ['connection: X-SECRET\r\nConnection: X_Secret_Two'],
    ['Connection: keep-alive, X-Secret , x_secret_two'],
  ])('%j: what it names goes no further', async (connection) => {
    const port = await behind(`HTTP/1.1 200 OK\r\n${connection}\r\n${SECRET_FIELDS}Content-Length: 2\r\n\r\nok`)
    const { status, headers } = await ask(port, { target: '/x' })
    const shown = ['x-secret', 'x_secret_two', 'x-shown', 'keep-alive', 'proxy-authenticate'].map((name) => headers.get(name))
    expect([status, shown]).toEqual([200, [undefined, undefined, ['3'], undefined, undefined]])
    expect(headers.get('connection')?.join(',') ?? '').not.toMatch(/secret/i)
  })

  it('goes no further on a 101 either', async () => {
    const port = await behind(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, x-secret, x_secret_two\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n${SECRET_FIELDS}\r\n`,
    )
    const handshake = [
      'GET /x HTTP/1.1',
      'Host: gateway.test',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    const { status, headers } = readAnswer(await sendRaw(port, `${handshake.join('\r\n')}\r\n\r\n`, 500))
    const shown = ['x-secret', 'x_secret_two', 'x-shown', 'upgrade'].map((name) => headers.get(name))
    expect([status, shown]).toEqual([101, [undefined, undefined, ['3'], ['websocket']]])
  })
})
