-- Only ever appended to. The ids are given out one transaction at a time, under the lock of the row of username_feed, so
-- that events become visible in their order and without a gap.
CREATE TABLE username_history (
  id              BIGINT      NOT NULL PRIMARY KEY,
  tenant_id       VARCHAR(64) NOT NULL,
  username_folded VARCHAR(30) NOT NULL,
  event           VARCHAR(16) NOT NULL,
  account_id      VARCHAR(64),
  username        VARCHAR(30),
  recorded_at     BIGINT      NOT NULL
) /*! CHARACTER SET utf8mb4 */ /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
CREATE INDEX username_history_by_name ON username_history (tenant_id, username_folded, id);
CREATE TABLE username_feed (
  id      BIGINT NOT NULL PRIMARY KEY,
  last_id BIGINT NOT NULL
);
INSERT INTO username_feed (id, last_id) VALUES (1, 0);
