/** Connections by the thousand: they have a bound in all and for each client, and cost whoever opens them. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

let gateway: TestGateway
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await gateway.close()
})

async function open(listener: string, files: Readonly<Record<string, string>> = {}): Promise<void> {
  gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    ${listener}
  admin: { address: 127.0.0.1:0 }
routes: [{ name: health, match: { path: /health }, service: health }]`,
    { files },
  )
}

/** What comes back on a connection from an address of this machine: a status, or nothing at all. */
function ask(from: string, way: 'plain' | 'tls' = 'plain'): Promise<string> {
  return new Promise((resolve) => {
    const bare = connect({ port: gateway.port, host: '127.0.0.1', localAddress: from })
    sockets.push(bare)
    const socket = way === 'plain' ? bare : connectTls({ socket: bare, rejectUnauthorized: false })
    let received = ''
    bare.on('error', () => undefined)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      if (received.includes('\r\n\r\n')) resolve(received.slice(9, 12))
    })
    bare.on('close', () => resolve(received === '' ? 'closed' : received.slice(9, 12)))
    socket.write('GET /health HTTP/1.1\r\nHost: gateway.test\r\n\r\n')
  })
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(`${line} `))
      ?.slice(line.length + 1) ?? 0,
  )
}

const OF_CLIENT = 'gatehouse_connections_refused_total{limit="client"}'
const OF_ALL = 'gatehouse_connections_refused_total{limit="all"}'

describe('limits.connectionsPerClient', () => {
  test('closes what is over it unanswered, and leaves other clients alone', async () => {
    await open('limits: { connectionsPerClient: 2 }')
    const answers = [await ask('127.0.0.1'), await ask('127.0.0.1'), await ask('127.0.0.1'), await ask('127.0.0.2')]
    expect(answers).toEqual(['200', '200', 'closed', '200'])
    expect([await metric(OF_CLIENT), await metric(OF_ALL)]).toEqual([1, 0])
  })

  test('takes connections again when others of the client are gone', async () => {
    await open('limits: { connectionsPerClient: 1 }')
    expect([await ask('127.0.0.1'), await ask('127.0.0.1')]).toEqual(['200', 'closed'])
    for (const socket of sockets.splice(0)) socket.destroy()
    await until(async () => (await ask('127.0.0.1')) === '200')
    expect(await ask('127.0.0.2')).toBe('200')
  })

  test('is not for trusted proxies, which carry many clients', async () => {
    await open('trustedProxies: [127.0.0.1/32]\n    limits: { connectionsPerClient: 1 }')
    expect([await ask('127.0.0.1'), await ask('127.0.0.1'), await ask('127.0.0.1')]).toEqual(['200', '200', '200'])
    expect([await ask('127.0.0.2'), await ask('127.0.0.2')]).toEqual(['200', 'closed'])
  })

  test('holds before TLS, so that nobody pays for a handshake', async () => {
    const { certificate, key } = selfSigned('DNS:localhost')
    await open('limits: { connectionsPerClient: 1 }\n    tls: { certificate: cert.pem, key: key.pem }', {
      'cert.pem': certificate,
      'key.pem': key,
    })
    expect([await ask('127.0.0.1', 'tls'), await ask('127.0.0.1', 'tls'), await ask('127.0.0.2', 'tls')]).toEqual([
      '200',
      'closed',
      '200',
    ])
    expect(gateway.lines().filter((line) => line['level'] === 'error')).toEqual([])
  })
})

test('a thousand from one address do not keep out another one', async () => {
  await open('limits: { connections: 300, connectionsPerClient: 100 }')
  await Promise.all(Array.from({ length: 1000 }, () => ask('127.0.0.1')))
  expect(await ask('127.0.0.2')).toBe('200')
  expect((await metric(OF_CLIENT)) + (await metric(OF_ALL))).toBe(900)
  expect(await metric('gatehouse_connections')).toBeLessThan(110)
})

test('what is over limits.connections is counted', async () => {
  await open('limits: { connections: 2 }')
  expect([await ask('127.0.0.1'), await ask('127.0.0.1'), await ask('127.0.0.1')]).toEqual(['200', '200', 'closed'])
  expect([await metric(OF_CLIENT), await metric(OF_ALL)]).toEqual([0, 1])
})
