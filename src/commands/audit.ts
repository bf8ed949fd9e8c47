import type { Config } from '../config/config.ts'
import { auditVerdict, withAuditRows, type AuditRow } from '../upkeep.ts'
import { nowMs } from '../world.ts'
import { table } from './table.ts'
import { UsageError } from './usage.ts'

/**
 * Walks the audit record of this machine.
 *
 * @param noted `SEQ:HASH` as an earlier walk printed it, which the chain must still hold
 * @returns what to print, and the exit code: 1 when the chain is broken
 * @throws Error when there is no record, or `noted` is not what it should be
 */
export function verifyAudit(
  config: Config,
  noted: string | undefined,
  json: boolean,
): { readonly text: string; readonly code: 0 | 1 } {
  const { rows, head, firstBreak } = auditVerdict(config, noted === undefined ? undefined : parseNoted(noted))
  const code = firstBreak === undefined ? 0 : 1
  if (json) return { text: `${JSON.stringify({ ok: code === 0, rows, head, first_break: firstBreak })}\n`, code }
  const upTo = head === undefined ? '' : `, up to ${head.seq}:${head.hash}`
  if (firstBreak === undefined) return { text: `the audit record is whole: ${rows} rows${upTo}\n`, code }
  return { text: `the audit record is broken at row ${firstBreak.seq}: ${firstBreak.what}. Good are ${rows} rows${upTo}\n`, code }
}

/** What the command line says about the rows to show. */
export interface AuditListArguments {
  readonly tenant?: string | undefined
  readonly user?: string | undefined
  /** With commas between them. */
  readonly event?: string | undefined
  readonly since?: string | undefined
  readonly limit?: string | undefined
  readonly json: boolean
}

const USUAL_LIMIT = 50
const MOST_ROWS = 10_000

/**
 * Shows what was recorded last on this machine, newest first.
 *
 * @returns what to print
 * @throws Error when there is no record; UsageError for an option that says nothing
 */
export function listAudit(config: Config, given: AuditListArguments): string {
  const { tenant, user, event, since, json } = given
  const query = {
    ...(tenant !== undefined && { tenant }),
    ...(user !== undefined && { user }),
    ...(event !== undefined && { events: event.split(',').map((one) => one.trim()) }),
    ...(since !== undefined && { sinceMs: momentOf(since) }),
  }
  const limit = numberOf(given.limit, 'limit', { least: 1, most: MOST_ROWS }) ?? USUAL_LIMIT
  const rows = withAuditRows(config, ({ newest }) => newest(query, limit))
  if (json) return `${JSON.stringify({ rows: rows.map(shown) }, null, 2)}\n`
  if (rows.length === 0) return 'no row of the audit record is of that kind\n'
  const cells = rows.map((row) => [
    iso(row.at),
    row.event,
    row.tenant ?? '',
    row.user ?? '',
    row.actor ?? '',
    row.subject ?? '',
    row.ip ?? '',
    row.reason ?? '',
  ])
  return table(['AT', 'EVENT', 'TENANT', 'USER', 'ACTOR', 'SUBJECT', 'IP', 'REASON'], cells)
}

/**
 * Prints the rows of this machine in their order, one JSON value for each line, with their hashes.
 *
 * @param after `seq` of the last row that is not wanted
 */
export function exportAudit(config: Config, after: string | undefined, write: (text: string) => void): void {
  const last = numberOf(after, 'after', { least: 0, most: Number.MAX_SAFE_INTEGER }) ?? 0
  withAuditRows(config, ({ after: rowsAfter }) => {
    for (const rows of rowsAfter(last)) write(rows.map((row) => `${JSON.stringify(shown(row))}\n`).join(''))
  })
}

/** By the names of the columns. */
function shown({ seq, at, event, tenant, user, actor, subject, reason, ip, requestId, hash }: AuditRow): object {
  return { seq, at: iso(at), event, tenant_id: tenant, user_id: user, actor, subject, reason, ip, request_id: requestId, hash }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** So long ago, or a date; milliseconds since 1970. */
function momentOf(since: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(since) ?? []
  if (count !== undefined) return nowMs() - Number(count) * (UNITS[unit] ?? 0)
  const ms = /^\d{4}-\d\d-\d\d/.test(since) ? Date.parse(since) : Number.NaN
  if (Number.isNaN(ms)) throw new UsageError('--since: write how long ago, such as 2h, or a date such as 2026-03-01T12:00:00Z')
  return ms
}

function numberOf(
  text: string | undefined,
  option: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new UsageError(`--${option}: write a whole number from ${least} to ${most}`)
}

function parseNoted(noted: string): { readonly seq: number; readonly hash: string } {
  const [, seq, hash] = /^([1-9][0-9]{0,15}):([0-9a-f]{64})$/.exec(noted) ?? []
  if (seq === undefined || hash === undefined) throw new UsageError('--head: write SEQ:HASH as audit verify prints it')
  return { seq: Number(seq), hash }
}
