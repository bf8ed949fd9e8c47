import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'
import { Problem } from '../../problem/problem.ts'

/** How long a statement waits for another process that is writing, milliseconds. It blocks the event loop meanwhile. */
const BUSY_TIMEOUT_MS = 2_000

export type Row = Readonly<Record<string, SQLOutputValue>>

/** One prepared statement. Values are bound, never written into the text. */
export interface Statement {
  /** Whether it answers with rows. */
  readonly reads: boolean
  get(...values: SQLInputValue[]): Row | undefined
  all(...values: SQLInputValue[]): readonly Row[]
  /** Returns the number of rows that it changed. */
  run(...values: SQLInputValue[]): number
}

/** One file of the embedded storage. Its failures are `storage_unavailable`; faults of our own SQL stay what they are. */
export interface Database {
  readonly file: string
  prepare(sql: string): Statement
  /** Runs a script of several statements; for migrations only. */
  script(sql: string): void
  /** All of `work` or nothing of it, durable when it returns. Not to be nested. */
  write<T>(work: () => T): T
  /** All that `work` reads is of one moment. */
  read<T>(work: () => T): T
  close(): void
}

/**
 * Opens or makes a database file: WAL, so that readers and a writer of several processes get along, and
 * `synchronous = FULL`, so that what was acknowledged survives a loss of power.
 *
 * @throws Error naming the file, when it cannot be opened or is no database
 */
export function openDatabase(file: string): Database {
  try {
    // SQLite would make it by the umask; its -wal and -shm files take the mode of this one.
    closeSync(openSync(file, 'a', 0o600))
    const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true })
    configure(db)
    return face(db, file)
  } catch (cause) {
    throw new Error(`the database ${file} cannot be opened`, { cause })
  }
}

/** Text of a column; a database that answers otherwise is not ours. */
export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`column ${column} holds no text`)
  return value
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column)
}

export function integer(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new TypeError(`column ${column} holds no integer`)
  return value
}

function configure(db: DatabaseSync): void {
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
  if (mode !== 'wal') {
    db.close()
    throw new Error('its file system has no write-ahead log: use a local disk')
  }
  db.exec('PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF')
}

function face(db: DatabaseSync, file: string): Database {
  return {
    file,
    prepare(sql) {
      const statement = guarded(() => db.prepare(sql))
      return {
        reads: statement.columns().length > 0,
        get: (...values) => guarded(() => statement.get(...values)),
        all: (...values) => guarded(() => statement.all(...values)),
        run: (...values) => guarded(() => Number(statement.run(...values).changes)),
      }
    },
    script: (sql) => guarded(() => db.exec(sql)),
    // IMMEDIATE takes the write lock before the first read, so that what `work` read cannot be stale when it writes.
    write: (work) => transaction(db, 'BEGIN IMMEDIATE', work),
    read: (work) => transaction(db, 'BEGIN', work),
    close: () => {
      if (db.isOpen) db.close()
    },
  }
}

function transaction<T>(db: DatabaseSync, begin: string, work: () => T): T {
  return guarded(() => {
    db.exec(begin)
    try {
      const result = work()
      db.exec('COMMIT')
      return result
    } catch (error) {
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  })
}

function guarded<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause
    throw new Problem('storage_unavailable', { cause, headers: { 'retry-after': '1' } })
  }
}

/** Result codes of SQLite that tell of a fault of ours: CONSTRAINT, MISMATCH, MISUSE, RANGE. */
const OUR_FAULTS: ReadonlySet<number> = new Set([19, 20, 21, 25])

function isUnavailable(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause)) return false
  if (cause.code === 'ERR_INVALID_STATE') return true
  if (cause.code !== 'ERR_SQLITE_ERROR') return false
  return !('errcode' in cause) || typeof cause.errcode !== 'number' || !OUR_FAULTS.has(cause.errcode & 0xff)
}
