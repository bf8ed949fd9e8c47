import { expect, test } from 'vitest'
import { createTenantRecords } from '../../../src/tenants/tenants.ts'
import type { TenantStore } from '../../../src/tenants/tenants.ts'
import { configured, DAY, MINUTE, START, tenant } from './world.ts'

type Row = Awaited<ReturnType<TenantStore['load']>>

/** Gateways on one store, on a clock that stands still until it is moved. `turn` lets all that is under way come to its end. */
function world() {
  const rows = new Map<string, Row>()
  const state = { now: START, isDown: false, saves: 0, oldestKey: START }
  const timers = new Set<() => void>()
  const store: TenantStore = {
    async load(id) {
      if (state.isDown) throw new Error('the store is down')
      return rows.get(id)
    },
    async save(id, record) {
      if (state.isDown) throw new Error('the store is down')
      state.saves += 1
      rows.set(id, record)
    },
  }
  const gateway = () =>
    createTenantRecords({
      store,
      keys: {
        list: async () => [
          { kid: 'k2', alg: 'ES256', state: 'current', createdAt: state.now, since: state.now },
          { kid: 'k1', alg: 'ES256', state: 'retired', createdAt: state.oldestKey, since: state.now },
        ],
      },
      nowSeconds: () => state.now,
      schedule(_delayMs, run) {
        timers.add(run)
        return () => void timers.delete(run)
      },
    })
  return { rows, state, gateway, timers, turn }

  async function turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a tenant is there since a gateway first had it, and as it is since its configuration changed last', async () => {
  const { state, gateway, turn } = world()
  const records = gateway()
  records.use(configured(tenant('acme')))
  await turn()
  expect(await records.times('acme')).toEqual({ createdAt: START, updatedAt: START })
  state.now += DAY
  records.use(configured(tenant('acme', 'ES256', { name: 'Acme Ltd' })))
  await turn()
  expect(await records.times('acme')).toEqual({ createdAt: START, updatedAt: START + DAY })
})

test('the same configuration changes nothing: not at a restart, not on another gateway, not in another order', async () => {
  const { state, gateway, turn } = world()
  const first = tenant('acme', 'ES256', { countries: { allow: new Set(['PT', 'NO']), deny: new Set() } })
  gateway().use(configured(first))
  await turn()
  state.now += DAY
  const other = gateway()
  const { id, hosts, countries, ...rest } = first
  other.use(configured({ ...rest, ...(countries && { countries }), hosts, id }))
  await turn()
  expect(await other.times('acme')).toEqual({ createdAt: START, updatedAt: START })
  expect(state.saves).toBe(1)
})

test('a change in a set is a change', async () => {
  const { state, gateway, turn } = world()
  const records = gateway()
  records.use(configured(tenant('acme', 'ES256', { countries: { allow: new Set(['PT']), deny: new Set() } })))
  await turn()
  state.now += MINUTE
  records.use(configured(tenant('acme', 'ES256', { countries: { allow: new Set(['NO']), deny: new Set() } })))
  await turn()
  expect(await records.times('acme')).toEqual({ createdAt: START, updatedAt: START + MINUTE })
})

test('of a storage of before, a tenant is as old as its oldest key', async () => {
  const { state, gateway, turn } = world()
  state.oldestKey = START - 400 * DAY
  const records = gateway()
  records.use(configured(tenant('acme')))
  await turn()
  expect(await records.times('acme')).toEqual({ createdAt: START - 400 * DAY, updatedAt: START - 400 * DAY })
})

test('what the store lost is put back when somebody asks', async () => {
  const { rows, state, gateway, turn } = world()
  const records = gateway()
  records.use(configured(tenant('acme')))
  await turn()
  state.now += DAY
  rows.clear()
  expect(await records.times('acme')).toEqual({ createdAt: START, updatedAt: START })
  expect(rows.get('acme')).toMatchObject({ createdAt: START, updatedAt: START })
})

test('while the store is away nothing waits or fails, and it is noted later', async () => {
  const { rows, state, gateway, timers, turn } = world()
  state.isDown = true
  const records = gateway()
  records.use(configured(tenant('acme'), tenant('beta')))
  await turn()
  expect([rows.size, timers.size]).toEqual([0, 1])
  await expect(records.times('acme')).rejects.toThrow('the store is down')
  state.isDown = false
  for (const run of timers) run()
  await turn()
  expect([...rows.keys()]).toEqual(['acme', 'beta'])
})

test('nothing is tried again once it is stopped', async () => {
  const { state, gateway, timers, turn } = world()
  state.isDown = true
  const records = gateway()
  records.use(configured(tenant('acme')))
  await turn()
  records.stop()
  expect(timers.size).toBe(0)
})

test('a tenant that goes and comes back is the same', async () => {
  const { state, gateway, turn } = world()
  const records = gateway()
  records.use(configured(tenant('acme'), tenant('beta')))
  await turn()
  state.now += DAY
  records.use(configured(tenant('beta')))
  await turn()
  records.use(configured(tenant('acme'), tenant('beta')))
  await turn()
  expect(await records.times('acme')).toEqual({ createdAt: START, updatedAt: START })
})
