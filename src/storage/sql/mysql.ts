import { isIP } from 'node:net'
import { MysqlAdapter, MysqlQueryCompiler, sql } from 'kysely'
import { createConnection } from 'mysql2'
import type { Connection } from 'mysql2'
import type { Engine, Reply, Session } from './engine.ts'
import { codeOf, propertyOf, SqlFailure, textIn } from './failure.ts'
import type { FailureKind } from './failure.ts'
import type { Server, Tls } from './server.ts'

const PREPARED = 200

type Schedule = (delayMs: number, run: () => void) => () => void

/**
 * What a connection is told first. Isolation as in PostgreSQL: what was committed is seen, and claims of different names lock no
 * gaps between them. Strict: a value that does not fit is an error, not a shorter value.
 */
const SETTINGS = [
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 2",
] as const

/** MySQL 8.0.17 or newer, MariaDB 10.5 or newer. */
export function createMysql(server: Server, schedule: Schedule): Engine {
  // The driver would hold the certificate against the name `localhost`.
  if (server.tls?.isNamed === true && isIP(server.host) !== 0) {
    throw new Error('storage.accounts: mysql:// with sslmode=verify-full needs the name of the host, its address cannot be used')
  }
  return {
    name: `MySQL at ${server.host}:${server.port}`,
    connections: 10,
    begin: 'BEGIN',
    locksRows: true,
    transactionalSchema: false,
    hasLists: false,
    adapter: () => new MysqlAdapter(),
    compiler: () => new MysqlQueryCompiler(),
    open,
    async hasTable(db, table) {
      const { rows } = await sql`
        SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name = ${table}`.execute(db)
      return rows.length > 0
    },
    // Names of locks are those of the whole server.
    async lock(db) {
      const { rows } = await sql<{
        got: number | null
      }>`SELECT get_lock(concat('gatehouse.', md5(database())), 600) AS got`.execute(db)
      if (rows[0]?.got !== 1) throw new SqlFailure('away', 'MySQL: another process is migrating')
    },
    unlock: async (db) => void (await sql`SELECT release_lock(concat('gatehouse.', md5(database())))`.execute(db)),
  }

  async function open(lost: () => void, withinMs: number): Promise<Session> {
    const connection = createConnection({
      host: server.host,
      port: server.port,
      user: server.user,
      database: server.database,
      ...(server.password === undefined ? {} : { password: server.password }),
      ...(server.tls === undefined ? {} : { ssl: tlsOf(server.tls) }),
      charset: 'utf8mb4_bin',
      connectTimeout: Math.max(1, Math.ceil(withinMs)),
      maxPreparedStatements: PREPARED,
      enableKeepAlive: true,
    })
    connection.on('error', lost)
    connection.on('end', lost)
    try {
      await connected(connection, withinMs, schedule)
      for (const setting of SETTINGS) await ask(connection, setting, [])
    } catch (error) {
      connection.destroy()
      throw error
    }
    return { query: (text, values) => ask(connection, text, values), close: () => connection.destroy() }
  }
}

function tlsOf({ isProved, isNamed, ca }: Tls) {
  return { rejectUnauthorized: isProved, verifyIdentity: isNamed, ...(ca !== undefined && { ca }) }
}

/** A server that took the connection and says nothing is not waited for any longer than one that does not take it. */
function connected(connection: Connection, withinMs: number, schedule: Schedule): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = schedule(withinMs, () => reject(new SqlFailure('away', 'MySQL: no greeting in time')))
    connection.connect((error) => {
      cancel()
      if (error === null) resolve()
      else reject(failureOf(error))
    })
  })
}

function ask(connection: Connection, text: string, values: readonly unknown[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const answered = (error: unknown, result: unknown): void => {
      if (error !== null && error !== undefined) reject(failureOf(error))
      else resolve({ rows: result, changes: Number(propertyOf(result, 'affectedRows') ?? 0) })
    }
    // Not everything can be prepared, BEGIN for one; what has values is.
    if (values.length === 0) connection.query(text, answered)
    else connection.execute(text, values.map(bindable), answered)
  })
}

function bindable(value: unknown): string | number | null {
  if (typeof value === 'string' || typeof value === 'number' || value === null) return value
  throw new TypeError('a value is neither text nor a number')
}

/** ER_DUP_ENTRY, with and without the name of the key. */
const DUPLICATES: ReadonlySet<number> = new Set([1062, 1586])
/** ER_LOCK_DEADLOCK, ER_CHECKREAD of MariaDB: the row was changed since it was read. */
const CONFLICTS: ReadonlySet<number> = new Set([1213, 1020])
/** Data, integrity, syntax and access, by class of SQLSTATE. */
const FAULTS: ReadonlySet<string> = new Set(['21', '22', '23', '42'])

function failureOf(error: unknown): SqlFailure {
  if (error instanceof SqlFailure) return error
  // The key stands nowhere but at the end of the message: for key 'accounts.accounts_by_email', or without the table.
  const [, key = ''] = /for key '([\w.]+)'$/.exec(textIn(error, 'message')) ?? []
  return new SqlFailure(kindOf(error), `MySQL: ${codeOf(error)}`, key)
}

function kindOf(error: unknown): FailureKind {
  const number = propertyOf(error, 'errno')
  if (typeof number !== 'number' || number < 1000) return 'away'
  if (DUPLICATES.has(number)) return 'duplicate'
  if (CONFLICTS.has(number)) return 'conflict'
  return FAULTS.has(textIn(error, 'sqlState').slice(0, 2)) ? 'fault' : 'away'
}
