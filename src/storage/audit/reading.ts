import type { Database, Row } from '../embedded/database.ts'
import { integer, optionalText, text } from '../embedded/database.ts'
import type { AuditEvent } from './chain.ts'

/** A row as it was written. */
export interface AuditRow extends AuditEvent {
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** SHA-256 in hex, over the row and the hash of the one before. */
  readonly hash: string
}

/** Absent: whatever it is. */
export interface AuditQuery {
  readonly tenant?: string
  readonly user?: string
  readonly events?: readonly string[]
  /** Milliseconds since 1970. */
  readonly sinceMs?: number
}

const PIECE = 1000

/** What was recorded last, newest first. */
export function newestRows(db: Database, query: AuditQuery, limit: number): readonly AuditRow[] {
  const events = query.events ?? []
  const some = events.length === 0 ? '' : ` AND event IN (${events.map(() => '?').join(', ')})`
  const statement = db.prepare(
    `SELECT * FROM audit WHERE (?1 IS NULL OR tenant_id = ?1) AND (?2 IS NULL OR user_id = ?2) AND at >= ?3${some}
     ORDER BY seq DESC LIMIT ${Math.floor(limit)}`,
  )
  return statement.all(query.tenant ?? null, query.user ?? null, query.sinceMs ?? 0, ...events).map(rowOf)
}

/** All rows behind this one, in their order, some at a time. */
export function* rowsAfter(db: Database, seq: number): Generator<readonly AuditRow[]> {
  const statement = db.prepare(`SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ${PIECE}`)
  let last = seq
  for (let rows = statement.all(last); rows.length > 0; rows = statement.all(last)) {
    const read = rows.map(rowOf)
    last = read.at(-1)?.seq ?? last
    yield read
  }
}

function rowOf(row: Row): AuditRow {
  const fact = (column: string, key: string): object => {
    const value = optionalText(row, column)
    return value === undefined ? {} : { [key]: value }
  }
  return {
    seq: integer(row, 'seq'),
    at: integer(row, 'at'),
    event: text(row, 'event'),
    ...fact('tenant_id', 'tenant'),
    ...fact('user_id', 'user'),
    ...fact('actor', 'actor'),
    ...fact('subject', 'subject'),
    ...fact('reason', 'reason'),
    ...fact('ip', 'ip'),
    ...fact('request_id', 'requestId'),
    hash: text(row, 'hash'),
  }
}
