import { CompiledQuery } from 'kysely'
import type { Kysely } from 'kysely'
import type { Engine } from './engine.ts'
import { LEDGER, readMigrations, type Migration } from './migration-files.ts'
import type { Tables } from './tables.ts'

/** What became of a step. */
export interface MigrationState {
  readonly name: string
  /** Whole seconds since 1970; absent: pending. */
  readonly appliedAt?: number
}

export interface Migrations {
  /** Every step in order. @throws Error when the database has one that this version does not know */
  status(): Promise<readonly MigrationState[]>
  /** Applies what is pending, up to step `to` where it is given. Returns the names of those that it applied. */
  up(to?: number): Promise<readonly string[]>
  /** Takes back every step after `to`, the newest first; without it the newest one. Returns the names of those. */
  down(to?: number): Promise<readonly string[]>
}

export interface MigrationNeeds {
  nowSeconds(): number
}

/** The steps in `migrations/`, one text for all databases, on one of them. */
export function createMigrations(needs: MigrationNeeds, db: Kysely<Tables>, engine: Engine): Migrations {
  const known = readMigrations()
  return {
    status: () => statusOn(db),
    up: (to = known.length) =>
      alone(async (db) => {
        const states = await statusOn(db)
        const pending = known.filter((one, index) => states[index]?.appliedAt === undefined && one.id <= to)
        for (const one of pending) await step(db, one, 'up')
        return pending.map((one) => one.name)
      }),
    down: (to) =>
      alone(async (db) => {
        const states = await statusOn(db)
        const applied = known.filter((_, index) => states[index]?.appliedAt !== undefined)
        const least = to ?? (applied.at(-1)?.id ?? 1) - 1
        const back = applied.filter((one) => one.id > least).toReversed()
        for (const one of back) await step(db, one, 'down')
        return back.map((one) => one.name)
      }),
  }

  async function statusOn(db: Kysely<Tables>): Promise<readonly MigrationState[]> {
    const isThere = await engine.hasTable(db, 'migrations')
    const rows = isThere ? await db.selectFrom('migrations').selectAll().orderBy('id').execute() : []
    for (const { id, name } of rows) {
      if (known[id - 1]?.name === name) continue
      throw new Error(
        `${engine.name} has the migration ${name}, which this version does not know: start the version that made it`,
      )
    }
    const applied = new Map(rows.map((row) => [row.name, row.applied_at]))
    return known.map(({ name }) => {
      const appliedAt = applied.get(name)
      return { name, ...(appliedAt !== undefined && { appliedAt }) }
    })
  }

  /** On one connection, one process at a time; in one transaction where the database can take back what it did to a schema. */
  function alone<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    if (engine.transactionalSchema) return db.transaction().execute((own) => locked(own, work))
    return db.connection().execute((own) => locked(own, work))
  }

  async function locked<T>(own: Kysely<Tables>, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    await engine.lock(own)
    try {
      await run(own, LEDGER)
      return await work(own)
    } finally {
      // Where this fails the connection has failed, and the lock ended with it.
      await engine.unlock(own).catch(() => undefined)
    }
  }

  async function step(db: Kysely<Tables>, { id, name, ...texts }: Migration, direction: 'up' | 'down'): Promise<void> {
    try {
      for (const statement of texts[direction]) await run(db, statement)
    } catch (cause) {
      throw new Error(`the migration ${name} (${direction}) failed on ${engine.name}`, { cause })
    }
    if (direction === 'down') await db.deleteFrom('migrations').where('id', '=', id).execute()
    else await db.insertInto('migrations').values({ id, name, applied_at: needs.nowSeconds() }).execute()
  }
}

async function run(db: Kysely<Tables>, statement: string): Promise<void> {
  await db.executeQuery(CompiledQuery.raw(statement))
}
