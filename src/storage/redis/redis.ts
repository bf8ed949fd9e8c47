/**
 * Storage in Redis 7 or newer, for gateways of more than one machine: sessions, signing keys and revocations, in one
 * server, a cluster, or behind sentinels.
 *
 * Each change of sessions is one script of one slot, so it happens whole or not at all, and an ending is in the feed of
 * revocations in the same step. Redis must keep what it is told: append-only file on, `maxmemory-policy noeviction`.
 * This room never caches, never decrypts a key set, never sends a command twice and never logs.
 *
 * @module
 */
import type { UsedTokens } from '../../replay/replay.ts'
import type { RevocationLog, RevocationLookup } from '../../revocation/revocation.ts'
import type { SessionStore } from '../../services/sessions/sessions.ts'
import type { RedisConfig } from './client.ts'
import { openConnection } from './connection.ts'
import type { Connection } from './connection.ts'
import { createFollower } from './follow.ts'
import { createKeyStore } from './key-store.ts'
import type { RedisKeyStore } from './key-store.ts'
import { BUCKETS_KEY, createLayout } from './layout.ts'
import { createReplication } from './replication.ts'
import type { ReplicationNeeds } from './replication.ts'
import { createRevocationLog } from './revocation-log.ts'
import { createSessionStore } from './session-store.ts'
import { createUsedTokens } from './used-tokens.ts'

export type { RedisConfig } from './client.ts'
export type { RedisKeyStore } from './key-store.ts'

export interface RedisNeeds extends ReplicationNeeds {
  /** Whole seconds since 1970. Scripts correct it to within 2 s of the server's. */
  nowSeconds(): number
}

/** All that Redis offers. Its methods reject with `storage_unavailable` while Redis is away, within 2 s for each command. */
export interface RedisStorage {
  readonly keys: RedisKeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  readonly used: UsedTokens
  /** Resolves when Redis answers. */
  ping(): Promise<void>
  close(): void
}

/**
 * Connects to Redis.
 *
 * @throws Problem `storage_unavailable` when it cannot be reached; Error when it is older than 7, or its sessions
 *   are laid out for another kind of Redis. Nothing is left open then.
 */
export async function openRedis(needs: RedisNeeds, config: RedisConfig): Promise<RedisStorage> {
  const layout = createLayout(config.kind === 'cluster')
  const connection = await openConnection(needs, config)
  try {
    await expectVersion(connection)
    await agreeOnBuckets(connection, layout.buckets)
  } catch (error) {
    connection.close()
    throw error
  }
  // Only the main connection is measured: on the others most of the time is waiting that was asked for.
  const { nowMs, random, schedule } = needs
  const open = (): Promise<Connection> => openConnection({ nowMs, random, schedule }, config)
  const replication = createReplication(needs, connection, layout, open)
  const follower = createFollower({ random, schedule, connection, layout, open })
  const nowSeconds = (): number => needs.nowSeconds()
  return {
    keys: createKeyStore(connection),
    sessions: createSessionStore({ connection, layout, replication, nowSeconds }),
    log: createRevocationLog({ connection, layout, nowSeconds, onAppend: follower.onAppend }),
    used: createUsedTokens({ connection, layout, replication }),
    ping: async () => void (await connection.send('PING')),
    close() {
      follower.close()
      replication.close()
      connection.close()
    },
  }
}

/** An older server would take the first line of every script for a fault. */
async function expectVersion(connection: Connection): Promise<void> {
  const info = await connection.send('INFO', 'server')
  const version = /^redis_version:(\d+)\S*/m.exec(typeof info === 'string' ? info : '')
  if (version !== null && Number(version[1]) < OLDEST) {
    throw new Error(`this Redis says ${version[0]}, and storage.sessions needs version ${OLDEST} or newer: upgrade it`)
  }
}

const OLDEST = 7

/** Tokens in use name a bucket: with another number of them, sessions would be sought where they are not. */
async function agreeOnBuckets(connection: Connection, buckets: number): Promise<void> {
  await connection.send('SET', BUCKETS_KEY, buckets, 'NX')
  const recorded = await connection.send('GET', BUCKETS_KEY)
  if (recorded === String(buckets)) return
  throw new Error(
    `the sessions in this Redis are laid out in ${String(recorded)} buckets, and storage.sessions wants ${buckets}: ` +
      'connect to it as before (cluster, or not), or to an empty one',
  )
}
