/** Three gateways and an older authentication service on one Redis, also one whose Redis or connection is lost. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { channelCounts, hearing, LEGACY_SECRET, legacyToken, olderService, type OlderService } from '../support/legacy.ts'
import { waitFor } from '../support/process.ts'
import { startRedis, startRedisCluster, type RedisClusterServers, type RedisServer } from '../support/redis.ts'
import { callApi } from './fleet.ts'

const SECRETS = { JWT_SECRET: LEGACY_SECRET, MASTER_KEY: 'ab'.repeat(32) }

function start(sessions: string): Promise<TestGateway> {
  return startGateway(
    `storage: { sessions: ${sessions}, directory: ./data }
masterKey: { env: MASTER_KEY }
tenants: { default: { signing: ES256 } }
revocation: { legacyChannel: {} }
issuers:
  legacy: { issuer: authentication-service, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }], maxLifetime: 12h }
routes:
  - { name: login, match: { path: /auth/* }, service: accounts }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    { environment: SECRETS },
  )
}

async function everywhere(gateways: readonly TestGateway[], token: string): Promise<readonly string[]> {
  return Promise.all(gateways.map((gateway) => callApi(gateway, token)))
}

async function over(gateways: readonly TestGateway[], token: string): Promise<void> {
  await waitFor(async () => (await everywhere(gateways, token)).every((answer) => answer === '401 token_revoked'))
}

describe('three gateways and the older service', () => {
  let redis: RedisServer
  let older: OlderService
  let gateways: readonly TestGateway[]
  beforeAll(async () => {
    redis = await startRedis()
    older = await olderService(redis)
    gateways = await Promise.all(Array.from({ length: 3 }, () => start(`"${redis.url}"`)))
    await hearing(redis, 4)
  })
  afterAll(async () => {
    older.close()
    await Promise.all(gateways.map((gateway) => gateway.close()))
    await redis.stop()
  })

  it('all refuse what it ends, and the log holds it once', async () => {
    const token = legacyToken()
    expect(await everywhere(gateways, token)).toEqual(['200', '200', '200'])
    const entries = await redis.admin.zcard('revocations:live:{0}')
    await older.publish(token)
    await over(gateways, token)
    expect(await redis.admin.zcard('revocations:live:{0}')).toBe(entries + 1)
  })

  it('tell it once of what one of them ends', async () => {
    const token = legacyToken()
    const before = older.heard.length
    const [first] = gateways
    await fetch(`${first?.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
    await over(gateways, token)
    await waitFor(async () => {
      const counts = await Promise.all(gateways.map((gateway) => channelCounts(gateway.adminUrl)))
      return counts.every((one) => (one['in own'] ?? 0) > 0)
    })
    expect(older.heard.slice(before).map((message) => JSON.parse(message) as unknown)).toEqual([
      expect.objectContaining({ v: 1, typ: 'token', reason: 'logout' }),
    ])
  })

  it('need only one of them to have heard it', async () => {
    const token = legacyToken()
    // Two of the three miss the message: their listening connections are cut in the moment before.
    const list = String(await redis.admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
    const ids = list.split('\n').flatMap((line) => /^id=(\d+) .* name=gatehouse /.exec(line)?.[1] ?? [])
    expect(ids.length).toBe(3)
    const cut = ids.slice(0, 2).map((id) => ['CLIENT', 'KILL', 'ID', id])
    await redis.admin.multi([...cut.map(([, ...rest]) => ['client', ...rest]), ['publish', 'token_invalidation', token]]).exec()
    await over(gateways, token)
    await hearing(redis, 4)
  })

  it('hear it again when Redis was away', async () => {
    await redis.kill()
    await redis.restart()
    await hearing(redis, 4)
    const token = legacyToken()
    await older.publish(token)
    await over(gateways, token)
  })
})

describe('a gateway on a Redis Cluster', () => {
  let cluster: RedisClusterServers
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster.stop())

  it('hears the older service on any node, and tells it there', async () => {
    const gateway = await start(`{ cluster: ${JSON.stringify(cluster.urls)} }`)
    const [, , node] = cluster.nodes
    if (node === undefined) throw new Error('no node')
    const older = await olderService(node)
    try {
      await waitFor(() => gateway.log().includes('the legacy channel is heard'))
      const ended = legacyToken()
      await older.publish(ended)
      await over([gateway], ended)
      const token = legacyToken()
      await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
      const [message = ''] = await older.hears(1)
      expect(JSON.parse(message)).toMatchObject({ v: 1, typ: 'token', reason: 'logout' })
    } finally {
      older.close()
      await gateway.close()
    }
  })
})
