import { afterAll, beforeAll, describe } from 'vitest'
import type { DatabaseServer } from '../support/database.ts'
import { startMariadb } from '../support/mariadb.ts'
import type { Bench } from './account-contract.ts'
import { accountContract } from './account-contract.ts'
import { migrationContract } from './account-migrations.ts'
import { serverContract } from './account-servers.ts'

let server: DatabaseServer
beforeAll(async () => {
  server = await startMariadb()
}, 120_000)
afterAll(() => server?.stop(), 60_000)

const bench: Bench = {
  stores: 4,
  analyze: 'ANALYZE TABLE accounts',
  explain: 'EXPLAIN',
  async schema(place) {
    const columns = await bench.admin(
      place,
      `SELECT table_name, column_name, column_type, collation_name, is_nullable, column_default
       FROM information_schema.columns WHERE table_schema = database() ORDER BY 1, 2`,
    )
    const indexes = await bench.admin(
      place,
      `SELECT table_name, index_name, seq_in_index, column_name, sub_part, non_unique
       FROM information_schema.statistics WHERE table_schema = database() ORDER BY 1, 2, 3`,
    )
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

describe('accounts in MariaDB', () => {
  accountContract(() => bench)
  migrationContract(() => bench)
  serverContract(
    () => bench,
    () => server,
  )
})
