/** Redis that is gone, and comes back with all, with less, or with nothing of what it held. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { suffer, SUFFER_LIMIT_MS, type Fault } from './break.ts'
import { recordRows } from './matrix.ts'
import type { Rig } from './rig.ts'

const LAG_MS = 2_000

/** Another server takes the place of the one that is gone. */
function replace(rig: Rig, server: RedisServer): void {
  rig.redis = server
  for (const { proxy } of rig.members) {
    proxy.lead(server.port)
    proxy.cut()
  }
}

/** A replica that hears nothing more some time before its master is lost: it lacks what was answered since. */
function lostToReplica(): Fault {
  let link: FaultProxy
  let replica: RedisServer
  return {
    name: 'master lost, a replica that lags takes its place',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Afterwards nobody logs in again, and what was revoked stays revoked',
    isTotal: true,
    isTold: true,
    async prepare(rig) {
      replica = await startRedis()
      rig.servers.add(replica)
      link = await startFaultProxy(rig.redis.port)
      await replica.admin.replicaof('127.0.0.1', link.port)
      await expect.poll(() => rig.redis.admin.info('replication'), { timeout: 15_000 }).toMatch(/state=online/)
    },
    async begin({ redis }) {
      link.disturb({ kind: 'hole' })
      await pause(LAG_MS)
      await redis.kill()
    },
    async end(rig) {
      await link.close()
      await replica.admin.replicaof('NO', 'ONE')
      replace(rig, replica)
    },
  }
}

const FAULTS: readonly Fault[] = [
  {
    name: 'Redis killed, started again with its append-only file',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Logins and refreshes 503',
    isTotal: true,
    isTold: true,
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.restart(),
  },
  {
    name: 'Redis killed, an empty one in its place',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Afterwards everyone logs in again when the access token is over. What was revoked stays revoked',
    isTotal: true,
    isTold: true,
    losesSessions: true,
    begin: ({ redis }) => redis.kill(),
    async end(rig) {
      const empty = await startRedis()
      rig.servers.add(empty)
      replace(rig, empty)
    },
  },
  lostToReplica(),
  {
    name: 'a gateway started again while Redis is away',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Logins and refreshes 503. The gateway starts, and refuses what it knew to be revoked',
    isTotal: true,
    // Its copy on the disk is written every 2 s.
    forgetsMs: 2_000,
    async begin(rig) {
      let lostMs = 0
      await rig.restart(0, async () => {
        lostMs = performance.now()
        await rig.redis.kill()
      })
      return lostMs
    },
    end: ({ redis }) => redis.restart(),
  },
]

it.each(FAULTS)(
  '$name',
  async (fault) => {
    const row = await suffer(fault)
    recordRows('redis', [row])
    expect(row).toMatchObject({ wrongAccepts: 0, goodFailed: 0 })
  },
  SUFFER_LIMIT_MS,
)
