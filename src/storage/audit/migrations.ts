import type { Migration } from '../embedded/migrations.ts'

/** Schema of `audit.db`. */
export const AUDIT_MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    id: 1,
    name: '0001_audit',
    up: `
      CREATE TABLE audit (
        seq        INTEGER PRIMARY KEY AUTOINCREMENT,
        -- Milliseconds since 1970.
        at         INTEGER NOT NULL,
        event      TEXT    NOT NULL,
        tenant_id  TEXT,
        user_id    TEXT,
        actor      TEXT,
        subject    TEXT,
        reason     TEXT,
        ip         TEXT,
        request_id TEXT,
        -- SHA-256 of the row before and of this one, hex.
        hash       TEXT    NOT NULL CHECK (length(hash) = 64)
      ) STRICT;

      CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit record is append-only'); END;
      CREATE TRIGGER audit_rows_stay_as_they_are BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit record is append-only'); END;
    `,
    down: `
      DROP TABLE audit;
    `,
  },
])
