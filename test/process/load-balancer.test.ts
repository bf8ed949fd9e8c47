import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { basic } from '../support/clients.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { freePort } from '../support/ports.ts'
import {
  run,
  startGatewayProcess,
  startProgram,
  temporaryFolder,
  waitFor,
  type GatewayProcess,
  type Program,
} from '../support/process.ts'

const SAMPLES = resolve(import.meta.dirname, '../../deploy/load-balancer')
const SECRET = 'the secret of a backend that makes sessions'
const MASTER_KEY = randomBytes(32).toString('base64')
const CLIENTS = 4
const SEARCHED = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`

interface Answer {
  readonly status: number
  readonly body: unknown
}

let redis: RedisServer
/** From an address of its own, so that it can be told from the balancer's. */
const agent = new Agent({ localAddress: '127.0.0.2', connect: { rejectUnauthorized: false } })

interface Member {
  readonly port: number
  readonly adminPort: number
  readonly folder: string
  gateway: GatewayProcess
}

beforeAll(async () => {
  redis = await startRedis()
})

afterAll(async () => {
  await agent.close()
  await redis.stop()
})

describe.each([
  // It learns by a connection that is refused, and sends again what is safe to repeat.
  { kind: 'nginx', start: startNginx, timeouts: '', methods: ['GET'] },
  // It asks `/readyz`: for so long a gateway has to wait for it, and then nothing has to be sent again.
  { kind: 'HAProxy', start: startHaproxy, timeouts: ', timeouts: { drainDelay: 3s }', methods: ['GET', 'POST'] },
] as const)('behind $kind', ({ start, timeouts, methods }) => {
  let port: number
  let balancer: Program
  const members: Member[] = []

  beforeAll(async () => {
    port = await freePort()
    for (let number = 0; number < 2; number += 1) {
      const place = { port: await freePort(), adminPort: await freePort(), folder: temporaryFolder() }
      members.push({ ...place, gateway: await startMember(place, listener()) })
    }
    balancer = await start(port, members)
    const isThere = (): Promise<boolean> =>
      get(port, '/api/x').then(
        ({ status }) => status === 401,
        () => false,
      )
    await waitFor(isThere, balancer)
  }, 60_000)

  afterAll(async () => {
    await balancer.end('SIGTERM')
    await Promise.all(members.map(({ gateway }) => gateway.end('SIGKILL')))
  })

  const listener = (): string => `origin: 'https://localhost:${port}', trustedProxies: [127.0.0.1/32]${timeouts}`

  test('any gateway takes any request, and knows the client from what the balancer says', async () => {
    const token = await session(port)
    const haveAll = (): boolean => members.every(({ gateway }) => requestsOf(gateway).length > 0)
    await waitFor(async () => {
      expect((await get(port, '/api/x', token)).status).toBe(200)
      return haveAll()
    })
    const { body } = await get(port, '/api/x', token)
    expect(body).toMatchObject({ headers: expect.objectContaining({ 'x-forwarded-proto': 'https' }) })
    for (const { gateway } of members) for (const line of requestsOf(gateway)) expect(line).toMatchObject({ client: '127.0.0.2' })
  })

  test('gateways are restarted one after the other, and no request fails', async () => {
    const token = await session(port)
    const statuses: number[] = []
    const over = new AbortController()
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      while (!over.signal.aborted) statuses.push((await get(port, '/api/x', token, methods[client % methods.length])).status)
    })
    for (const member of members) {
      await member.gateway.end('SIGTERM')
      member.gateway = await startMember(member, listener())
      const { gateway } = member
      // The next one only when clients are sent to this one again.
      await waitFor(() => requestsOf(gateway).length > 0, gateway)
    }
    const count = statuses.length
    await waitFor(() => statuses.length > count + 50)
    over.abort()
    await Promise.all(clients)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(statuses.length).toBeGreaterThan(50)
  }, 90_000)
})

function startMember({ port, adminPort, folder }: Omit<Member, 'gateway'>, listener: string): Promise<GatewayProcess> {
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
    { port, adminPort, folder, listener, storage: `\n  sessions: '${redis.url}'` },
  )
}

async function startNginx(port: number, [first, second]: readonly Member[]): Promise<Program> {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'temp'))
  const { certificate, key } = selfSigned('DNS:localhost')
  writeFileSync(join(folder, 'certificate.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), key)
  const sample = readFileSync(join(SAMPLES, 'nginx.conf'), 'utf8')
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('gateway-1:8080', `127.0.0.1:${first?.port}`)
    .replace('gateway-2:8080', `127.0.0.1:${second?.port}`)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp/${name};`).join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; user ${process.env['USER'] ?? 'root'};
     events {} http { access_log off; ${paths} ${sample} }`,
  )
  return startProgram('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], {
    environment: { PATH: SEARCHED },
  })
}

async function startHaproxy(port: number, [first, second]: readonly Member[]): Promise<Program> {
  const folder = temporaryFolder()
  const { certificate, key } = selfSigned('DNS:localhost')
  writeFileSync(join(folder, 'site.pem'), `${certificate}${key}`)
  const sample = readFileSync(join(SAMPLES, 'haproxy.cfg'), 'utf8')
    .replace('bind :443', `bind 127.0.0.1:${port}`)
    .replace('/etc/haproxy/site.pem', join(folder, 'site.pem'))
    .replace('gateway-1:8080', `127.0.0.1:${first?.port} port ${first?.adminPort}`)
    .replace('gateway-2:8080', `127.0.0.1:${second?.port} port ${second?.adminPort}`)
  const file = join(folder, 'haproxy.cfg')
  writeFileSync(file, `global\n  maxconn 200\n${sample}`)
  const checked = await run('haproxy', ['-c', '-f', file], { environment: { PATH: SEARCHED } })
  expect({ code: checked.code, said: checked.stderr.split('\n').filter((line) => /ALERT|WARNING/.test(line)) }).toEqual({
    code: 0,
    said: [],
  })
  return startProgram('haproxy', ['-db', '-f', file], { environment: { PATH: SEARCHED } })
}

async function session(port: number): Promise<string> {
  const { body } = await request(`https://127.0.0.1:${port}/sessions`, {
    dispatcher: agent,
    method: 'POST',
    headers: { authorization: basic('backend', SECRET), 'content-type': 'application/json' },
    body: JSON.stringify({ tenant_id: 'default', user_id: 'u1', scope: 'orders:read' }),
  })
  const pair = (await body.json()) as { readonly access_token: string }
  return pair.access_token
}

async function get(port: number, path: string, token?: string, method: 'GET' | 'POST' = 'GET'): Promise<Answer> {
  const { statusCode, body } = await request(`https://127.0.0.1:${port}${path}`, {
    dispatcher: agent,
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  const text = await body.text()
  return { status: statusCode, body: text.startsWith('{') ? JSON.parse(text) : text }
}

function requestsOf(gateway: GatewayProcess): Record<string, unknown>[] {
  return gateway.lines().filter((line) => line['msg'] === 'request' && line['path'] === '/api/x' && line['status'] === 200)
}
