import type { TenantStore } from '../../tenants/tenants.ts'
import type { Connection } from './connection.ts'
import { integer, list, text } from './replies.ts'

/** Records of tenants in `tenant:<id>:record`, a hash for each. */
export function createTenantStore(connection: Connection): TenantStore {
  return {
    async load(tenant) {
      const [digest, created, updated] = list(await connection.send('HMGET', keyOf(tenant), 'digest', 'created_at', 'updated_at'))
      if (digest === null || created === null || updated === null) return undefined
      return { digest: text(digest), createdAt: integer(text(created)), updatedAt: integer(text(updated)) }
    },
    async save(tenant, { digest, createdAt, updatedAt }) {
      const fields = ['digest', digest, 'created_at', createdAt, 'updated_at', updatedAt]
      await connection.send('HSET', keyOf(tenant), ...fields)
    },
  }
}

function keyOf(tenant: string): string {
  return `tenant:${tenant}:record`
}
