/**
 * Storage in two SQLite files of one directory, for a gateway that has nothing else on the machine.
 *
 * What was acknowledged is on the disk, also after a kill or a loss of power. Several processes may share the directory.
 * This room knows tables; what a session, an account or a key is for is known to the rooms whose interfaces it implements.
 * It never decrypts a key set and never logs.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { UsedTokens } from '../../replay/replay.ts'
import type { RevocationLog, RevocationLookup } from '../../revocation/revocation.ts'
import type { AccountStore } from '../../services/accounts/accounts.ts'
import type { SessionStore } from '../../services/sessions/sessions.ts'
import type { KeyStore } from '../../tenants/tenants.ts'
import { createAccountStore } from './account-store.ts'
import type { Database } from './database.ts'
import { openDatabase } from './database.ts'
import { createKeyStore } from './key-store.ts'
import type { Migration } from './migrations.ts'
import { migrateUp } from './migrations.ts'
import { ACCOUNT_MIGRATIONS } from './migrations/accounts.ts'
import { SESSION_MIGRATIONS } from './migrations/sessions.ts'
import { createRevocationLog } from './revocation-log.ts'
import { createSessionStore } from './session-store.ts'
import { createUsedTokens } from './used-tokens.ts'

export { openMasterKey } from './master-key.ts'

export interface EmbeddedNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. Without it, what other processes revoke is noticed late. */
  schedule?(delayMs: number, run: () => void): () => void
}

export type EmbeddedConfig = Pick<Config['storage'], 'directory' | 'migrate'>

/** All that embedded storage offers. Its methods reject with `storage_unavailable` when the files cannot be used. */
export interface Embedded {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly accounts: AccountStore
  readonly log: RevocationLog & RevocationLookup
  readonly used: UsedTokens
  close(): void
}

/**
 * Opens the storage in `config.directory` (made with mode 0700 when missing): `sessions.db` with keys, sessions, epochs,
 * revocations and used tokens, and `accounts.db`.
 *
 * @throws Error when a file cannot be opened, is of a newer version, or lacks migrations that may not be applied
 */
export async function openEmbedded(needs: EmbeddedNeeds, config: EmbeddedConfig): Promise<Embedded> {
  const sessions = open(needs, config, SESSIONS)
  try {
    return face(needs, sessions, open(needs, config, ACCOUNTS))
  } catch (error) {
    sessions.close()
    throw error
  }
}

/** Opens `accounts.db` alone, where sessions are elsewhere. */
export async function openEmbeddedAccounts(
  needs: EmbeddedNeeds,
  config: EmbeddedConfig,
): Promise<Pick<Embedded, 'accounts' | 'close'>> {
  const accounts = open(needs, config, ACCOUNTS)
  return { accounts: createAccountStore(accounts), close: () => accounts.close() }
}

const SESSIONS = { name: 'sessions.db', migrations: SESSION_MIGRATIONS } as const
const ACCOUNTS = { name: 'accounts.db', migrations: ACCOUNT_MIGRATIONS } as const

function open(
  needs: EmbeddedNeeds,
  config: EmbeddedConfig,
  { name, migrations }: { readonly name: string; readonly migrations: readonly Migration[] },
): Database {
  mkdirSync(config.directory, { recursive: true, mode: 0o700 })
  const db = openDatabase(join(config.directory, name))
  try {
    migrateUp(db, migrations, config.migrate, needs)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function face(needs: EmbeddedNeeds, sessions: Database, accounts: Database): Embedded {
  const log = createRevocationLog(sessions, needs)
  return {
    keys: createKeyStore(sessions, needs),
    sessions: createSessionStore(sessions, { nowSeconds: () => needs.nowSeconds(), log }),
    accounts: createAccountStore(accounts),
    log: log.log,
    used: createUsedTokens(sessions, needs),
    close() {
      sessions.close()
      accounts.close()
    },
  }
}
