import type { UsernameEvents, UsernameRecord } from './needs.ts'
import { stemOf } from './probing.ts'

export interface SquattingNeeds {
  monotonicMs(): number
  readonly events: Pick<UsernameEvents, 'squatting'>
  record(event: UsernameRecord): void
}

/** Notices names that are taken in numbers: `brand1`, `brand2` …, or many places held by one caller. It tells, and refuses nobody. */
export interface Squatting {
  claimed(tenant: string, folded: string): void
  held(tenant: string, source: string): void
}

const WINDOW_MS = 60 * 60_000
const SERIES = 20
const HOLDS = 10
const SHORTEST_STEM = 3
const ENTRIES = 20_000
const EVICTED = ENTRIES / 10

interface Count {
  readonly sinceMs: number
  count: number
}

export function createSquatting(needs: SquattingNeeds): Squatting {
  const counts = new Map<string, Count>()
  return {
    claimed(tenant, folded) {
      const stem = stemOf(folded)
      if (stem.length < SHORTEST_STEM || stem === folded) return
      if (counted(`${tenant} series ${stem}`) !== SERIES) return
      needs.events.squatting(tenant, 'series')
      needs.record({ event: 'malicious_username_squatting', tenant, reason: 'a series of names was claimed' })
    },
    held(tenant, source) {
      if (counted(`${tenant} holds ${source}`) !== HOLDS) return
      needs.events.squatting(tenant, 'holds')
      const who = source.startsWith('usr_') ? { user: source } : { ip: source }
      needs.record({ event: 'malicious_username_squatting', tenant, reason: 'one caller holds many names', ...who })
    },
  }

  function counted(key: string): number {
    const now = needs.monotonicMs()
    const known = counts.get(key)
    if (known !== undefined && now - known.sinceMs <= WINDOW_MS) return ++known.count
    counts.delete(key)
    counts.set(key, { sinceMs: now, count: 1 })
    if (counts.size > ENTRIES) for (const oldest of counts.keys().take(EVICTED)) counts.delete(oldest)
    return 1
  }
}
