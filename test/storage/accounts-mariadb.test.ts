import { startMariadb } from '../support/mariadb.ts'
import { accountSuite } from './account-suite.ts'

accountSuite({
  name: 'MariaDB',
  start: startMariadb,
  analyze: 'ANALYZE TABLE accounts',
  schema: [
    `SELECT table_name, column_name, column_type, collation_name, is_nullable, column_default
     FROM information_schema.columns WHERE table_schema = database() ORDER BY 1, 2`,
    `SELECT table_name, index_name, seq_in_index, column_name, sub_part, non_unique
     FROM information_schema.statistics WHERE table_schema = database() ORDER BY 1, 2, 3`,
  ],
})
