import { createNameHash } from './filter.ts'
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
const TWO_TO_32 = 4_294_967_296

/** Whoever asks again sees the same ones, while they are free: chance is a secret of this process and the name. */
export function createSuggest(needs: SuggestionsNeeds): Suggest {
  const hash = createNameHash(Math.floor(needs.random() * TWO_TO_32) | 0)
  const words = new Uint32Array(2)
  return function suggest(tenant, name, rules) {
    const sure: string[] = []
    const open = new Map<string, string>()
    hash(name, words, 0)
    const [start = 0, step = 0] = words
    for (let index = 0; index < CANDIDATES && sure.length < MOST; index += 1) {
      const candidate = candidateOf(name, index, ((start + Math.imul(step, index)) >>> 0) / TWO_TO_32)
      if (rules.judge(candidate) !== 'fine') continue
      const folded = fold(candidate)
      if (!needs.isSurelyFree(tenant, folded)) open.set(folded, candidate)
      else if (!sure.includes(candidate)) sure.push(candidate)
    }
    return sure.length >= LEAST ? Promise.resolve(sure) : looked(tenant, sure, open)
  }

  async function looked(tenant: string, sure: readonly string[], open: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const names = new Set(sure)
    try {
      const states = await needs.statesOf(tenant, [...open.keys()])
      for (const [folded, candidate] of open) if (!states.has(folded)) names.add(candidate)
    } catch {
      // Suggestions are a courtesy: the refusal that they go with is answered without them.
    }
    return [...names].slice(0, MOST)
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
