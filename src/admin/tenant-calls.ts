import { Problem } from '../problem/problem.ts'

/** Who changes something, and why: for the audit record. */
export interface Act {
  readonly actor: string
  readonly reason: string
  readonly ip: string
  readonly requestId: string
}

/** A signing key as it is shown. Times: seconds since 1970. */
export interface ShownKey {
  readonly kid: string
  readonly alg: string
  readonly state: string
  readonly createdAt: number
  readonly since: number
  readonly until?: number
  readonly reason?: string
}

/** What operators do to tenants. Every method rejects with `tenant_not_found` for a tenant that is not configured. */
export interface TenantCalls {
  readonly keys: {
    list(tenant: string): Promise<readonly ShownKey[]>
    rotate(
      tenant: string,
      act: Act,
    ): Promise<
      | { readonly outcome: 'rotated'; readonly kid: string }
      | { readonly outcome: 'published'; readonly kid: string; readonly currentAt: number }
    >
    revoke(tenant: string, kid: string, act: Act): Promise<{ readonly current: string }>
  }
  readonly users: {
    /** Ends the sessions of a user who is disabled. False when there is no such user. */
    setStatus(tenant: string, user: string, status: 'active' | 'disabled', act: Act): Promise<boolean>
  }
  /** Revokes every token of a tenant that was issued up to now. */
  revokeTenant(tenant: string, act: Act): Promise<void>
}

interface ReadingCall {
  readonly method: 'GET'
  run(): Promise<unknown>
}

export interface ChangingCall {
  readonly method: 'POST'
  run(act: Act): Promise<unknown>
}

/** The call of a path below `/tenants`, if it is one. */
export function findTenantCall(calls: TenantCalls, path: string): ReadingCall | ChangingCall | undefined {
  const [empty, root, ...segments] = path.split('/')
  if (empty !== '' || root !== 'tenants') return undefined
  const [tenant, ...rest] = segments.map(decoded)
  if (tenant === undefined || tenant === '') return undefined
  const [what = '', id = '', verb = ''] = rest
  if (rest.length === 1 && what === 'keys') return get(async () => ({ tenant, keys: (await calls.keys.list(tenant)).map(shown) }))
  if (rest.length === 1 && what === 'revoke')
    return post((act) => calls.revokeTenant(tenant, act).then(() => ({ tenant, revoked: true })))
  if (rest.length === 2 && what === 'keys' && id === 'rotate')
    return post(async (act) => rotation(await calls.keys.rotate(tenant, act)))
  if (rest.length !== 3 || id === '') return undefined
  if (what === 'keys' && verb === 'revoke') {
    return post(async (act) => ({ revoked: id, current: (await calls.keys.revoke(tenant, id, act)).current }))
  }
  if (what !== 'users' || (verb !== 'disable' && verb !== 'enable')) return undefined
  return post(async (act) => {
    const status = verb === 'disable' ? 'disabled' : 'active'
    if (!(await calls.users.setStatus(tenant, id, status, act))) throw new Problem('user_not_found')
    return { tenant, user: id, status }
  })
}

function get(run: () => Promise<unknown>): ReadingCall {
  return { method: 'GET', run }
}

function post(run: (act: Act) => Promise<unknown>): ChangingCall {
  return { method: 'POST', run }
}

function shown({ kid, alg, state, createdAt, since, until, reason }: ShownKey): unknown {
  return { kid, alg, state, created_at: createdAt, since, until, reason }
}

function rotation(outcome: Awaited<ReturnType<TenantCalls['keys']['rotate']>>): unknown {
  if (outcome.outcome === 'rotated') return outcome
  return { outcome: outcome.outcome, kid: outcome.kid, current_at: outcome.currentAt }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new Problem('invalid_request', { description: 'The path is not percent-encoded UTF-8.' })
  }
}
