/** Rate limits that several gateways hold together, and what becomes of them while Redis is away. */
import { afterEach, describe, expect, it } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, startRedisCluster, type RedisClusterServers, type RedisServer } from '../support/redis.ts'
import { until } from '../support/until.ts'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function redisServer(): Promise<RedisServer> {
  const redis = await startRedis()
  opened.push(() => redis.stop())
  return redis
}

async function proxyOf(redis: RedisServer): Promise<FaultProxy> {
  const proxy = await startFaultProxy(redis.port)
  opened.push(() => proxy.close())
  return proxy
}

async function gateways(count: number, place: unknown, limits: string, timeout = '2s'): Promise<readonly TestGateway[]> {
  const yaml = `
storage: { sessions: ${JSON.stringify(place)}, directory: ./data }
masterKey: { env: MASTER_KEY }
rateLimits: { timeout: ${timeout} }
routes:${SERVICE_ROUTES}
  - { name: open, match: { path: /open }, auth: public, service: echo, rateLimit: ${limits} }
`
  const started = await Promise.all(
    Array.from({ length: count }, () => startGateway(yaml, { environment: { MASTER_KEY: 'ab'.repeat(32) } })),
  )
  for (const gateway of started) opened.push(() => gateway.close())
  return started
}

/** So many requests, so many at once, to one gateway after the other: how many had which status. */
async function volley(fleet: readonly TestGateway[], requests: number, atOnce: number): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  let number = 0
  const caller = async (): Promise<void> => {
    while (number < requests) {
      const gateway = fleet[number % fleet.length]
      number += 1
      const response = await fetch(`${gateway?.url}/open`)
      await response.arrayBuffer()
      statuses[response.status] = (statuses[response.status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, caller))
  return statuses
}

async function metric(gateway: TestGateway | undefined, line: RegExp): Promise<number> {
  const text = await (await fetch(`${gateway?.adminUrl}/metrics`)).text()
  return Number(line.exec(text)?.[1] ?? 0)
}

const SHARED = /^gatehouse_rate_limit_checks_total\{counted="shared"\} (\d+)/m
const STATE = /^gatehouse_breaker_state\{dependency="rate_limits"\} (\d)/m

describe('three gateways on one Redis', () => {
  it('let exactly as many in as the limit says, of a thousand at once', async () => {
    const redis = await redisServer()
    const fleet = await gateways(3, redis.url, '{ requests: 100, per: 1d, by: ip }')
    expect(await volley(fleet, 1_000, 1_000)).toEqual({ 200: 100, 429: 900 })
    const keys = await redis.admin.keys('limit:*')
    expect(keys).toEqual(['limit:{0}:open:ip:ip:127.0.0.1'])
    expect(await redis.admin.pttl(keys[0] ?? '')).toBeGreaterThan(86_000_000)
    for (const gateway of fleet) expect(await metric(gateway, STATE)).toBe(0)
  })

  it('hold several limits at once, and take nothing for what one of them refuses', async () => {
    const redis = await redisServer()
    const limits = '[{ requests: 30, per: 1d, by: ip }, { requests: 40, per: 30d, by: tenant }]'
    const fleet = await gateways(3, redis.url, limits)
    expect(await volley(fleet, 300, 60)).toEqual({ 200: 30, 429: 270 })
    await redis.admin.del('limit:{0}:open:ip:ip:127.0.0.1')
    // What each gateway noted of the one that is gone counts on: it knows that it owed.
    const fresh = await gateways(1, redis.url, limits)
    expect(await volley(fresh, 100, 20)).toEqual({ 200: 10, 429: 90 })
  })
})

describe('three gateways on a cluster', () => {
  it('let exactly as many in as each limit says', async () => {
    const cluster: RedisClusterServers = await startRedisCluster()
    opened.push(() => cluster.stop())
    const limits = '[{ requests: 100, per: 1d, by: ip }, { requests: 90, per: 30d, by: tenant }]'
    const fleet = await gateways(3, { cluster: cluster.urls }, limits)
    expect(await volley(fleet, 1_000, 300)).toEqual({ 200: 90, 429: 910 })
  })
})

describe('while Redis is away', () => {
  const HOUR = '{ requests: 20, per: 1h, by: ip }'

  it('each gateway counts by itself, and together they do again when it is back', async () => {
    const redis = await redisServer()
    const fleet = await gateways(2, redis.url, HOUR, '100ms')
    const [one, other] = fleet
    expect(await volley(fleet, 4, 1)).toEqual({ 200: 4 })
    await redis.kill()
    // From what was known: each has noted two to four of the four.
    const alone = await volley(one === undefined ? [] : [one], 60, 10)
    expect(alone['200']).toBeGreaterThanOrEqual(16)
    expect(alone['200']).toBeLessThanOrEqual(18)
    expect(await metric(one, STATE)).toBe(2)
    expect((await volley(other === undefined ? [] : [other], 60, 10))['200']).toBeLessThanOrEqual(18)
    expect(one?.lines().map(({ msg }) => msg)).toContain(
      'rate limits are counted by this process alone: the common counts do not answer',
    )
    await redis.restart()
    await redis.admin.flushall()
    await until(async () => (await metric(one, STATE)) === 0, 'the counts of the fleet are not asked again')
    const before = await metric(one, SHARED)
    // What it noted holds on: who was let in while Redis was away has used it.
    expect(await volley(one === undefined ? [] : [one], 5, 1)).toEqual({ 429: 5 })
    const [fresh] = await gateways(1, redis.url, HOUR, '2s')
    expect(await volley(fresh === undefined ? [] : [fresh], 30, 10)).toEqual({ 200: 20, 429: 10 })
    expect(await metric(one, SHARED)).toBe(before)
  })

  it('a Redis that says nothing costs a request its timeout, and those after it nothing', async () => {
    const redis = await redisServer()
    const proxy = await proxyOf(redis)
    const fleet = await gateways(1, `redis://127.0.0.1:${proxy.port}`, '{ requests: 100000, per: 1s, by: ip }', '100ms')
    expect(await volley(fleet, 20, 4)).toEqual({ 200: 20 })
    // Under load, the connections stay and nothing is answered any more.
    const load = volley(fleet, 600, 8)
    proxy.disturb({ kind: 'hole' })
    expect(await load).toEqual({ 200: 600 })
    await until(async () => (await metric(fleet[0], STATE)) === 2, 'the silent Redis was not given up')
    const before = await metric(fleet[0], SHARED)
    expect(await volley(fleet, 200, 8)).toEqual({ 200: 200 })
    expect(await metric(fleet[0], SHARED)).toBe(before)
    proxy.disturb({ kind: 'none' })
    await until(async () => (await metric(fleet[0], STATE)) === 0, 'the counts of the fleet are not asked again')
    expect(await volley(fleet, 50, 4)).toEqual({ 200: 50 })
    expect(await metric(fleet[0], SHARED)).toBeGreaterThan(before)
  })

  it('a Redis that is full is as good as away, until it has room', async () => {
    const redis = await redisServer()
    const fleet = await gateways(1, redis.url, HOUR)
    expect(await volley(fleet, 4, 1)).toEqual({ 200: 4 })
    await redis.admin.config('SET', 'maxmemory', '1')
    expect(await volley(fleet, 30, 3)).toEqual({ 200: 16, 429: 14 })
    expect(await metric(fleet[0], STATE)).toBe(2)
    const alone = (): number => fleet[0]?.lines().filter(({ msg }) => String(msg).includes('this process alone')).length ?? 0
    // Three looks later it is still given up, and was said once.
    await new Promise((resolve) => setTimeout(resolve, 900))
    expect([await metric(fleet[0], STATE), alone()]).toEqual([2, 1])
    await redis.admin.config('SET', 'maxmemory', '0')
    await until(async () => (await metric(fleet[0], STATE)) === 0, 'the counts of the fleet are not asked again')
  })
})
