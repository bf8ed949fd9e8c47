import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import { by } from '../by.ts'
import type { Answer, Call } from '../services.ts'
import { callerOf } from '../services.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { AccountEvent } from './accounts.ts'
import type { PasswordBody } from './bodies.ts'
import type { LoginThrottle } from './login-throttle.ts'
import type { PasswordRules } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { Profiles } from './profile.ts'
import type { Account, AccountStore } from './store.ts'
import type { Outcome } from './throttle.ts'

export interface PasswordChangeNeeds {
  readonly accounts: AccountStore
  readonly sessions: Sessions
  readonly passwords: Passwords
  readonly rules: PasswordRules
  readonly profiles: Profiles
  readonly throttle: LoginThrottle
  record?(event: AccountEvent): void
}

const NO_STORE = { 'cache-control': 'no-store' } as const

/** Puts a new password in place of the one that its owner knows, which ends all sessions but the one that asks. */
export function createPasswordChange(
  needs: PasswordChangeNeeds,
  config: { readonly tenants: ReadonlyMap<string, TenantConfig> },
): (call: Call, body: PasswordBody) => Promise<Answer> {
  return async function change(call, body) {
    const { tenant, user } = callerOf(call.admitted)
    const account = await needs.profiles.find(callerOf(call.admitted))
    await confirm(call, account, body.current_password)
    await needs.rules.check(body.new_password, { email: account.email, username: account.username?.shown }, 'new_password')
    const hash = await needs.passwords.hash(body.new_password)
    // Before as well: where sessions cannot be ended, nothing is changed, and whoever stole one does not outlive the new password.
    await endOthers(call)
    // Somebody else who knew it was quicker: it is not the password any more.
    if (!(await needs.accounts.replacePassword(tenant, user, account.passwordHash, hash))) throw new Problem('wrong_password')
    note(call, account, 'authn_password_change')
    await endOthers(call)
    return { status: 204, headers: NO_STORE }
  }

  async function endOthers(call: Call): Promise<void> {
    const { tenant, user, session } = callerOf(call.admitted)
    const because = 'password changed'
    if (session === undefined) await needs.sessions.endAll({ tenant, user }, because, by(call, user))
    else await needs.sessions.endOthers({ tenant, user, id: session }, because, by(call, user))
  }

  async function confirm(call: Call, account: Account, password: string): Promise<void> {
    const tenant = config.tenants.get(account.tenant)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    const attempt = await needs.throttle.begin({ tenant, client: call.admitted.client, subject: `user ${account.id}` })
    let outcome: Outcome = 'withdrawn'
    try {
      outcome = (await needs.passwords.verify(password, account.passwordHash)) ? 'passed' : 'failed'
    } finally {
      attempt.end(outcome)
    }
    if (outcome === 'passed') return
    note(call, account, 'authn_password_change_fail')
    throw new Problem('wrong_password')
  }

  function note({ admitted }: Call, { tenant, id: user }: Account, event: AccountEvent['event']): void {
    needs.record?.({ event, tenant, user, ip: admitted.client, requestId: admitted.id })
  }
}
