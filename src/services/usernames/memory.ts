import { LRUCache } from 'lru-cache'
import type { NameState } from './store.ts'

const ENTRIES = 50_000
/** An answer of another layer is repeated for so long, anywhere in between. */
const SHORTEST_MS = 2_000
const LONGEST_MS = 5_000
/** So long is a name called taken while what happens to names is followed: nobody gives one up without being heard. */
const TAKEN_SHORTEST_MS = 45_000
const TAKEN_LONGEST_MS = 75_000

export type KnownState = NameState | 'free'

interface Entry {
  readonly state: KnownState
  readonly untilMs: number
  /** `untilMs` or later: until then it holds while what happens to names is followed. */
  readonly followedUntilMs: number
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

export interface MemoryNeeds {
  monotonicMs(): number
  random(): number
  /** Whether what happens to names is heard soon, here and elsewhere. */
  isFollowed(): boolean
}

export function createMemory(needs: MemoryNeeds): Memory {
  const entries = new LRUCache<string, Entry>({ max: ENTRIES })
  return { find, answered, happened, forget: (tenant, folded) => void entries.delete(`${tenant} ${folded}`) }

  function find(tenant: string, folded: string): KnownState | undefined {
    const entry = entries.get(`${tenant} ${folded}`)
    if (entry === undefined) return undefined
    const nowMs = needs.monotonicMs()
    return nowMs < entry.untilMs || (nowMs < entry.followedUntilMs && needs.isFollowed()) ? entry.state : undefined
  }

  function answered(tenant: string, folded: string, state: KnownState): void {
    if (find(tenant, folded) !== undefined) return
    const nowMs = needs.monotonicMs()
    const chance = needs.random()
    const untilMs = nowMs + SHORTEST_MS + (LONGEST_MS - SHORTEST_MS) * chance
    const takenUntilMs = nowMs + TAKEN_SHORTEST_MS + (TAKEN_LONGEST_MS - TAKEN_SHORTEST_MS) * chance
    entries.set(`${tenant} ${folded}`, { state, untilMs, followedUntilMs: state === 'taken' ? takenUntilMs : untilMs })
  }

  function happened(tenant: string, folded: string, state: NameState, forMs: number): void {
    const untilMs = needs.monotonicMs() + forMs
    entries.set(`${tenant} ${folded}`, { state, untilMs, followedUntilMs: untilMs })
  }
}
