/** Proofs of clients that have keys, sent to gateways that share a storage. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { assertion, assertionClaims, assertionForm, createSigner, jwksFile } from '../support/clients.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const signer = createSigner('ES256', 'es')
const YAML = `
masterKey: { env: MASTER_KEY }
tenants: { acme: { signing: ES256 } }
clients: { reports: { tenant: acme, keys: { file: keys.json }, scopes: [reports:read] } }
routes:${SERVICE_ROUTES}
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
`

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function startTwo(redis?: RedisServer): Promise<readonly [TestGateway, TestGateway]> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-fleet-'))
  closers.push(() => rmSync(directory, { recursive: true, force: true }))
  const sessions = redis === undefined ? 'embedded' : JSON.stringify(redis.url)
  const start = async (): Promise<TestGateway> => {
    const gateway = await startGateway(`storage: { sessions: ${sessions}, directory: ./data }${YAML}`, {
      environment: { MASTER_KEY: 'ab'.repeat(32) },
      directory,
      files: { 'keys.json': jwksFile(signer) },
    })
    closers.push(() => gateway.close())
    return gateway
  }
  return [await start(), await start()]
}

async function redisServer(): Promise<RedisServer> {
  const redis = await startRedis()
  closers.push(() => redis.stop())
  return redis
}

function proof(): URLSearchParams {
  const text = assertion(signer, assertionClaims('reports', 'http://gateway.test/t/acme'))
  return assertionForm(text, { grant_type: 'client_credentials' })
}

async function ask(gateway: TestGateway, form: URLSearchParams): Promise<string> {
  const response = await fetch(`${gateway.url}/oauth/token`, { method: 'POST', body: form })
  const body: unknown = await response.json()
  const error = typeof body === 'object' && body !== null && 'error' in body ? ` ${String(body.error)}` : ''
  return `${response.status}${error}`
}

describe.each(['redis', 'embedded'] as const)('gateways on %s storage', (storage) => {
  it('take an assertion once, whichever it comes to', async () => {
    const [one, other] = await startTwo(storage === 'redis' ? await redisServer() : undefined)
    const form = proof()
    expect([await ask(one, form), await ask(other, form), await ask(one, form)]).toEqual([
      '200',
      '401 invalid_client',
      '401 invalid_client',
    ])
    const volley = proof()
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(index % 2 === 0 ? one : other, volley)))
    expect(answers.filter((answer) => answer === '200')).toHaveLength(1)
    expect(await ask(other, proof())).toBe('200')
  }, 30_000)
})

it('a gateway that cannot reach Redis takes no assertion', async () => {
  const redis = await redisServer()
  const [one] = await startTwo(redis)
  await redis.kill()
  expect(await ask(one, proof())).toBe('503 storage_unavailable')
  await redis.restart()
  await expect.poll(() => ask(one, proof()), { timeout: 15_000, interval: 50 }).toBe('200')
}, 30_000)
