/** Other tenants while the gateway runs: their keys are there before they are in force. */
import { expect, test } from 'vitest'
import { configured, createWorld, MASTER_KEY, memoryStore, tenant } from './world.ts'

test('are prepared beside those in force, and take their place at once', async () => {
  const store = memoryStore()
  const tenants = await createWorld().open(store, configured(tenant('acme'), tenant('beta')), [MASTER_KEY])
  const [acme, beta] = [tenants.jwks('acme'), tenants.jwks('beta')]
  const told: string[] = []
  tenants.onKeysChanged((id) => void told.push(id))
  const refresh = tenants.mintRefreshToken('beta', 'a'.repeat(32), 0)
  const enter = await tenants.prepare(configured(tenant('acme'), tenant('young', 'EdDSA')))
  expect(store.sets.has('tenant:young')).toBe(true)
  expect(() => tenants.jwks('young')).toThrow(expect.objectContaining({ kind: 'tenant_not_found' }))
  expect(tenants.jwks('beta')).toBe(beta)
  enter()
  expect(tenants.jwks('acme')).toBe(acme)
  expect(tenants.publicKeys('young')).toMatchObject([{ alg: 'EdDSA' }])
  expect(tenants.readRefreshToken('young', tenants.mintRefreshToken('young', 'b'.repeat(32), 1))).toMatchObject({ generation: 1 })
  expect(() => tenants.jwks('beta')).toThrow(expect.objectContaining({ kind: 'tenant_not_found' }))
  expect(() => tenants.readRefreshToken('beta', refresh)).toThrow(expect.objectContaining({ kind: 'tenant_not_found' }))
  await expect(tenants.sign('beta', {}, 'at+jwt')).rejects.toMatchObject({ kind: 'tenant_not_found' })
  const back = await tenants.prepare(configured(tenant('acme'), tenant('beta')))
  back()
  expect(tenants.jwks('beta')).toBe(beta)
  expect(tenants.readRefreshToken('beta', refresh)).toMatchObject({ sid: 'a'.repeat(32) })
  expect(told).toEqual([])
})

test('whose keys cannot be made leave those in force as they are', async () => {
  const store = memoryStore()
  const tenants = await createWorld().open(store, configured(tenant('acme')), [MASTER_KEY])
  const before = tenants.jwks('acme')
  store.down = true
  await expect(tenants.prepare(configured(tenant('acme'), tenant('young')))).rejects.toThrow('the store is down')
  expect(tenants.jwks('acme')).toBe(before)
  await expect(tenants.sign('acme', {}, 'at+jwt')).resolves.toMatch(/^ey/)
})
