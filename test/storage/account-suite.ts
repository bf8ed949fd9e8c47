/** All that a database server has to do for accounts. */
import { afterAll, beforeAll, describe } from 'vitest'
import type { DatabaseServer } from '../support/database.ts'
import { accountContract, type Bench } from './account-contract.ts'
import { migrationContract } from './account-migrations.ts'
import { serverContract } from './account-servers.ts'

export interface AccountDatabase {
  readonly name: string
  start(): Promise<DatabaseServer>
  readonly analyze: string
  /** Its queries for columns and for indexes, in an order that does not change. */
  readonly schema: readonly string[]
}

export function accountSuite({ name, start, analyze, schema }: AccountDatabase): void {
  let server: DatabaseServer
  beforeAll(async () => {
    server = await start()
  }, 120_000)
  afterAll(() => server?.stop(), 60_000)

  const bench: Bench = {
    stores: 4,
    analyze,
    explain: 'EXPLAIN',
    async schema(place) {
      const rows = []
      for (const query of schema) rows.push(...(await bench.admin(place, query)))
      return rows
    },
    async newPlace() {
      const url = await server.newDatabase()
      return { accounts: { kind: server.kind, url }, directory: '/nowhere' }
    },
    async admin({ accounts }, statement) {
      return accounts.kind === 'embedded' ? [] : server.admin(accounts.url, statement)
    },
  }

  describe(`accounts in ${name}`, () => {
    accountContract(() => bench)
    migrationContract(() => bench)
    serverContract(
      () => bench,
      () => server,
    )
  })
}
