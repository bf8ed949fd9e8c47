import type { LogSlice, Revocation, RevocationLog, RevocationLookup, TokenFacts } from '../../revocation/revocation.ts'
import type { Database, Row } from './database.ts'
import { integer, text } from './database.ts'

const BATCH = 1_000

/** Expired rows stay this long, so that a clock that was ahead for a while revives no token. */
const KEEP_EXPIRED_SECONDS = 3_600

export interface EmbeddedLog {
  readonly log: RevocationLog & RevocationLookup
  /** Appends inside a write transaction, unless the log says as much already; true when it was appended. */
  append(revocation: Revocation): boolean
  /** Tells the readers of this process, after the transaction. */
  announce(): void
  /** Removes a bounded number of rows that expired long ago, inside a write transaction. */
  purge(): void
}

/** The ordered log of revocations as a table: its sequence number is the position. */
export function createRevocationLog(db: Database, needs: { nowSeconds(): number }): EmbeddedLog {
  const statements = prepare(db)
  const listeners = new Set<() => void>()
  return { log: { snapshot, readAfter, onAppend, isRevoked }, append, announce, purge }

  async function snapshot(): Promise<LogSlice> {
    // One moment for both: a revocation between the two reads would be in neither the facts nor what follows them.
    return db.read(() => ({ position: head(), revocations: statements.live.all(needs.nowSeconds()).map(revocationOf) }))
  }

  async function readAfter(position: number): Promise<LogSlice> {
    return db.read(() => {
      const rows = statements.after.all(position)
      const last = rows.at(-1)
      if (last !== undefined) return { position: integer(last, 'seq'), revocations: rows.map(revocationOf) }
      // Only a log that was put back from a copy can be behind its reader. To read on would miss what comes next.
      if (position > head()) throw new Error('the log of revocations is behind the position that was read before')
      return { position, revocations: [] }
    })
  }

  function onAppend(wake: () => void): () => void {
    listeners.add(wake)
    return () => listeners.delete(wake)
  }

  async function isRevoked(token: TokenFacts): Promise<boolean> {
    return db.read(() => {
      const now = needs.nowSeconds()
      if (token.tokenId !== undefined && statements.one.get(token.tenant, 'token', token.tokenId, now) !== undefined) return true
      if (token.session !== undefined && statements.one.get(token.tenant, 'session', token.session, now) !== undefined)
        return true
      return statements.users.all(token.tenant, token.user, now).some((row) => concerns(row, token))
    })
  }

  function append(revocation: Revocation): boolean {
    const { kind, tenant, id, expiresAt } = revocation
    if (revocation.kind === 'user') {
      statements.insert.run(kind, tenant, id, revocation.epoch, revocation.at, expiresAt)
      return true
    }
    if (statements.one.get(tenant, kind, id, expiresAt) !== undefined) return false
    statements.insert.run(kind, tenant, id, null, needs.nowSeconds(), expiresAt)
    return true
  }

  function announce(): void {
    for (const wake of listeners) queueMicrotask(wake)
  }

  function purge(): void {
    statements.purge.run(needs.nowSeconds() - KEEP_EXPIRED_SECONDS)
  }

  function head(): number {
    const row = statements.head.get()
    return row === undefined ? 0 : integer(row, 'seq')
  }
}

function prepare(db: Database) {
  return {
    insert: db.prepare('INSERT INTO revocations (kind, tenant_id, id, epoch, revoked_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)'),
    live: db.prepare('SELECT * FROM revocations WHERE expires_at >= ? ORDER BY seq'),
    after: db.prepare(`SELECT * FROM revocations WHERE seq > ? ORDER BY seq LIMIT ${BATCH}`),
    head: db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'"),
    one: db.prepare('SELECT 1 FROM revocations WHERE tenant_id = ? AND kind = ? AND id = ? AND expires_at >= ? LIMIT 1'),
    users: db.prepare("SELECT * FROM revocations WHERE tenant_id = ? AND kind = 'user' AND id = ? AND expires_at >= ?"),
    purge: db.prepare(
      `DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE expires_at < ? ORDER BY expires_at LIMIT ${BATCH})`,
    ),
  }
}

/** A token without epoch goes by its time; one without either is taken for old. */
function concerns(row: Row, token: TokenFacts): boolean {
  if (token.epoch !== undefined) return token.epoch < integer(row, 'epoch')
  return token.issuedAt === undefined || token.issuedAt <= integer(row, 'revoked_at')
}

function revocationOf(row: Row): Revocation {
  const fact = { tenant: text(row, 'tenant_id'), id: text(row, 'id'), expiresAt: integer(row, 'expires_at') }
  const kind = text(row, 'kind')
  if (kind === 'user') return { kind, ...fact, epoch: integer(row, 'epoch'), at: integer(row, 'revoked_at') }
  if (kind === 'session' || kind === 'token') return { kind, ...fact }
  throw new TypeError('the log holds an unknown kind of revocation')
}
