import type { Migration } from '../migrations.ts'

/** Schema of `accounts.db`. All times in seconds since 1970. The `_folded` columns are what is compared and unique. */
export const ACCOUNT_MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    id: 1,
    name: '0001_accounts',
    up: `
      CREATE TABLE accounts (
        id            TEXT    NOT NULL PRIMARY KEY,
        tenant_id     TEXT    NOT NULL,
        email         TEXT    NOT NULL,
        email_folded  TEXT    NOT NULL,
        display_name  TEXT,
        password_hash TEXT    NOT NULL,
        created_at    INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX accounts_by_email ON accounts (tenant_id, email_folded);
    `,
    down: `
      DROP TABLE accounts;
    `,
  },
  {
    id: 2,
    name: '0002_add_username',
    up: `
      ALTER TABLE accounts ADD COLUMN username TEXT CHECK (length(username) <= 30);
      ALTER TABLE accounts ADD COLUMN username_folded TEXT;
      CREATE UNIQUE INDEX accounts_by_username ON accounts (tenant_id, username_folded) WHERE username_folded IS NOT NULL;
    `,
    down: `
      DROP INDEX accounts_by_username;
      ALTER TABLE accounts DROP COLUMN username_folded;
      ALTER TABLE accounts DROP COLUMN username;
    `,
  },
  {
    id: 3,
    name: '0003_account_status',
    up: `
      ALTER TABLE accounts ADD COLUMN status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'));
    `,
    down: `
      ALTER TABLE accounts DROP COLUMN status;
    `,
  },
])
