/** What the storage is asked while tokens are validated: nothing about them. */
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { RedisServer } from '../support/redis.ts'
import { postJson } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { callApi, createSession, startFleet, type Fleet, type Pair } from './fleet.ts'

const REQUESTS = 200
/** What gateways read by themselves, whatever comes: the feed, the stored keys and tenants, and whether replicas follow. */
const BY_ITSELF =
  /^(revocations:(live:)?\{0\}|tenant:[a-z]+:(record|keys:(private|public))|gateway:keys:(private|public)|storage:.*)$/

let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.close()
  fleet = undefined
})

/** Words of the commands that Redis gets while `act` goes on, as `MONITOR` tells them: a line each, its words in quotes. */
async function heard(redis: RedisServer, act: () => Promise<void>): Promise<readonly string[]> {
  const socket = connect(redis.port, '127.0.0.1')
  let told = ''
  socket.on('data', (chunk: Buffer) => {
    told += chunk.toString('latin1')
  })
  socket.write('MONITOR\r\n')
  await until(() => told.startsWith('+OK'))
  await act()
  await redis.admin.echo('the end')
  await until(() => told.includes('"the end"'))
  socket.destroy()
  return [...told.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word = '']) => word)
}

async function useAll({ access_token: token, refresh_token: other }: Pair): Promise<void> {
  if (fleet === undefined) return
  for (let count = 0; count < REQUESTS; count += 1) expect(await callApi(fleet.at(0), token)).toBe('200')
  for (let count = 0; count < REQUESTS; count += 1) {
    const response = await postJson(`${fleet.at(0).url}/sessions/validate`, { access_token: count % 2 === 0 ? token : other })
    expect(await response.json()).toMatchObject({ valid: count % 2 === 0 })
  }
}

it('of 400 requests Redis hears nothing: it is asked for the feed and the keys alone, as when there is nothing to do', async () => {
  fleet = await startFleet('redis', 1)
  const { redis } = fleet
  if (redis === undefined) throw new Error('the fleet has no Redis')
  const pair = await createSession(fleet.at(0), 'acme', 'u1')
  const commands = await heard(redis, () => useAll(pair))
  const keys = commands.filter((word) => word.includes(':'))
  expect(keys.filter((key) => !BY_ITSELF.test(key))).toEqual([])
  expect(keys).toContain('revocations:{0}')
}, 60_000)
