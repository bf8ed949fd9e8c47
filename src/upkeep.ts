/**
 * What operators do to stored keys and records, by command or by admin call.
 *
 * @module
 */
import type { Act, TenantCalls, UserSessions } from './admin/admin.ts'
import { LONGEST_ACCESS_TOKEN_SECONDS, type Config } from './config/config.ts'
import { Problem } from './problem/problem.ts'
import type { UserDirectory } from './services/accounts/accounts.ts'
import type { Sessions, SessionStore, UserRef } from './services/sessions/sessions.ts'
import { openAudit, readAudit, verifyAudit } from './storage/audit/audit.ts'
import type { AuditEvent, AuditRows, Verdict } from './storage/audit/audit.ts'
import { openMasterKey } from './storage/embedded/embedded.ts'
import { withMigrations } from './storage/sql/sql.ts'
import type { Migrations } from './storage/sql/sql.ts'
import { openStores } from './stores.ts'
import type { Stores } from './stores.ts'
import { openTenants } from './tenants/tenants.ts'
import type { TenantKeys, TenantRecords, Tenants, TenantsNeeds, TenantTimes } from './tenants/tenants.ts'
import { monotonicMs, nowMs, nowSeconds, random, schedule, WORLD, type World } from './world.ts'

/** The signing keys, under the master keys of the configuration, or the one that embedded storage makes for itself. */
export function openKeys(
  config: Config,
  stores: Pick<Stores, 'keys' | 'sessions'>,
  told: Pick<TenantsNeeds, 'record' | 'reachable'>,
  world: World = WORLD,
): Promise<Tenants> {
  const masterKeys = config.masterKeys.length === 0 ? [openMasterKey(config.storage.directory)] : config.masterKeys
  return openTenants(
    {
      store: stores.keys,
      masterKeys,
      nowSeconds: world.nowSeconds,
      random: world.random,
      schedule: world.schedule,
      revokeKey: (tenant, kid, ending) => stores.sessions.revoke({ kind: 'key', tenant, id: kid }, ending),
      ...told,
    },
    config.tenants,
  )
}

export type { KeyFacts, KeyRotation } from './tenants/tenants.ts'

/** Opens storage and keys for one piece of work. Gateways that run on the same storage see what it does within a second. */
export async function withKeys<T>(config: Config, work: (keys: TenantKeys) => Promise<T>): Promise<T> {
  const stores = await openStores({ nowSeconds }, config.storage)
  try {
    const audit = openAudit({ nowMs, schedule }, config.storage)
    try {
      const tenants = await openKeys(config, stores, { record: audit.record })
      return await work(tenants.keys)
    } finally {
      audit.close()
    }
  } finally {
    await stores.close()
  }
}

/** Since when each tenant of the configuration is there, as far as a gateway noted it. */
export async function tenantTimes(config: Config): Promise<ReadonlyMap<string, TenantTimes>> {
  const stores = await openStores({ nowSeconds }, config.storage)
  try {
    const times = new Map<string, TenantTimes>()
    for (const id of config.tenants.keys()) {
      const record = await stores.tenants.load(id)
      if (record !== undefined) times.set(id, { createdAt: record.createdAt, updatedAt: record.updatedAt })
    }
    return times
  } finally {
    await stores.close()
  }
}

export type { Migrations, MigrationState } from './storage/sql/sql.ts'

/** Runs `work` on the migrations of the accounts database. */
export function onMigrations<T>(config: Config, work: (migrations: Migrations) => Promise<T>): Promise<T> {
  return withMigrations({ nowSeconds, nowMs: monotonicMs, random, schedule }, config.storage, work)
}

export interface TenantCallNeeds {
  readonly tenants: Pick<Tenants, 'keys'>
  readonly records: Pick<TenantRecords, 'times'>
  readonly users: Pick<UserDirectory, 'setStatus' | 'find'>
  readonly store: Pick<SessionStore, 'revoke'>
  readonly sessions: Pick<Sessions, 'endSession' | 'endAll'> & { list(user: UserRef): Promise<UserSessions['sessions']> }
  record(event: AuditEvent): void
  readonly world?: Pick<World, 'nowSeconds'>
}

/** What the admin listener does to tenants of the configuration in force, each of its acts recorded. */
export function createTenantCalls(needs: TenantCallNeeds, inForce: () => Pick<Config, 'tenants' | 'issuers'>): TenantCalls {
  return {
    list,
    times,
    keys: needs.tenants.keys,
    users: { setStatus },
    sessions: { list: listSessions, end: endSession, endAll },
    revokeTenant,
  }

  function list() {
    return [...inForce().tenants.values()].map((tenant) => ({
      id: tenant.id,
      name: tenant.name,
      issuer: tenant.issuer,
      hosts: [...tenant.hosts],
      signing: tenant.signing,
      registration: tenant.registration,
      accessTokenSeconds: tenant.accessToken.lifetimeSeconds,
      refreshTokenSeconds: tenant.refreshToken.lifetimeSeconds,
      rotateEverySeconds: tenant.keys.rotateEverySeconds,
    }))
  }

  async function times(tenant: string): Promise<TenantTimes> {
    known(tenant)
    return needs.records.times(tenant)
  }

  /** A user of another issuer may be called as an account here is: whose sessions there are goes first. */
  async function listSessions(tenant: string, user: string): Promise<UserSessions> {
    known(tenant)
    const [sessions, account] = await Promise.all([needs.sessions.list({ tenant, user }), needs.users.find(tenant, user)])
    if (account === undefined || (account.id !== user && sessions.length > 0)) return { user, sessions }
    const { id, email, username, status } = account
    const shown = { email, status, ...(username !== undefined && { username: username.shown }) }
    return { user: id, account: shown, sessions: id === user ? sessions : await needs.sessions.list({ tenant, user: id }) }
  }

  async function endSession(tenant: string, user: string, id: string, act: Act): Promise<boolean> {
    known(tenant)
    if (await needs.sessions.endSession({ tenant, user, id }, act.reason, byOf(act))) return true
    const other = await accountCalled(tenant, user)
    return other !== undefined && needs.sessions.endSession({ tenant, user: other, id }, act.reason, byOf(act))
  }

  async function endAll(tenant: string, user: string, act: Act): Promise<number> {
    known(tenant)
    const count = await needs.sessions.endAll({ tenant, user }, act.reason, byOf(act))
    const other = count > 0 ? undefined : await accountCalled(tenant, user)
    return other === undefined ? count : needs.sessions.endAll({ tenant, user: other }, act.reason, byOf(act))
  }

  /**
   * The id of the account that is called so and has another id. Asked only where nobody of that id had a session: to end those of
   * nobody must not look like success, and to end those of an id must not need the database of accounts.
   */
  async function accountCalled(tenant: string, user: string): Promise<string | undefined> {
    const account = await needs.users.find(tenant, user)
    return account === undefined || account.id === user ? undefined : account.id
  }

  function known(tenant: string): void {
    if (!inForce().tenants.has(tenant)) throw new Problem('tenant_not_found')
  }

  async function setStatus(tenant: string, user: string, status: 'active' | 'disabled', act: Act): Promise<boolean> {
    known(tenant)
    const exists = await needs.users.setStatus(tenant, user, status, byOf(act))
    if (exists) needs.record({ ...act, event: status === 'disabled' ? 'user_disabled' : 'user_enabled', tenant, user })
    return exists
  }

  async function revokeTenant(tenant: string, act: Act): Promise<void> {
    const tokensUntil = (needs.world ?? WORLD).nowSeconds() + longestLife(tenant)
    await needs.store.revoke({ kind: 'tenant', tenant }, { reason: act.reason, tokensUntil })
    needs.record({ ...act, event: 'tenant_tokens_revoked', tenant })
  }

  /**
   * Of a token of the tenant, whoever made it and however long it was made to live then; a foreign one may be dated ahead by
   * the skew, and is taken behind by it.
   */
  function longestLife(id: string): number {
    const { tenants, issuers } = inForce()
    const tenant = tenants.get(id)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    const foreign = [...issuers.values()].filter((issuer) => issuer.tenant === id)
    const lives = foreign.map((issuer) => issuer.maxLifetimeSeconds + 2 * issuer.clockSkewSeconds)
    return Math.ceil(Math.max(LONGEST_ACCESS_TOKEN_SECONDS + tenant.clockSkewSeconds, ...lives))
  }
}

/** Why is said where the act itself is recorded; what follows of it has a reason of its own. */
function byOf({ actor, ip, requestId }: Act): Omit<Act, 'reason'> {
  return { actor, ip, requestId }
}

export type { AuditRow } from './storage/audit/audit.ts'

/** Reads from the audit record of this machine. */
export function withAuditRows<T>(config: Config, read: (rows: AuditRows) => T): T {
  return readAudit({ nowMs }, config.storage, read)
}

/** Walks the audit record of this machine. */
export function auditVerdict(config: Config, noted?: { readonly seq: number; readonly hash: string }): Verdict {
  return verifyAudit({ nowMs }, config.storage, noted)
}
