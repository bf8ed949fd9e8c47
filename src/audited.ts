/**
 * Writes what happens to sessions into the audit record, whatever storage they have.
 *
 * @module
 */
import type { Ending, Revocable, SessionRef, SessionStore, UserRef } from './services/sessions/sessions.ts'
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
    record({ event: 'session_created', tenant, user, actor: clientId, subject: id, ip })
    for (const evicted of created.evicted) {
      record({ event: 'session_ended', tenant, user, actor: 'gateway', subject: evicted, reason: 'evicted' })
    }
    return created
  }

  async function rotate(...[request]: Parameters<SessionStore['rotate']>): ReturnType<SessionStore['rotate']> {
    const rotation = await store.rotate(request)
    const { tenant, id: subject } = request
    if (rotation.outcome === 'reused') {
      record({ event: 'authn_token_reuse', tenant, user: rotation.user, subject, reason: request.reuseReason })
    } else if (rotation.outcome === 'healed') {
      const { user } = rotation.session
      record({ event: 'session_healed', tenant, user, subject, reason: 'the store had lost a rotation' })
    }
    return rotation
  }

  async function end(session: SessionRef, ending: Ending): Promise<boolean> {
    const { tenant, user, id: subject } = session
    const ended = await store.end(session, ending)
    record({ event: 'session_ended', tenant, user, subject, reason: ending.reason })
    return ended
  }

  async function endAll(user: UserRef, ending: Ending): Promise<number> {
    const count = await store.endAll(user, ending)
    record({ event: 'sessions_ended', tenant: user.tenant, user: user.user, subject: `${count} sessions`, reason: ending.reason })
    return count
  }

  async function endOthers(session: SessionRef, ending: Ending): Promise<number> {
    const count = await store.endOthers(session, ending)
    const { tenant, user } = session
    record({ event: 'sessions_ended', tenant, user, subject: `${count} sessions but ${session.id}`, reason: ending.reason })
    return count
  }

  async function revoke(what: Revocable, ending: Ending): Promise<void> {
    await store.revoke(what, ending)
    // What happens to a key or a tenant is recorded where it is known who did it.
    if (what.kind !== 'token') return
    const { tenant, user, id: subject } = what
    record({ event: 'authn_token_revoked', tenant, user, subject, reason: ending.reason })
  }
}
