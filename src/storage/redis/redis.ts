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
import type { SharedCounts } from '../../quota/quota.ts'
import type { UsedTokens } from '../../replay/replay.ts'
import type { RevocationLog, RevocationLookup } from '../../revocation/revocation.ts'
import type { DeviceStore } from '../../services/accounts/accounts.ts'
import type { SessionStore } from '../../services/sessions/sessions.ts'
import type { NameCache } from '../../services/usernames/usernames.ts'
import type { TenantStore } from '../../tenants/tenants.ts'
import { placesOf } from './client.ts'
import type { RedisConfig } from './client.ts'
import { openConnection } from './connection.ts'
import type { Connection } from './connection.ts'
import { unusable } from './failures.ts'
import { checked } from './first-check.ts'
import { createDeviceStore } from './device-store.ts'
import { createFollower } from './follow.ts'
import { createGuard } from './guard.ts'
import type { GuardNeeds } from './guard.ts'
import { createKeyStore } from './key-store.ts'
import type { RedisKeyStore } from './key-store.ts'
import { BUCKETS_KEY, createLayout } from './layout.ts'
import type { Layout } from './layout.ts'
import { createNear } from './near.ts'
import type { Near } from './near.ts'
import { createRateCounts } from './rate-counts.ts'
import { createReplication } from './replication.ts'
import type { ReplicationNeeds } from './replication.ts'
import { createRevocationLog } from './revocation-log.ts'
import { createRevocationLookup } from './revocation-lookup.ts'
import { createSessionStore } from './session-store.ts'
import { createTenantStore } from './tenant-store.ts'
import { createUsedTokens } from './used-tokens.ts'
import { createUsernameCache } from './username-cache.ts'

export type { RedisConfig } from './client.ts'
export { openChannel } from './pub-sub.ts'
export type { RedisFacts } from './examine.ts'
export { examineRedis } from './examine.ts'
export type { RedisKeyStore } from './key-store.ts'
export { openRevocationFeed } from './revocation-feed.ts'

export interface RedisNeeds extends ReplicationNeeds, GuardNeeds {
  /** Whole seconds since 1970. Scripts correct it to within 2 s of the server's. */
  nowSeconds(): number
  /** Told once when a Redis that was away at the opening turns out to be none for this gateway; it is refused from then on. */
  unfit?(cause: unknown): void
}

export interface OpenOptions {
  /** What becomes of a Redis that cannot be reached: an error, or storage that refuses until it can be. Default: `refuse`. */
  readonly away?: 'refuse' | 'wait'
}

/** All that Redis offers. Its methods reject with `storage_unavailable` while Redis is away, within 2 s for each command. */
export interface RedisStorage {
  readonly keys: RedisKeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  readonly used: UsedTokens
  readonly devices: DeviceStore
  readonly tenants: TenantStore
  readonly counts: SharedCounts
  /** What gateways tell each other of usernames, for so long. */
  names(cacheSeconds: number): NameCache
  /** Resolves when Redis answers. */
  ping(): Promise<void>
  /** Writes of this process that no replica is known to have yet. */
  unconfirmed(): number
  close(): void
}

/**
 * Connects to Redis.
 *
 * @throws Problem `storage_unavailable` when it cannot be reached, unless `away` says to wait; Error when it is older than
 *   7, or its sessions are laid out for another kind of Redis. Nothing is left open then.
 */
export async function openRedis(needs: RedisNeeds, config: RedisConfig, options: OpenOptions = {}): Promise<RedisStorage> {
  const { away = 'refuse' } = options
  const layout = createLayout(config.kind === 'cluster')
  const returns = new Set<() => void>()
  const standing = createStanding((isUp) => {
    needs.up?.(isUp)
    if (isUp) for (const run of returns) run()
  })
  const places = placesOf(config)
  const raw = await openConnection({ ...needs, up: standing.connected }, config, away).catch((error: unknown) => {
    throw unusable(error, places)
  })
  const guarded = createGuard({ ...needs, breaker: (state) => (needs.breaker?.(state), standing.breaker(state)) }, raw, layout)
  // What was given up while Redis was away is looked at when it is there, not when the next look is due.
  standing.onConnected(guarded.look)
  const check = async (): Promise<void> => {
    await expectVersion(guarded)
    await agreeOnBuckets(guarded, layout.buckets)
  }
  try {
    if (away === 'refuse') await check()
  } catch (error) {
    guarded.close()
    throw unusable(error, places)
  }
  const connection = away === 'refuse' ? guarded : checked(guarded, check, (cause) => needs.unfit?.(cause))
  // Where Redis lost it, and before a gateway of another layout records its own.
  returns.add(() => void connection.send('SET', BUCKETS_KEY, layout.buckets, 'NX').catch(() => undefined))
  return assemble({ needs, config, layout, connection, returns })
}

/** Redis is up when it is connected and no part of it is given up: whoever is told can use it. */
function createStanding(up: (isUp: boolean) => void) {
  let [isConnected, isGivenUp] = [true, false]
  let wasUp: boolean | undefined
  let look: (() => void) | undefined
  return {
    connected(isThere: boolean): void {
      isConnected = isThere
      tell()
      if (isThere) look?.()
    },
    breaker(state: 'closed' | 'open'): void {
      isGivenUp = state === 'open'
      tell()
    },
    onConnected(run: () => void): void {
      look = run
    },
  }

  function tell(): void {
    const isUp = isConnected && !isGivenUp
    if (isUp === wasUp) return
    wasUp = isUp
    up(isUp)
  }
}

interface Opened {
  readonly needs: RedisNeeds
  readonly config: RedisConfig
  readonly layout: Layout
  readonly connection: Connection
  /** Called each time that Redis is there again. */
  readonly returns: Set<() => void>
}

async function assemble({ needs, config, layout, connection, returns }: Opened): Promise<RedisStorage> {
  // Only the main connection is measured: on the others most of the time is waiting that was asked for.
  const { nowMs, random, schedule } = needs
  const others = { nowMs, random, schedule }
  const near = await openNear({ needs, config, layout, connection })
  const open = (): Promise<Connection> => openConnection(others, config)
  const replication = createReplication(needs, connection, layout, open)
  const follower = createFollower({
    random,
    schedule,
    layout,
    connection: near?.connection ?? connection,
    open: () => openConnection(others, nearOf(config) ?? config),
  })
  returns.add(follower.wake)
  const nowSeconds = (): number => needs.nowSeconds()
  const sessions = createSessionStore({ connection, layout, replication, nowSeconds })
  return {
    keys: createKeyStore(connection),
    sessions: near === undefined ? sessions : telling(sessions, near.ended),
    log: {
      ...createRevocationLog({ connection, near, layout, nowSeconds, onAppend: follower.onAppend }),
      ...createRevocationLookup({ connection, layout, nowSeconds }),
    },
    used: createUsedTokens({ connection, layout, replication }),
    devices: createDeviceStore({ connection, layout, nowSeconds }),
    tenants: createTenantStore(connection),
    counts: createRateCounts({ connection, layout }),
    names: (seconds) => createUsernameCache({ connection, random, isCluster: config.kind === 'cluster' }, seconds),
    ping: async () => void (await connection.send('PING')),
    unconfirmed: replication.unconfirmed,
    close() {
      follower.close()
      replication.close()
      near?.close()
      connection.close()
    },
  }
}

/** A replica that is away is waited for: the master is read meanwhile. */
async function openNear({ needs, config, layout, connection }: Omit<Opened, 'returns'>): Promise<Near | undefined> {
  const place = nearOf(config)
  if (place === undefined) return undefined
  const { nowMs, random, schedule } = needs
  const near = await openConnection({ nowMs, random, schedule }, place, 'wait')
  // A name that no other process has.
  const id = Array.from({ length: 2 }, () => random().toString(36).slice(2)).join('')
  return createNear({ nowMs, schedule, master: connection, connection: near, layout, id })
}

function nearOf(config: RedisConfig): RedisConfig | undefined {
  if (config.kind !== 'redis' || config.replica === undefined) return undefined
  const { replica, ...rest } = config
  return { ...rest, url: replica }
}

/** The same sessions; `ended` is told of each step that may have ended some. */
function telling(store: SessionStore, ended: () => void): SessionStore {
  const told = <T>(ending: Promise<T>): Promise<T> => ending.finally(ended)
  return {
    ...store,
    rotate: async (request) => {
      const rotation = await store.rotate(request)
      if (rotation.outcome === 'reused') ended()
      return rotation
    },
    end: (session, ending) => told(store.end(session, ending)),
    endAll: (user, ending) => told(store.endAll(user, ending)),
    endOthers: (session, ending) => told(store.endOthers(session, ending)),
    revoke: (what, ending) => told(store.revoke(what, ending)),
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
