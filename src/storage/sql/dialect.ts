import { Kysely } from 'kysely'
import type { CompiledQuery, DatabaseConnection, DatabaseIntrospector, Driver, QueryResult } from 'kysely'
import type { Engine } from './engine.ts'
import type { Lease, Pool } from './pool.ts'
import type { Tables } from './tables.ts'

/** Kysely on connections of ours. */
export function createKysely(engine: Engine, pool: Pool): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => engine.adapter(),
      createQueryCompiler: () => engine.compiler(),
      createDriver: () => createDriver(engine, pool),
      createIntrospector: () => NO_INTROSPECTION,
    },
  })
}

/** Nothing asks the databases about their schemas that way. */
const NO_INTROSPECTION: DatabaseIntrospector = {
  getSchemas: async () => [],
  getTables: async () => [],
}

function createDriver(engine: Engine, pool: Pool): Driver {
  const leases = new WeakMap<DatabaseConnection, Lease>()
  return {
    init: async () => undefined,
    async acquireConnection() {
      const lease = await pool.lease()
      const connection = connectionOf(lease)
      leases.set(connection, lease)
      return connection
    },
    beginTransaction: (connection) => run(connection, engine.begin),
    commitTransaction: (connection) => run(connection, 'COMMIT'),
    async rollbackTransaction(connection) {
      const lease = leases.get(connection)
      if (lease === undefined || lease.isSpoilt()) return
      // A transaction that cannot be taken back ends with its connection; the error that is under way says more than this one.
      await lease.query('ROLLBACK', []).catch(() => lease.spoil())
    },
    releaseConnection: async (connection) => leases.get(connection)?.release(),
    destroy: async () => pool.close(),
  }

  async function run(connection: DatabaseConnection, text: string): Promise<void> {
    await leases.get(connection)?.query(text, [])
  }
}

function connectionOf(lease: Lease): DatabaseConnection {
  return {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const { rows, changes } = await lease.query(sql, parameters)
      return { rows: Array.isArray(rows) ? rows : [], numAffectedRows: BigInt(changes) }
    },
    // oxlint-disable-next-line require-yield
    async *streamQuery() {
      throw new Error('rows are read in pages, not streamed')
    },
  }
}
