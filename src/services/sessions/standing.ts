import type { Users } from './sessions.ts'
import type { UserRef } from './store.ts'

/** Ids that the account directory gives: one that it does not know is no foreign user's. */
const OWN_USER = /^usr_[0-9a-f]{32}$/

/** Whether a user may have sessions: `missing` is one that the account directory had and has no more, or never had. */
export async function standingOf(users: Users, { tenant, user }: UserRef): Promise<'good' | 'disabled' | 'missing'> {
  const status = await users.status(tenant, user)
  if (status === 'disabled') return 'disabled'
  return status === 'unknown' && OWN_USER.test(user) ? 'missing' : 'good'
}
