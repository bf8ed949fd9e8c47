/**
 * Accounts with a password: register, log in, log out, change the profile and the password.
 *
 * Who is not known and who gives a wrong password are answered alike, in words and in work. This service issues no token
 * itself and keeps no e-mail address, password or hash anywhere but in the {@link AccountStore}.
 *
 * @module
 */
import type { RouteConfig, TenantConfig } from '../../config/config.ts'
import type { Admitted } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { by } from '../by.ts'
import { jsonEndpoint } from '../json-body.ts'
import type { Answer, Call, Service } from '../services.ts'
import { callerOf, headerOf, json } from '../services.ts'
import { cookiesOf, createSessionCookies, withoutTokens } from '../session-cookies.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { tenantInPath, tenantOf } from '../tenant-of-request.ts'
import { fold } from '../usernames/names.ts'
import type { Login, ProfileBody, Registration } from './bodies.ts'
import { foldEmail, LOGIN, PASSWORD, PROFILE, REGISTRATION } from './bodies.ts'
import type { Anomalies } from './anomalies.ts'
import type { DeviceTokens } from './devices.ts'
import { createDevices } from './devices.ts'
import type { LoginLock, LoginThrottle } from './login-throttle.ts'
import { createLoginThrottle } from './login-throttle.ts'
import { createPasswordChange } from './password-change.ts'
import type { PasswordRules } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { Profiles } from './profile.ts'
import { shown } from './profile.ts'
import type { Account, AccountStore } from './store.ts'
import type { Outcome } from './throttle.ts'

export type { Anomalies, AnomalyEvent, DeviceStore, KnownDevice } from './anomalies.ts'
export { createAnomalies } from './anomalies.ts'
export type { HashFile } from './breached.ts'
export { openBreached } from './breached.ts'
export type { UserDirectory } from './directory.ts'
export { createUserDirectory } from './directory.ts'
export type { Argon2Cost, Passwords, PasswordsNeeds } from './passwords.ts'
export { argon2id, createPasswords } from './passwords.ts'
export type { BreachedPasswords, PasswordRules } from './password-rules.ts'
export { createPasswordRules } from './password-rules.ts'
export type {
  Account,
  AccountStore,
  ClaimRefusal,
  NewAccountOutcome,
  ProfileChange,
  ProfileOutcome,
  UsernameClaim,
} from './store.ts'
export type { LoginThrottle } from './login-throttle.ts'
export { createLoginThrottle } from './login-throttle.ts'
export { createFleetThrottle } from './fleet-throttle.ts'
export type { Profiles } from './profile.ts'
export { createProfiles } from './profile.ts'

/** Something that happened to an account, in the words of OWASP's logging vocabulary, for the audit record. */
export interface AccountEvent {
  readonly event:
    | 'authn_login_success'
    | 'authn_login_fail'
    | 'authn_login_lock'
    | 'authn_password_change'
    | 'authn_password_change_fail'
    | 'user_created'
    | 'user_updated'
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
  readonly rules: PasswordRules
  readonly profiles: Profiles
  readonly devices: DeviceTokens
  /** Absent: nothing is looked for. */
  readonly anomalies?: Anomalies
  /** Keeps clients out of tenants by where they are. @throws Problem `country_refused` */
  cross?(tenant: string, admitted: Admitted): void
  /** Country that a request comes from; undefined where it is not known. Absent: never known. */
  countryOf?(admitted: Admitted): string | undefined
  /** Absent: one of its own. */
  readonly throttle?: LoginThrottle
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Monotonic, milliseconds. */
  nowMs(): number
  randomBytes(size: number): Buffer
  record?(event: AccountEvent): void
  /** Whether a page of ours sends the request. @throws Problem `cross_site_request` */
  checkOrigin(admitted: Admitted): void
  /** Whether no session could be begun now: a login is refused before it costs a password hash. Absent: never. */
  areSessionsAway?(): boolean
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
  anyone: 'too many failures with this account',
  address: 'too many failures of this address',
} as const satisfies Record<LoginLock, string>

const NO_STORE = { 'cache-control': 'no-store' } as const

export function createAccounts(needs: AccountsNeeds, config: AccountsConfig): Service<'accounts'> {
  const throttle = needs.throttle ?? createLoginThrottle({ nowMs: () => needs.nowMs() })
  const devices = createDevices({ ...needs, tokens: needs.devices })
  const cookies = createSessionCookies(config)
  return {
    name: 'accounts',
    endpoints: {
      register: jsonEndpoint(REGISTRATION, register),
      login: jsonEndpoint(LOGIN, login),
      logout: { handle: logout },
      'logout-all': { handle: logoutAll },
      me: { handle: me },
      profile: jsonEndpoint(PROFILE, updateProfile),
      password: jsonEndpoint(PASSWORD, createPasswordChange({ ...needs, throttle }, config)),
    },
  }

  async function register(call: Call, body: Registration): Promise<Answer> {
    const tenant = tenantNamed(call, body.tenant_id)
    if (tenant.registration === 'closed') throw new Problem('registration_closed')
    const name = body.username
    if (name !== undefined) needs.profiles.spend(tenant, { ip: call.admitted.client })
    const claim = name === undefined ? undefined : needs.profiles.claim(tenant.id, name, body.hold_ticket)
    await needs.rules.check(body.password, body, 'password')
    const account: Account = {
      id: `usr_${needs.randomBytes(16).toString('hex')}`,
      tenant: tenant.id,
      email: body.email,
      emailFolded: foldEmail(body.email),
      ...(claim === undefined ? {} : { username: claim }),
      passwordHash: await needs.passwords.hash(body.password),
      status: 'active',
      createdAt: needs.nowSeconds(),
    }
    const outcome = await needs.accounts.create(account, claim?.ticketHash)
    if (outcome === 'email_taken') throw new Problem(outcome)
    if (outcome !== 'created') throw await needs.profiles.refusalOf(tenant.id, name ?? '', outcome)
    needs.profiles.moved(tenant.id, undefined, claim?.folded)
    needs.record?.({ event: 'user_created', user: account.id, ...circumstances(call, tenant) })
    return json(201, { user: shown(account) }, NO_STORE)
  }

  async function login(call: Call, body: Login): Promise<Answer> {
    // Else a page of somebody's could log its visitors in, as its own user.
    if (body.cookie === true) needs.checkOrigin(call.admitted)
    const tenant = tenantNamed(call, body.tenant_id)
    if (needs.areSessionsAway?.() === true) throw new Problem('storage_unavailable', { headers: { 'retry-after': '1' } })
    const account = await authenticated(call, tenant, body)
    const proved = devices.of(call, tenant.id)
    const visit = await needs.anomalies?.begin({
      tenant,
      user: account.id,
      proved: proved?.user === account.id ? proved.device : undefined,
      admitted: call.admitted,
    })
    const country = needs.countryOf?.(call.admitted)
    const pair = await needs.sessions.create({
      tenant: tenant.id,
      user: account.id,
      ...(country !== undefined && { country }),
      // A login asks for no scope: it gets what the tenant gives to everyone who logs in.
      scope: tenant.loginScopes.join(' '),
      device: headerOf(call.admitted, 'user-agent') ?? '',
      ip: call.admitted.client,
      clientId: CLIENT_ID,
      by: by(call, account.id),
    })
    await recheck(call, account, body.password, pair.session_id)
    await visit?.done()
    const whose = { tenant: tenant.id, id: account.id, ...(visit !== undefined && { device: visit.device }) }
    if (body.cookie !== true) return devices.remember(call, json(200, pair, NO_STORE), whose)
    const answer = {
      ...json(200, withoutTokens(pair), NO_STORE),
      cookies: cookiesOf(pair, cookies.refreshPath(call.admitted)),
    }
    return devices.remember(call, answer, whose)
  }

  /** A password that was changed meanwhile has ended all sessions but this one, which was not there yet. */
  async function recheck(call: Call, account: Account, password: string, session: string): Promise<void> {
    const { tenant, id, passwordHash } = account
    const now = await needs.accounts.findById(tenant, id)
    if (now?.passwordHash === passwordHash || (await needs.passwords.verify(password, now?.passwordHash))) return
    await needs.sessions.endSession({ tenant, user: id, id: session }, 'password changed', by(call, id))
    throw new Problem('bad_credentials')
  }

  async function authenticated(call: Call, tenant: TenantConfig, body: Login): Promise<Account> {
    const subject = body.email === undefined ? `name ${fold(body.username ?? '')}` : `mail ${foldEmail(body.email)}`
    const trusted = devices.of(call, tenant.id)
    const expected = trusted === undefined ? undefined : await accountOf(tenant.id, body)
    const device = expected?.id === trusted?.user ? trusted?.device : undefined
    const attempt = await throttle.begin(
      { tenant, client: call.admitted.client, subject, device },
      (what) => void noteLock(call, tenant, body, what),
    )
    let outcome: Outcome = 'withdrawn'
    try {
      const account = expected ?? (await accountOf(tenant.id, body))
      const isRight = await needs.passwords.verify(body.password, account?.passwordHash)
      outcome = isRight && account?.status === 'active' ? 'passed' : 'failed'
      const reason = isRight ? 'user disabled' : 'wrong name or password'
      needs.record?.({
        event: outcome === 'passed' ? 'authn_login_success' : 'authn_login_fail',
        ...(account !== undefined && { user: account.id }),
        ...(outcome === 'failed' && { reason }),
        ...circumstances(call, tenant),
      })
      if (outcome === 'passed' && account !== undefined) return await withCurrentCost(account, body.password)
      throw new Problem('bad_credentials')
    } finally {
      attempt.end(outcome)
    }
  }

  /** Hashes again what was hashed at another cost, while the password is at hand. */
  async function withCurrentCost(account: Account, password: string): Promise<Account> {
    const { tenant, id, passwordHash: old } = account
    if (needs.passwords.isCurrent(old)) return account
    try {
      const passwordHash = await needs.passwords.hash(password)
      return (await needs.accounts.replacePassword(tenant, id, old, passwordHash)) ? { ...account, passwordHash } : account
    } catch {
      // It can be done at the next login: this one was right.
      return account
    }
  }

  /** Never rejects: the refusal stands, whether or not it can be said whose account it is. */
  async function noteLock(call: Call, tenant: TenantConfig, body: Login, what: LoginLock): Promise<void> {
    const account = await accountOf(tenant.id, body).catch(() => undefined)
    needs.record?.({
      event: 'authn_login_lock',
      ...(what !== 'address' && account !== undefined && { user: account.id }),
      reason: LOCKS[what],
      ...circumstances(call, tenant),
    })
  }

  function accountOf(tenant: string, body: Login): Promise<Account | undefined> {
    if (body.email !== undefined) return needs.accounts.findByEmail(tenant, foldEmail(body.email))
    return needs.accounts.findByUsername(tenant, fold(body.username ?? ''))
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
    return json(200, shown(await needs.profiles.find(callerOf(call.admitted))), NO_STORE)
  }

  async function updateProfile(call: Call, body: ProfileBody): Promise<Answer> {
    const wanted = { username: body.username, displayName: body.display_name, holdTicket: body.hold_ticket }
    return json(200, shown(await needs.profiles.update(call, wanted)), NO_STORE)
  }

  function tenantNamed(call: Call, inBody: string | undefined): TenantConfig {
    const tenant = tenantOf(call.admitted, config.tenants, { path: tenantInPath(call.admitted.path), body: inBody })
    needs.cross?.(tenant.id, call.admitted)
    return tenant
  }
}

function circumstances({ admitted }: Call, tenant: TenantConfig): Pick<AccountEvent, 'tenant' | 'ip' | 'requestId'> {
  return { tenant: tenant.id, ip: admitted.client, requestId: admitted.id }
}
