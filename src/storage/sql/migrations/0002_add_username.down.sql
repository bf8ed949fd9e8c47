DROP INDEX accounts_by_username /*! ON accounts */;
ALTER TABLE accounts DROP COLUMN username_folded;
ALTER TABLE accounts DROP COLUMN username;
