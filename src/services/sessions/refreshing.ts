import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import { issue } from './issue.ts'
import { lastTokenOf } from './lifetimes.ts'
import type { RefreshRequest, Sessions, SessionsNeeds, TokenPair } from './sessions.ts'
import { standingOf } from './standing.ts'
import type { Rotation, SessionRecord } from './store.ts'

interface Surroundings {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  readonly endSession: Sessions['endSession']
}

const LOG_IN_AGAIN = 'The refresh token is not good, or not any more. Log in again.'
const COUNTED = { rotated: 'refreshed', retried: 'retried', healed: 'healed' } as const

/** What is done with a refresh token that somebody presents. */
export function createRefreshing(
  needs: SessionsNeeds,
  { tenants, endSession }: Surroundings,
): Pick<Sessions, 'refresh' | 'findByToken'> {
  const { store } = needs
  return { refresh, findByToken }

  async function refresh(request: RefreshRequest): Promise<TokenPair> {
    const { tenant, sid, bucket, generation } = read(request.token, request.tenant)
    const before = await store.peek({ tenant: tenant.id, bucket, id: sid })
    if (before === undefined) {
      needs.expired?.({ tenant: tenant.id, id: sid }, request.by)
      throw refused('unknown')
    }
    if (request.inspect !== undefined) await request.inspect(before)
    // Before the token moves: what fails here can be tried again with the same one.
    await requireActive(before, request)
    const now = needs.nowSeconds()
    const rotation = await store.rotate({
      tenant: tenant.id,
      bucket,
      id: sid,
      user: before.user,
      generation,
      graceSeconds: tenant.refreshToken.graceSeconds,
      rotation: tenant.refreshToken.rotation ? 'on' : 'off',
      now,
      idleSeconds: tenant.refreshToken.idleSeconds,
      tokensUntil: lastTokenOf(tenant, now),
      reuseReason: 'refresh token reused',
      ...(request.by !== undefined && { by: request.by }),
    })
    const session = judge(rotation, tenant)
    const scope = request.scope ?? session.scope
    return issue(needs, { tenant, session, bucket, generation: session.generation, epoch: session.epoch, scope, now })
  }

  function judge(rotation: Rotation, tenant: TenantConfig): SessionRecord {
    if ('session' in rotation) {
      needs.count?.(tenant.id, COUNTED[rotation.outcome], 1)
      return rotation.session
    }
    if (rotation.outcome === 'reused') needs.count?.(tenant.id, 'reused', 1)
    throw refused(rotation.outcome)
  }

  /** CVE-2023-22492: a refresh token must not outlive the right of its user to log in. */
  async function requireActive(session: SessionRecord, request: RefreshRequest): Promise<void> {
    const standing = await standingOf(needs.users, session)
    if (standing === 'good') return
    await endSession(session, `user ${standing}`, request.by)
    throw refused(`user ${standing}`)
  }

  /** Forged tokens, and those of tenants that are gone, die here before the store. */
  function read(token: string, named: string | undefined) {
    const candidates = named === undefined ? tenants.keys() : [named]
    for (const id of candidates) {
      const tenant = tenants.get(id)
      const found = tenant === undefined ? undefined : needs.tokens.readRefreshToken(id, token)
      if (tenant !== undefined && found !== undefined) return { tenant, ...found }
    }
    throw refused('not authentic')
  }

  async function findByToken(token: string, named?: string) {
    const { tenant, sid, bucket } = read(token, named)
    const ref = { tenant: tenant.id, bucket, id: sid }
    return { ref, tenant: tenant.id, session: await store.findByToken(ref) }
  }
}

function refused(detail: string): Problem {
  return new Problem('invalid_token', { description: LOG_IN_AGAIN, detail: `refresh: ${detail}` })
}
