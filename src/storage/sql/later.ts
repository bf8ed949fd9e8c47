import { Problem } from '../../problem/problem.ts'
import type { Glance } from './file.ts'
import type { Sql } from './sql.ts'

/**
 * A database that is opened when it is first asked for something that a glance cannot tell: that nothing has happened to names
 * can be. What cannot be opened then is tried again the next time.
 *
 * @param asked told of each glance
 */
export function openLater(glance: Glance, open: () => Promise<Sql>, asked: () => void): Sql {
  let opening: Promise<Sql> | undefined
  let isClosed = false
  return {
    accounts: {
      create: async (account, ticketHash) => (await accounts()).create(account, ticketHash),
      findById: async (tenant, id) => (await accounts()).findById(tenant, id),
      findByEmail: async (tenant, folded) => (await accounts()).findByEmail(tenant, folded),
      findByUsername: async (tenant, folded) => (await accounts()).findByUsername(tenant, folded),
      setStatus: async (tenant, id, status) => (await accounts()).setStatus(tenant, id, status),
      updateProfile: async (tenant, id, change, now) => (await accounts()).updateProfile(tenant, id, change, now),
      replacePassword: async (tenant, id, replacing, hash) => (await accounts()).replacePassword(tenant, id, replacing, hash),
    },
    usernames: {
      statesOf: async (tenant, folded, now) => (await usernames()).statesOf(tenant, folded, now),
      hold: async (hold, now) => (await usernames()).hold(hold, now),
      async *allNames() {
        if (shows(() => glance.lastEvent() === 0 && !glance.hasNames())) yield { tail: 0, names: [] }
        else yield* (await usernames()).allNames()
      },
      async eventsAfter(id, limit) {
        return shows(() => glance.lastEvent() <= id) ? [] : (await usernames()).eventsAfter(id, limit)
      },
      async sweep(now, limit) {
        return shows(() => !glance.hasOver(now)) ? [] : (await usernames()).sweep(now, limit)
      },
    },
    ping: async () => (await opened()).ping(),
    async close() {
      isClosed = true
      glance.close()
      const sql = await opening?.catch(() => undefined)
      await sql?.close()
    },
  }

  function shows(look: () => boolean): boolean {
    if (opening !== undefined || isClosed) return false
    asked()
    return look()
  }

  async function accounts(): Promise<Sql['accounts']> {
    return (await opened()).accounts
  }

  async function usernames(): Promise<Sql['usernames']> {
    return (await opened()).usernames
  }

  function opened(): Promise<Sql> {
    if (isClosed && opening === undefined) return Promise.reject(unavailable('the storage is closed'))
    opening ??= open().catch((cause: unknown) => {
      opening = undefined
      throw unavailable(cause)
    })
    return opening
  }
}

function unavailable(cause: unknown): Problem {
  return new Problem('storage_unavailable', { cause, headers: { 'retry-after': '1' } })
}
