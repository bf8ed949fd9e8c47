import type { Migration } from '../migrations.ts'

/** SQLite cannot change a CHECK: the rows go over to a new table, and so does the last position that was ever given. */
function moveRevocations(table: string, which: string): string {
  return `
      INSERT INTO ${table} SELECT seq, kind, tenant_id, id, epoch, revoked_at, expires_at FROM revocations WHERE ${which};
      DELETE FROM sqlite_sequence WHERE name = '${table}';
      INSERT INTO sqlite_sequence (name, seq) SELECT '${table}', seq FROM sqlite_sequence WHERE name = 'revocations';
      DROP TABLE revocations;
      ALTER TABLE ${table} RENAME TO revocations;
      CREATE INDEX revocations_by_subject ON revocations (tenant_id, kind, id);
      CREATE INDEX revocations_by_expiry ON revocations (expires_at);`
}

/** Schema of `sessions.db`. All times in seconds since 1970. */
export const SESSION_MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    id: 1,
    name: '0001_sessions',
    up: `
      CREATE TABLE signing_keys (
        owner      TEXT    NOT NULL PRIMARY KEY,
        sealed     TEXT    NOT NULL,
        updated_at INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE sessions (
        tenant_id       TEXT    NOT NULL,
        id              TEXT    NOT NULL,
        user_id         TEXT    NOT NULL,
        scope           TEXT    NOT NULL,
        metadata        TEXT    NOT NULL CHECK (json_valid(metadata)),
        epoch           INTEGER NOT NULL,
        generation      INTEGER NOT NULL,
        device          TEXT    NOT NULL CHECK (length(device) <= 256),
        ip              TEXT    NOT NULL,
        created_at      INTEGER NOT NULL,
        last_used_at    INTEGER NOT NULL,
        expires_at      INTEGER NOT NULL,
        idle_expires_at INTEGER NOT NULL,
        tokens_until    INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id);
      CREATE INDEX sessions_by_end ON sessions (max(tokens_until, min(expires_at, idle_expires_at)));

      CREATE TABLE epochs (
        tenant_id TEXT    NOT NULL,
        user_id   TEXT    NOT NULL,
        epoch     INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, user_id)
      ) STRICT, WITHOUT ROWID;

      -- AUTOINCREMENT: a position is never used twice, even after the rows up to it were purged.
      CREATE TABLE revocations (
        seq        INTEGER PRIMARY KEY AUTOINCREMENT,
        kind       TEXT    NOT NULL CHECK (kind IN ('token', 'session', 'user')),
        tenant_id  TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        epoch      INTEGER,
        revoked_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        CHECK ((kind = 'user') = (epoch IS NOT NULL))
      ) STRICT;
      CREATE INDEX revocations_by_subject ON revocations (tenant_id, kind, id);
      CREATE INDEX revocations_by_expiry ON revocations (expires_at);

      CREATE TABLE audit (
        seq       INTEGER PRIMARY KEY AUTOINCREMENT,
        at        INTEGER NOT NULL,
        event     TEXT    NOT NULL,
        tenant_id TEXT    NOT NULL,
        user_id   TEXT,
        subject   TEXT,
        reason    TEXT    NOT NULL
      ) STRICT;
    `,
    down: `
      DROP TABLE audit;
      DROP TABLE revocations;
      DROP TABLE epochs;
      DROP TABLE sessions;
      DROP TABLE signing_keys;
    `,
  },
  {
    id: 2,
    name: '0002_rotation',
    up: `
      -- When the refresh token was last exchanged for its successor; null: never.
      ALTER TABLE sessions ADD COLUMN rotated_at INTEGER;
      -- Until now every session was made by a login.
      ALTER TABLE sessions ADD COLUMN client_id TEXT NOT NULL DEFAULT 'gatehouse';

      CREATE TABLE revocations_of_all_kinds (
        seq        INTEGER PRIMARY KEY AUTOINCREMENT,
        kind       TEXT    NOT NULL CHECK (kind IN ('token', 'session', 'user', 'tenant', 'key')),
        tenant_id  TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        epoch      INTEGER,
        revoked_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        CHECK ((kind = 'user') = (epoch IS NOT NULL)),
        CHECK (kind <> 'tenant' OR id = '')
      ) STRICT;
      ${moveRevocations('revocations_of_all_kinds', 'true')}
    `,
    down: `
      CREATE TABLE revocations_of_old_kinds (
        seq        INTEGER PRIMARY KEY AUTOINCREMENT,
        kind       TEXT    NOT NULL CHECK (kind IN ('token', 'session', 'user')),
        tenant_id  TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        epoch      INTEGER,
        revoked_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        CHECK ((kind = 'user') = (epoch IS NOT NULL))
      ) STRICT;
      ${moveRevocations('revocations_of_old_kinds', "kind IN ('token', 'session', 'user')")}
      ALTER TABLE sessions DROP COLUMN client_id;
      ALTER TABLE sessions DROP COLUMN rotated_at;
    `,
  },
  {
    id: 3,
    name: '0003_used_tokens',
    up: `
      CREATE TABLE used_tokens (
        tenant_id  TEXT    NOT NULL,
        issuer     TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, issuer, id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX used_tokens_by_expiry ON used_tokens (expires_at);
    `,
    down: `
      DROP TABLE used_tokens;
    `,
  },
  {
    id: 4,
    name: '0004_audit_elsewhere',
    // The record of what happened is a file of its own.
    up: 'DROP TABLE audit;',
    down: `
      CREATE TABLE audit (
        seq       INTEGER PRIMARY KEY AUTOINCREMENT,
        at        INTEGER NOT NULL,
        event     TEXT    NOT NULL,
        tenant_id TEXT    NOT NULL,
        user_id   TEXT,
        subject   TEXT,
        reason    TEXT    NOT NULL
      ) STRICT;
    `,
  },
  {
    id: 5,
    name: '0005_tenant_epochs',
    up: `
      -- The time of the last end of all sessions of a tenant, or more: those of an older epoch are over.
      CREATE TABLE tenant_epochs (
        tenant_id TEXT    NOT NULL PRIMARY KEY,
        epoch     INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      ALTER TABLE sessions ADD COLUMN tenant_epoch INTEGER NOT NULL DEFAULT 0;
    `,
    // The older version would take sessions for live that are over.
    down: `
      DELETE FROM sessions WHERE tenant_epoch < coalesce(
        (SELECT epoch FROM tenant_epochs WHERE tenant_epochs.tenant_id = sessions.tenant_id), 0);
      ALTER TABLE sessions DROP COLUMN tenant_epoch;
      DROP TABLE tenant_epochs;
    `,
  },
  {
    id: 6,
    name: '0006_devices',
    up: `
      ALTER TABLE sessions ADD COLUMN country TEXT;
      CREATE TABLE known_devices (
        tenant_id  TEXT    NOT NULL,
        user_id    TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        name       TEXT    NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL,
        country    TEXT,
        PRIMARY KEY (tenant_id, user_id, id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX known_devices_by_age ON known_devices (last_seen);
    `,
    down: `
      DROP TABLE known_devices;
      ALTER TABLE sessions DROP COLUMN country;
    `,
  },
  {
    id: 7,
    name: '0007_tenants',
    up: `
      CREATE TABLE tenants (
        tenant_id  TEXT    NOT NULL PRIMARY KEY,
        digest     TEXT    NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
    down: `
      DROP TABLE tenants;
    `,
  },
])
