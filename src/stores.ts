/**
 * Opens the storage that the configuration names: sessions, keys and revocations in one place, accounts in another.
 *
 * @module
 */
import type { Config } from './config/config.ts'
import type { UsedTokens } from './replay/replay.ts'
import type { RevocationLog, RevocationLookup } from './revocation/revocation.ts'
import type { AccountStore } from './services/accounts/accounts.ts'
import type { SessionStore } from './services/sessions/sessions.ts'
import { openEmbedded, openEmbeddedAccounts } from './storage/embedded/embedded.ts'
import { openRedis, type RedisConfig } from './storage/redis/redis.ts'
import type { KeyStore } from './tenants/tenants.ts'
import { monotonicMs, random, schedule } from './world.ts'

export interface StoresNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Told when Redis is there or away, once for each change. */
  up?(isUp: boolean): void
  /** Told of each command to Redis how long it took. */
  observe?(seconds: number): void
  /** Told when a write was not seen on a replica in time. */
  unreplicated?(): void
}

export interface Stores {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  readonly accounts: AccountStore
  readonly used: UsedTokens
  redis(): 'up' | 'down' | 'embedded'
  /** Puts the public keys of an owner (JWKS text) beside the sealed set, where others can read them. */
  publish(owner: string, jwks: string): Promise<void>
  close(): Promise<void>
}

/** @throws Error when it cannot be opened; nothing is left open then */
export async function openStores(needs: StoresNeeds, config: Config['storage']): Promise<Stores> {
  if (config.sessions.kind === 'embedded') {
    const { keys, sessions, log, accounts, used, close } = await openEmbedded(needs, config)
    return {
      keys,
      sessions,
      log,
      accounts,
      used,
      redis: () => 'embedded',
      // Nobody else reads these files.
      publish: async () => undefined,
      close: async () => close(),
    }
  }
  const directory = await openEmbeddedAccounts(needs, config)
  try {
    return { ...(await openRemote(needs, config.sessions, directory.close)), accounts: directory.accounts }
  } catch (error) {
    directory.close()
    throw error
  }
}

async function openRemote(needs: StoresNeeds, config: RedisConfig, closeAccounts: () => void): Promise<Omit<Stores, 'accounts'>> {
  let isUp = true
  const redis = await openRedis(
    {
      ...needs,
      nowMs: monotonicMs,
      random,
      schedule,
      up(now) {
        isUp = now
        needs.up?.(now)
      },
    },
    config,
  )
  return {
    keys: redis.keys,
    sessions: redis.sessions,
    log: redis.log,
    used: redis.used,
    redis: () => (isUp ? 'up' : 'down'),
    publish: redis.keys.publish,
    async close() {
      redis.close()
      closeAccounts()
    },
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
