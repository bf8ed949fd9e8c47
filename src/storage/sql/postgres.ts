import { PostgresAdapter, PostgresQueryCompiler, sql } from 'kysely'
import { Client } from 'pg'
import type { ClientConfig } from 'pg'
import type { Engine, Session } from './engine.ts'
import { codeOf, SqlFailure, textIn } from './failure.ts'
import type { FailureKind } from './failure.ts'
import type { Server, Tls } from './server.ts'

/** A gateway that vanished in the middle of a transaction holds its locks no longer than this, milliseconds. */
const ABANDONED_MS = 10_000
/** Statements that are prepared on a connection. There are a few dozen; the bound is for those whose text varies. */
const PREPARED = 200
/** Any number that nobody else locks: `gate` in ASCII. */
const LOCK = 0x67617465
const INT8 = 20

/** PostgreSQL 12 or newer. */
export function createPostgres(server: Server, answerMs: number): Engine {
  const names = new Map<string, string>()
  const config: ClientConfig = {
    host: server.host,
    port: server.port,
    user: server.user,
    database: server.database,
    ...(server.password === undefined ? {} : { password: server.password }),
    ssl: server.tls === undefined ? false : tlsOf(server.tls, server.host),
    application_name: 'gatehouse',
    keepAlive: true,
    statement_timeout: answerMs,
    idle_in_transaction_session_timeout: Math.max(ABANDONED_MS, answerMs),
    types: { getTypeParser: (oid: number) => (oid === INT8 ? Number : asText) },
  }
  return {
    name: `PostgreSQL at ${server.host}:${server.port}`,
    connections: 10,
    begin: 'BEGIN',
    locksRows: true,
    transactionalSchema: true,
    hasLists: true,
    adapter: () => new PostgresAdapter(),
    compiler: () => new PostgresQueryCompiler(),
    open,
    async hasTable(db, table) {
      const { rows } = await sql<{ found: string | null }>`SELECT to_regclass(${table})::text AS found`.execute(db)
      return (rows[0]?.found ?? null) !== null
    },
    // As long as the transaction: whoever comes next must see what it has done.
    lock: async (db) => void (await sql`SELECT pg_advisory_xact_lock(${sql.lit(LOCK)})`.execute(db)),
    unlock: async () => undefined,
  }

  async function open(lost: () => void, withinMs: number): Promise<Session> {
    const client = new Client({ ...config, connectionTimeoutMillis: Math.max(1, withinMs) })
    client.on('error', lost)
    client.on('end', lost)
    try {
      await client.connect()
    } catch (error) {
      end(client)
      throw failureOf(error)
    }
    return { query: (text, values) => ask(client, text, values), close: () => end(client) }
  }

  async function ask(client: Client, text: string, values: readonly unknown[]) {
    try {
      const name = values.length === 0 ? undefined : nameOf(text)
      const { rows, rowCount } = await client.query({ text, values: [...values], ...(name !== undefined && { name }) })
      return { rows, changes: rowCount ?? 0 }
    } catch (error) {
      throw failureOf(error)
    }
  }

  function nameOf(text: string): string | undefined {
    const known = names.get(text)
    if (known !== undefined || names.size >= PREPARED) return known
    const name = `gatehouse_${names.size}`
    names.set(text, name)
    return name
  }
}

/** `host`: what the name of the certificate is held against where the server is named by its address. */
function tlsOf({ isProved, isNamed, ca }: Tls, host: string) {
  return {
    host,
    rejectUnauthorized: isProved,
    ...(ca !== undefined && { ca }),
    ...(!isNamed && { checkServerIdentity: () => undefined }),
  }
}

function asText(value: string): string {
  return value
}

/** With a statement under way the socket is cut: `end` would be answered only after it. */
function end(client: Client): void {
  client.end().catch(() => undefined)
}

/** What PostgreSQL answers to statements that are wrong, by class of SQLSTATE: cardinality, data, integrity, syntax and access. */
const FAULTS: ReadonlySet<string> = new Set(['21', '22', '23', '42', '0A'])
/** serialization_failure, deadlock_detected. */
const CONFLICTS: ReadonlySet<string> = new Set(['40001', '40P01'])

function failureOf(error: unknown): SqlFailure {
  const code = codeOf(error)
  return new SqlFailure(kindOf(code), `PostgreSQL: ${code}`, textIn(error, 'constraint'))
}

function kindOf(code: string): FailureKind {
  if (code === '23505') return 'duplicate'
  if (CONFLICTS.has(code)) return 'conflict'
  return code.length === 5 && FAULTS.has(code.slice(0, 2)) ? 'fault' : 'away'
}
