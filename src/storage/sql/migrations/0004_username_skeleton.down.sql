DROP INDEX accounts_by_skeleton /*! ON accounts */;
ALTER TABLE accounts DROP COLUMN username_skeleton;
