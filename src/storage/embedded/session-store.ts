import type {
  Ending,
  NewSession,
  Revocable,
  SessionRecord,
  SessionRef,
  SessionStore,
  TokenRef,
  UserRef,
} from '../../services/sessions/sessions.ts'
import type { Database, Row } from './database.ts'
import { integer, text } from './database.ts'
import type { EmbeddedLog } from './revocation-log.ts'
import { createRotation } from './rotation.ts'
import type { Epochs } from './session-rows.ts'
import { recordOf, SESSION_COLUMNS, valuesOf } from './session-rows.ts'

/** Seconds between two purges of what is long past, and rows taken by one. */
const PURGE_EVERY_SECONDS = 60
const PURGE_ROWS = 1_000

/** The only part that there is. */
const BUCKET = 0

export interface SessionStoreNeeds {
  nowSeconds(): number
  readonly log: EmbeddedLog
}

/**
 * Sessions and the epochs of their users and tenants. The end of a session and its revocation are one transaction.
 *
 * A session of an older epoch than its user's or its tenant's is over. Its row stays until it is asked for, or expires.
 */
export function createSessionStore(db: Database, needs: SessionStoreNeeds): SessionStore {
  const statements = prepare(db)
  let purgedAt = -Infinity
  return {
    create,
    rotate: createRotation(db, { ...needs, epochsOf }),
    peek: findByToken,
    find: async (session) => live(statements.find.get(session.tenant, session.id), session.user),
    findByToken,
    list: async (user) => liveOf(user).map(recordOf),
    end,
    endAll,
    endOthers,
    revoke,
  }

  async function findByToken({ tenant, id }: TokenRef): Promise<SessionRecord | undefined> {
    return live(statements.find.get(tenant, id))
  }

  async function create(session: NewSession, { sessionsPerUser }: { readonly sessionsPerUser: number }) {
    const created = db.write(() => {
      purge()
      const epochs = epochsOf(session)
      // The new one is not up for eviction, so there is room for one less.
      const surplus = liveOf(session).slice(Math.max(0, sessionsPerUser - 1))
      for (const row of surplus) endRow(row, session.tokensUntil)
      statements.insert.run(...valuesOf(session, epochs))
      return { epoch: epochs.epoch, bucket: BUCKET, evicted: surplus.map((row) => text(row, 'id')) }
    })
    if (created.evicted.length > 0) needs.log.announce()
    return created
  }

  async function end(session: SessionRef, ending: Ending): Promise<boolean> {
    const { tenant, user, id } = session
    const ended = db.write(() => {
      const row = statements.find.get(tenant, id)
      if (row !== undefined && text(row, 'user_id') !== user) return undefined
      const wasLive = row !== undefined && isLive(row)
      if (row !== undefined) endRow(row, ending.tokensUntil)
      // A session that is gone already may have left tokens that still live.
      else needs.log.append({ kind: 'session', tenant, id, expiresAt: ending.tokensUntil })
      return wasLive
    })
    if (ended !== undefined) needs.log.announce()
    return ended ?? false
  }

  async function endAll({ tenant, user }: UserRef, { tokensUntil }: Ending): Promise<number> {
    const count = db.write(() => {
      const rows = statements.ofUser.all(tenant, user)
      const livingOnes = rows.filter(isLive).length
      const known = statements.epoch.get(tenant, user)
      const before = known === undefined ? 0 : integer(known, 'epoch')
      const epoch = integer(statements.bump.get(tenant, user, needs.nowSeconds()) ?? {}, 'epoch')
      const expiresAt = rows.reduce((latest, row) => Math.max(latest, integer(row, 'tokens_until')), tokensUntil)
      // `iat` has a grain of one second: a token without an epoch, made in this very second, is taken for an older one.
      needs.log.append({ kind: 'user', tenant, id: user, epoch, at: needs.nowSeconds(), expiresAt })
      statements.removeOlder.run(tenant, user, before)
      return livingOnes
    })
    needs.log.announce()
    return count
  }

  async function endOthers(session: SessionRef, ending: Ending): Promise<number> {
    const count = db.write(() => {
      const others = liveOf(session).filter((row) => row['id'] !== session.id)
      for (const row of others) endRow(row, ending.tokensUntil)
      return others.length
    })
    if (count > 0) needs.log.announce()
    return count
  }

  async function revoke(what: Revocable, { tokensUntil: expiresAt }: Ending): Promise<void> {
    const { tenant } = what
    db.write(() => {
      if (what.kind === 'tenant') {
        statements.bumpTenant.run(tenant, needs.nowSeconds())
        needs.log.append({ kind: 'tenant', tenant, at: needs.nowSeconds(), expiresAt })
      } else {
        needs.log.append({ kind: what.kind, tenant, id: what.id, expiresAt })
      }
    })
    needs.log.announce()
  }

  function endRow(row: Row, tokensUntil: number): void {
    const [tenant, id] = [text(row, 'tenant_id'), text(row, 'id')]
    needs.log.append({ kind: 'session', tenant, id, expiresAt: Math.max(tokensUntil, integer(row, 'tokens_until')) })
    statements.remove.run(tenant, id)
  }

  function epochsOf({ tenant, user }: UserRef): Epochs {
    const [own, shared] = [statements.epoch.get(tenant, user), statements.tenantEpoch.get(tenant)]
    return {
      epoch: own === undefined ? 0 : integer(own, 'epoch'),
      tenantEpoch: shared === undefined ? 0 : integer(shared, 'epoch'),
    }
  }

  /** Most recently used first. */
  function liveOf(user: UserRef): readonly Row[] {
    return statements.ofUser.all(user.tenant, user.user).filter(isLive)
  }

  function live(row: Row | undefined, user?: string): SessionRecord | undefined {
    if (row === undefined || (user !== undefined && text(row, 'user_id') !== user)) return undefined
    return isLive(row) ? recordOf(row) : undefined
  }

  function isLive(row: Row): boolean {
    const now = needs.nowSeconds()
    if (integer(row, 'expires_at') <= now || integer(row, 'idle_expires_at') <= now) return false
    return integer(row, 'epoch') >= integer(row, 'user_epoch') && integer(row, 'tenant_epoch') >= integer(row, 'tenant_epoch_now')
  }

  function purge(): void {
    const now = needs.nowSeconds()
    if (now - purgedAt < PURGE_EVERY_SECONDS) return
    purgedAt = now
    needs.log.purge()
    statements.purge.run(now)
  }
}

/** Sessions with the epochs that their user and their tenant have now. */
const WITH_EPOCHS = `SELECT sessions.*, coalesce(epochs.epoch, 0) AS user_epoch, coalesce(tenant_epochs.epoch, 0) AS tenant_epoch_now
  FROM sessions
  LEFT JOIN epochs ON epochs.tenant_id = sessions.tenant_id AND epochs.user_id = sessions.user_id
  LEFT JOIN tenant_epochs ON tenant_epochs.tenant_id = sessions.tenant_id`

function prepare(db: Database) {
  const marks = SESSION_COLUMNS.split(',').map(() => '?')
  return {
    insert: db.prepare(`INSERT INTO sessions (${SESSION_COLUMNS}) VALUES (${marks.join(', ')})`),
    find: db.prepare(`${WITH_EPOCHS} WHERE sessions.tenant_id = ? AND sessions.id = ?`),
    remove: db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND id = ?'),
    ofUser: db.prepare(
      `${WITH_EPOCHS} WHERE sessions.tenant_id = ? AND sessions.user_id = ?
       ORDER BY sessions.last_used_at DESC, sessions.created_at DESC, sessions.id`,
    ),
    removeOlder: db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND user_id = ? AND epoch < ?'),
    epoch: db.prepare('SELECT epoch FROM epochs WHERE tenant_id = ? AND user_id = ?'),
    tenantEpoch: db.prepare('SELECT epoch FROM tenant_epochs WHERE tenant_id = ?'),
    bumpTenant: db.prepare(
      'INSERT INTO tenant_epochs (tenant_id, epoch) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET epoch = max(epoch + 1, ?2)',
    ),
    bump: db.prepare(
      // At least the time: above every earlier one also where the counter was lost, or put back from a copy.
      'INSERT INTO epochs (tenant_id, user_id, epoch) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET epoch = max(epoch + 1, ?3) RETURNING epoch',
    ),
    purge: db.prepare(
      `DELETE FROM sessions WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM sessions
         WHERE max(tokens_until, min(expires_at, idle_expires_at)) < ? LIMIT ${PURGE_ROWS})`,
    ),
  }
}
