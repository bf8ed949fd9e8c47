/** What a rate limit costs in Redis: memory for each caller, and time of the script. `node bench/micro/rate-limits-redis.ts` */
import { openRedis } from '../../src/storage/redis/redis.ts'
import { endOfTurn, schedule } from '../../src/world.ts'
import { startRedis } from '../../test/support/redis.ts'

const CALLERS = 131_072
const AT_ONCE = 512
/** A minute for each: nothing comes back meanwhile. */
const LIMIT = { intervalUs: 60_000_000, spanUs: 6_000_000_000 }

const redis = await startRedis()
const needs = {
  nowSeconds: () => Math.floor(Date.now() / 1000),
  nowMs: () => performance.now(),
  random: Math.random,
  schedule,
  endOfTurn,
}
const { counts, close } = await openRedis(needs, { kind: 'redis', url: redis.url })

async function number(section: string, pattern: RegExp): Promise<number> {
  return Number(pattern.exec(await redis.admin.info(section))?.[1])
}

async function measure(name: string, callerOf: (number: number) => string): Promise<void> {
  await redis.admin.flushall()
  await redis.admin.config('RESETSTAT')
  const before = await number('memory', /used_memory:(\d+)/)
  const startedMs = performance.now()
  for (let first = 0; first < CALLERS; first += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, (_, at) => ({
      route: 'orders',
      policy: name,
      caller: callerOf(first + at),
      ...LIMIT,
    }))
    await Promise.all(some.map((charge) => counts.take(0, [charge])))
  }
  const seconds = (performance.now() - startedMs) / 1000
  const octets = ((await number('memory', /used_memory:(\d+)/)) - before) / CALLERS
  const us = await number('commandstats', /evalsha:.*usec_per_call=([\d.]+)/)
  process.stdout.write(
    `by ${name}: ${octets.toFixed(0)} octets a caller, ${us} µs a call in Redis, ${Math.round(CALLERS / seconds)} calls a second\n`,
  )
}

await measure('ip', (at) => `ip:10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
await measure('user', (at) => `user:acme:usr_${at.toString(16).padStart(32, '0')}`)
await measure('token', (at) => `token:gateway:acme:${at}`)
close()
await redis.stop()
