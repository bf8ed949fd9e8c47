CREATE TABLE username_quarantine (
  tenant_id       VARCHAR(64) NOT NULL,
  username_folded VARCHAR(30) NOT NULL,
  former_owner    VARCHAR(64) NOT NULL,
  expires_at      BIGINT      NOT NULL,
  PRIMARY KEY (tenant_id, username_folded)
) /*! CHARACTER SET utf8mb4 */ /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
CREATE INDEX username_quarantine_by_expiry ON username_quarantine (expires_at);
CREATE INDEX username_quarantine_by_owner ON username_quarantine (tenant_id, former_owner);
