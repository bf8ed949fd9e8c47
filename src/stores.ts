/**
 * Opens the storage that the configuration names: sessions, keys and revocations in one place, accounts in another.
 *
 * @module
 */
import type { Config } from './config/config.ts'
import type { SharedCounts } from './quota/quota.ts'
import type { UsedTokens } from './replay/replay.ts'
import type { RevocationCopy, RevocationLog, RevocationLookup } from './revocation/revocation.ts'
import type { AccountStore, DeviceStore } from './services/accounts/accounts.ts'
import type { SessionStore } from './services/sessions/sessions.ts'
import type { UsernameStore } from './services/usernames/store.ts'
import type { NameCache } from './services/usernames/usernames.ts'
import { createDiskCopy } from './storage/disk-copy/disk-copy.ts'
import { openEmbedded, type EmbeddedNeeds } from './storage/embedded/embedded.ts'
import type { RedisConfig } from './storage/redis/redis.ts'
import { openSql } from './storage/sql/sql.ts'
import type { KeyStore, TenantStore } from './tenants/tenants.ts'
import { endOfTurn, monotonicMs, random, schedule } from './world.ts'

export interface StoresNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Told when Redis is there or away, once for each change. */
  up?(isUp: boolean): void
  /** Told when the database of accounts is there or away, once for each change. */
  accountsUp?(isUp: boolean): void
  /** Told of each read and each transaction of the database of accounts. */
  accountsAsked?(kind: 'accounts' | 'checks' | 'names'): void
  /** Told of each command to Redis how long it took. */
  observe?(seconds: number): void
  /** Told when a write was not seen on a replica in time. */
  unreplicated?(): void
  /** Told when commands to Redis are refused at once, and when they are sent again. */
  breaker?(state: 'closed' | 'open'): void
  /**
   * With Redis, what a start without it needs is kept in `storage.directory`, and used. Told when that cannot be written, or
   * can be again. Absent: a start without Redis is an error.
   */
  copyKept?(state: 'up' | 'down', cause?: unknown): void
  /** Another process of the same gateway keeps it: this one uses what it finds. */
  readonly copyReadsOnly?: boolean
  /** The way past embedded storage to the other processes on it. */
  readonly neighbours?: EmbeddedNeeds['neighbours']
  /** Told once when a Redis that was away at the start turns out to be none for this gateway. */
  unfit?(cause: unknown): void
}

export interface Stores {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  /** Of the revocations, on the disk of this machine; only with Redis. */
  readonly copy?: RevocationCopy
  readonly accounts: AccountStore
  readonly usernames: UsernameStore
  readonly used: UsedTokens
  readonly devices: DeviceStore
  readonly tenants: TenantStore
  /** Counts of rate limits that gateways share; absent without Redis. */
  readonly counts?: SharedCounts
  /** What gateways tell each other of usernames, for so long; undefined without Redis. */
  names(cacheSeconds: number): NameCache | undefined
  redis(): 'up' | 'down' | 'embedded'
  /** The database of accounts, by what it was asked last. */
  database(): 'up' | 'down' | 'embedded'
  /** Writes of this process that no replica of the store is known to have yet; 0 where there is none. */
  unconfirmed(): number
  /** Calls `run` each time that Redis is there again, for what should be put back at once if Redis lost it. */
  onReturn(run: () => void): void
  /** Puts the public keys of an owner (JWKS text) beside the sealed set, where others can read them. */
  publish(owner: string, jwks: string): Promise<void>
  close(): Promise<void>
}

/** @throws Error when it cannot be opened; nothing is left open then */
export async function openStores(needs: StoresNeeds, config: Config['storage']): Promise<Stores> {
  const remote = await openSessions(needs, config)
  try {
    let isUp = true
    const directory = await openSql(
      {
        nowSeconds: () => needs.nowSeconds(),
        nowMs: monotonicMs,
        random,
        schedule,
        up(now) {
          isUp = now
          needs.accountsUp?.(now)
        },
        asked: (kind) => needs.accountsAsked?.(kind),
      },
      config,
    )
    return {
      ...remote,
      accounts: directory.accounts,
      usernames: directory.usernames,
      database: () => (config.accounts.kind === 'embedded' ? 'embedded' : isUp ? 'up' : 'down'),
      async close() {
        await remote.close()
        await directory.close()
      },
    }
  } catch (error) {
    await remote.close()
    throw error
  }
}

type SessionStores = Omit<Stores, 'accounts' | 'usernames' | 'database'>

async function openSessions(needs: StoresNeeds, config: Config['storage']): Promise<SessionStores> {
  if (config.sessions.kind !== 'embedded') return openRemote(needs, { ...config, sessions: config.sessions })
  const { keys, sessions, log, used, devices, tenants, close } = await openEmbedded(
    { nowSeconds: needs.nowSeconds, schedule, ...(needs.neighbours && { neighbours: needs.neighbours }) },
    config,
  )
  return {
    keys,
    sessions,
    log,
    used,
    devices,
    tenants,
    names: () => undefined,
    redis: () => 'embedded',
    unconfirmed: () => 0,
    onReturn: () => undefined,
    // Nobody else reads these files.
    publish: async () => undefined,
    close: async () => close(),
  }
}

interface RemoteConfig {
  readonly sessions: RedisConfig
  readonly directory: string
}

async function openRemote(needs: StoresNeeds, config: RemoteConfig): Promise<SessionStores> {
  let isUp = true
  const published = new Map<string, string>()
  const returns = new Set<() => void>()
  const { nowSeconds, copyKept } = needs
  const copy =
    copyKept &&
    createDiskCopy({ nowSeconds, schedule, keysKept: copyKept, readsOnly: needs.copyReadsOnly === true }, config.directory)
  const away = (await copy?.isUsable()) === true ? 'wait' : 'refuse'
  // Read when it is asked for: its client takes 20 MB.
  const { openRedis } = await import('./storage/redis/redis.ts')
  const redis = await openRedis(
    {
      ...needs,
      nowMs: monotonicMs,
      random,
      schedule,
      endOfTurn,
      up(now) {
        // The first connection of a start is no return.
        const isChange = now !== isUp
        isUp = now
        if (isChange) needs.up?.(now)
        if (!now) return
        for (const run of returns) run()
        void publishAgain()
      },
    },
    config.sessions,
    { away },
  )
  return {
    keys: copy?.keys.over(redis.keys) ?? redis.keys,
    sessions: redis.sessions,
    log: redis.log,
    ...(copy !== undefined && { copy: copy.revocations }),
    used: redis.used,
    devices: redis.devices,
    tenants: redis.tenants,
    counts: redis.counts,
    names: redis.names,
    redis: () => (isUp ? 'up' : 'down'),
    unconfirmed: redis.unconfirmed,
    onReturn: (run) => void returns.add(run),
    async publish(owner, jwks) {
      published.set(owner, jwks)
      await redis.keys.publish(owner, jwks)
    },
    async close() {
      await copy?.keys.close()
      redis.close()
    },
  }

  /** A Redis that was away may not have got it, or have lost it. */
  async function publishAgain(): Promise<void> {
    const again = [...published].map(([owner, jwks]) => redis.keys.publish(owner, jwks))
    // One that fails is away again: the next return tries all of them once more.
    await Promise.allSettled(again)
  }
}

/** The same sessions, but what ends is in force in this process when the promise resolves: the next request is refused. */
export function enforced(store: SessionStore, synced: () => Promise<void>): SessionStore {
  return {
    ...store,
    end: (session, ending) => thenSynced(store.end(session, ending)),
    endAll: (user, ending) => thenSynced(store.endAll(user, ending)),
    endOthers: (session, ending) => thenSynced(store.endOthers(session, ending)),
    revoke: (what, ending) => thenSynced(store.revoke(what, ending)),
    async rotate(request) {
      const rotation = await store.rotate(request)
      if (rotation.outcome === 'reused') await synced()
      return rotation
    },
  }

  async function thenSynced<T>(ending: Promise<T>): Promise<T> {
    const result = await ending
    await synced()
    return result
  }
}
