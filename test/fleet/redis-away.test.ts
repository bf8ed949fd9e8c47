/** A gateway that starts while Redis is away goes by the copies on its own disk, and gives a Redis that lost it all back what it knows. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { basic } from '../support/clients.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const SECRET = 'the secret of a backend'
const ENVIRONMENT = { SECRET, MASTER_KEY: 'ab'.repeat(32) }

let redis: RedisServer
let directories: string[]
let gateways: TestGateway[]

beforeEach(async () => {
  // What is started again is empty.
  redis = await startRedis(['--appendonly', 'no'])
  directories = []
  gateways = []
})

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()))
  await redis.stop()
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-away-'))
  directories.push(directory)
  return directory
}

async function start(directory: string): Promise<TestGateway> {
  const gateway = await startGateway(
    `
storage: { sessions: ${JSON.stringify(redis.url)}, directory: ./data }
masterKey: { env: MASTER_KEY }
revocation: { maxStaleness: 1s }
tenants:
  acme: { signing: ES256 }
clients:
  acme: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: strict, match: { path: /strict/* }, auth: required, service: echo }
  - { name: lenient, match: { path: /lenient/* }, auth: required, revocation: { whenStale: allow }, service: echo }
`,
    { environment: ENVIRONMENT, directory },
  )
  gateways.push(gateway)
  return gateway
}

async function stop(gateway: TestGateway): Promise<void> {
  gateways = gateways.filter((other) => other !== gateway)
  await gateway.close()
}

async function session(gateway: TestGateway, user: string): Promise<Tokens> {
  const authorization = basic('acme', SECRET)
  const created = await postJson(`${gateway.url}/sessions`, { tenant_id: 'acme', user_id: user, scope: '' }, { authorization })
  expect(created.status).toBe(201)
  return (await created.json()) as Tokens
}

async function call(gateway: TestGateway, path: 'strict' | 'lenient', { access_token }: Tokens): Promise<string> {
  const response = await fetch(`${gateway.url}/${path}/x`, { headers: bearer(access_token) })
  const body = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${body.error}`
}

async function readiness(
  gateway: TestGateway,
): Promise<{ readonly status: string; readonly revocation_staleness_seconds: number }> {
  return (await (await fetch(`${gateway.adminUrl}/readyz`)).json()) as {
    readonly status: string
    readonly revocation_staleness_seconds: number
  }
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`after 30 s not yet: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

it('enforces what it knew while Redis is away, and puts it back into a Redis that has lost it', async () => {
  const directory = newDirectory()
  const first = await start(directory)
  const [good, ended] = [await session(first, 'good'), await session(first, 'ended')]
  expect((await postJson(`${first.url}/sessions/revoke`, { token: ended.refresh_token })).status).toBe(200)
  await stop(first)
  for (const name of ['revocations.copy', 'keys.copy']) {
    const text = readFileSync(join(directory, 'data', name), 'latin1')
    for (const token of [ended.access_token, ended.refresh_token, good.refresh_token]) {
      expect(text).not.toContain(token)
      expect(text).not.toContain(token.split('.')[2] ?? token)
    }
    expect(statSync(join(directory, 'data', name)).mode & 0o777).toBe(0o600)
  }
  await redis.kill()
  const stoppedMs = Date.now()

  const alone = await start(directory)
  expect(alone.log()).toMatch(
    /"msg":"the revocations of the last run are enforced from their copy on the disk","age_seconds":\d+/,
  )
  expect(await call(alone, 'lenient', ended)).toBe('401 token_revoked')
  expect(await call(alone, 'lenient', good)).toBe('200')
  await until('the copy is stale', async () => (await readiness(alone)).status === 'degraded')
  expect(await call(alone, 'strict', good)).toBe('503 revocation_unavailable')
  expect(await call(alone, 'strict', ended)).toBe('401 token_revoked')
  const agedSeconds = (await readiness(alone)).revocation_staleness_seconds
  expect(agedSeconds * 1000).toBeGreaterThanOrEqual(Date.now() - stoppedMs - 1000)
  expect((await (await fetch(`${alone.url}/health`)).json()) as object).toMatchObject({ status: 'degraded', redis: 'down' })

  await redis.restart()
  await until('the gateway is fresh', async () => (await readiness(alone)).status === 'ready')
  expect(await call(alone, 'strict', good)).toBe('200')
  await until('the revocation is back', async () => /gatehouse_revocation_restored_total [1-9]/.test(await metricsOf(alone)))
  await until('the keys are back', async () => (await redis.admin.exists('tenant:acme:keys:private')) === 1)
  const fresh = await start(newDirectory())
  expect(await call(fresh, 'lenient', ended)).toBe('401 token_revoked')
  expect(await call(fresh, 'strict', good)).toBe('200')
})

it('starts as old as the copy is, also when that is past every bound', async () => {
  const directory = newDirectory()
  const first = await start(directory)
  const good = await session(first, 'good')
  await stop(first)
  await redis.kill()
  // The second copy, written where it left off, says the same.
  await stop(await start(directory))
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const again = await start(directory)
  expect((await readiness(again)).revocation_staleness_seconds).toBeGreaterThan(1)
  expect(await call(again, 'strict', good)).toBe('503 revocation_unavailable')
  await redis.restart()
})

it('does not start without Redis when a copy is missing or damaged, and says so', async () => {
  await stop(await start(newDirectory()))
  const directory = directories[0] ?? ''
  const file = join(directory, 'data', 'revocations.copy')
  const whole = readFileSync(file)
  whole[whole.length - 3] = (whole[whole.length - 3] ?? 0) ^ 1
  writeFileSync(file, whole)
  const damaged = await start(directory)
  await until('it is told', async () => damaged.log().includes('cannot be used and is left aside'))
  await stop(damaged)
  writeFileSync(file, whole)
  await redis.kill()
  await expect(start(directory)).rejects.toMatchObject({ kind: 'storage_unavailable' })
  await expect(start(newDirectory())).rejects.toMatchObject({ kind: 'storage_unavailable' })
  await redis.restart()
}, 60_000)

async function metricsOf(gateway: TestGateway): Promise<string> {
  return (await fetch(`${gateway.adminUrl}/metrics`)).text()
}
