import type { Config } from '../config/config.ts'
import { onMigrations } from '../upkeep.ts'
import type { MigrationState } from '../upkeep.ts'
import { table } from './table.ts'
import { UsageError } from './usage.ts'

/** What the command line says about migrations. */
export interface MigrateArguments {
  /** Of `up` and `down`: the number of the last step that is to be applied; 0 is none. */
  readonly to?: string
  readonly json: boolean
}

/**
 * Shows or changes the schema of the accounts database.
 *
 * @returns what to print
 * @throws Error that says what an operator can do
 */
export function migrate(action: 'up' | 'down' | 'status', config: Config, { to, json }: MigrateArguments): Promise<string> {
  const target = to === undefined ? undefined : numberOf(to)
  return onMigrations(config, async (migrations) => {
    const states = await migrations.status()
    if (target !== undefined && target > states.length) throw new UsageError(`--to: there are ${states.length} migrations`)
    if (action === 'status') return listed(states, json)
    const names = await migrations[action](target)
    if (json) return `${JSON.stringify({ [action === 'up' ? 'applied' : 'taken_back']: names })}\n`
    const verb = action === 'up' ? 'applied' : 'took back'
    return names.length === 0 ? 'nothing to do\n' : names.map((name) => `${verb} ${name}\n`).join('')
  })
}

function numberOf(to: string): number {
  if (!/^\d{1,4}$/.test(to)) throw new UsageError('--to needs the number of a migration, such as 2; 0 is none')
  return Number(to)
}

function listed(states: readonly MigrationState[], json: boolean): string {
  if (json) {
    const rows = states.map(({ name, appliedAt }) => ({ name, applied_at: appliedAt ?? null }))
    return `${JSON.stringify({ migrations: rows }, null, 2)}\n`
  }
  const rows = states.map(({ name, appliedAt }) => [name, appliedAt === undefined ? 'pending' : iso(appliedAt)])
  return table(['MIGRATION', 'APPLIED'], rows)
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
