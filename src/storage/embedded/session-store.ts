import type { Ending, NewSession, SessionRecord, SessionRef, SessionStore, UserRef } from '../../services/sessions/sessions.ts'
import type { AuditEntry } from './audit.ts'
import type { Database, Row } from './database.ts'
import { integer, text } from './database.ts'
import type { EmbeddedLog } from './revocation-log.ts'

/** Seconds between two purges of what is long past, and rows taken by one. */
const PURGE_EVERY_SECONDS = 60
const PURGE_ROWS = 1_000

export interface SessionStoreNeeds {
  nowSeconds(): number
  readonly log: EmbeddedLog
  readonly record: (entry: AuditEntry) => void
}

/** Sessions and the epochs of their users. The end of a session and its revocation are one transaction. */
export function createSessionStore(db: Database, needs: SessionStoreNeeds): SessionStore {
  const statements = prepare(db)
  let purgedAt = -Infinity
  return { create, find, end, endAll, revokeToken }

  async function create(session: NewSession): Promise<{ epoch: number }> {
    return db.write(() => {
      purge()
      const epoch = epochOf(session)
      statements.insert.run(...valuesOf(session, epoch))
      return { epoch }
    })
  }

  async function find(tenant: string, id: string): Promise<SessionRecord | undefined> {
    const row = statements.find.get(tenant, id)
    return row !== undefined && isLive(row) ? recordOf(row) : undefined
  }

  async function end(session: SessionRef, ending: Ending): Promise<boolean> {
    const ended = db.write(() => {
      const row = statements.find.get(session.tenant, session.id)
      if (row !== undefined && text(row, 'user_id') !== session.user) return undefined
      // A session that is gone already may have left tokens that still live.
      const expiresAt = Math.max(ending.tokensUntil, row === undefined ? 0 : integer(row, 'tokens_until'))
      const appended = needs.log.append({ kind: 'session', tenant: session.tenant, id: session.id, expiresAt })
      statements.remove.run(session.tenant, session.id)
      if (row !== undefined || appended) {
        const { tenant, user, id: subject } = session
        needs.record({ event: 'session.ended', tenant, user, subject, reason: ending.reason })
      }
      return row !== undefined && isLive(row)
    })
    if (ended !== undefined) needs.log.announce()
    return ended ?? false
  }

  async function endAll(subject: UserRef, ending: Ending): Promise<number> {
    const { tenant, user } = subject
    const count = db.write(() => {
      const rows = statements.ofUser.all(tenant, user)
      const epoch = integer(statements.bump.get(tenant, user) ?? {}, 'epoch')
      const expiresAt = rows.reduce((latest, row) => Math.max(latest, integer(row, 'tokens_until')), ending.tokensUntil)
      // `iat` has a grain of one second: a token without an epoch, made in this very second, is taken for an older one.
      needs.log.append({ kind: 'user', tenant, id: user, epoch, at: needs.nowSeconds(), expiresAt })
      statements.removeOfUser.run(tenant, user)
      needs.record({ event: 'sessions.ended', tenant, user, reason: ending.reason })
      return rows.filter(isLive).length
    })
    needs.log.announce()
    return count
  }

  async function revokeToken(token: { readonly tenant: string; readonly id: string }, ending: Ending): Promise<void> {
    const { tenant, id } = token
    db.write(() => {
      if (!needs.log.append({ kind: 'token', tenant, id, expiresAt: ending.tokensUntil })) return
      needs.record({ event: 'token.revoked', tenant, subject: id, reason: ending.reason })
    })
    needs.log.announce()
  }

  function epochOf(user: UserRef): number {
    const row = statements.epoch.get(user.tenant, user.user)
    return row === undefined ? 0 : integer(row, 'epoch')
  }

  function isLive(row: Row): boolean {
    const now = needs.nowSeconds()
    return integer(row, 'expires_at') > now && integer(row, 'idle_expires_at') > now
  }

  function purge(): void {
    const now = needs.nowSeconds()
    if (now - purgedAt < PURGE_EVERY_SECONDS) return
    purgedAt = now
    needs.log.purge()
    statements.purge.run(now)
  }
}

function prepare(db: Database) {
  return {
    insert: db.prepare(
      `INSERT INTO sessions (tenant_id, id, user_id, scope, metadata, epoch, generation, device, ip,
         created_at, last_used_at, expires_at, idle_expires_at, tokens_until)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    find: db.prepare('SELECT * FROM sessions WHERE tenant_id = ? AND id = ?'),
    remove: db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND id = ?'),
    ofUser: db.prepare('SELECT expires_at, idle_expires_at, tokens_until FROM sessions WHERE tenant_id = ? AND user_id = ?'),
    removeOfUser: db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND user_id = ?'),
    epoch: db.prepare('SELECT epoch FROM epochs WHERE tenant_id = ? AND user_id = ?'),
    bump: db.prepare(
      'INSERT INTO epochs (tenant_id, user_id, epoch) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch',
    ),
    purge: db.prepare(
      `DELETE FROM sessions WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM sessions
         WHERE max(tokens_until, min(expires_at, idle_expires_at)) < ? LIMIT ${PURGE_ROWS})`,
    ),
  }
}

function valuesOf(session: NewSession, epoch: number): (string | number)[] {
  return [
    session.tenant,
    session.id,
    session.user,
    session.scope,
    JSON.stringify(session.metadata),
    epoch,
    0,
    session.device,
    session.ip,
    session.createdAt,
    session.createdAt,
    session.expiresAt,
    session.idleExpiresAt,
    session.tokensUntil,
  ]
}

function recordOf(row: Row): SessionRecord {
  return {
    tenant: text(row, 'tenant_id'),
    id: text(row, 'id'),
    user: text(row, 'user_id'),
    scope: text(row, 'scope'),
    metadata: metadataOf(text(row, 'metadata')),
    epoch: integer(row, 'epoch'),
    generation: integer(row, 'generation'),
    device: text(row, 'device'),
    ip: text(row, 'ip'),
    createdAt: integer(row, 'created_at'),
    lastUsedAt: integer(row, 'last_used_at'),
    expiresAt: integer(row, 'expires_at'),
    idleExpiresAt: integer(row, 'idle_expires_at'),
    tokensUntil: integer(row, 'tokens_until'),
  }
}

function metadataOf(json: string): Readonly<Record<string, string>> {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null) throw new TypeError('the metadata of a session is no object')
  const pairs: [string, string][] = []
  for (const [name, entry] of Object.entries(value)) if (typeof entry === 'string') pairs.push([name, entry])
  return Object.fromEntries(pairs)
}
