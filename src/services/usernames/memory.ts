import { LRUCache } from 'lru-cache'
import type { NameState } from './store.ts'

const ENTRIES = 50_000
/** An answer of another layer is repeated for so long, anywhere in between. */
const SHORTEST_MS = 2_000
const LONGEST_MS = 5_000

export type KnownState = NameState | 'free'

interface Entry {
  readonly state: KnownState
  readonly untilMs: number
}

/** What was answered lately, and what is known to have happened. */
export interface Memory {
  find(tenant: string, folded: string): KnownState | undefined
  /** What a layer below answered: it gives way to what is here already, which may be newer than the question. */
  answered(tenant: string, folded: string, state: KnownState): void
  /** What happened: it holds for so long, whatever a slow reader answers. */
  happened(tenant: string, folded: string, state: NameState, forMs: number): void
  forget(tenant: string, folded: string): void
}

export function createMemory(needs: { monotonicMs(): number; random(): number }): Memory {
  const entries = new LRUCache<string, Entry>({ max: ENTRIES })
  return { find, answered, happened, forget: (tenant, folded) => void entries.delete(`${tenant} ${folded}`) }

  function find(tenant: string, folded: string): KnownState | undefined {
    const entry = entries.get(`${tenant} ${folded}`)
    return entry !== undefined && needs.monotonicMs() < entry.untilMs ? entry.state : undefined
  }

  function answered(tenant: string, folded: string, state: KnownState): void {
    if (find(tenant, folded) !== undefined) return
    const untilMs = needs.monotonicMs() + SHORTEST_MS + (LONGEST_MS - SHORTEST_MS) * needs.random()
    entries.set(`${tenant} ${folded}`, { state, untilMs })
  }

  function happened(tenant: string, folded: string, state: NameState, forMs: number): void {
    entries.set(`${tenant} ${folded}`, { state, untilMs: needs.monotonicMs() + forMs })
  }
}
