/** Units by key that come back evenly with time. Bounded: the least recent are forgotten, which gives them all back. */
export interface Budgets {
  /** Milliseconds until there is a unit; 0: there is one. */
  waitMs(key: string): number
  /** Whether nothing was taken, or all has come back. */
  isWhole(key: string): boolean
  take(key: string): void
  giveBack(key: string): void
}

export interface BudgetsConfig {
  readonly units: number
  /** In which all of them come back. */
  readonly perMs: number
}

interface Entry {
  left: number
  atMs: number
}

const ENTRIES = 50_000
/** Taken away at once when there are too many: a Map finds its oldest key slowly after many deletions. */
const EVICTED = ENTRIES / 10

export function createBudgets(needs: { nowMs(): number }, { units, perMs }: BudgetsConfig): Budgets {
  const entries = new Map<string, Entry>()
  return {
    waitMs: (key) => Math.max(0, ((1 - left(key)) * perMs) / units),
    isWhole: (key) => left(key) >= units,
    take: (key) => set(key, Math.max(0, left(key) - 1)),
    giveBack: (key) => set(key, left(key) + 1),
  }

  function left(key: string): number {
    const entry = entries.get(key)
    if (entry === undefined) return units
    return Math.min(units, entry.left + ((needs.nowMs() - entry.atMs) * units) / perMs)
  }

  function set(key: string, value: number): void {
    entries.delete(key)
    if (value >= units) return
    entries.set(key, { left: value, atMs: needs.nowMs() })
    if (entries.size <= ENTRIES) return
    for (const oldest of entries.keys().take(EVICTED)) entries.delete(oldest)
  }
}
