import { revokedCountOf, sessionsOf, userOf, type Session, type User } from './answers.ts'
import type { Send } from './http.ts'
import type { ClientPaths } from './client.ts'

/** What a user does with an access token. */
export interface AsUser {
  me(): Promise<User>
  updateProfile(changes: ProfileChanges): Promise<User>
  /** Every other session of the user is over then. */
  changePassword(change: { readonly currentPassword: string; readonly newPassword: string }): Promise<void>
  /** Ends the session of the token. */
  logout(): Promise<void>
  /** Ends all sessions of the user. @returns how many there were */
  logoutAll(): Promise<number>
  /** The last used first. */
  sessions(): Promise<readonly Session[]>
  /** Ends one session of the user. Rejects with status 404 and the reason `session_not_found` for any other. */
  deleteSession(id: string): Promise<void>
  /** Ends all but the session of the token. @returns how many there were */
  revokeOthers(): Promise<number>
}

export interface ProfileChanges {
  readonly username?: string
  readonly displayName?: string
  /** Of a hold of the username. */
  readonly holdTicket?: string
}

export interface AsUserNeeds {
  readonly send: Send
  readonly paths: ClientPaths
  /** Asked for each call. */
  token(): string | Promise<string>
}

export function createAsUser({ send, paths, token }: AsUserNeeds): AsUser {
  return {
    me: async () => userOf(await get(`${paths.accounts}/me`)),
    async updateProfile({ username, displayName, holdTicket }) {
      const json = { username, display_name: displayName, hold_ticket: holdTicket }
      return userOf(await call({ method: 'PATCH', path: `${paths.accounts}/profile`, json, repeatable: false }))
    },
    async changePassword({ currentPassword, newPassword }) {
      const json = { current_password: currentPassword, new_password: newPassword }
      await call({ method: 'POST', path: `${paths.accounts}/password`, json, repeatable: false })
    },
    async logout() {
      await call({ method: 'POST', path: `${paths.accounts}/logout`, repeatable: false })
    },
    logoutAll: async () =>
      revokedCountOf(await call({ method: 'POST', path: `${paths.accounts}/logout-all`, repeatable: false })),
    sessions: async () => sessionsOf(await get(paths.sessions)),
    async deleteSession(id) {
      await call({ method: 'DELETE', path: `${paths.sessions}/${encodeURIComponent(id)}`, repeatable: true })
    },
    // A second time there is nobody left to end.
    revokeOthers: async () =>
      revokedCountOf(await call({ method: 'POST', path: `${paths.sessions}/revoke-others`, repeatable: false })),
  }

  function get(path: string): Promise<unknown> {
    return call({ method: 'GET', path, repeatable: true })
  }

  async function call(what: Omit<Parameters<Send>[0], 'authorization'>): Promise<unknown> {
    const { body } = await send({ ...what, authorization: `Bearer ${await token()}` })
    return body
  }
}
