import { LRUCache } from 'lru-cache'
import { fold } from './names.ts'
import type { Rules } from './rules.ts'
import type { NameState } from './store.ts'

export interface SuggestionsNeeds {
  /** From 0, below 1. */
  random(): number
  /** Whether a name is known to be free without asking anyone. */
  isSurelyFree(tenant: string, folded: string): boolean
  /** One query for all of them. */
  statesOf(tenant: string, folded: readonly string[]): Promise<ReadonlyMap<string, NameState>>
}

/** Names like one that cannot be had, that can. Three to five, none where that cannot be known. Never rejects. */
export type Suggest = (tenant: string, name: string, rules: Rules) => Promise<readonly string[]>

const LEAST = 3
const MOST = 5
const CANDIDATES = 20
const LONGEST = 30
/** Names whose suggestions are kept: those that many want. */
const KEPT = 5_000

/** As they are shown and as the filter is asked for them, in the same order. */
interface Kept {
  readonly names: readonly string[]
  readonly folded: readonly string[]
}

export function createSuggest(needs: SuggestionsNeeds): Suggest {
  const kept = new LRUCache<string, Kept>({ max: KEPT })
  return async function suggest(tenant, name, rules) {
    const key = `${tenant} ${name}`
    const before = kept.get(key)
    if (before !== undefined && areStillFree(tenant, before.folded)) return before.names
    const sure = new Set<string>()
    const open = new Map<string, string>()
    for (let index = 0; index < CANDIDATES && sure.size < MOST; index += 1) {
      const candidate = candidateOf(name, index, needs.random())
      const folded = fold(candidate)
      if (rules.judge(candidate) !== 'fine') continue
      if (needs.isSurelyFree(tenant, folded)) sure.add(candidate)
      else open.set(folded, candidate)
    }
    if (sure.size >= LEAST) {
      const names = [...sure]
      kept.set(key, { names, folded: names.map(fold) })
      return names
    }
    try {
      const states = await needs.statesOf(tenant, [...open.keys()])
      for (const [folded, candidate] of open) if (!states.has(folded)) sure.add(candidate)
    } catch {
      // Suggestions are a courtesy: the refusal that they go with is answered without them.
    }
    return [...sure].slice(0, MOST)
  }

  function areStillFree(tenant: string, folded: readonly string[]): boolean {
    for (const one of folded) if (!needs.isSurelyFree(tenant, one)) return false
    return true
  }
}

interface Form {
  readonly before: string
  readonly after: string
  /** How many follow. */
  readonly digits: number
}

/** Ways to write a name that make another one of it. Where these are taken, they come once more with longer numbers. */
const FORMS: readonly Form[] = [
  { before: '', after: '', digits: 2 },
  { before: '', after: '_', digits: 2 },
  { before: 'the_', after: '', digits: 0 },
  { before: '', after: '-', digits: 3 },
  { before: 'its_', after: '', digits: 0 },
  { before: '', after: '', digits: 3 },
  { before: '', after: '_', digits: 1 },
  { before: 'real_', after: '', digits: 0 },
  { before: '', after: '', digits: 4 },
  { before: '', after: '_', digits: 3 },
]
const PLAIN: Form = { before: '', after: '', digits: 4 }

function candidateOf(name: string, index: number, chance: number): string {
  const { before, after, digits } = FORMS[index % FORMS.length] ?? PLAIN
  const longer = digits === 0 ? 0 : digits + Math.floor(index / FORMS.length)
  const number = longer === 0 ? '' : String(Math.floor(10 ** (longer - 1) * (1 + 9 * chance)))
  const room = LONGEST - before.length - after.length - number.length
  return before + (name.length > room ? name.slice(0, room) : name) + after + number
}
