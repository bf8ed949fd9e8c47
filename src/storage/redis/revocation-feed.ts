import type { RevocationLog, RevocationLookup } from '../../revocation/revocation.ts'
import type { RedisConfig } from './client.ts'
import { openConnection } from './connection.ts'
import type { ConnectionNeeds } from './connection.ts'
import { checked } from './first-check.ts'
import { createFollower } from './follow.ts'
import { createGuard } from './guard.ts'
import { BUCKETS_KEY, createLayout } from './layout.ts'
import { createRevocationLog } from './revocation-log.ts'
import { createRevocationLookup } from './revocation-lookup.ts'

export interface FeedNeeds extends Pick<ConnectionNeeds, 'nowMs' | 'random' | 'schedule'> {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Told once when what is there is no Redis of a gateway, or laid out for another kind of it. */
  unfit?(cause: unknown): void
}

export interface RevocationFeed extends RevocationLog, RevocationLookup {
  close(): void
}

/**
 * The revocations alone, for a process that is no gateway: it reads, and never writes, so a user of Redis who may only read
 * is enough. A Redis that is away is waited for; a feed that lost something is put right by the gateways.
 */
export async function openRevocationFeed(needs: FeedNeeds, config: RedisConfig): Promise<RevocationFeed> {
  const { nowMs, random, schedule } = needs
  const layout = createLayout(config.kind === 'cluster')
  const place = nearest(config)
  const open = () => openConnection({ nowMs, random, schedule }, place, 'wait')
  const guarded = createGuard({ schedule }, await open(), layout)
  const check = async (): Promise<void> => {
    const recorded = await guarded.send('GET', BUCKETS_KEY)
    // Nothing is recorded before the first gateway was there, and then nothing was revoked either.
    if (recorded === null || recorded === String(layout.buckets)) return
    throw new Error(`the revocations in this Redis are laid out for another kind of it, not in ${layout.buckets} buckets`)
  }
  const connection = checked(guarded, check, (cause) => needs.unfit?.(cause))
  const follower = createFollower({ random, schedule, layout, connection, open })
  const nowSeconds = (): number => needs.nowSeconds()
  return {
    ...createRevocationLog({ connection, near: undefined, layout, nowSeconds, onAppend: follower.onAppend }),
    ...createRevocationLookup({ connection, layout, nowSeconds }),
    restore: () => Promise.resolve(0),
    close() {
      follower.close()
      connection.close()
    },
  }
}

/** A replica cannot say by itself how far behind it is: a reader that may not write asks the master. */
function nearest(config: RedisConfig): RedisConfig {
  if (config.kind !== 'redis') return config
  const { replica: _, ...master } = config
  return master
}
