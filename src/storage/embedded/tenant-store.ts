import type { TenantStore } from '../../tenants/tenants.ts'
import { integer, text } from './database.ts'
import type { Database } from './database.ts'

/** A row for each tenant that was ever configured. */
export function createTenantStore(db: Database): TenantStore {
  const find = db.prepare('SELECT digest, created_at, updated_at FROM tenants WHERE tenant_id = ?')
  const upsert = db.prepare(
    `INSERT INTO tenants (tenant_id, digest, created_at, updated_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT DO UPDATE SET digest = ?2, created_at = ?3, updated_at = ?4`,
  )
  return {
    async load(tenant) {
      const row = find.get(tenant)
      if (row === undefined) return undefined
      return { digest: text(row, 'digest'), createdAt: integer(row, 'created_at'), updatedAt: integer(row, 'updated_at') }
    },
    async save(tenant, { digest, createdAt, updatedAt }) {
      db.write(() => void upsert.run(tenant, digest, createdAt, updatedAt))
    },
  }
}
