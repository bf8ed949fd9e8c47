/**
 * Accounts and usernames in an SQL database: a SQLite file for a gateway that is alone, PostgreSQL or MySQL for many.
 *
 * One set of migrations, one contract and one code for all of them. The database has the last word on who has a name: its unique
 * indexes decide, and each change is one transaction. This room never logs, never keeps what a driver says about a
 * value, and never does later what it has answered `storage_unavailable` to, but for a commit whose answer was lost.
 *
 * @module
 */
import type { Config } from '../../config/config.ts'
import type { AccountStore } from '../../services/accounts/accounts.ts'
import type { UsernameStore } from '../../services/usernames/store.ts'
import { createAccountStore } from './account-store.ts'
import { createKysely } from './dialect.ts'
import type { Engine } from './engine.ts'
import { SqlFailure } from './failure.ts'
import { counted, createGuard } from './guard.ts'
import type { Guard, GuardNeeds } from './guard.ts'
import { createLookUp } from './look-up.ts'
import { createMigrations } from './migrations.ts'
import type { MigrationNeeds, Migrations } from './migrations.ts'
import { createPool } from './pool.ts'
import type { PoolNeeds } from './pool.ts'
import { serverOf } from './server.ts'
import { createSqlite } from './sqlite.ts'
import { createUsernameStore } from './username-store.ts'

export type { Migrations, MigrationState } from './migrations.ts'

/** What the database is asked for: accounts, whether usernames can be had, and the holds, feed and lists of usernames. */
export type Asked = 'accounts' | 'checks' | 'names'

export interface SqlNeeds extends GuardNeeds, PoolNeeds, MigrationNeeds {
  /** Told of each read and each transaction. */
  asked?(kind: Asked): void
}

export type SqlConfig = Pick<Config['storage'], 'accounts' | 'directory' | 'migrate'>

export interface Sql {
  readonly accounts: AccountStore
  readonly usernames: UsernameStore
  /** Resolves when the database answers. @throws Problem `storage_unavailable` */
  ping(): Promise<void>
  close(): Promise<void>
}

/** Whatever is asked of the database is answered, or fails, by then. */
const ANSWER_MS = 2_000
/** A migration may touch every row, and wait for another process that is migrating. */
const MIGRATION_MS = 600_000

/**
 * Opens the database that `storage.accounts` names and brings its schema up to date, or checks that it is.
 *
 * @param answerMs - the longest that anything asked of it takes, milliseconds
 * @throws Error when it cannot be reached, is of a newer version, or lacks migrations that may not be applied
 */
export async function openSql(needs: SqlNeeds, config: SqlConfig, answerMs = ANSWER_MS): Promise<Sql> {
  const { engine, db } = await open(needs, config, answerMs)
  const guard = createGuard(needs, db)
  try {
    await prepare(needs, config, createMigrations(needs, db, engine))
  } catch (error) {
    await guard.close()
    throw sayable(error, engine)
  }
  const guardOf = (kind: Asked): Guard => counted(guard, () => needs.asked?.(kind))
  return {
    accounts: createAccountStore(guardOf('accounts'), engine.locksRows),
    usernames: createUsernameStore(guardOf('names'), createLookUp(guardOf('checks'), engine)),
    ping: async () => void (await guard.read((db) => db.selectFrom('username_feed').select('id').execute())),
    close: guard.close,
  }
}

/** Runs `work` on the migrations of the database that `storage.accounts` names, applied or not. */
export async function withMigrations<T>(
  needs: SqlNeeds,
  config: Omit<SqlConfig, 'migrate'>,
  work: (migrations: Migrations) => Promise<T>,
): Promise<T> {
  const { engine, db } = await open(needs, config, MIGRATION_MS)
  try {
    return await work(createMigrations(needs, db, engine))
  } catch (error) {
    throw sayable(error, engine)
  } finally {
    await db.destroy()
  }
}

async function prepare(needs: SqlNeeds, config: SqlConfig, migrations: Migrations): Promise<void> {
  const pending = (await migrations.status()).filter((one) => one.appliedAt === undefined).map((one) => one.name)
  if (pending.length === 0) return
  if (config.migrate) return void (await withMigrations(needs, config, (own) => own.up()))
  throw new Error(
    `the accounts database lacks the migrations ${pending.join(', ')}, and storage.migrate is false: run gatehouse migrate up`,
  )
}

async function open(needs: SqlNeeds, config: Omit<SqlConfig, 'migrate'>, answerMs: number) {
  const engine = await engineOf(needs, config, answerMs)
  const pool = createPool(needs, engine, answerMs)
  return { engine, db: createKysely(engine, pool) }
}

/** A driver is read when its database is asked for: the two take 30 MB together. */
async function engineOf(needs: SqlNeeds, { accounts, directory }: Omit<SqlConfig, 'migrate'>, answerMs: number): Promise<Engine> {
  if (accounts.kind === 'postgres') {
    const { createPostgres } = await import('./postgres.ts')
    return createPostgres(serverOf(accounts.url, 5432), answerMs)
  }
  if (accounts.kind === 'mysql') {
    const { createMysql } = await import('./mysql.ts')
    return createMysql(serverOf(accounts.url, 3306), (delayMs, run) => needs.schedule(delayMs, run))
  }
  return createSqlite(directory)
}

/** In the words of whoever has to start a database. */
function sayable(error: unknown, engine: Engine): unknown {
  if (!(error instanceof SqlFailure) || error.kind !== 'away') return error
  return new Error(`storage.accounts: ${engine.name} cannot be used`, { cause: error })
}
