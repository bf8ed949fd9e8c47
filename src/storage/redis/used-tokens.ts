import type { UsedTokens } from '../../replay/replay.ts'
import type { Connection } from './connection.ts'
import type { Layout } from './layout.ts'
import type { Replication } from './replication.ts'
import { script } from './script.ts'

/** KEYS used · ARGV seconds → 1 for the first use */
const USE = script('write', "return redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) and 1 or 0")

export interface UsedTokensNeeds {
  readonly connection: Connection
  readonly layout: Layout
  readonly replication: Replication
}

/** Uses of tokens as keys that Redis makes only where there is none, and forgets by itself. */
export function createUsedTokens({ connection, layout, replication }: UsedTokensNeeds): UsedTokens {
  return {
    async use(token) {
      const bucket = layout.bucketOf(token)
      const key = layout.used(token.tenant, bucket, token.issuer, token.id)
      const isFirst = (await connection.run(USE, [key], [token.forSeconds])) === 1
      if (isFirst) await replication.replicated(bucket)
      return isFirst
    },
  }
}
