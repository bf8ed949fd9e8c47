-- TEXT is a type that SQLite knows in strict tables too, and MySQL indexes the beginning of, as long as a name can be.
ALTER TABLE accounts ADD COLUMN username_skeleton TEXT;
UPDATE accounts SET username_skeleton =
  replace(replace(replace(replace(replace(replace(replace(
    username_folded, '0', 'o'), '1', 'l'), 'i', 'l'), 'rn', 'm'), 'vv', 'w'), '-', ''), '_', '')
WHERE username_folded IS NOT NULL;
CREATE INDEX accounts_by_skeleton ON accounts (tenant_id, username_skeleton /*! (30) */);
