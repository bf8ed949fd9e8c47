/** Since when a tenant is there, and since when it is as it is: over changes of the file, restarts and storages. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nowMs, WORLD } from '../../src/world.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const SOON = { timeout: 10_000, interval: 20 }
const DAY = 86_400
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describe.each(['embedded', 'redis'])('on %s', (storage) => {
  it('is told of each tenant with its name, and outlives both gateways and files', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-tenants-'))
    let days = 0
    const shifted = () => nowMs() + days * DAY * 1000
    const world = { ...WORLD, nowMs: shifted, nowSeconds: () => Math.floor(shifted() / 1000) }
    const place = storage === 'redis' ? redis.url : 'embedded'
    const file = (acme: string) => `storage: { sessions: "${place}", directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { acme: { signing: ES256${acme} }, default: { signing: ES256 } }
routes:${SERVICE_ROUTES}
`
    const open = (acme: string) => startGateway(file(acme), { directory, world, environment: { MASTER_KEY } })
    let gateway = await open('')
    try {
      const begun = await tenant(gateway)
      expect(begun).toMatchObject({ id: 'acme', name: 'acme', updated_at: begun.created_at })
      expect(Math.abs(begun.created_at - Date.now() / 1000)).toBeLessThan(60)
      days = 1
      await gateway.reload(file(', name: Acme Ltd'))
      await expect.poll(() => daysOf(gateway, begun), SOON).toEqual({ name: 'Acme Ltd', created: 0, updated: 1 })
      days = 2
      await gateway.close()
      gateway = await open(', name: Acme Ltd')
      expect(await daysOf(gateway, begun)).toEqual({ name: 'Acme Ltd', created: 0, updated: 1 })
      await gateway.close()
      gateway = await open(', name: Acme Ltd, registration: closed')
      await expect.poll(() => daysOf(gateway, begun), SOON).toEqual({ name: 'Acme Ltd', created: 0, updated: 2 })
    } finally {
      await gateway.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

interface Shown {
  readonly id: string
  readonly name: string
  readonly created_at: number
  readonly updated_at: number
}

async function tenant({ adminUrl }: TestGateway): Promise<Shown> {
  const response = await fetch(`${adminUrl}/tenants/acme`)
  expect(response.status).toBe(200)
  return (await response.json()) as Shown
}

/** Days since it was there first. */
async function daysOf(gateway: TestGateway, begun: Shown) {
  const { name, created_at: created, updated_at: updated } = await tenant(gateway)
  const since = (seconds: number): number => Math.floor((seconds - begun.created_at) / DAY)
  return { name, created: since(created), updated: since(updated) }
}
