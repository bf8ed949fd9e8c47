import type { DialectAdapter, Kysely, QueryCompiler } from 'kysely'
import type { Tables } from './tables.ts'

/** One connection to a database. Its failures are `SqlFailure`s. */
export interface Session {
  query(text: string, values: readonly unknown[]): Promise<Reply>
  /** At once, whatever is under way. Not to be called twice. */
  close(): void
}

export interface Reply {
  /** A list, where the statement asks for rows. */
  readonly rows?: unknown
  /** Rows that it met. */
  readonly changes: number
}

/** What the databases do not have in common. */
export interface Engine {
  /** For messages. Tells which server it is, and nothing secret. */
  readonly name: string
  /** Most connections. */
  readonly connections: number
  /** The statement that begins a transaction which is going to write. */
  readonly begin: string
  /** Whether rows that are read are to be locked by `FOR UPDATE`. */
  readonly locksRows: boolean
  /** Whether a transaction takes back what it did to the schema. */
  readonly transactionalSchema: boolean
  /** Whether a list of values may be one value: one statement for lists of every length, and one that is quickly planned. */
  readonly hasLists: boolean
  adapter(): DialectAdapter
  compiler(): QueryCompiler
  /** Connects within the time; `lost` is called when the connection breaks by itself. */
  open(lost: () => void, withinMs: number): Promise<Session>
  /** Whether there is a table of this name. */
  hasTable(db: Kysely<Tables>, table: string): Promise<boolean>
  /** Keeps other processes from migrating until `unlock`, or until the connection ends. */
  lock(db: Kysely<Tables>): Promise<void>
  unlock(db: Kysely<Tables>): Promise<void>
}
