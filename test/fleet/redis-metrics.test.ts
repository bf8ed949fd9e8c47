/** What the metrics of a gateway say of its Redis. */
import { afterEach, expect, it, vi } from 'vitest'
import { startRedis, type RedisServer } from '../support/redis.ts'
import type { TestGateway } from '../support/gateway.ts'
import { createSession, startFleet, type Fleet } from './fleet.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function fleetOn(storage: 'redis' | 'embedded'): Promise<Fleet> {
  const fleet = await startFleet(storage, 1)
  open.push(fleet)
  return fleet
}

async function replicaOf(master: RedisServer): Promise<RedisServer> {
  const replica = await startRedis()
  open.push({ close: () => replica.stop() })
  await replica.admin.replicaof('127.0.0.1', master.port)
  await vi.waitFor(async () => expect(await master.admin.info('replication')).toMatch(/state=online/), 20_000)
  return replica
}

/** Values of the series without labels. */
async function metrics({ adminUrl }: TestGateway): Promise<Record<string, number>> {
  const body = await (await fetch(`${adminUrl}/metrics`)).text()
  const samples = [...body.matchAll(/^(gatehouse_redis_\w+) (\S+)$/gm)]
  return Object.fromEntries(samples.map(([, name, value]) => [name, Number(value)]))
}

it('counts the commands and how long they took', async () => {
  const fleet = await fleetOn('redis')
  const before = await metrics(fleet.at(0))
  await createSession(fleet.at(0), 'acme', 'u1')
  const after = await metrics(fleet.at(0))
  expect(after).toMatchObject({ gatehouse_redis_up: 1, gatehouse_redis_unreplicated_writes_total: 0 })
  expect(after['gatehouse_redis_duration_seconds_count']).toBeGreaterThan(before['gatehouse_redis_duration_seconds_count'] ?? 0)
  expect(after['gatehouse_redis_duration_seconds_sum']).toBeGreaterThan(before['gatehouse_redis_duration_seconds_sum'] ?? 0)
})

it('counts writes that no replica has in time', async () => {
  const master = await startRedis()
  open.push({ close: () => master.stop() })
  const replica = await replicaOf(master)
  const fleet = await startFleet('redis', 1, master)
  open.push(fleet)
  replica.pause()
  await createSession(fleet.at(0), 'acme', 'u1')
  expect((await metrics(fleet.at(0)))['gatehouse_redis_unreplicated_writes_total']).toBeGreaterThan(0)
  replica.resume()
})

it('shows a Redis that says nothing though nobody asks, and whoever asks then is refused at once', async () => {
  const fleet = await fleetOn('redis')
  const breaker = async (): Promise<string | undefined> => {
    const body = await (await fetch(`${fleet.at(0).adminUrl}/metrics`)).text()
    return /^gatehouse_breaker_state\{dependency="redis"\} (\d)$/m.exec(body)?.[1]
  }
  expect(await breaker()).toBe('0')
  fleet.redis?.pause()
  const whole = { timeout: 20_000, interval: 100 } as const
  await vi.waitFor(async () => {
    expect([await breaker(), (await metrics(fleet.at(0)))['gatehouse_redis_up']]).toEqual(['2', 0])
  }, whole)
  const startedMs = performance.now()
  await expect(createSession(fleet.at(0), 'acme', 'u1')).rejects.toThrow('503')
  expect(performance.now() - startedMs).toBeLessThan(1_800)
  fleet.redis?.resume()
  await vi.waitFor(() => createSession(fleet.at(0), 'acme', 'u1'), whole)
  expect([await breaker(), (await metrics(fleet.at(0)))['gatehouse_redis_up']]).toEqual(['0', 1])
}, 60_000)

it('has nothing to say on embedded storage', async () => {
  const fleet = await fleetOn('embedded')
  await createSession(fleet.at(0), 'acme', 'u1')
  expect(await metrics(fleet.at(0))).toEqual({
    gatehouse_redis_duration_seconds_count: 0,
    gatehouse_redis_duration_seconds_sum: 0,
    gatehouse_redis_unreplicated_writes_total: 0,
  })
})
