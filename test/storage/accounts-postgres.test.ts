import { afterAll, beforeAll, describe } from 'vitest'
import type { DatabaseServer } from '../support/database.ts'
import { startPostgres } from '../support/postgres.ts'
import type { Bench } from './account-contract.ts'
import { accountContract } from './account-contract.ts'
import { migrationContract } from './account-migrations.ts'
import { serverContract } from './account-servers.ts'

let server: DatabaseServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(() => server?.stop(), 60_000)

const bench: Bench = {
  stores: 4,
  analyze: 'ANALYZE accounts',
  explain: 'EXPLAIN',
  async schema(place) {
    const columns = await bench.admin(
      place,
      `SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
       FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`,
    )
    const indexes = await bench.admin(place, `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)
    return [...columns, ...indexes]
  },
  async newPlace() {
    const url = await server.newDatabase()
    return { accounts: { kind: server.kind, url }, directory: '/nowhere' }
  },
  async admin({ accounts }, statement) {
    return accounts.kind === 'embedded' ? [] : server.admin(accounts.url, statement)
  },
}

describe('accounts in PostgreSQL', () => {
  accountContract(() => bench)
  migrationContract(() => bench)
  serverContract(
    () => bench,
    () => server,
  )
})
