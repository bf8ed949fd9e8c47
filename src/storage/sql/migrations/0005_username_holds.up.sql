CREATE TABLE username_holds (
  tenant_id       VARCHAR(64) NOT NULL,
  username_folded VARCHAR(30) NOT NULL,
  ticket_hash     VARCHAR(64) NOT NULL,
  expires_at      BIGINT      NOT NULL,
  PRIMARY KEY (tenant_id, username_folded)
) /*! CHARACTER SET utf8mb4 */ /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
CREATE UNIQUE INDEX username_holds_by_ticket ON username_holds (ticket_hash);
CREATE INDEX username_holds_by_expiry ON username_holds (expires_at);
