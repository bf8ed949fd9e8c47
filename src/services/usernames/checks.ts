import { Problem } from '../../problem/problem.ts'
import type { Lookups } from './lookups.ts'
import type { KnownState, Memory } from './memory.ts'
import { fold } from './names.ts'
import type { UsernameEvents } from './needs.ts'
import type { Pace } from './pace.ts'
import type { Judgement, Rules } from './rules.ts'
import type { Suggest } from './suggestions.ts'

/** Why a name cannot be had. Names in quarantine are `taken`: only their former owner may know better. */
export type Reason = 'invalid' | 'reserved' | 'taken' | 'held'

/** Who answered. */
export type Layer = 'syntax' | 'reserved' | 'filter' | 'memory' | 'redis' | 'database'

export interface Availability {
  readonly available: boolean
  readonly reason?: Reason
  /** Names like it that are free, where it is taken or held. */
  readonly suggestions?: readonly string[]
}

export interface ChecksNeeds {
  readonly memory: Memory
  readonly lookups: Lookups
  readonly pace: Pace
  readonly suggest: Suggest
  isSurelyFree(tenant: string, folded: string): boolean
  monotonicMs(): number
  readonly events: Pick<UsernameEvents, 'checked' | 'checkSeconds'>
  /** Told of each name that could be one. */
  asked(tenant: string, folded: string, source: string): void
  /** Told of each answer. */
  answered(tenant: string, layer: Layer): void
}

interface Verdict {
  readonly layer: Layer
  readonly result: 'free' | Reason
}

const INVALID: Verdict = Object.freeze({ layer: 'syntax', result: 'invalid' })
const RESERVED: Verdict = Object.freeze({ layer: 'reserved', result: 'reserved' })
const SURELY_FREE: Verdict = Object.freeze({ layer: 'filter', result: 'free' })
const RESULTS = { free: 'free', taken: 'taken', held: 'held', quarantined: 'taken' } as const satisfies Record<
  KnownState,
  Verdict['result']
>

const FREE: Availability = Object.freeze({ available: true })
const NOT_VALID: Availability = Object.freeze({ available: false, reason: 'invalid' })
const NOT_TO_HAVE: Availability = Object.freeze({ available: false, reason: 'reserved' })

/** @param source - whoever asks */
export type Check = (tenant: string, name: string, rules: Rules, source: string) => Promise<Availability>

/** The layers in their order. */
export function createCheck(needs: ChecksNeeds): Check {
  const { memory, lookups, pace, suggest, events } = needs
  return async function check(tenant, name, rules, source) {
    const startedMs = needs.monotonicMs()
    const folded = fold(name)
    const judgement = rules.judge(name)
    if (judgement !== 'invalid') needs.asked(tenant, folded, source)
    const { layer, result } = atOnce(tenant, folded, judgement) ?? (await below(tenant, folded, startedMs))
    events.checked(tenant, layer, result)
    events.checkSeconds((needs.monotonicMs() - startedMs) / 1_000, layer)
    needs.answered(tenant, layer)
    if (layer === 'filter') return FREE
    if (result === 'invalid') return NOT_VALID
    const answer = await answerOf(result, tenant, name, rules)
    await pace.until(startedMs)
    return answer
  }

  /** What needs nobody else. */
  function atOnce(tenant: string, folded: string, judgement: Judgement): Verdict | undefined {
    if (judgement === 'invalid') return INVALID
    if (judgement === 'reserved') return RESERVED
    if (needs.isSurelyFree(tenant, folded)) return SURELY_FREE
    const known = memory.find(tenant, folded)
    return known === undefined ? undefined : { layer: 'memory', result: RESULTS[known] }
  }

  async function below(tenant: string, folded: string, startedMs: number): Promise<Verdict> {
    try {
      const { state, layer } = await lookups.ask(tenant, folded)
      memory.answered(tenant, folded, state)
      if (layer === 'database') pace.took(needs.monotonicMs() - startedMs)
      return { layer, result: RESULTS[state] }
    } catch (error) {
      if (error instanceof Problem) events.checked(tenant, 'database', 'error')
      throw error
    }
  }

  async function answerOf(result: Verdict['result'], tenant: string, name: string, rules: Rules): Promise<Availability> {
    if (result === 'free') return FREE
    if (result === 'reserved') return NOT_TO_HAVE
    return { available: false, reason: result, suggestions: await suggest(tenant, name, rules) }
  }
}
