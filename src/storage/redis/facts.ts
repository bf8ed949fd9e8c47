import type { Revocation } from '../../revocation/revocation.ts'
import { understood } from './replies.ts'

/**
 * Revocations as Redis keeps them: a JSON list without the expiry, which is the score in the set of live ones and a field of
 * its own in the feed. The same fact is the same text always, so telling it twice keeps one.
 */
const MARKS = { token: 't', session: 's', user: 'u', tenant: 'n', key: 'k' } as const

export function factOf(kind: 'token' | 'session' | 'key', tenant: string, id: string): string {
  return JSON.stringify([MARKS[kind], tenant, id])
}

/** All of a user's or tenant's fact but what the script adds: `,epoch,at]` or `,at]`. */
export function factBegin(tenant: string, user?: string): string {
  const parts = user === undefined ? [MARKS.tenant, tenant] : [MARKS.user, tenant, user]
  return JSON.stringify(parts).slice(0, -1)
}

/** @throws Problem `storage_unavailable` for what this code did not write */
export function revocationOf(fact: unknown, expiry: unknown): Revocation {
  return understood(() => read(fact, expiry))
}

function read(fact: unknown, expiry: unknown): Revocation {
  const expiresAt = Number(expiry)
  const parts: unknown = typeof fact === 'string' ? JSON.parse(fact) : undefined
  if (!Array.isArray(parts) || !Number.isSafeInteger(expiresAt)) throw unknownFact()
  const [mark, tenant, ...rest]: unknown[] = parts
  if (typeof tenant !== 'string') throw unknownFact()
  const [first, epoch, at] = rest
  if (mark === MARKS.tenant) return { kind: 'tenant', tenant, at: integer(first), expiresAt }
  if (typeof first !== 'string') throw unknownFact()
  if (mark === MARKS.user) return { kind: 'user', tenant, id: first, epoch: integer(epoch), at: integer(at), expiresAt }
  if (mark === MARKS.token) return { kind: 'token', tenant, id: first, expiresAt }
  if (mark === MARKS.session) return { kind: 'session', tenant, id: first, expiresAt }
  if (mark === MARKS.key) return { kind: 'key', tenant, id: first, expiresAt }
  throw unknownFact()
}

function integer(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unknownFact()
  return value
}

function unknownFact(): TypeError {
  return new TypeError('the log holds an unknown kind of revocation')
}
