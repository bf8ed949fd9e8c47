import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { integer, openDatabase, text, type Database } from '../embedded/database.ts'
import { LEDGER, readMigrations, type Migration } from './migration-files.ts'
import type { MigrationNeeds } from './migrations.ts'

/**
 * Looks whether `accounts.db` in a directory has every step of the schema; one that has none yet is given all of them, where
 * that may be.
 *
 * @returns false where there is more to do, or something is wrong: whoever opens it with all that it takes will say what
 */
export function prepareFile(needs: MigrationNeeds, { directory, migrate }: { directory: string; migrate: boolean }): boolean {
  const known = readMigrations()
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const db = openDatabase(join(directory, 'accounts.db'))
    try {
      if (isComplete(db, known)) return true
      return migrate && db.write(() => fill(db, known, needs.nowSeconds()))
    } finally {
      db.close()
    }
  } catch {
    return false
  }
}

function isComplete(db: Database, known: readonly Migration[]): boolean {
  if (!hasLedger(db)) return false
  const rows = db.prepare('SELECT id, name FROM migrations ORDER BY id').all()
  if (rows.length !== known.length) return false
  return known.every(({ id, name }, index) => {
    const row = rows[index]
    return row !== undefined && integer(row, 'id') === id && text(row, 'name') === name
  })
}

function hasLedger(db: Database): boolean {
  return db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'").all().length > 0
}

/** Another process may have begun meanwhile. */
function fill(db: Database, known: readonly Migration[], now: number): boolean {
  if (hasLedger(db)) return isComplete(db, known)
  db.script(LEDGER)
  const add = db.prepare('INSERT INTO migrations (id, name, applied_at) VALUES (?, ?, ?)')
  for (const { id, name, up } of known) {
    for (const statement of up) db.script(statement)
    add.run(id, name, now)
  }
  return true
}
