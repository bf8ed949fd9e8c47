import type { Database } from './database.ts'
import { integer, optionalText, text } from './database.ts'

/** One recorded act. Rows are appended in the transaction of the act itself and never changed. */
export interface AuditEntry {
  readonly event: (typeof EVENTS)[number]
  readonly tenant: string
  readonly user?: string
  /** Id of the session or token. */
  readonly subject?: string
  readonly reason: string
}

export interface AuditRow extends AuditEntry {
  readonly position: number
  /** Seconds since 1970. */
  readonly at: number
}

export interface Audit {
  /** Rows after `position`, oldest first, at most 1,000. */
  readAfter(position: number): Promise<readonly AuditRow[]>
}

const BATCH = 1_000
const EVENTS = [
  'session.ended',
  'session.evicted',
  'session.reused',
  'session.healed',
  'sessions.ended',
  'token.revoked',
  'tenant.revoked',
  'key.revoked',
] as const

export interface EmbeddedAudit {
  readonly audit: Audit
  /** Appends inside a write transaction. */
  readonly record: (entry: AuditEntry) => void
}

export function createAudit(db: Database, needs: { nowSeconds(): number }): EmbeddedAudit {
  const insert = db.prepare('INSERT INTO audit (at, event, tenant_id, user_id, subject, reason) VALUES (?, ?, ?, ?, ?, ?)')
  const after = db.prepare(`SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ${BATCH}`)
  return { audit: { readAfter }, record }

  function record(entry: AuditEntry): void {
    insert.run(needs.nowSeconds(), entry.event, entry.tenant, entry.user ?? null, entry.subject ?? null, entry.reason)
  }

  async function readAfter(position: number): Promise<readonly AuditRow[]> {
    return after.all(position).map((row) => {
      const user = optionalText(row, 'user_id')
      const subject = optionalText(row, 'subject')
      return {
        position: integer(row, 'seq'),
        at: integer(row, 'at'),
        event: eventOf(text(row, 'event')),
        tenant: text(row, 'tenant_id'),
        ...(user === undefined ? {} : { user }),
        ...(subject === undefined ? {} : { subject }),
        reason: text(row, 'reason'),
      }
    })
  }
}

function eventOf(value: string): AuditEntry['event'] {
  const event = EVENTS.find((known) => known === value)
  if (event === undefined) throw new TypeError('the audit holds an unknown event')
  return event
}
