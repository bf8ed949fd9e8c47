import type { Config } from '../config/config.ts'
import { tenantTimes } from '../upkeep.ts'
import { table } from './table.ts'

/**
 * The tenants of the configuration, and since when they are there; no times where no gateway has run with one yet.
 *
 * @returns what to print
 * @throws Error when the storage cannot be opened
 */
export async function tenants(config: Config, json: boolean): Promise<string> {
  const times = await tenantTimes(config)
  const rows = [...config.tenants.values()].map(({ id, name, issuer, hosts, signing, registration }) => {
    const { createdAt, updatedAt } = times.get(id) ?? {}
    return { id, name, issuer, hosts, signing, registration, created_at: createdAt, updated_at: updatedAt }
  })
  if (json) return `${JSON.stringify({ tenants: rows }, null, 2)}\n`
  return table(
    HEADINGS,
    rows.map((row) => [row.id, row.name, row.issuer, row.hosts.join(','), iso(row.created_at), iso(row.updated_at)]),
  )
}

const HEADINGS = ['ID', 'NAME', 'ISSUER', 'HOSTS', 'CREATED', 'UPDATED']

function iso(seconds: number | undefined): string {
  return seconds === undefined ? '' : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
