-- username: as its owner writes it; username_folded: lower case, unique within the tenant. Both null without a name.
ALTER TABLE accounts ADD COLUMN username VARCHAR(30);
ALTER TABLE accounts ADD COLUMN username_folded VARCHAR(30);
CREATE UNIQUE INDEX accounts_by_username ON accounts (tenant_id, username_folded);
