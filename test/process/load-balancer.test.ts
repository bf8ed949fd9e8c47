import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { basic } from '../support/clients.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import {
  freePort,
  startGatewayProcess,
  startProgram,
  temporaryFolder,
  waitFor,
  type GatewayProcess,
  type Program,
} from '../support/process.ts'

const SAMPLE = resolve(import.meta.dirname, '../../deploy/load-balancer/nginx.conf')
const SECRET = 'the secret of a backend that makes sessions'
const MASTER_KEY = randomBytes(32).toString('base64')
const CLIENTS = 4

let redis: RedisServer
let nginxPort: number
let nginx: Program
/** From an address of its own, so that it can be told from the balancer's. */
const agent = new Agent({ localAddress: '127.0.0.2', connect: { rejectUnauthorized: false } })
const members: { port: number; folder: string; gateway: GatewayProcess }[] = []

beforeAll(async () => {
  redis = await startRedis()
  nginxPort = await freePort()
  for (let number = 0; number < 2; number += 1) {
    const [port, folder] = [await freePort(), temporaryFolder()]
    members.push({ port, folder, gateway: await startMember(port, folder) })
  }
  await startBalancer()
}, 60_000)

afterAll(async () => {
  await agent.close()
  await nginx.end('SIGTERM')
  await redis.stop()
})

test('any gateway takes any request, and knows the client from what the balancer says', async () => {
  const token = await session()
  for (let call = 0; call < 30; call += 1) expect((await get('/api/x', token)).status).toBe(200)
  for (const { gateway } of members) await waitFor(() => requestsOf(gateway).length > 0)
  const { body } = await get('/api/x', token)
  expect(body).toMatchObject({ headers: expect.objectContaining({ 'x-forwarded-proto': 'https' }) })
  for (const { gateway } of members) for (const line of requestsOf(gateway)) expect(line).toMatchObject({ client: '127.0.0.2' })
})

test('gateways are restarted one after the other, and no request fails', async () => {
  const token = await session()
  const statuses: number[] = []
  const over = new AbortController()
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!over.signal.aborted) statuses.push((await get('/api/x', token)).status)
  })
  for (const member of members) {
    await member.gateway.end('SIGTERM')
    member.gateway = await startMember(member.port, member.folder)
  }
  const count = statuses.length
  await waitFor(() => statuses.length > count + 50)
  over.abort()
  await Promise.all(clients)
  expect(statuses.filter((status) => status !== 200)).toEqual([])
  expect(statuses.length).toBeGreaterThan(50)
}, 60_000)

function startMember(port: number, folder: string): Promise<GatewayProcess> {
  writeFileSync(join(folder, 'secret'), SECRET)
  writeFileSync(join(folder, 'master.key'), MASTER_KEY, { mode: 0o600 })
  return startGatewayProcess(
    `
masterKey: { file: ./master.key }
clients: { backend: { tenant: default, secret: { file: ./secret }, scopes: [sessions:write] } }
routes:
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    {
      port,
      folder,
      listener: `origin: 'https://localhost:${nginxPort}', trustedProxies: [127.0.0.1/32]`,
      storage: `\n  sessions: '${redis.url}'`,
    },
  )
}

async function startBalancer(): Promise<void> {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'temp'))
  const { certificate, key } = selfSigned('DNS:localhost')
  writeFileSync(join(folder, 'certificate.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), key)
  const [first, second] = members
  const sample = readFileSync(SAMPLE, 'utf8')
    .replace('listen 443 ssl', `listen 127.0.0.1:${nginxPort} ssl`)
    .replace('gateway-1:8080', `127.0.0.1:${first?.port}`)
    .replace('gateway-2:8080', `127.0.0.1:${second?.port}`)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp/${name};`).join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; user ${process.env['USER'] ?? 'root'};
     events {} http { access_log off; ${paths} ${sample} }`,
  )
  const environment = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  nginx = startProgram('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], { environment })
  const isThere = (): Promise<boolean> =>
    get('/api/x').then(
      ({ status }) => status === 401,
      () => false,
    )
  await waitFor(isThere, nginx)
}

async function session(): Promise<string> {
  const { body } = await request(`https://127.0.0.1:${nginxPort}/sessions`, {
    dispatcher: agent,
    method: 'POST',
    headers: { authorization: basic('backend', SECRET), 'content-type': 'application/json' },
    body: JSON.stringify({ tenant_id: 'default', user_id: 'u1', scope: 'orders:read' }),
  })
  const pair = (await body.json()) as { readonly access_token: string }
  return pair.access_token
}

async function get(path: string, token?: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const { statusCode, body } = await request(`https://127.0.0.1:${nginxPort}${path}`, {
    dispatcher: agent,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  return { status: statusCode, body: await body.json() }
}

function requestsOf(gateway: GatewayProcess): Record<string, unknown>[] {
  return gateway.lines().filter((line) => line['msg'] === 'request' && line['path'] === '/api/x' && line['status'] === 200)
}
