import { JWKS_MAX_AGE_SECONDS } from '../config/config.ts'
import type { SigningAlgorithm } from '../config/config.ts'
import type { KeyRecord } from './key-record.ts'

/** How the keys of an owner live. Seconds. */
export interface KeyPolicy {
  readonly alg: SigningAlgorithm
  readonly rotateEverySeconds: number
  readonly publishBeforeSeconds: number
  /** Longest life of a token, clock skew included. */
  readonly tokenSeconds: number
}

/** A set after a change; `missing` is the key that is to be made and put into it. */
export interface Change {
  readonly records: readonly KeyRecord[]
  readonly missing?: { readonly state: 'current' } | { readonly state: 'next'; readonly until: number }
}

/** Keys that are over, kept for the record. */
export const MAX_RECORDS = 10

/** Of a set in storage, no signer is more than this behind; see `SIGNS_UNSEEN_SECONDS`. */
export const LONGEST_LAG_SECONDS = JWKS_MAX_AGE_SECONDS

/**
 * What time has brought: keys whose turn has come become current, keys without tokens retire, and a next one is wanted in
 * time. Pure. A key of another algorithm than the configured one signs on until its successor was published long enough, so
 * that nobody meets a token whose key is news.
 */
export function advance(records: readonly KeyRecord[], policy: KeyPolicy, now: number): Change {
  const due = records.find((record) => record.state === 'next' && (record.until ?? Infinity) <= now)
  const promoted = due === undefined ? records : promote(records, due.kid, policy, now)
  const settled = bounded(promoted.map((record) => settle(record, policy, now)))
  const current = settled.find((record) => record.state === 'current')
  if (current === undefined) return { records: settled, missing: { state: 'current' } }
  if (settled.some((record) => record.state === 'next')) return { records: settled }
  const soonest = now + policy.publishBeforeSeconds
  const planned = current.since + policy.rotateEverySeconds
  if (current.alg !== policy.alg) return { records: settled, missing: { state: 'next', until: soonest } }
  if (planned > soonest) return { records: settled }
  return { records: settled, missing: { state: 'next', until: Math.max(soonest, planned) } }
}

/** Whether `advance` would change anything. */
export function isDue(records: readonly KeyRecord[], policy: KeyPolicy, now: number): boolean {
  const { records: after, missing } = advance(records, policy, now)
  return missing !== undefined || after.length !== records.length || after.some((record, index) => record !== records[index])
}

/**
 * A rotation that somebody asks for: the next key becomes current, or one is published that will.
 *
 * @returns the seconds since 1970 at which it may, when the next key was not published long enough
 */
export function rotate(records: readonly KeyRecord[], policy: KeyPolicy, now: number): Change | number {
  const next = records.find((record) => record.state === 'next')
  if (next === undefined) return { records, missing: { state: 'next', until: now + policy.publishBeforeSeconds } }
  const soonest = next.since + policy.publishBeforeSeconds
  return now < soonest ? soonest : { records: promote(records, next.kid, policy, now) }
}

/**
 * Ends a published key at once, whatever its tokens. Where it signed, the next one takes its place, published long enough or
 * not: the other gateways learn of it with the revocation.
 */
export function revoke(
  records: readonly KeyRecord[],
  { kid, reason }: { readonly kid: string; readonly reason: string },
  policy: KeyPolicy,
  now: number,
): Change {
  const ended = records.map((record): KeyRecord => (record.kid === kid ? over(record, 'revoked', now, reason) : record))
  if (ended.some((record) => record.state === 'current')) return { records: bounded(ended) }
  const heir = ended.find((record) => record.state === 'next')
  if (heir === undefined) return { records: bounded(ended), missing: { state: 'current' } }
  return { records: bounded(ended.map((record) => (record === heir ? begin(record, policy, now) : record))) }
}

/** A new key in its place: the newest first. */
export function withKey(records: readonly KeyRecord[], key: KeyRecord): readonly KeyRecord[] {
  return [key, ...records]
}

/** Until when tokens may live that a key signed, were it to sign no more from now on. */
export function tokensUntil(record: KeyRecord | undefined, policy: KeyPolicy, now: number): number {
  return now + Math.max(policy.tokenSeconds, record?.tokenSeconds ?? 0) + LONGEST_LAG_SECONDS
}

function promote(records: readonly KeyRecord[], kid: string, policy: KeyPolicy, now: number): readonly KeyRecord[] {
  return records.map((record): KeyRecord => {
    if (record.kid === kid) return begin(record, policy, now)
    return record.state === 'current' ? succeeded(record, policy, now) : record
  })
}

/** A key that signs no more. */
export function succeeded(record: KeyRecord, policy: KeyPolicy, now: number): KeyRecord {
  const { privateKey: _forgotten, tokenSeconds: _ended, ...rest } = record
  return { ...rest, state: 'previous', since: now, until: tokensUntil(record, policy, now) }
}

function begin(record: KeyRecord, policy: KeyPolicy, now: number): KeyRecord {
  const { until: _until, ...rest } = record
  return { ...rest, state: 'current', since: now, tokenSeconds: policy.tokenSeconds }
}

/** The same record where nothing is to be done. */
function settle(record: KeyRecord, policy: KeyPolicy, now: number): KeyRecord {
  if (record.state === 'current') {
    // The longest life that was ever configured while the key signs: a shorter one holds for new tokens only.
    const { tokenSeconds } = record
    return tokenSeconds === undefined || tokenSeconds < policy.tokenSeconds
      ? { ...record, tokenSeconds: policy.tokenSeconds }
      : record
  }
  if (record.state !== 'previous') return record
  if (record.until === undefined) return { ...record, until: tokensUntil(record, policy, record.since) }
  return record.until <= now ? over(record, 'retired', now) : record
}

function over(record: KeyRecord, state: 'retired' | 'revoked', now: number, reason?: string): KeyRecord {
  const { alg, kid, createdAt } = record
  return { state, alg, kid, createdAt, since: now, ...(reason !== undefined && { reason }) }
}

/** Without those that were over longest, where these are many. */
export function bounded(records: readonly KeyRecord[]): readonly KeyRecord[] {
  const past = records.filter((record) => record.state === 'retired' || record.state === 'revoked')
  if (past.length <= MAX_RECORDS) return records
  const kept = new Set(past.toSorted((a, b) => b.since - a.since).slice(0, MAX_RECORDS))
  return records.filter((record) => kept.has(record) || !past.includes(record))
}
