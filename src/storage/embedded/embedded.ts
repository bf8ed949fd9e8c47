/**
 * Sessions, keys and revocations in a SQLite file, for a gateway that has nothing else on the machine.
 *
 * What was acknowledged is on the disk, also after a kill or a loss of power. Several processes may share the directory.
 * This room knows tables; what a session or a key is for is known to the rooms whose interfaces it implements.
 * It never decrypts a key set and never logs.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { UsedTokens } from '../../replay/replay.ts'
import type { RevocationLog, RevocationLookup } from '../../revocation/revocation.ts'
import type { DeviceStore } from '../../services/accounts/accounts.ts'
import type { SessionStore } from '../../services/sessions/sessions.ts'
import type { KeyStore, TenantStore } from '../../tenants/tenants.ts'
import type { Database } from './database.ts'
import { openDatabase } from './database.ts'
import { createDeviceStore } from './device-store.ts'
import { createKeyStore } from './key-store.ts'
import { migrateUp } from './migrations.ts'
import { SESSION_MIGRATIONS } from './migrations/sessions.ts'
import { createRevocationLog, type Neighbours } from './revocation-log.ts'
import { createSessionStore } from './session-store.ts'
import { createTenantStore } from './tenant-store.ts'
import { createUsedTokens } from './used-tokens.ts'

export { openMasterKey } from './master-key.ts'

export interface EmbeddedNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. Without it, what other processes revoke is noticed late. */
  schedule?(delayMs: number, run: () => void): () => void
  /** Absent where there are none, or no quicker way to them than the files. */
  readonly neighbours?: Neighbours
}

export type EmbeddedConfig = Pick<Config['storage'], 'directory' | 'migrate'>

/** All that embedded storage offers. Its methods reject with `storage_unavailable` when the files cannot be used. */
export interface Embedded {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  readonly used: UsedTokens
  readonly devices: DeviceStore
  readonly tenants: TenantStore
  close(): void
}

/**
 * Opens `sessions.db` in `config.directory` (made with mode 0700 when missing), with keys, sessions, epochs, revocations and used
 * tokens.
 *
 * @throws Error when the file cannot be opened, is of a newer version, or lacks migrations that may not be applied
 */
export async function openEmbedded(needs: EmbeddedNeeds, config: EmbeddedConfig): Promise<Embedded> {
  const db = open(needs, config)
  const log = createRevocationLog(db, needs)
  return {
    keys: createKeyStore(db, needs),
    sessions: createSessionStore(db, { nowSeconds: () => needs.nowSeconds(), log }),
    log: log.log,
    used: createUsedTokens(db, needs),
    devices: createDeviceStore(db, needs),
    tenants: createTenantStore(db),
    close: () => db.close(),
  }
}

function open(needs: EmbeddedNeeds, config: EmbeddedConfig): Database {
  mkdirSync(config.directory, { recursive: true, mode: 0o700 })
  const db = openDatabase(join(config.directory, 'sessions.db'))
  try {
    migrateUp(db, SESSION_MIGRATIONS, config.migrate, needs)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
