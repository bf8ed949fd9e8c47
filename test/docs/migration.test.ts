/** docs/migration.md, phase by phase: its configurations run, in front of a service that checks tokens by itself. */
import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { bearer, postJson, startGateway, type TestGateway } from '../support/gateway.ts'
import { hearing, LEGACY_SECRET, legacyToken, olderService, type OlderService } from '../support/legacy.ts'
import { freePort } from '../support/ports.ts'
import { startProgram, temporaryFolder, waitFor } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { readPage } from './documents.ts'

const PASSWORD = 'a-password'
const LOGIN_SECRET = 'the secret of the login page'
const page = readPage('docs/migration.md')

let redis: RedisServer
let channel: OlderService
let service: Server
let serviceUrl: string
/** What the service was asked: path, user as the gateway says, whether a token came along, and its answer. */
let asked: { readonly path: string; readonly user: string | undefined; readonly token: boolean; readonly status: number }[] = []
let gateway: TestGateway | undefined

beforeAll(async () => {
  redis = await startRedis(['--requirepass', PASSWORD])
  channel = await olderService(redis)
  service = createServer((req, res) => {
    const token = req.headers.authorization?.replace(/^Bearer /, '')
    // Behind `full.yaml` the old check is removed; the tests say so by the path.
    const checks = !req.url?.startsWith('/orders/unchecked')
    const status = !checks || isGood(token) ? 200 : 401
    asked.push({ path: req.url ?? '', user: req.headers['x-user-id']?.toString(), token: token !== undefined, status })
    res.writeHead(status).end()
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  serviceUrl = `http://127.0.0.1:${(service.address() as AddressInfo).port}`
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  asked = []
})
afterAll(async () => {
  channel.close()
  service.close()
  service.closeAllConnections()
  await redis.stop()
})

/** The check that services had: the signature, the expiry, and what the channel said. */
function isGood(token: string | undefined): boolean {
  const [header, payload, signature] = token?.split('.') ?? []
  if (token === undefined || channel.heard.includes(token)) return false
  const wanted = createHmac('sha256', LEGACY_SECRET).update(`${header}.${payload}`).digest('base64url')
  if (signature !== wanted) return false
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as { readonly exp: number }
  return claims.exp > Date.now() / 1000
}

function block(info: string): string {
  const found = page.blocks.find((one) => one.info === info)
  if (found === undefined) throw new Error(`docs/migration.md has no block ${info}`)
  return found.text
}

/** A configuration of the page on ports of this machine, changed by `change`. */
async function start(name: string, change = (yaml: string): string => yaml): Promise<TestGateway> {
  const local = block(`yaml ${name}.yaml`)
    .replaceAll(/http:\/\/(?:orders|others):3000/g, serviceUrl)
    .replace('address: 0.0.0.0:8080', 'address: 127.0.0.1:0\n    origin: http://gateway.test')
    .replace('10.0.0.0/8', '127.0.0.0/8')
    .replace('\nstorage:', name === 'shadow' ? '\n  admin: { address: 127.0.0.1:0 }\nstorage:' : '\nstorage:')
  gateway = await startGateway(change(local), {
    environment: {
      JWT_SECRET: LEGACY_SECRET,
      REDIS_ADDR: `127.0.0.1:${redis.port}`,
      REDIS_PASSWORD: PASSWORD,
      GATEHOUSE_MASTER_KEY: 'ab'.repeat(32),
      LOGIN_SECRET,
    },
  })
  return gateway
}

async function ask(url: string, token?: string): Promise<number> {
  const response = await fetch(url, token === undefined ? {} : { headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

describe('phase 2, shadow', () => {
  it('compares what the old check and the gateway decide, and no user notices', async () => {
    const shadow = await start('shadow')
    await hearing(redis, 2)
    const folder = temporaryFolder()
    const port = await freePort()
    mkdirSync(join(folder, 'temp'))
    const server = block('nginx')
      .replace('listen 80', `listen 127.0.0.1:${port}`)
      .replace('http://orders:3000', serviceUrl)
      .replace('http://gateway:8080', shadow.url)
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp/${name};`).join(' ')
    const user = process.env['USER'] ?? 'root'
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; user ${user};
       events {} http { access_log off; ${paths} ${server} }`,
    )
    const environment = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
    const nginx = startProgram('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], { environment })
    const url = `http://127.0.0.1:${port}/orders/1`
    await waitFor(
      () =>
        ask(`http://127.0.0.1:${port}/elsewhere`).then(
          (status) => status > 0,
          () => false,
        ),
      nginx,
    )

    const now = Math.floor(Date.now() / 1000)
    const ended = legacyToken()
    // The service does not hear what this test says for another service: it misses this logout.
    await channel.publish(ended)
    await waitFor(async () => (await ask(`${shadow.url}/orders/x`, ended)) === 401)
    const tokens = [
      legacyToken(),
      legacyToken({}, 'x'.repeat(32)),
      undefined,
      ended,
      legacyToken({ iat: now, exp: now + 50_000 }),
    ]
    const statuses = []
    for (const token of tokens) statuses.push(await ask(url, token))
    expect(statuses).toEqual([200, 401, 401, 200, 200])
    expect(await postStatus(url, legacyToken())).toBe(200)
    const decided = (): number =>
      shadow.lines().filter((line) => line['msg'] === 'request' && line['path'] === '/orders/1').length
    await waitFor(() => decided() === 6)
    await nginx.end('SIGQUIT')

    writeFileSync(join(folder, 'gateway.log'), shadow.log())
    const differences = execFileSync('bash', ['-c', block('sh compare')], { cwd: folder, encoding: 'utf8' })
    const lines = differences
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(1).join(' '))
    expect(lines.toSorted()).toEqual(['taken refused invalid_token', 'taken refused token_revoked'])
    expect(readFileSync(join(folder, 'old.txt'), 'utf8').trim().split('\n').length).toBeGreaterThanOrEqual(6)
    // The copy of a request reaches no service.
    expect(asked.filter(({ path }) => path === '/orders/1').length).toBe(6)
  })
})

async function postStatus(url: string, token: string): Promise<number> {
  return (await postJson(url, { item: 'a book' }, bearer(token))).status
}

describe('phase 2, partial', () => {
  it('decides for one service, and passes everything on as it came', async () => {
    const { url } = await start('partial')
    const token = legacyToken({ sub: 'bob' })
    expect([await ask(`${url}/orders/1`, token), await ask(`${url}/orders/1`), await ask(`${url}/orders/1`, 'x.y.z')]).toEqual([
      200, 401, 401,
    ])
    expect([
      await ask(`${url}/invoices/1`, token),
      await ask(`${url}/invoices/1`),
      await ask(`${url}/invoices/1`, 'x.y.z'),
    ]).toEqual([200, 401, 401])
    expect(asked).toEqual([
      { path: '/orders/1', user: 'bob', token: true, status: 200 },
      { path: '/invoices/1', user: undefined, token: true, status: 200 },
      { path: '/invoices/1', user: undefined, token: false, status: 401 },
      { path: '/invoices/1', user: undefined, token: true, status: 401 },
    ])
  })

  it('ends a token everywhere, whoever is told first', async () => {
    const { url } = await start('partial')
    await hearing(redis, 2)
    const [here, there] = [legacyToken({ sub: 'a' }), legacyToken({ sub: 'b' })]
    await fetch(`${url}/auth/logout`, { method: 'POST', headers: bearer(here) })
    await waitFor(() => channel.heard.includes(here))
    expect([await ask(`${url}/orders/1`, here), await ask(`${url}/invoices/1`, here), await ask(`${serviceUrl}/`, here)]).toEqual(
      [401, 401, 401],
    )
    expect(asked.at(-1)?.status).toBe(401)
    await channel.publish(there)
    await waitFor(async () => (await ask(`${url}/orders/1`, there)) === 401)
  })

  it('is undone for a service by one word', async () => {
    const { url } = await start('partial', (yaml) => yaml.replace('auth: required\n    issuers: [legacy]', 'auth: public'))
    const now = Math.floor(Date.now() / 1000)
    // The gateway would refuse it: it lives too long. The old check decides again.
    expect(await ask(`${url}/orders/1`, legacyToken({ iat: now, exp: now + 50_000 }))).toBe(200)
    expect(await ask(`${url}/orders/1`)).toBe(401)
    expect(asked.map(({ user }) => user)).toEqual([undefined, undefined])
  })
})

describe('phase 3, full', () => {
  async function session(url: string, user: string): Promise<string> {
    const body = { tenant_id: 'default', user_id: user, scope: '' }
    const response = await postJson(
      `${url}/sessions`,
      { ...body, scope: 'orders' },
      { authorization: basic('login', LOGIN_SECRET) },
    )
    return ((await response.json()) as { readonly access_token: string }).access_token
  }

  it('decides alone, for old tokens and new ones of one user, and services get no token', async () => {
    const { url } = await start('full')
    const [old, ours] = [legacyToken({ sub: 'bob' }), await session(url, 'bob')]
    for (const token of [old, ours]) expect(await ask(`${url}/orders/unchecked`, token)).toBe(200)
    expect([await ask(`${url}/orders/unchecked`), await ask(`${url}/invoices/1`)]).toEqual([401, 401])
    expect(asked).toEqual([1, 2].map(() => ({ path: '/orders/unchecked', user: 'bob', token: false, status: 200 })))
    // One logout everywhere ends both.
    await fetch(`${url}/auth/logout-all`, { method: 'POST', headers: bearer(old) })
    expect([await ask(`${url}/orders/unchecked`, old), await ask(`${url}/orders/unchecked`, ours)]).toEqual([401, 401])
  })

  it('ends by the removal of the issuer and the channel: old tokens are refused, new ones are not', async () => {
    const { url, log } = await start('full', (yaml) =>
      yaml.replace(/^issuers:[^]*?(?=^revocation:)/m, 'issuers: {}\n').replace(/^revocation:\n.*\n/m, ''),
    )
    const refused = await fetch(`${url}/orders/unchecked`, { headers: bearer(legacyToken({ sub: 'bob' })) })
    expect([refused.status, await refused.json()]).toEqual([401, expect.objectContaining({ error: 'invalid_token' })])
    expect(await ask(`${url}/orders/unchecked`, await session(url, 'carol'))).toBe(200)
    expect(log()).not.toContain('legacy channel')
  })
})

describe('the channel in docs/migration.md', () => {
  it('has the form of the messages that are told', async () => {
    const { url } = await start('partial')
    await hearing(redis, 2)
    const before = channel.heard.length
    await fetch(`${url}/auth/logout`, { method: 'POST', headers: bearer(legacyToken({ sub: 'd' })) })
    const heard = (await channel.hears(before + 2)).slice(before)
    const documented = JSON.parse(block('json')) as Record<string, unknown>
    const told = JSON.parse(heard.find((message) => message.startsWith('{')) ?? '') as Record<string, unknown>
    expect(Object.entries(told).map(([name, value]) => [name, typeof value])).toEqual(
      Object.entries(documented).map(([name, value]) => [name, typeof value]),
    )
  })
})
