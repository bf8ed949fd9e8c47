import { createAccountStore } from './account-store.ts'
import { createKysely } from './dialect.ts'
import type { Engine } from './engine.ts'
import { SqlFailure } from './failure.ts'
import { counted, createGuard } from './guard.ts'
import type { Guard } from './guard.ts'
import { createLookUp } from './look-up.ts'
import { createMigrations } from './migrations.ts'
import type { Migrations } from './migrations.ts'
import { createPool } from './pool.ts'
import { serverOf } from './server.ts'
import type { Asked, Sql, SqlConfig, SqlNeeds } from './sql.ts'
import { createSqlite } from './sqlite.ts'
import { createUsernameStore } from './username-store.ts'

type Place = Omit<SqlConfig, 'migrate'>

/** A migration may touch every row, and wait for another process that is migrating. */
const MIGRATION_MS = 600_000

export async function openNow(needs: SqlNeeds, config: SqlConfig, answerMs: number): Promise<Sql> {
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

export async function migrateBy<T>(needs: SqlNeeds, config: Place, work: (migrations: Migrations) => Promise<T>): Promise<T> {
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
  if (config.migrate) return void (await migrateBy(needs, config, (own) => own.up()))
  throw new Error(
    `the accounts database lacks the migrations ${pending.join(', ')}, and storage.migrate is false: run gatehouse migrate up`,
  )
}

async function open(needs: SqlNeeds, config: Place, answerMs: number) {
  const engine = await engineOf(needs, config, answerMs)
  const pool = createPool(needs, engine, answerMs)
  return { engine, db: createKysely(engine, pool) }
}

/** A driver is read when its database is asked for: the two take 30 MB together. */
async function engineOf(needs: SqlNeeds, { accounts, directory }: Place, answerMs: number): Promise<Engine> {
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
