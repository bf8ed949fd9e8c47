import type { By, Sessions, Users } from '../sessions/sessions.ts'
import { fold } from '../usernames/names.ts'
import { foldEmail } from './bodies.ts'
import type { Account, AccountStatus, AccountStore } from './store.ts'

/** Who may use what they have: the account directory as operators and other services see it. */
export interface UserDirectory extends Users {
  /** The account of this id, e-mail address or username. */
  find(tenant: string, idOrName: string): Promise<Account | undefined>
  /**
   * Disables a user, which ends all their sessions, or lets them log in again.
   *
   * @returns false when there is no such account
   */
  setStatus(tenant: string, user: string, status: AccountStatus, by?: By): Promise<boolean>
}

/** @param sessions - asked for when a user is disabled only, since sessions themselves ask for the status of users */
export function createUserDirectory(accounts: AccountStore, sessions: () => Pick<Sessions, 'endAll'>): UserDirectory {
  return {
    async find(tenant, text) {
      const byId = await accounts.findById(tenant, text)
      if (byId !== undefined) return byId
      return text.includes('@') ? accounts.findByEmail(tenant, foldEmail(text)) : accounts.findByUsername(tenant, fold(text))
    },
    async status(tenant, user) {
      const account = await accounts.findById(tenant, user)
      return account?.status ?? 'unknown'
    },
    async setStatus(tenant, user, status, by) {
      // First the status: a login in between finds it, and a session made before it is ended.
      const exists = await accounts.setStatus(tenant, user, status)
      if (exists && status === 'disabled') await sessions().endAll({ tenant, user }, 'user disabled', by)
      return exists
    },
  }
}
