import { startPostgres } from '../support/postgres.ts'
import { accountSuite } from './account-suite.ts'

accountSuite({
  name: 'PostgreSQL',
  start: startPostgres,
  analyze: 'ANALYZE accounts',
  schema: [
    `SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`,
    `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`,
  ],
})
