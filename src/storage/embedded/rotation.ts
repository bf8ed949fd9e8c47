import type { Rotation, RotationRequest } from '../../services/sessions/sessions.ts'
import type { Database, Row } from './database.ts'
import { integer, text } from './database.ts'
import type { EmbeddedLog } from './revocation-log.ts'
import type { Epochs } from './session-rows.ts'
import { recordOf } from './session-rows.ts'

/** How far a token may be ahead of a store that lost its last writes. */
const MOST_AHEAD = 2
/** How far the clock of the caller may be off this one. */
const CLOCK_SECONDS = 2

interface RotationNeeds {
  nowSeconds(): number
  readonly log: EmbeddedLog
  /** Epochs of a user and the tenant, inside the transaction. */
  epochsOf(user: { readonly tenant: string; readonly user: string }): Epochs
}

/** One use of a refresh token. */
export function createRotation(db: Database, needs: RotationNeeds): (request: RotationRequest) => Promise<Rotation> {
  const find = db.prepare('SELECT * FROM sessions WHERE tenant_id = ? AND id = ?')
  const remove = db.prepare('DELETE FROM sessions WHERE tenant_id = ? AND id = ?')
  const use = db.prepare(
    `UPDATE sessions SET generation = ?3, rotated_at = ?4, last_used_at = ?5, idle_expires_at = ?6, tokens_until = max(tokens_until, ?7)
     WHERE tenant_id = ?1 AND id = ?2 RETURNING *`,
  )
  return async function rotate(request) {
    const rotation = db.write(() => decide(request))
    if (rotation.outcome === 'reused') needs.log.announce()
    return rotation
  }

  function decide(request: RotationRequest): Rotation {
    const clock = needs.nowSeconds()
    const now = Math.min(Math.max(request.now, clock - CLOCK_SECONDS), clock + CLOCK_SECONDS)
    const row = find.get(request.tenant, request.id)
    if (row === undefined || integer(row, 'expires_at') <= now || integer(row, 'idle_expires_at') <= now) {
      return { outcome: 'unknown' }
    }
    const user = text(row, 'user_id')
    const { epoch, tenantEpoch } = needs.epochsOf({ tenant: request.tenant, user })
    if (integer(row, 'epoch') < epoch || integer(row, 'tenant_epoch') < tenantEpoch) {
      remove.run(request.tenant, request.id)
      return { outcome: 'epoch', user }
    }
    const stored = integer(row, 'generation')
    if (request.generation === stored) return { outcome: 'rotated', session: recordOf(moved(request, row, now)) }
    if (isParentInGrace(request, row, now)) return { outcome: 'retried', session: recordOf(row) }
    if (request.generation > stored && request.generation - stored <= MOST_AHEAD) {
      return { outcome: 'healed', session: recordOf(moved(request, row, now)) }
    }
    return reused(request, row)
  }

  function moved(request: RotationRequest, row: Row, now: number): Row {
    const rotates = request.rotation === 'on'
    const generation = rotates ? request.generation + 1 : request.generation
    const rotatedAt = rotates ? now : (row['rotated_at'] ?? null)
    const idle = now + request.idleSeconds
    return use.get(request.tenant, request.id, generation, rotatedAt, now, idle, request.tokensUntil) ?? {}
  }

  function reused(request: RotationRequest, row: Row): Rotation {
    const { tenant, id } = request
    const user = text(row, 'user_id')
    const expiresAt = Math.max(request.tokensUntil, integer(row, 'tokens_until'))
    needs.log.append({ kind: 'session', tenant, id, expiresAt })
    remove.run(tenant, id)
    return { outcome: 'reused', user }
  }
}

/** The one before the newest: its holder may not have got the answer. */
function isParentInGrace({ generation, graceSeconds }: RotationRequest, row: Row, now: number): boolean {
  const rotatedAt = row['rotated_at']
  if (graceSeconds <= 0 || typeof rotatedAt !== 'number') return false
  return generation === integer(row, 'generation') - 1 && now - rotatedAt <= graceSeconds
}
