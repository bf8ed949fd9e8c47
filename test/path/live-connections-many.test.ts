/** Two thousand open sockets of twenty users: who is revoked loses theirs, and nobody else notices. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { basic } from '../support/clients.ts'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import { handshake } from '../support/websocket.ts'

const USERS = 20
const SOCKETS_EACH = 100
const AT_ONCE = 50
const SECRET = 'the secret of a backend'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: x\r\n\r\n'

interface Opened {
  readonly user: number
  readonly socket: Socket
  /** Octets that came behind the answer to the handshake. */
  last: Buffer
  closed: boolean
}

let upstream: Server
const behind = new Set<Socket>()
let gateway: TestGateway
const opened: Opened[] = []

beforeAll(async () => {
  upstream = createServer((socket) => {
    behind.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => behind.delete(socket))
    socket.once('data', () => {
      socket.write(SWITCH)
      // A frame that ends it is answered by ending.
      socket.on('data', () => socket.end())
    })
  })
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', 1024, resolve)
  })
  gateway = await startGateway(
    `tenants: { default: { signing: ES256 } }
clients: { backend: { tenant: default, secret: { env: SECRET }, scopes: [sessions:write] } }
upstreams: { bare: { targets: ["http://127.0.0.1:${(upstream.address() as AddressInfo).port}"] } }
routes:
  - { name: live, match: { path: /live/* }, auth: required, upstream: bare, websocket: true }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }${SERVICE_ROUTES}`,
    { environment: { SECRET } },
  )
})
afterAll(async () => {
  for (const { socket } of opened) socket.destroy()
  await gateway.close()
  for (const socket of behind) socket.destroy()
  upstream.close()
})

const asBackend = { authorization: basic('backend', SECRET) }

async function tokenOf(user: number): Promise<string> {
  const body = { tenant_id: 'default', user_id: `user-${user}`, scope: '' }
  const answer = await postJson(`${gateway.url}/sessions`, body, asBackend)
  expect(answer.status).toBe(201)
  return ((await answer.json()) as Tokens).access_token
}

function openOne(user: number, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: gateway.port, host: '127.0.0.1' })
    const one: Opened = { user, socket, last: Buffer.alloc(0), closed: false }
    let head = ''
    socket.on('error', reject)
    socket.on('close', () => (one.closed = true))
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      if (head.includes('\r\n\r\n')) {
        one.last = Buffer.concat([one.last, chunk])
        return
      }
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      opened.push(one)
      if (head.startsWith('HTTP/1.1 101')) resolve()
      else reject(new Error(head.slice(0, 100)))
    })
    socket.write(handshake('/live/x', `Authorization: Bearer ${token}`), 'latin1')
  })
}

async function held(): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_live_connections (\d+)/m.exec(text)?.[1])
}

test('exactly the sockets of the user who is revoked are closed, each with 1008', async () => {
  const tokens: string[] = []
  for (let user = 0; user < USERS; user += 1) tokens.push(await tokenOf(user))
  const wanted = Array.from({ length: USERS * SOCKETS_EACH }, (_, index) => index % USERS)
  for (let at = 0; at < wanted.length; at += AT_ONCE) {
    await Promise.all(wanted.slice(at, at + AT_ONCE).map((user) => openOne(user, tokens[user] ?? '')))
  }
  expect(await held()).toBe(USERS * SOCKETS_EACH)
  const answer = await postJson(
    `${gateway.url}/sessions/revoke-all`,
    { tenant_id: 'default', user_id: 'user-7', reason: 'a test' },
    asBackend,
  )
  expect([answer.status, await answer.json()]).toEqual([200, { revoked_count: 1 }])
  await expect.poll(() => opened.filter(({ closed }) => closed).length, { timeout: 10_000 }).toBe(SOCKETS_EACH)
  expect(opened.filter(({ user, closed }) => (user === 7) !== closed)).toEqual([])
  const codes = new Set(opened.filter(({ closed }) => closed).map(({ last }) => last.toString('hex')))
  expect([...codes]).toEqual(['880203f0'])
  await expect.poll(held).toBe((USERS - 1) * SOCKETS_EACH)
  // Nothing more comes after that.
  expect(opened.filter(({ closed }) => closed).length).toBe(SOCKETS_EACH)
  expect(opened.filter(({ user, last }) => user !== 7 && last.length > 0)).toEqual([])
}, 60_000)
