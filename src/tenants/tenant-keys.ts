import { Problem } from '../problem/problem.ts'
import type { Act } from './key-keeper.ts'
import { revoke as revokeIn, rotate as rotateIn, tokensUntil } from './key-life.ts'
import type { KeyRecord, KeyState } from './key-record.ts'
import type { Owner } from './owner.ts'
import type { TenantsNeeds } from './tenants.ts'

/** A key as operators see it. Times: seconds since 1970. */
export interface KeyFacts {
  readonly kid: string
  readonly alg: string
  readonly state: KeyState
  readonly createdAt: number
  /** When it came into its state. */
  readonly since: number
  /** Of a `next` key: when it becomes current. Of a `current` one: when its rotation is due. Of a `previous` one: when it retires. */
  readonly until?: number
  /** Why it was revoked. */
  readonly reason?: string
}

/** What a rotation came to: the next key signs now, or one was published that will, from `currentAt` (seconds since 1970) on. */
export type KeyRotation =
  | { readonly outcome: 'rotated'; readonly kid: string }
  | { readonly outcome: 'published'; readonly kid: string; readonly currentAt: number }

/** What operators do with the keys of a tenant. Every method rejects with `tenant_not_found` for one that is not configured. */
export interface TenantKeys {
  /** Every key and those that are over, in the order of their lives, newest first. */
  list(tenant: string): Promise<readonly KeyFacts[]>
  /** Rejects with `rotation_too_early`, which says when, while the next key was not published long enough. */
  rotate(tenant: string, act: Act): Promise<KeyRotation>
  /**
   * Ends a key at once and all of its tokens, everywhere. Rejects with `key_not_found`. Once more is no harm: the
   * revocation is written again.
   *
   * @returns the key that signs now
   */
  revoke(tenant: string, kid: string, act: Act): Promise<{ readonly current: string }>
}

/** Something that happened to a key, in the words of the OWASP logging vocabulary. */
export interface KeyEvent extends Act {
  readonly event: 'sys_key_created' | 'sys_key_published' | 'sys_key_rotated' | 'sys_key_retired' | 'sys_key_revoked'
  /** Absent for the keys of passports. */
  readonly tenant?: string
  /** `kid`. */
  readonly subject: string
}

const EVENTS = {
  next: 'sys_key_published',
  current: 'sys_key_rotated',
  previous: undefined,
  retired: 'sys_key_retired',
  revoked: 'sys_key_revoked',
} as const satisfies Record<KeyState, KeyEvent['event'] | undefined>

const ORDER: readonly KeyState[] = ['next', 'current', 'previous', 'retired', 'revoked']

export function createTenantKeys(
  needs: Pick<TenantsNeeds, 'nowSeconds' | 'revokeKey'>,
  of: (tenant: string) => Owner,
): TenantKeys {
  return { list, rotate, revoke }

  async function list(tenant: string): Promise<readonly KeyFacts[]> {
    const { keeper, policy } = of(tenant)
    await keeper.refresh()
    const facts = keeper.records().map((record) => factsOf(record, policy.rotateEverySeconds))
    return facts.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.since - a.since)
  }

  async function rotate(tenant: string, act: Act): Promise<KeyRotation> {
    const { keeper, policy } = of(tenant)
    return keeper.change(act, (records) => {
      const change = rotateIn(records, policy, needs.nowSeconds())
      if (typeof change === 'number') throw tooEarly(change, needs.nowSeconds())
      return { change, result: (after) => rotationOf(change.missing === undefined ? 'current' : 'next', after) }
    })
  }

  async function revoke(tenant: string, kid: string, act: Act): Promise<{ readonly current: string }> {
    const { keeper, policy } = of(tenant)
    const now = needs.nowSeconds()
    const outcome = await keeper.change(act, (records) => {
      const record = records.find((one) => one.kid === kid)
      if (record === undefined || record.state === 'retired') throw new Problem('key_not_found')
      const result = (after: readonly KeyRecord[]) => ({
        current: named('current', after).kid,
        until: tokensUntil(record, policy, now),
      })
      return record.state === 'revoked'
        ? { result }
        : { change: revokeIn(records, { kid, reason: act.reason }, policy, now), result }
    })
    // After the set: were it the other way round, a process could go on to sign with a key that the others have dropped.
    await needs.revokeKey(tenant, kid, { reason: act.reason, tokensUntil: outcome.until })
    return { current: outcome.current }
  }
}

/** What a change did to keys, as the record of it says. */
export function eventsOf(before: readonly KeyRecord[], after: readonly KeyRecord[], act: Act): readonly KeyEvent[] {
  const states = new Map(before.map((record) => [record.kid, record.state]))
  return after.flatMap((record): KeyEvent[] => {
    const was = states.get(record.kid)
    if (was === record.state) return []
    const event = was === undefined && record.state === 'current' ? 'sys_key_created' : EVENTS[record.state]
    return event === undefined ? [] : [{ ...act, event, subject: record.kid }]
  })
}

function factsOf({ kid, alg, state, createdAt, since, until, reason }: KeyRecord, rotateEverySeconds: number): KeyFacts {
  const ends = state === 'current' ? since + rotateEverySeconds : until
  return {
    kid,
    alg,
    state,
    createdAt,
    since,
    ...(ends !== undefined && { until: ends }),
    ...(reason !== undefined && { reason }),
  }
}

function rotationOf(state: 'current' | 'next', records: readonly KeyRecord[]): KeyRotation {
  const { kid, until } = named(state, records)
  return state === 'current' ? { outcome: 'rotated', kid } : { outcome: 'published', kid, currentAt: until ?? 0 }
}

function named(state: 'current' | 'next', records: readonly KeyRecord[]): KeyRecord {
  const found = records.find((record) => record.state === state)
  if (found === undefined) throw new Error(`no key is ${state}`)
  return found
}

function tooEarly(at: number, now: number): Problem {
  return new Problem('rotation_too_early', {
    description: `The next key was not published long enough for everyone to know it. Rotate from ${new Date(at * 1000).toISOString()} on.`,
    headers: { 'retry-after': String(at - now) },
  })
}
