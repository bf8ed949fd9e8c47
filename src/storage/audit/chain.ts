import { createHash } from 'node:crypto'
import type { Database, Row } from '../embedded/database.ts'
import { integer, optionalText, text } from '../embedded/database.ts'

/** One thing that happened, in the words of OWASP's logging vocabulary: `authn_login_fail`, `session_created`, `sys_key_rotated` … */
export interface AuditEvent {
  readonly event: string
  readonly tenant?: string
  /** Whose session or token it is. */
  readonly user?: string
  /** Who did it: a user, a client, an operator, or the gateway by itself. */
  readonly actor?: string
  /** What it was done to: a session, a user, a token, a key. Never a credential. */
  readonly subject?: string
  readonly reason?: string
  readonly ip?: string
  readonly requestId?: string
}

/** What a walk along the chain found. */
export interface Verdict {
  /** Rows that are as they were written. */
  readonly rows: number
  /** The last of them. Noted elsewhere, it proves later that nothing up to it was cut off or put in its place. */
  readonly head?: { readonly seq: number; readonly hash: string }
  readonly firstBreak?: { readonly seq: number; readonly what: string }
}

interface ChainRow {
  readonly seq: number
  readonly at: number
  /** event, tenant, user, actor, subject, reason, ip, request id. */
  readonly fields: readonly (string | null)[]
}

/** What stands before the first row. */
const GENESIS = '0'.repeat(64)
const MAX_CHARACTERS = 256
const COLUMNS = ['tenant_id', 'user_id', 'actor', 'subject', 'reason', 'ip', 'request_id'] as const
const BATCH = 1000

/** Adds rows to the end of the chain, all or none; other processes may add theirs between. */
export function appendRows(db: Database): (events: readonly { readonly atMs: number; readonly event: AuditEvent }[]) => void {
  const last = db.prepare('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
  const insert = db.prepare(
    'INSERT INTO audit (seq, at, event, tenant_id, user_id, actor, subject, reason, ip, request_id, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  return function append(events) {
    if (events.length === 0) return
    db.write(() => {
      const end = last.get()
      let hash = end === undefined ? GENESIS : text(end, 'hash')
      let seq = end === undefined ? 0 : integer(end, 'seq')
      for (const { atMs, event } of events) {
        seq += 1
        const row = { seq, at: Math.floor(atMs), fields: fieldsOf(event) }
        hash = hashOf(hash, row)
        insert.run(row.seq, row.at, ...row.fields, hash)
      }
    })
  }
}

/** Walks from the first row to the end, or to the first row that is not what was written. */
export function verifyRows(db: Database, noted?: { readonly seq: number; readonly hash: string }): Verdict {
  const after = db.prepare(`SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ${BATCH}`)
  let head = { seq: 0, hash: GENESIS }
  for (let rows = after.all(0); rows.length > 0; rows = after.all(head.seq)) {
    for (const row of rows) {
      const what = faultOf(row, head, noted)
      if (what !== undefined) return verdict(head, { seq: head.seq + 1, what })
      head = { seq: head.seq + 1, hash: text(row, 'hash') }
    }
  }
  const given = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").get()
  const end = Math.max(given === undefined ? 0 : integer(given, 'seq'), noted?.seq ?? 0)
  return end > head.seq ? verdict(head, { seq: head.seq + 1, what: `rows up to ${end} are gone` }) : verdict(head)
}

function verdict(head: { readonly seq: number; readonly hash: string }, firstBreak?: Verdict['firstBreak']): Verdict {
  return { rows: head.seq, ...(head.seq > 0 && { head }), ...(firstBreak !== undefined && { firstBreak }) }
}

function faultOf(
  row: Row,
  head: { readonly seq: number; readonly hash: string },
  noted: { readonly seq: number; readonly hash: string } | undefined,
): string | undefined {
  const seq = integer(row, 'seq')
  if (seq !== head.seq + 1) return `rows ${head.seq + 1} to ${seq - 1} are gone`
  const fields = [text(row, 'event'), ...COLUMNS.map((column) => optionalText(row, column) ?? null)]
  const hash = text(row, 'hash')
  if (hash !== hashOf(head.hash, { seq, at: integer(row, 'at'), fields })) return 'the row, or the one before, was changed'
  return noted?.seq === seq && noted.hash !== hash ? 'the chain is not the one that was noted' : undefined
}

function hashOf(before: string, { seq, at, fields }: ChainRow): string {
  return createHash('sha256')
    .update(before)
    .update(JSON.stringify([seq, at, ...fields]))
    .digest('hex')
}

function fieldsOf(event: AuditEvent): readonly (string | null)[] {
  const { tenant, user, actor, subject, reason, ip, requestId } = event
  return [
    plain(event.event),
    ...[tenant, user, actor, subject, reason, ip, requestId].map((field) => (field === undefined ? null : plain(field))),
  ]
}

/** Comes back from the database as it went in, and is a line in whatever shows it. */
function plain(value: string): string {
  return value
    .slice(0, MAX_CHARACTERS)
    .toWellFormed()
    .replace(/\p{Cc}/gu, '\ufffd')
}
