/**
 * The PROXY protocol: where clients are is said by trusted load balancers, before the first octet of TLS or HTTP, and by nobody else.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'
import { openTlsScene, type TlsScene } from '../support/http2.ts'
import { sendRaw } from '../support/raw.ts'

const V1 = 'PROXY TCP4 192.0.2.7 10.0.0.1 1234 443\r\n'
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2 = Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0, 15, 192, 0, 2, 9, 10, 0, 0, 1, 1, 2, 3, 4, 0x04, 0, 0])])
const LOCAL = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])])
const GET = 'GET /public/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n'
const LISTENER = '    proxyProtocol: true\n    timeouts: { headers: 1s }\n'

let plain: Scene
let secure: TlsScene
let elsewhere: Scene

beforeAll(async () => {
  plain = await openScene({ listener: `${LISTENER}    trustedProxies: [127.0.0.0/8, 192.0.2.50/32]` })
  secure = await openTlsScene({ listener: `${LISTENER}    trustedProxies: [127.0.0.0/8]` })
  elsewhere = await openScene({ listener: `${LISTENER}    trustedProxies: [10.0.0.0/8]` })
})
afterAll(async () => {
  await Promise.all([plain.close(), secure.close(), elsewhere.close()])
})
beforeEach(() => {
  for (const scene of [plain, secure, elsewhere]) scene.upstream.seen.length = 0
})

function chainOf(scene: Scene): readonly string[] {
  return valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-forwarded-for')
}

describe('behind a trusted load balancer', () => {
  it.each([
    ['version 1', Buffer.from(V1), '192.0.2.7'],
    ['version 2', V2, '192.0.2.9'],
    ['LOCAL', LOCAL, '127.0.0.1'],
    ['version 1 without an address', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    ['version 1 with IPv6', Buffer.from('PROXY TCP6 2001:db8::7 ::1 1 2\r\n'), '2001:db8::7'],
    ['version 1 with a mapped address', Buffer.from('PROXY TCP6 ::ffff:192.0.2.8 ::1 1 2\r\n'), '192.0.2.8'],
  ])('the client is where the header of %s says', async (_, header, client) => {
    const answer = await sendRaw(plain.port, Buffer.concat([header, Buffer.from(GET)]), 5000)
    expect([answer.slice(0, 12), chainOf(plain)]).toEqual(['HTTP/1.1 200', [client]])
  })

  it('the header may come in pieces, and the request with its last one', async () => {
    const socket = connectTcp({ port: plain.port, host: '127.0.0.1', noDelay: true })
    const received = collect(socket)
    for (const piece of ['PROXY TC', 'P4 192.0.2.7 10.0.0.1 ', '1234 443\r', `\n${GET.slice(0, 10)}`, GET.slice(10)]) {
      socket.write(piece)
      await pause(20)
    }
    expect([(await received).slice(0, 12), chainOf(plain)]).toEqual(['HTTP/1.1 200', ['192.0.2.7']])
  })

  it('it holds for every request of the connection', async () => {
    const keep = 'GET /public/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n'
    await sendRaw(plain.port, V1 + keep + GET, 5000)
    expect(plain.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'x-forwarded-for'))).toEqual([
      ['192.0.2.7'],
      ['192.0.2.7'],
    ])
  })

  it('a client that is named is not trusted because the load balancer is', async () => {
    await sendRaw(plain.port, V1 + GET.replace('Connection', 'X-Forwarded-For: 203.0.113.9\r\nConnection'), 5000)
    expect(chainOf(plain)).toEqual(['192.0.2.7'])
  })

  it('a proxy behind the load balancer that is trusted itself is believed', async () => {
    await sendRaw(
      plain.port,
      V1.replace('192.0.2.7', '192.0.2.50') + GET.replace('Connection', 'X-Forwarded-For: 203.0.113.9\r\nConnection'),
      5000,
    )
    expect(chainOf(plain)).toEqual(['203.0.113.9, 192.0.2.50'])
  })

  it.each([
    ['none', GET],
    ['one that is malformed', `PROXY TCP4 nowhere\r\n${GET}`],
    ['two', V1 + V1 + GET],
    ['one that is too long', `PROXY UNKNOWN ${'x'.repeat(200)}\r\n${GET}`],
  ])('%s is no header, and nothing is served', async (kind, octets) => {
    const answer = await sendRaw(plain.port, octets, 5000)
    expect([answer === '' || answer.startsWith('HTTP/1.1 400'), plain.upstream.seen]).toEqual([true, []])
    if (kind !== 'two') expect(answer).toBe('')
  })

  it('one that never ends is given up', async () => {
    const socket = connectTcp(plain.port, '127.0.0.1')
    const received = collect(socket)
    socket.write('PROXY TCP4 ')
    expect(await received).toBe('')
  })

  it('what cannot be read is logged with the address of the client', async () => {
    await sendRaw(plain.port, `${V1}NONSENSE\r\n\r\n`, 5000)
    await expect.poll(() => plain.gateway.log(), { timeout: 10_000 }).toContain('192.0.2.7')
  })
})

describe('with TLS', () => {
  it.each([
    ['http/1.1', V1, '192.0.2.7'],
    ['http/1.1', V2, '192.0.2.9'],
  ])('the header stands before the handshake: %s', async (protocol, header, client) => {
    const raw = connectTcp(secure.port, '127.0.0.1')
    raw.write(header)
    const socket = connectTls({ socket: raw, servername: 'gateway.test', rejectUnauthorized: false, ALPNProtocols: [protocol] })
    const received = collect(socket)
    socket.write(GET)
    expect([(await received).slice(0, 12), chainOf(secure)]).toEqual(['HTTP/1.1 200', [client]])
  })

  it('a handshake without it is refused', async () => {
    const socket = connectTls({ port: secure.port, host: '127.0.0.1', rejectUnauthorized: false })
    await expect(
      new Promise((resolve, reject) => {
        socket.on('secureConnect', resolve)
        socket.on('error', reject)
        socket.on('close', reject)
      }),
    ).rejects.toBeDefined()
  })
})

describe('a peer that is not trusted', () => {
  it('says nothing by such a header', async () => {
    const answer = await sendRaw(elsewhere.port, V1 + GET, 5000)
    expect([answer.slice(0, 12), elsewhere.upstream.seen]).toEqual(['HTTP/1.1 400', []])
  })

  it('is served as itself', async () => {
    await sendRaw(elsewhere.port, GET, 5000)
    expect(chainOf(elsewhere)).toEqual(['127.0.0.1'])
  })
})

function collect(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(received))
  })
}
