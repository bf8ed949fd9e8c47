import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One step of the schema. Ids count from 1 without a gap; a step that was released is never changed. */
export interface Migration {
  readonly id: number
  /** `0002_add_username`. */
  readonly name: string
  readonly up: readonly string[]
  readonly down: readonly string[]
}

/** Which steps a database has. */
export const LEDGER =
  'CREATE TABLE IF NOT EXISTS migrations (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, applied_at BIGINT NOT NULL)'

/** The steps in `migrations/`, one text for all databases. */
export function readMigrations(): readonly Migration[] {
  const folder = join(import.meta.dirname, 'migrations')
  const names = readdirSync(folder).flatMap((file) => /^(\d{4}_\w+)\.up\.sql$/.exec(file)?.slice(1) ?? [])
  return names.toSorted().map((name, index) => {
    const id = Number(name.slice(0, 4))
    if (id !== index + 1) throw new Error(`the migration ${name} is out of order`)
    const read = (direction: string): readonly string[] =>
      statementsOf(readFileSync(join(folder, `${name}.${direction}.sql`), 'utf8'))
    return { id, name, up: read('up'), down: read('down') }
  })
}

/** A statement ends with a semicolon at the end of a line. */
function statementsOf(script: string): readonly string[] {
  const code = script.replace(/^--.*\n/gm, '')
  return code
    .split(/;[ \t]*\n/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
