CREATE TABLE accounts (
  id            VARCHAR(64)  NOT NULL PRIMARY KEY,
  tenant_id     VARCHAR(64)  NOT NULL,
  email         VARCHAR(254) NOT NULL,
  email_folded  VARCHAR(254) NOT NULL,
  display_name  VARCHAR(256),
  password_hash VARCHAR(255) NOT NULL,
  created_at    BIGINT       NOT NULL
) /*! CHARACTER SET utf8mb4 */ /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
CREATE UNIQUE INDEX accounts_by_email ON accounts (tenant_id, email_folded);
