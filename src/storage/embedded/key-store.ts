import type { KeyStore } from '../../tenants/tenants.ts'
import type { Database } from './database.ts'
import { text } from './database.ts'

/** Sealed key sets by owner. What is in them is not known here. */
export function createKeyStore(db: Database, needs: { nowSeconds(): number }): KeyStore {
  const find = db.prepare('SELECT sealed FROM signing_keys WHERE owner = ?')
  const upsert = db.prepare(
    'INSERT INTO signing_keys (owner, sealed, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET sealed = ?2, updated_at = ?3',
  )
  return { load, save }

  async function load(owner: string): Promise<string | undefined> {
    return stored(owner)
  }

  async function save(owner: string, sealed: string, replacing: string | undefined): Promise<string> {
    return db.write(() => {
      const present = stored(owner)
      if (present !== undefined && present !== replacing) return present
      upsert.run(owner, sealed, needs.nowSeconds())
      return sealed
    })
  }

  function stored(owner: string): string | undefined {
    const row = find.get(owner)
    return row === undefined ? undefined : text(row, 'sealed')
  }
}
