import type { TenantConfig } from '../../config/config.ts'
import type { Identified } from '../../exchange/exchange.ts'
import { OWN_ISSUER } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import type { Call } from '../services.ts'
import { callerOf } from '../services.ts'
import type { Usernames } from '../usernames/usernames.ts'
import type { AccountEvent } from './accounts.ts'
import type { Account, AccountStore, ClaimRefusal, ProfileChange, UsernameClaim } from './store.ts'

export interface ProfilesNeeds {
  readonly accounts: AccountStore
  readonly names: Pick<Usernames, 'claimable' | 'suggest' | 'claimed' | 'released' | 'conflicted' | 'spend'>
  /** Whole seconds since 1970. */
  nowSeconds(): number
  record?(event: AccountEvent): void
}

/** What a user wants to be otherwise; what is absent stays. */
export interface WantedProfile {
  readonly username?: string | undefined
  /** Null takes it away. */
  readonly displayName?: string | null | undefined
  /** Of a hold of the username. */
  readonly holdTicket?: string | undefined
}

/** What users see and change of their accounts. */
export interface Profiles {
  /** @throws Problem `invalid_token`, `access_denied` for a caller who has no account here */
  find(caller: Identified): Promise<Account>
  /** Changes all that is wanted or nothing. @throws Problem of the username, `rate_limited`, `invalid_request` */
  update(call: Call, wanted: WantedProfile): Promise<Account>
  /**
   * Takes a unit from the budget for checks: who wants one name after the other asks for each of them whether it is taken.
   *
   * @throws Problem `rate_limited`
   */
  spend(tenant: TenantConfig, caller: { readonly ip: string; readonly user?: string }): void
  /** What is needed to claim a name. @throws Problem `username_invalid`, `username_reserved` */
  claim(tenant: string, name: string, ticket: string | undefined): UsernameClaim
  /** Tells everyone who remembers names, after the commit. */
  moved(tenant: string, from: string | undefined, to: string | undefined): void
  /** The problem for whoever did not get a name, with free ones like it. */
  refusalOf(tenant: string, name: string, refusal: ClaimRefusal): Promise<Problem>
}

export function createProfiles(needs: ProfilesNeeds, config: { readonly tenants: ReadonlyMap<string, TenantConfig> }): Profiles {
  const { accounts, names } = needs
  return { find, update, spend, claim, moved, refusalOf }

  async function find(caller: Identified): Promise<Account> {
    const account = await accounts.findById(caller.tenant, caller.user)
    if (account === undefined) throw withoutAccount(caller)
    return account
  }

  async function update(call: Call, wanted: WantedProfile): Promise<Account> {
    const caller = callerOf(call.admitted)
    const { tenant, user } = caller
    const before = await find(caller)
    const change = changeOf(call, caller, wanted)
    const result = await accounts.updateProfile(tenant, user, change, needs.nowSeconds())
    if (result.outcome === 'unknown') throw withoutAccount(caller)
    if (result.outcome !== 'changed') throw await refusalOf(tenant, wanted.username ?? '', result.outcome)
    moved(tenant, before.username?.folded, change.username?.folded)
    const reason = Object.keys(change).join(', ')
    needs.record?.({ event: 'user_updated', tenant, user, reason, ip: call.admitted.client, requestId: call.admitted.id })
    return result.account
  }

  function changeOf({ admitted }: Call, { tenant: id, user }: Identified, wanted: WantedProfile): ProfileChange {
    const { username: name, displayName, holdTicket: ticket } = wanted
    const displayed = displayName === undefined ? {} : { displayName }
    if (name === undefined) return displayed
    const tenant = config.tenants.get(id)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    spend(tenant, { ip: admitted.client, user })
    return { ...displayed, username: claim(id, name, ticket) }
  }

  function spend(tenant: TenantConfig, caller: { readonly ip: string; readonly user?: string }): void {
    names.spend(tenant, caller, 1)
  }

  function claim(tenant: string, name: string, ticket: string | undefined): UsernameClaim {
    return ticket === undefined ? names.claimable(tenant, name) : names.claimable(tenant, name, ticket)
  }

  function moved(tenant: string, from: string | undefined, to: string | undefined): void {
    if (to === undefined || from === to) return
    names.claimed(tenant, to)
    if (from !== undefined) names.released(tenant, from)
  }

  async function refusalOf(tenant: string, name: string, refusal: ClaimRefusal): Promise<Problem> {
    names.conflicted(tenant)
    return new Problem('username_taken', { detail: refusal, suggestions: await names.suggest(tenant, name) })
  }
}

/** Users of foreign issuers have none here; a token of our own without one outlived its user. */
export function withoutAccount(caller: Identified): Problem {
  if (caller.issuer === OWN_ISSUER) return new Problem('invalid_token')
  return new Problem('access_denied', { description: 'The user of this token has no account here.' })
}

/** What its owner may see of an account. */
export function shown(account: Account) {
  return {
    id: account.id,
    tenant_id: account.tenant,
    email: account.email,
    username: account.username?.shown ?? null,
    display_name: account.displayName ?? null,
    created_at: new Date(account.createdAt * 1_000).toISOString(),
  }
}
