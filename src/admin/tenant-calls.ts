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

/** A tenant as it is shown. */
export interface ShownTenant {
  readonly id: string
  /** What people call it. */
  readonly name: string
  readonly issuer: string
  /** Whose requests belong to it. */
  readonly hosts: readonly string[]
  readonly signing: string
  readonly registration: 'open' | 'closed'
  readonly accessTokenSeconds: number
  readonly refreshTokenSeconds: number
  readonly rotateEverySeconds: number
}

/** A live session as it is shown. Times: seconds since 1970. */
export interface ShownSession {
  readonly id: string
  /** User agent; whatever a client sent. */
  readonly device: string
  /** What kind of device that is: `Firefox on Linux`. */
  readonly deviceName: string
  readonly ip: string
  /** Where that is, ISO 3166-1; absent where it is not known. */
  readonly country?: string
  readonly clientId: string
  readonly scope: string
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
  readonly idleExpiresAt: number
}

/** Whose sessions they are. `account`: absent where the user is of another issuer, or nobody. */
export interface UserSessions {
  readonly user: string
  readonly account?: { readonly email: string; readonly username?: string; readonly status: string }
  readonly sessions: readonly ShownSession[]
}

/** What operators do to tenants. Every method rejects with `tenant_not_found` for a tenant that is not configured. */
export interface TenantCalls {
  /** All that the configuration names. */
  list(): readonly ShownTenant[]
  /** When it was configured first, and its configuration changed last: seconds since 1970. */
  times(tenant: string): Promise<{ readonly createdAt: number; readonly updatedAt: number }>
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
  readonly sessions: {
    /** Live ones, most recently used first. `user`: an id, or the e-mail address or username of an account. */
    list(tenant: string, user: string): Promise<UserSessions>
    /** False when the user has no live session of this id. */
    end(tenant: string, user: string, id: string, act: Act): Promise<boolean>
    /** Returns how many were live; access tokens of sessions that the store had lost die too. */
    endAll(tenant: string, user: string, act: Act): Promise<number>
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
  if (tenant === undefined) return get(() => listTenants(calls))
  if (tenant === '') return undefined
  const [what = '', id = '', verb = ''] = rest
  if (rest.length === 0) return get(() => oneTenant(calls, tenant))
  if (rest.length === 1 && what === 'keys') return get(async () => ({ tenant, keys: (await calls.keys.list(tenant)).map(shown) }))
  if (rest.length === 1 && what === 'revoke')
    return post((act) => calls.revokeTenant(tenant, act).then(() => ({ tenant, revoked: true })))
  if (rest.length === 2 && what === 'keys' && id === 'rotate')
    return post(async (act) => rotation(await calls.keys.rotate(tenant, act)))
  if (what === 'users' && verb === 'sessions' && id !== '')
    return findSessionCall(calls.sessions, { tenant, user: id }, rest.slice(3))
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

const NO_SESSION = { description: 'The user has no live session of this id.' } as const

function findSessionCall(
  sessions: TenantCalls['sessions'],
  { tenant, user }: { readonly tenant: string; readonly user: string },
  rest: readonly string[],
): ReadingCall | ChangingCall | undefined {
  const [first = '', second] = rest
  if (rest.length === 0) return get(async () => shownSessions(tenant, await sessions.list(tenant, user)))
  if (rest.length === 1 && first === 'revoke') {
    return post(async (act) => ({ tenant, user, revoked_count: await sessions.endAll(tenant, user, act) }))
  }
  if (rest.length !== 2 || first === '' || second !== 'revoke') return undefined
  return post(async (act) => {
    if (!(await sessions.end(tenant, user, first, act))) throw new Problem('session_not_found', NO_SESSION)
    return { tenant, user, session: first, revoked: true }
  })
}

async function listTenants(calls: TenantCalls): Promise<unknown> {
  return { tenants: await Promise.all(calls.list().map((tenant) => shownTenant(calls, tenant))) }
}

async function oneTenant(calls: TenantCalls, id: string): Promise<unknown> {
  const tenant = calls.list().find((one) => one.id === id)
  if (tenant === undefined) throw new Problem('tenant_not_found')
  return shownTenant(calls, tenant)
}

async function shownTenant(calls: TenantCalls, tenant: ShownTenant): Promise<unknown> {
  const [times, keys] = await Promise.all([calls.times(tenant.id), calls.keys.list(tenant.id)])
  return {
    id: tenant.id,
    name: tenant.name,
    created_at: times.createdAt,
    updated_at: times.updatedAt,
    issuer: tenant.issuer,
    hosts: tenant.hosts,
    signing: tenant.signing,
    registration: tenant.registration,
    access_token_seconds: tenant.accessTokenSeconds,
    refresh_token_seconds: tenant.refreshTokenSeconds,
    rotate_every_seconds: tenant.rotateEverySeconds,
    keys: keys.map(shown),
  }
}

function shownSessions(tenant: string, { user, account, sessions }: UserSessions): unknown {
  return {
    tenant,
    user,
    ...(account !== undefined && { account }),
    sessions: sessions.map((one) => ({
      id: one.id,
      device: one.device,
      device_name: one.deviceName,
      ip: one.ip,
      ...(one.country !== undefined && { country: one.country }),
      client_id: one.clientId,
      scope: one.scope,
      created_at: one.createdAt,
      last_used_at: one.lastUsedAt,
      expires_at: one.expiresAt,
      idle_expires_at: one.idleExpiresAt,
    })),
  }
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
