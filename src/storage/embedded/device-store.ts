import type { DeviceStore } from '../../services/accounts/accounts.ts'
import type { Database, Row } from './database.ts'
import { integer, optionalText, text } from './database.ts'

/** Some are kept for less than others: this is what none is kept for. */
const LONGEST_SECONDS = 180 * 86_400
/** Rows that one login takes away at most: more than it adds. */
const PURGE_ROWS = 10

/** Devices of users as rows. */
export function createDeviceStore(db: Database, needs: { nowSeconds(): number }): DeviceStore {
  const select = db.prepare('SELECT * FROM known_devices WHERE tenant_id = ? AND user_id = ? AND last_seen > ?')
  const upsert = db.prepare(
    `INSERT INTO known_devices (tenant_id, user_id, id, name, first_seen, last_seen, country) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET name = excluded.name, last_seen = excluded.last_seen, country = excluded.country`,
  )
  const trim = db.prepare(
    `DELETE FROM known_devices WHERE tenant_id = ?1 AND user_id = ?2 AND id IN (
       SELECT id FROM known_devices WHERE tenant_id = ?1 AND user_id = ?2 ORDER BY last_seen DESC LIMIT -1 OFFSET ?3)`,
  )
  const purge = db.prepare(
    `DELETE FROM known_devices WHERE (tenant_id, user_id, id) IN (
       SELECT tenant_id, user_id, id FROM known_devices WHERE last_seen <= ? ORDER BY last_seen LIMIT ${PURGE_ROWS})`,
  )
  return {
    async list({ tenant, user }, { seconds }) {
      return select.all(tenant, user, needs.nowSeconds() - seconds).map(deviceOf)
    },
    async note({ tenant, user }, { id, name, lastSeen, country }, { most, seconds }) {
      db.write(() => {
        purge.run(needs.nowSeconds() - Math.max(seconds, LONGEST_SECONDS))
        upsert.run(tenant, user, id, name, lastSeen, lastSeen, country ?? null)
        trim.run(tenant, user, most)
      })
    },
  }
}

function deviceOf(row: Row) {
  const country = optionalText(row, 'country')
  return {
    id: text(row, 'id'),
    name: text(row, 'name'),
    firstSeen: integer(row, 'first_seen'),
    lastSeen: integer(row, 'last_seen'),
    ...(country !== undefined && { country }),
  }
}
