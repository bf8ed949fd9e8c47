import type { KeyPolicy } from './key-life.ts'
import { bounded, MAX_RECORDS, succeeded } from './key-life.ts'
import type { KeyRecord, KeyState } from './key-record.ts'

/** A key goes through these in this order and never back; the last two are over. */
const PROGRESS = { next: 0, current: 1, previous: 2, retired: 3, revoked: 4 } as const satisfies Record<KeyState, number>

/** Clocks of gateways differ by no more. */
const CLOCKS_SECONDS = 60

/**
 * What a store should hold that lost some of a set (a failover, a copy that was put back, an empty restart in which somebody
 * made a set anew): all that it holds and all that is known here, each key as far on as either says. Of several that sign the
 * one signs on that did so first: whoever verifies had the most time to learn of it. The others are published until
 * their tokens are over. None signs where all that did are over. Pure.
 *
 * A set that lost nothing is given back as it is: keys only go on, and none leaves a set that has room for it.
 *
 * @param seenAt - when `known` was in the store, seconds since 1970
 */
export function union(
  stored: readonly KeyRecord[],
  { records: known, seenAt }: { readonly records: readonly KeyRecord[]; readonly seenAt: number },
  policy: KeyPolicy,
  now: number,
): readonly KeyRecord[] {
  const kept = new Map(stored.map((record) => [record.kid, record]))
  const behind = new Map(known.filter((record) => isBehind(kept.get(record.kid), record)).map((record) => [record.kid, record]))
  const isUnsure = behind.size === 0 && mayHaveDropped(stored, seenAt)
  const lacking = isUnsure ? [] : known.filter(({ kid }) => !kept.has(kid))
  if (behind.size === 0 && !lacking.some((record) => hasTokens(record, now))) return stored
  return bounded(oneSigner([...lacking, ...stored.map((record) => behind.get(record.kid) ?? record)], policy, now))
}

function isBehind(stored: KeyRecord | undefined, known: KeyRecord): boolean {
  return stored !== undefined && PROGRESS[stored.state] < PROGRESS[known.state]
}

/** A set forgets what was over first. Whether it may have forgotten a key that was alive when it was seen. */
function mayHaveDropped(stored: readonly KeyRecord[], seenAt: number): boolean {
  const past = stored.filter(({ state }) => PROGRESS[state] >= PROGRESS.retired)
  return past.length >= MAX_RECORDS && past.every(({ since }) => since >= seenAt - CLOCKS_SECONDS)
}

function hasTokens({ state, until }: KeyRecord, now: number): boolean {
  if (state === 'previous') return until === undefined || until > now
  return state === 'next' || state === 'current'
}

function oneSigner(records: readonly KeyRecord[], policy: KeyPolicy, now: number): readonly KeyRecord[] {
  const [signer] = records
    .filter(({ state }) => state === 'current')
    .toSorted((one, other) => one.since - other.since || (one.kid < other.kid ? -1 : 1))
  return records.map((record) => (record.state === 'current' && record !== signer ? succeeded(record, policy, now) : record))
}
