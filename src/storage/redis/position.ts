/**
 * Where a reader of the feed is: the last id that it has of each bucket, as a list of JSON.
 */

/** Before the first entry of a stream. */
export const START = '0-0'

const ID = /^\d{1,20}-\d{1,20}$/

/** Whether the first id of a stream comes before the second. */
export function isBefore(one: string, other: string): boolean {
  const [ms = '', count = ''] = one.split('-')
  const [otherMs = '', otherCount = ''] = other.split('-')
  return BigInt(ms) < BigInt(otherMs) || (ms === otherMs && BigInt(count) < BigInt(otherCount))
}

/** Undefined for what this store did not give, or gave when it had another number of buckets. */
export function idsOf(position: string, buckets: number): string[] | undefined {
  try {
    const value: unknown = JSON.parse(position)
    if (!Array.isArray(value) || value.length !== buckets) return undefined
    const ids: string[] = []
    for (const id of value) {
      if (typeof id !== 'string' || !ID.test(id)) return undefined
      ids.push(id)
    }
    return ids
  } catch {
    // Not JSON is not ours either.
    return undefined
  }
}
