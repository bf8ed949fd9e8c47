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
import { openFile } from './file.ts'
import type { GuardNeeds } from './guard.ts'
import { openLater } from './later.ts'
import type { MigrationNeeds, Migrations } from './migrations.ts'
import type { PoolNeeds } from './pool.ts'

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

/**
 * Opens the database that `storage.accounts` names and brings its schema up to date, or checks that it is. A file that is as it
 * should be is opened when it is first asked for: what makes its queries takes 50 ms of a start and 4 MB.
 *
 * @param answerMs - the longest that anything asked of it takes, milliseconds
 * @throws Error when it cannot be reached, is of a newer version, or lacks migrations that may not be applied
 */
export async function openSql(needs: SqlNeeds, config: SqlConfig, answerMs = ANSWER_MS): Promise<Sql> {
  const glance = config.accounts.kind === 'embedded' ? openFile(needs, config) : undefined
  return glance === undefined ? open() : openLater(glance, open, () => needs.asked?.('names'))

  async function open(): Promise<Sql> {
    const { openNow } = await import('./opened.ts')
    return openNow(needs, config, answerMs)
  }
}

/** Runs `work` on the migrations of the database that `storage.accounts` names, applied or not. */
export async function withMigrations<T>(
  needs: SqlNeeds,
  config: Omit<SqlConfig, 'migrate'>,
  work: (migrations: Migrations) => Promise<T>,
): Promise<T> {
  const { migrateBy } = await import('./opened.ts')
  return migrateBy(needs, config, work)
}
