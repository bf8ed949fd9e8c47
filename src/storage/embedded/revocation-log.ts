import type { LogSlice, Revocation, RevocationLog, RevocationLookup, TokenFacts } from '../../revocation/revocation.ts'
import type { Database, Row } from './database.ts'
import { integer, text } from './database.ts'

const BATCH = 1_000

/** What the log gives as a position: the number of a row, 0 before the first. */
const POSITION = /^\d{1,15}$/

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
    return db.read(everything)
  }

  async function readAfter(position: string): Promise<LogSlice> {
    return db.read(() => {
      const from = Number(position)
      const last = head()
      // Behind its reader is only a log that was put back from a copy: to read on would miss what comes next.
      if (!POSITION.test(position) || from > last) return everything()
      const rows = statements.after.all(from)
      const end = rows.at(-1)
      return {
        position: end === undefined ? position : String(integer(end, 'seq')),
        revocations: rows.map(revocationOf),
        complete: rows.length < BATCH,
      }
    })
  }

  /** One moment for both: a revocation between two reads would be in neither the facts nor what follows them. */
  function everything(): LogSlice {
    const revocations = statements.live.all(needs.nowSeconds()).map(revocationOf)
    return { position: String(head()), revocations, complete: true }
  }

  function onAppend(wake: () => void): () => void {
    listeners.add(wake)
    return () => listeners.delete(wake)
  }

  async function isRevoked(token: TokenFacts): Promise<boolean> {
    return db.read(() => {
      const now = needs.nowSeconds()
      const { tenant } = token
      const lists = (kind: string, id: string | undefined): boolean =>
        id !== undefined && statements.one.get(tenant, kind, id, now) !== undefined
      if (lists('token', token.tokenId) || lists('session', token.session) || lists('key', token.keyId)) return true
      if (statements.all.all(tenant, 'tenant', '', now).some((row) => isNotAfter(token, row))) return true
      return statements.all.all(tenant, 'user', token.user, now).some((row) => concerns(row, token))
    })
  }

  function append(revocation: Revocation): boolean {
    const { kind, tenant, expiresAt } = revocation
    if (revocation.kind === 'tenant') {
      statements.insert.run(kind, tenant, '', null, revocation.at, expiresAt)
      return true
    }
    const { id } = revocation
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
    all: db.prepare('SELECT * FROM revocations WHERE tenant_id = ? AND kind = ? AND id = ? AND expires_at >= ?'),
    purge: db.prepare(
      `DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE expires_at < ? ORDER BY expires_at LIMIT ${BATCH})`,
    ),
  }
}

/** A token without epoch goes by its time; one without either is taken for old. */
function concerns(row: Row, token: TokenFacts): boolean {
  if (token.epoch !== undefined) return token.epoch < integer(row, 'epoch')
  return isNotAfter(token, row)
}

function isNotAfter(token: TokenFacts, row: Row): boolean {
  return token.issuedAt === undefined || token.issuedAt <= integer(row, 'revoked_at')
}

function revocationOf(row: Row): Revocation {
  const [tenant, id, expiresAt] = [text(row, 'tenant_id'), text(row, 'id'), integer(row, 'expires_at')]
  const kind = text(row, 'kind')
  if (kind === 'user') return { kind, tenant, id, epoch: integer(row, 'epoch'), at: integer(row, 'revoked_at'), expiresAt }
  if (kind === 'tenant') return { kind, tenant, at: integer(row, 'revoked_at'), expiresAt }
  if (kind === 'session' || kind === 'token' || kind === 'key') return { kind, tenant, id, expiresAt }
  throw new TypeError('the log holds an unknown kind of revocation')
}
