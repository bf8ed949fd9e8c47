import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { sql, SqliteAdapter, SqliteQueryCompiler } from 'kysely'
import { Problem } from '../../problem/problem.ts'
import { openDatabase } from '../embedded/database.ts'
import type { Database, Statement } from '../embedded/database.ts'
import type { Engine, Reply, Session } from './engine.ts'
import { codeOf, propertyOf, SqlFailure, textIn } from './failure.ts'
import type { FailureKind } from './failure.ts'

/** Statements that are kept prepared. There are a few dozen; the bound is for those whose text varies. */
const PREPARED = 200

/** The session of this process that is writing to a file, and what waits for it to end. */
interface Turn {
  writer: Session | undefined
  waiting: (() => void)[]
}

/**
 * By file. SQLite's own wait for a lock holds up the whole process: for a lock that the process has itself it would be in vain.
 */
const TURNS = new Map<string, Turn>()

const BEGIN = 'BEGIN IMMEDIATE'
const ENDS: ReadonlySet<string> = new Set(['COMMIT', 'ROLLBACK'])

/** `accounts.db` in a directory, made with mode 0700 when missing. Statements run at once and take turns on one connection. */
export function createSqlite(directory: string): Engine {
  const file = join(directory, 'accounts.db')
  return {
    name: file,
    connections: 1,
    // Takes the write lock before the first read, so that what was read cannot be stale when it writes.
    begin: BEGIN,
    locksRows: false,
    transactionalSchema: true,
    hasLists: false,
    adapter: () => new SqliteAdapter(),
    compiler: () => new SqliteQueryCompiler(),
    async open() {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return sessionOf(openDatabase(file), turnAt(file))
    },
    async hasTable(db, table) {
      const { rows } = await sql`SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ${table}`.execute(db)
      return rows.length > 0
    },
    // Whoever migrates does it in a transaction, and of those there is one at a time.
    lock: async () => undefined,
    unlock: async () => undefined,
  }
}

function turnAt(file: string): Turn {
  const known = TURNS.get(file)
  if (known !== undefined) return known
  const turn: Turn = { writer: undefined, waiting: [] }
  TURNS.set(file, turn)
  return turn
}

function sessionOf(db: Database, turn: Turn): Session {
  const prepared = new Map<string, Statement>()
  const own: Session = { query, close }
  return own

  async function query(text: string, values: readonly unknown[]): Promise<Reply> {
    while (turn.writer !== undefined && turn.writer !== own) await new Promise<void>((resolve) => turn.waiting.push(resolve))
    if (text === BEGIN) turn.writer = own
    try {
      return run(text, values)
    } catch (error) {
      if (text === BEGIN) release()
      throw error
    } finally {
      if (ENDS.has(text)) release()
    }
  }

  function release(): void {
    if (turn.writer !== own) return
    turn.writer = undefined
    for (const wake of turn.waiting.splice(0)) wake()
  }

  function close(): void {
    release()
    db.close()
  }

  function run(text: string, values: readonly unknown[]): Reply {
    try {
      const statement = prepared.get(text) ?? prepare(text)
      const bound = values.map(bindable)
      return statement.reads ? { rows: statement.all(...bound), changes: 0 } : { changes: statement.run(...bound) }
    } catch (error) {
      throw failureOf(error)
    }
  }

  function prepare(text: string): Statement {
    const statement = db.prepare(text)
    if (prepared.size < PREPARED) prepared.set(text, statement)
    return statement
  }
}

function bindable(value: unknown): string | number | null {
  if (typeof value === 'string' || typeof value === 'number' || value === null) return value
  throw new TypeError('a value is neither text nor a number')
}

/** SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE. */
const DUPLICATES: ReadonlySet<unknown> = new Set([1555, 2067])

function failureOf(error: unknown): unknown {
  if (error instanceof Problem) return new SqlFailure('away', `SQLite: ${codeOf(error.facts.cause)}`)
  if (codeOf(error) !== 'ERR_SQLITE_ERROR') return error
  const code = propertyOf(error, 'errcode')
  const kind: FailureKind = DUPLICATES.has(code) ? 'duplicate' : 'fault'
  // The columns stand nowhere but in the message: accounts.tenant_id, accounts.email_folded.
  return new SqlFailure(kind, `SQLite: ${String(code)}`, kind === 'duplicate' ? textIn(error, 'message') : '')
}
