import type { Database } from './database.ts'
import { integer, text } from './database.ts'

/** One step of a schema. Ids count from 1 without a gap; a step that was released is never changed. */
export interface Migration {
  readonly id: number
  readonly name: string
  readonly up: string
  readonly down: string
}

export interface MigrationNeeds {
  nowSeconds(): number
}

/**
 * Brings a database to the schema of this code.
 *
 * @param apply - false: refuse to start while something is pending
 * @throws Error when migrations are pending and may not be applied, or when the database is of a newer version
 */
export function migrateUp(db: Database, migrations: readonly Migration[], apply: boolean, needs: MigrationNeeds): void {
  // Another process may be starting on the same files: look and apply under one lock.
  db.write(() => {
    const pending = pendingOf(db, migrations)
    if (pending.length === 0) return
    if (!apply) {
      const names = pending.map((migration) => migration.name).join(', ')
      throw new Error(`${db.file} lacks the migrations ${names}, and storage.migrate is false: set it to true for one start`)
    }
    for (const migration of pending) {
      db.script(migration.up)
      db.prepare('INSERT INTO migrations (id, name, applied_at) VALUES (?, ?, ?)').run(
        migration.id,
        migration.name,
        needs.nowSeconds(),
      )
    }
  })
}

/** Takes back every migration after `target`, the newest first; 0 takes back all. */
export function migrateDown(db: Database, migrations: readonly Migration[], target: number): void {
  db.write(() => {
    const applied = appliedIn(db)
    for (const migration of migrations.toReversed()) {
      if (migration.id <= target || !applied.has(migration.id)) continue
      db.script(migration.down)
      db.prepare('DELETE FROM migrations WHERE id = ?').run(migration.id)
    }
  })
}

function pendingOf(db: Database, migrations: readonly Migration[]): readonly Migration[] {
  const applied = appliedIn(db)
  for (const [id, name] of applied) {
    if (migrations.some((migration) => migration.id === id && migration.name === name)) continue
    throw new Error(`${db.file} has the migration ${name}, which this version does not know: start the version that made it`)
  }
  return migrations.filter((migration) => !applied.has(migration.id))
}

function appliedIn(db: Database): ReadonlyMap<number, string> {
  db.script(
    'CREATE TABLE IF NOT EXISTS migrations (id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
  )
  const rows = db.prepare('SELECT id, name FROM migrations ORDER BY id').all()
  return new Map(rows.map((row) => [integer(row, 'id'), text(row, 'name')]))
}
