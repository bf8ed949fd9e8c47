import type { UsedTokens } from '../../replay/replay.ts'
import type { Database } from './database.ts'

/** Rows that one use takes away at most: more than it adds, so that the table never grows by what is long past. */
const PURGE_ROWS = 10

/** Expired rows stay this long, so that a clock that was ahead for a while lets no token in again. */
const KEEP_EXPIRED_SECONDS = 3_600

/** Uses of tokens as rows that can be there once. */
export function createUsedTokens(db: Database, needs: { nowSeconds(): number }): UsedTokens {
  const insert = db.prepare('INSERT OR IGNORE INTO used_tokens (tenant_id, issuer, id, expires_at) VALUES (?, ?, ?, ?)')
  const purge = db.prepare(
    `DELETE FROM used_tokens WHERE (tenant_id, issuer, id) IN (
       SELECT tenant_id, issuer, id FROM used_tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ${PURGE_ROWS})`,
  )
  return {
    async use({ tenant, issuer, id, forSeconds }) {
      return db.write(() => {
        const now = needs.nowSeconds()
        purge.run(now - KEEP_EXPIRED_SECONDS)
        return insert.run(tenant, issuer, id, now + forSeconds) === 1
      })
    },
  }
}
