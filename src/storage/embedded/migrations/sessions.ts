import type { Migration } from '../migrations.ts'

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
])
