import type { LogSlice, Revocation, RevocationLog, RevocationLookup, TokenFacts } from '../../revocation/revocation.ts'
import type { Database, Row } from './database.ts'
import { watchOthers } from './changes.ts'
import { integer, text } from './database.ts'

const BATCH = 1_000

/** What the log gives as a position: the number of a row, 0 before the first. */
const POSITION = /^\d{1,15}$/

/** Expired rows stay this long, so that a clock that was ahead for a while revives no token. */
const KEEP_EXPIRED_SECONDS = 3_600

export interface EmbeddedLogNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. Without it, what other processes append is found at the next read. */
  schedule?(delayMs: number, run: () => void): () => void
  readonly neighbours?: Neighbours
}

/** Other processes on these files, where there is a quicker way to them than the files. What is lost on it is found in the files. */
export interface Neighbours {
  /** Something was appended here. Never throws. */
  appended(): void
  /** Calls `look` when something was appended there. */
  onAppended(look: () => void): void
}

export interface EmbeddedLog {
  readonly log: RevocationLog & RevocationLookup
  /** Appends inside a write transaction, unless the log says as much already; true when it was appended. */
  append(revocation: Revocation): boolean
  /** Tells the readers of this process, and those of others, after the transaction. */
  announce(): void
  /** Removes a bounded number of rows that expired long ago, inside a write transaction. */
  purge(): void
}

/** The ordered log of revocations as a table: its sequence number is the position. */
export function createRevocationLog(db: Database, needs: EmbeddedLogNeeds): EmbeddedLog {
  const statements = prepare(db)
  const listeners = new Set<() => void>()
  let stopLooking: (() => void) | undefined
  const tellNeighbours = createTelling(needs)
  return { log: { snapshot, readAfter, restore, onAppend, isRevoked }, append, announce, purge }

  async function* snapshot(): AsyncGenerator<LogSlice> {
    // The end first: what is appended while the pages are read is read again from there.
    const position = String(db.read(head))
    const now = needs.nowSeconds()
    let from = 0
    for (let complete = false; !complete;) {
      const rows = db.read(() => statements.live.all(from, now))
      const end = rows.at(-1)
      if (end !== undefined) from = integer(end, 'seq')
      complete = rows.length < BATCH
      yield { position, revocations: rows.map(revocationOf), complete }
    }
  }

  async function readAfter(position: string): Promise<LogSlice> {
    return db.read(() => {
      const from = Number(position)
      // Behind its reader is only a log that was put back from a copy: to read on would miss what comes next.
      if (!POSITION.test(position) || from > head()) return { position, revocations: [], complete: false, isRestart: true }
      const rows = statements.after.all(from)
      const end = rows.at(-1)
      return {
        position: end === undefined ? position : String(integer(end, 'seq')),
        revocations: rows.map(revocationOf),
        complete: rows.length < BATCH,
      }
    })
  }

  /** After the file was put back from a copy. A session whose end was lost is over again, and so are those below an epoch. */
  async function restore(revocations: readonly Revocation[]): Promise<number> {
    const lacking = db.write(() => revocations.filter(putBack).length)
    if (lacking > 0) announce()
    return lacking
  }

  function putBack(one: Revocation): boolean {
    if (one.expiresAt < needs.nowSeconds()) return false
    const { tenant } = one
    if (one.kind === 'user') statements.raise.run(tenant, one.id, one.epoch)
    if (one.kind === 'tenant') statements.raiseTenant.run(tenant, one.at)
    if (one.kind === 'session') statements.endSession.run(tenant, one.id)
    if (one.kind !== 'user' && one.kind !== 'tenant') return append(one)
    const id = one.kind === 'user' ? one.id : ''
    const known = statements.most.get(tenant, one.kind, id, needs.nowSeconds()) ?? {}
    const expiresAt = Math.max(one.expiresAt, optionalInteger(known, 'expires_at'))
    const at = Math.max(one.at, optionalInteger(known, 'revoked_at'))
    const epoch = one.kind === 'user' ? Math.max(one.epoch, optionalInteger(known, 'epoch')) : -1
    const isKnown =
      expiresAt === known['expires_at'] && at === known['revoked_at'] && (one.kind === 'tenant' || epoch === known['epoch'])
    if (isKnown) return false
    return append(one.kind === 'user' ? { ...one, epoch, at, expiresAt } : { ...one, at, expiresAt })
  }

  function onAppend(wake: () => void): () => void {
    listeners.add(wake)
    stopLooking ??= lookForNews()
    return () => {
      listeners.delete(wake)
      if (listeners.size > 0) return
      stopLooking?.()
      stopLooking = undefined
    }
  }

  /** Other processes write sessions far more often than revocations. */
  function lookForNews(): () => void {
    let last = head()
    needs.neighbours?.onAppended(() => {
      if (listeners.size > 0) look()
    })
    return needs.schedule === undefined ? () => undefined : watchOthers(db, needs.schedule, look)

    function look(): void {
      const now = head()
      if (now === last) return
      last = now
      wakeReaders()
    }
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
    wakeReaders()
    tellNeighbours()
  }

  function wakeReaders(): void {
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

/** The first of several at once is told of immediately, the others a moment later as one. */
const TELL_MS = 2

function createTelling({ neighbours, schedule }: EmbeddedLogNeeds): () => void {
  let isWaiting = false
  let isDue = false
  return tell

  function tell(): void {
    isDue = isWaiting
    if (isWaiting || neighbours === undefined) return
    neighbours.appended()
    if (schedule === undefined) return
    isWaiting = true
    schedule(TELL_MS, () => {
      isWaiting = false
      if (isDue) tell()
    })
  }
}

function prepare(db: Database) {
  return {
    insert: db.prepare('INSERT INTO revocations (kind, tenant_id, id, epoch, revoked_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)'),
    live: db.prepare(`SELECT * FROM revocations WHERE seq > ? AND expires_at >= ? ORDER BY seq LIMIT ${BATCH}`),
    after: db.prepare(`SELECT * FROM revocations WHERE seq > ? ORDER BY seq LIMIT ${BATCH}`),
    head: db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'"),
    one: db.prepare('SELECT 1 FROM revocations WHERE tenant_id = ? AND kind = ? AND id = ? AND expires_at >= ? LIMIT 1'),
    all: db.prepare('SELECT * FROM revocations WHERE tenant_id = ? AND kind = ? AND id = ? AND expires_at >= ?'),
    most: db.prepare(
      `SELECT max(epoch) AS epoch, max(revoked_at) AS revoked_at, max(expires_at) AS expires_at FROM revocations
       WHERE tenant_id = ? AND kind = ? AND id = ? AND expires_at >= ?`,
    ),
    raiseTenant: db.prepare(
      'INSERT INTO tenant_epochs (tenant_id, epoch) VALUES (?, ?) ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)',
    ),
    raise: db.prepare(
      `INSERT INTO epochs (tenant_id, user_id, epoch) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)`,
    ),
    endSession: db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND id = ?'),
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

/** −1 where there is none. */
function optionalInteger(row: Row, column: string): number {
  return typeof row[column] === 'number' ? row[column] : -1
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
