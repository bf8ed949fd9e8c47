import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { integer, openDatabase, text, type Database } from '../embedded/database.ts'
import { LEDGER, readMigrations, type Migration } from './migration-files.ts'
import type { MigrationNeeds } from './migrations.ts'

/** What can be told of the file without all that makes queries. */
export interface Glance {
  /** The latest of what happened to names; 0: nothing ever did. */
  lastEvent(): number
  hasNames(): boolean
  /** Whether a hold or a quarantine is over by then, whole seconds since 1970. */
  hasOver(now: number): boolean
  close(): void
}

/**
 * Opens `accounts.db` in a directory where it has every step of the schema; one that has none yet is given all of them, where
 * that may be.
 *
 * @returns undefined where there is more to do, or something is wrong: whoever opens it with all that it takes will say what
 */
export function openFile(needs: MigrationNeeds, { directory, migrate }: FileConfig): Glance | undefined {
  let db: Database | undefined
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const opened = openDatabase(join(directory, 'accounts.db'))
    db = opened
    const known = readMigrations()
    if (isComplete(opened, known) || (migrate && opened.write(() => fill(opened, known, needs.nowSeconds())))) {
      return glanceAt(opened)
    }
  } catch {
    // Whatever it is, it will be met again.
  }
  db?.close()
  return undefined
}

interface FileConfig {
  readonly directory: string
  readonly migrate: boolean
}

function glanceAt(db: Database): Glance {
  const last = db.prepare('SELECT last_id FROM username_feed')
  const named = db.prepare('SELECT 1 FROM accounts WHERE username_folded IS NOT NULL LIMIT 1')
  const held = db.prepare('SELECT 1 FROM username_holds WHERE expires_at <= ? LIMIT 1')
  const quarantined = db.prepare('SELECT 1 FROM username_quarantine WHERE expires_at <= ? LIMIT 1')
  return {
    lastEvent() {
      const row = last.get()
      return row === undefined ? 0 : integer(row, 'last_id')
    },
    hasNames: () => named.get() !== undefined,
    hasOver: (now) => held.get(now) !== undefined || quarantined.get(now) !== undefined,
    close: db.close,
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
