/** Failures by key, and how long whoever goes on must wait. Bounded: the least recent are forgotten. */
export interface Failures {
  /** Milliseconds; 0 and less: may try. */
  waitMs(key: string): number
  /** Counts one that is under way; it must be ended. */
  begin(key: string): (outcome: 'passed' | 'failed' | 'withdrawn') => void
}

export interface FailuresConfig {
  /** Failures that cost nothing; after them 1 s, 2 s, 4 s … up to a quarter of an hour. */
  readonly free: number
}

interface Entry {
  count: number
  /** Under way: they may all turn out as failures. */
  pending: number
  lastMs: number
}

const LONGEST_WAIT_MS = 15 * 60_000
/** What nobody touched for so long is forgotten. Longer than the longest wait. */
const FORGET_MS = 60 * 60_000
const ENTRIES = 50_000
/** Taken away at once when there are too many: a Map finds its oldest key slowly after many deletions. */
const EVICTED = ENTRIES / 10

export function createFailures(needs: { nowMs(): number }, { free }: FailuresConfig): Failures {
  const entries = new Map<string, Entry>()
  return { waitMs, begin }

  function waitMs(key: string): number {
    const entry = find(key)
    if (entry === undefined) return 0
    // One at a time from the first that costs on, else a volley would be free of the delay.
    if (entry.pending > 0 && entry.count + entry.pending >= free) return 1_000
    if (entry.count < free) return 0
    return entry.lastMs + Math.min(1_000 * 2 ** (entry.count - free), LONGEST_WAIT_MS) - needs.nowMs()
  }

  function begin(key: string): (outcome: 'passed' | 'failed' | 'withdrawn') => void {
    const entry = find(key) ?? { count: 0, pending: 0, lastMs: needs.nowMs() }
    entry.pending++
    put(key, entry)
    return function end(outcome) {
      entry.pending--
      if (outcome === 'passed') entry.count = 0
      if (outcome === 'failed') {
        entry.count++
        entry.lastMs = needs.nowMs()
        put(key, entry)
      }
      if (entry.count === 0 && entry.pending === 0) entries.delete(key)
    }
  }

  function find(key: string): Entry | undefined {
    const entry = entries.get(key)
    if (entry === undefined || (entry.pending === 0 && needs.nowMs() - entry.lastMs > FORGET_MS)) return undefined
    return entry
  }

  function put(key: string, entry: Entry): void {
    entries.delete(key)
    entries.set(key, entry)
    if (entries.size <= ENTRIES) return
    for (const oldest of entries.keys().take(EVICTED)) entries.delete(oldest)
  }
}
