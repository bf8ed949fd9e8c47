/**
 * Accounts with a password: register, log in, log out.
 *
 * Who is not known and who gives a wrong password are answered alike, in words and in work. This service issues no token
 * itself and keeps no e-mail address, password or hash anywhere but in the {@link AccountStore}.
 *
 * @module
 */
import type { RouteConfig, TenantConfig } from '../../config/config.ts'
import type { Admitted, Identified } from '../../exchange/exchange.ts'
import { OWN_ISSUER } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { by } from '../by.ts'
import { jsonEndpoint } from '../json-body.ts'
import type { Answer, Call, Service } from '../services.ts'
import { callerOf, headerOf, json } from '../services.ts'
import { cookiesOf, createSessionCookies, withoutTokens } from '../session-cookies.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { tenantInPath, tenantOf } from '../tenant-of-request.ts'
import type { Login, Registration } from './bodies.ts'
import { foldEmail, foldUsername, LOGIN, REGISTRATION } from './bodies.ts'
import type { Passwords } from './passwords.ts'
import type { Lock, Outcome } from './throttle.ts'
import { createThrottle } from './throttle.ts'

export type { UserDirectory } from './directory.ts'
export { createUserDirectory } from './directory.ts'
export type { Argon2Cost, Passwords, PasswordsNeeds } from './passwords.ts'
export { argon2id, createPasswords } from './passwords.ts'

export type AccountStatus = 'active' | 'disabled'

/** A person of one tenant. */
export interface Account {
  /** `usr_` and 32 hex digits. */
  readonly id: string
  readonly tenant: string
  /** As given. */
  readonly email: string
  /** As compared: unique within the tenant. */
  readonly emailFolded: string
  readonly username?: {
    /** As given. */ readonly shown: string
    /** As compared: unique within the tenant. */ readonly folded: string
  }
  readonly displayName?: string
  /** PHC string. */
  readonly passwordHash: string
  /** Who is disabled cannot log in, and has no sessions. */
  readonly status: AccountStatus
  /** Whole seconds since 1970. */
  readonly createdAt: number
}

export type NewAccountOutcome = 'created' | 'email_taken' | 'username_taken'

/** Keeps accounts. Storage implements it; each method does all or nothing, or rejects with `storage_unavailable`. */
export interface AccountStore {
  create(account: Account): Promise<NewAccountOutcome>
  findById(tenant: string, id: string): Promise<Account | undefined>
  findByEmail(tenant: string, folded: string): Promise<Account | undefined>
  findByUsername(tenant: string, folded: string): Promise<Account | undefined>
  /** False when there is no such account. */
  setStatus(tenant: string, id: string, status: AccountStatus): Promise<boolean>
}

/** Something that happened to an account, in the words of OWASP's logging vocabulary, for the audit record. */
export interface AccountEvent {
  readonly event: 'authn_login_success' | 'authn_login_fail' | 'authn_login_lock' | 'user_created'
  readonly tenant: string
  /** Absent where the name that was given is nobody's. */
  readonly user?: string
  readonly reason?: string
  readonly ip: string
  readonly requestId: string
}

export interface AccountsNeeds {
  readonly accounts: AccountStore
  readonly sessions: Sessions
  readonly passwords: Passwords
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Monotonic, milliseconds. */
  nowMs(): number
  randomBytes(size: number): Buffer
  record?(event: AccountEvent): void
  /** Whether a page of ours sends the request. @throws Problem `cross_site_request` */
  checkOrigin(admitted: Admitted): void
  /** Told of a request whose caller has logged out, where the token of it is to be told of as it is. */
  callerEnded?(admitted: Admitted): void
}

export interface AccountsConfig {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  readonly routes: readonly RouteConfig[]
}

/** `client_id` of the tokens of a login (RFC 9068 §2.2): the gateway itself took the password. */
const CLIENT_ID = 'gatehouse'

const LOCKS = {
  account: 'too many failures of this address with this account',
  address: 'too many failures of this address',
} as const satisfies Record<Lock, string>

const NO_STORE = { 'cache-control': 'no-store' } as const

export function createAccounts(needs: AccountsNeeds, config: AccountsConfig): Service<'accounts'> {
  const throttle = createThrottle({ nowMs: () => needs.nowMs() })
  const cookies = createSessionCookies(config)
  return {
    name: 'accounts',
    endpoints: {
      register: jsonEndpoint(REGISTRATION, register),
      login: jsonEndpoint(LOGIN, login),
      logout: { handle: logout },
      'logout-all': { handle: logoutAll },
      me: { handle: me },
    },
  }

  async function register(call: Call, body: Registration): Promise<Answer> {
    const tenant = tenantNamed(call, body.tenant_id)
    if (tenant.registration === 'closed') throw new Problem('registration_closed')
    const account: Account = {
      id: `usr_${needs.randomBytes(16).toString('hex')}`,
      tenant: tenant.id,
      email: body.email,
      emailFolded: foldEmail(body.email),
      ...(body.username === undefined ? {} : { username: { shown: body.username, folded: foldUsername(body.username) } }),
      passwordHash: await needs.passwords.hash(body.password),
      status: 'active',
      createdAt: needs.nowSeconds(),
    }
    const outcome = await needs.accounts.create(account)
    if (outcome !== 'created') throw new Problem(outcome)
    needs.record?.({ event: 'user_created', user: account.id, ...circumstances(call, tenant) })
    return json(201, { user: shown(account) }, NO_STORE)
  }

  async function login(call: Call, body: Login): Promise<Answer> {
    // Else a page of somebody's could log its visitors in, as its own user.
    if (body.cookie === true) needs.checkOrigin(call.admitted)
    const tenant = tenantNamed(call, body.tenant_id)
    const account = await authenticated(call, tenant, body)
    const pair = await needs.sessions.create({
      tenant: tenant.id,
      user: account.id,
      // A login asks for no scope: it gets what the tenant gives to everyone who logs in.
      scope: tenant.loginScopes.join(' '),
      device: headerOf(call.admitted, 'user-agent') ?? '',
      ip: call.admitted.client,
      clientId: CLIENT_ID,
      by: by(call, account.id),
    })
    if (body.cookie !== true) return json(200, pair, NO_STORE)
    return {
      ...json(200, withoutTokens(pair), NO_STORE),
      cookies: cookiesOf(pair, cookies.refreshPath(call.admitted)),
    }
  }

  async function authenticated(call: Call, tenant: TenantConfig, body: Login): Promise<Account> {
    const subject = body.email === undefined ? `name ${foldUsername(body.username ?? '')}` : `mail ${foldEmail(body.email)}`
    const attempt = throttle.begin(tenant, call.admitted.client, subject, (what) => void noteLock(call, tenant, body, what))
    let outcome: Outcome = 'withdrawn'
    try {
      const account = await accountOf(tenant.id, body)
      const isRight = await needs.passwords.verify(body.password, account?.passwordHash)
      outcome = isRight && account?.status === 'active' ? 'passed' : 'failed'
      const reason = isRight ? 'user disabled' : 'wrong name or password'
      needs.record?.({
        event: outcome === 'passed' ? 'authn_login_success' : 'authn_login_fail',
        ...(account !== undefined && { user: account.id }),
        ...(outcome === 'failed' && { reason }),
        ...circumstances(call, tenant),
      })
      if (outcome === 'passed' && account !== undefined) return account
      throw new Problem('bad_credentials')
    } finally {
      attempt.end(outcome)
    }
  }

  /** Never rejects: the refusal stands, whether or not it can be said whose account it is. */
  async function noteLock(call: Call, tenant: TenantConfig, body: Login, what: Lock): Promise<void> {
    const account = await accountOf(tenant.id, body).catch(() => undefined)
    needs.record?.({
      event: 'authn_login_lock',
      ...(what === 'account' && account !== undefined && { user: account.id }),
      reason: LOCKS[what],
      ...circumstances(call, tenant),
    })
  }

  function accountOf(tenant: string, body: Login): Promise<Account | undefined> {
    if (body.email !== undefined) return needs.accounts.findByEmail(tenant, foldEmail(body.email))
    return needs.accounts.findByUsername(tenant, foldUsername(body.username ?? ''))
  }

  async function logout(call: Call): Promise<Answer> {
    const caller = callerOf(call.admitted)
    await needs.sessions.end(caller, 'logout', by(call, caller.user))
    needs.callerEnded?.(call.admitted)
    return cookies.farewell(call.admitted, { status: 204, headers: NO_STORE })
  }

  async function logoutAll(call: Call): Promise<Answer> {
    const caller = callerOf(call.admitted)
    const count = await needs.sessions.endAll(caller, 'logout-all', by(call, caller.user))
    return cookies.farewell(call.admitted, json(200, { revoked_count: count }, NO_STORE))
  }

  async function me(call: Call): Promise<Answer> {
    const caller = callerOf(call.admitted)
    const account = await needs.accounts.findById(caller.tenant, caller.user)
    if (account === undefined) throw withoutAccount(caller)
    return json(200, shown(account), NO_STORE)
  }

  function tenantNamed(call: Call, inBody: string | undefined): TenantConfig {
    return tenantOf(call.admitted, config.tenants, { path: tenantInPath(call.admitted.path), body: inBody })
  }
}

/** Users of foreign issuers have none here; a token of our own without one outlived its user. */
function withoutAccount(caller: Identified): Problem {
  if (caller.issuer === OWN_ISSUER) return new Problem('invalid_token')
  return new Problem('access_denied', { description: 'The user of this token has no account here.' })
}

/** What its owner may see of an account. */
function shown(account: Account) {
  return {
    id: account.id,
    tenant_id: account.tenant,
    email: account.email,
    username: account.username?.shown ?? null,
    display_name: account.displayName ?? null,
    created_at: new Date(account.createdAt * 1_000).toISOString(),
  }
}

function circumstances({ admitted }: Call, tenant: TenantConfig): Pick<AccountEvent, 'tenant' | 'ip' | 'requestId'> {
  return { tenant: tenant.id, ip: admitted.client, requestId: admitted.id }
}
