/**
 * A handshake that fails leaves a trace: a number by its reason, and a line of the log for the first of each.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../support/authority.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const METRIC = 'gatehouse_tls_handshake_failures_total'
const PROXY_HEADER = Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')
/** The first octets of one. */
const CLIENT_HELLO = Buffer.from('160301020001', 'hex')

const run = promisify(execFile)

let gateway: TestGateway

beforeAll(async () => {
  const { certificate, key } = createAuthority().server(['gateway.test'])
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    tls: { certificate: one.pem, key: one-key.pem }
    timeouts: { headers: 1s }
    trustedProxies: [127.0.0.2/32]
    proxyProtocol: true
  admin: { address: 127.0.0.1:0 }
routes: [{ name: echo, match: { path: /* }, auth: public, service: echo }]
`,
    { files: { 'one.pem': certificate, 'one-key.pem': key } },
  )
})
afterAll(() => gateway.close())

/** Count by reason; reasons without any are left out. */
async function failures(): Promise<Record<string, number>> {
  const text = await fetch(`${gateway.adminUrl}/metrics`).then((response) => response.text())
  return Object.fromEntries(
    [...text.matchAll(new RegExp(`^${METRIC}\\{reason="([a-z_]+)"\\} (\\d+)$`, 'gm'))].map(([, reason, count]) => [
      String(reason),
      Number(count),
    ]),
  )
}

async function raw(send: (socket: Socket) => void, from = '127.0.0.1'): Promise<void> {
  const socket = connectTcp({ port: gateway.port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  send(socket)
  socket.resume()
  await closed
}

async function shake(options: ConnectionOptions): Promise<void> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => undefined)
  socket.on('secureConnect', () => socket.destroy())
  await new Promise((resolve) => socket.once('close', resolve))
}

/** Runs what fails and returns how many more failures there are then, once there is one. */
async function added(fail: () => Promise<void>): Promise<Record<string, number>> {
  const before = await failures()
  await fail()
  let more: Record<string, number> = {}
  await until(async () => {
    const after = await failures()
    more = Object.fromEntries(
      Object.entries(after).flatMap(([reason, count]) => {
        const by = count - (before[reason] ?? 0)
        return by === 0 ? [] : [[reason, by]]
      }),
    )
    return Object.keys(more).length > 0
  }, 'no failure is counted')
  return more
}

describe('a handshake that fails is counted as', () => {
  it.each<[string, string, () => Promise<void>]>([
    ['not_tls', 'plain http comes', () => raw((socket) => socket.write('GET / HTTP/1.1\r\n\r\n'))],
    ['not_tls', 'octets come that are nothing', () => raw((socket) => socket.write(Buffer.alloc(64, 0xff)))],
    ['not_tls', 'somebody who is not trusted sends a PROXY header', () => raw((socket) => socket.write(PROXY_HEADER))],
    [
      'version',
      'the client speaks TLS 1.1',
      () => shake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
    ],
    ['cipher', 'the client wants no forward secrecy', () => shake({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' })],
    ['alpn', 'the client wants another protocol', () => shake({ ALPNProtocols: ['spdy/3'] })],
    [
      'closed',
      'the client ends in between',
      () => raw((socket) => socket.end(Buffer.concat([PROXY_HEADER, CLIENT_HELLO])), '127.0.0.2'),
    ],
    ['timeout', 'it does not end', () => raw((socket) => socket.write(CLIENT_HELLO))],
    ['timeout', 'it does not begin', () => raw(() => undefined)],
  ])('%s where %s', async (reason, _, fail) => {
    expect(await added(fail)).toEqual({ [reason]: 1 })
  })

  it('certificate where the client does not trust it', async () => {
    const distrust = async (): Promise<void> => {
      await expect(run('curl', ['-sS', `https://127.0.0.1:${gateway.port}/`])).rejects.toThrow('certificate')
    }
    expect(await added(distrust)).toEqual({ certificate: 1 })
  })

  it('nothing where it never begins, behind a load balancer or not', async () => {
    const before = await failures()
    await raw((socket) => socket.end())
    await raw((socket) => socket.resetAndDestroy())
    await raw((socket) => socket.end(PROXY_HEADER), '127.0.0.2')
    // Those before it would have been counted before it.
    expect(await added(() => raw((socket) => socket.write('GET / HTTP/1.1\r\n\r\n')))).toEqual({ not_tls: 1 })
    expect(await failures()).toEqual({ ...before, not_tls: (before['not_tls'] ?? 0) + 1 })
  })

  it('one line of the log for each reason, with the client and nothing of what it sent', async () => {
    await until(() => gateway.lines().some(({ reason }) => reason === 'certificate'))
    const lines = gateway.lines().filter(({ msg }) => msg === 'TLS handshakes fail')
    const said = lines.map(({ level, msg, reason, failures: count, client }) => ({ level, msg, reason, failures: count, client }))
    const line = (reason: string, client = '127.0.0.1') => ({
      level: 'warn',
      msg: 'TLS handshakes fail',
      reason,
      failures: 1,
      client,
    })
    expect(new Set(said)).toEqual(
      new Set([
        line('not_tls'),
        line('version'),
        line('cipher'),
        line('alpn'),
        line('closed', '192.0.2.1'),
        line('timeout'),
        line('certificate'),
      ]),
    )
    expect(said).toHaveLength(7)
  })
})

it('a flood of them is counted one by one, and costs the log no line more', async () => {
  const before = (await failures())['not_tls'] ?? 0
  const lines = (): number => gateway.lines().filter(({ msg }) => msg === 'TLS handshakes fail').length
  const linesBefore = lines()
  await Promise.all(Array.from({ length: 200 }, () => raw((socket) => socket.write('GET / HTTP/1.1\r\n\r\n'))))
  await until(async () => (await failures())['not_tls'] === before + 200, 'not all of them are counted')
  expect(lines()).toBe(linesBefore)
})
