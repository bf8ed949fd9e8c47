/**
 * Writes what happens to sessions into the audit record, whatever storage they have.
 *
 * @module
 */
import type { By, Ending, Revocable, SessionRef, SessionStore, UserRef } from './services/sessions/sessions.ts'
import type { AuditEvent } from './storage/audit/audit.ts'

/**
 * The same sessions; what was done to them is recorded once it is done. Ordinary refreshes are not: they are many and say
 * nothing that the sessions themselves do not.
 */
export function audited(store: SessionStore, record: (event: AuditEvent) => void): SessionStore {
  return { ...store, create, rotate, end, endAll, endOthers, revoke }

  async function create(...[session, limits]: Parameters<SessionStore['create']>): ReturnType<SessionStore['create']> {
    const created = await store.create(session, limits)
    const { tenant, user, id, ip, clientId } = session
    const request = limits.by === undefined ? {} : { requestId: limits.by.requestId }
    record({ event: 'session_created', tenant, user, actor: clientId, subject: id, ip, ...request })
    for (const evicted of created.evicted) {
      record({ event: 'session_ended', tenant, user, actor: 'gateway', subject: evicted, reason: 'evicted', ...request })
    }
    return created
  }

  async function rotate(...[request]: Parameters<SessionStore['rotate']>): ReturnType<SessionStore['rotate']> {
    const rotation = await store.rotate(request)
    const { tenant, id: subject } = request
    if (rotation.outcome === 'reused') {
      record({ event: 'authn_token_reuse', tenant, user: rotation.user, subject, reason: request.reuseReason, ...request.by })
    } else if (rotation.outcome === 'healed') {
      const { user } = rotation.session
      record({ event: 'session_healed', tenant, user, subject, reason: 'the store had lost a rotation', ...request.by })
    }
    return rotation
  }

  async function end(session: SessionRef, ending: Ending): Promise<boolean> {
    const { tenant, user, id: subject } = session
    const ended = await store.end(session, ending)
    record({ event: 'session_ended', tenant, user, subject, reason: ending.reason, ...ending.by })
    return ended
  }

  async function endAll(user: UserRef, ending: Ending): Promise<number> {
    const count = await store.endAll(user, ending)
    const { tenant, user: whose } = user
    record({ event: 'sessions_ended', tenant, user: whose, subject: `${count} sessions`, reason: ending.reason, ...ending.by })
    return count
  }

  async function endOthers(session: SessionRef, ending: Ending): Promise<number> {
    const count = await store.endOthers(session, ending)
    const { tenant, user } = session
    const subject = `${count} sessions but ${session.id}`
    record({ event: 'sessions_ended', tenant, user, subject, reason: ending.reason, ...ending.by })
    return count
  }

  async function revoke(what: Revocable, ending: Ending): Promise<void> {
    await store.revoke(what, ending)
    if (what.kind === 'session') {
      record({ event: 'session_ended', tenant: what.tenant, subject: what.id, reason: ending.reason, ...ending.by })
    }
    // What happens to a key or a tenant is recorded where it is known who did it.
    if (what.kind !== 'token') return
    const { tenant, user, id: subject } = what
    record({ event: 'authn_token_revoked', tenant, user, subject, reason: ending.reason, ...ending.by })
  }
}

/** Sessions of which it is remembered that their end was told of. */
const REMEMBERED = 10_000

/**
 * Notes refresh tokens that come when their session is over, each session once: whoever keeps an old token and sends it again
 * and again must not be able to fill the record.
 */
export function expiries(
  record: (event: AuditEvent) => void,
): (session: { readonly tenant: string; readonly id: string }, by: By | undefined) => void {
  const told = new Set<string>()
  return function expired({ tenant, id }, by) {
    const key = `${tenant} ${id}`
    if (told.has(key)) return
    if (told.size >= REMEMBERED) told.clear()
    told.add(key)
    record({ event: 'session_expired', tenant, subject: id, reason: 'refresh after its end', ...by })
  }
}
