import { Problem } from '../../problem/problem.ts'
import type { Lookups } from './lookups.ts'
import type { KnownState, Memory } from './memory.ts'
import { fold } from './names.ts'
import type { UsernameEvents } from './needs.ts'
import type { Pace } from './pace.ts'
import type { Rules } from './rules.ts'
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
export type Check = (tenant: string, name: string, rules: Rules, source: string) => Availability | Promise<Availability>

/** A check under way. */
interface Asked {
  readonly tenant: string
  readonly name: string
  readonly folded: string
  readonly rules: Rules
  readonly startedMs: number
}

/** The layers in their order. */
export function createCheck(needs: ChecksNeeds): Check {
  const { memory, lookups, pace, suggest, events } = needs
  return function check(tenant, name, rules, source) {
    const startedMs = needs.monotonicMs()
    const judgement = rules.judge(name)
    const asked = { tenant, name, folded: fold(name), rules, startedMs }
    if (judgement === 'invalid') {
      note(asked, INVALID)
      return NOT_VALID
    }
    needs.asked(tenant, asked.folded, source)
    if (judgement === 'reserved') return inStep(asked, RESERVED)
    if (!needs.isSurelyFree(tenant, asked.folded)) return inStep(asked)
    note(asked, SURELY_FREE)
    return FREE
  }

  /** All such answers leave at the same pace, whoever knew. */
  async function inStep(asked: Asked, known?: Verdict): Promise<Availability> {
    const verdict = known ?? remembered(asked) ?? (await below(asked))
    note(asked, verdict)
    const answer = await answerOf(verdict.result, asked)
    await pace.until(asked.startedMs)
    return answer
  }

  function note({ tenant, startedMs }: Asked, { layer, result }: Verdict): void {
    events.checked(tenant, layer, result)
    events.checkSeconds((needs.monotonicMs() - startedMs) / 1_000, layer)
    needs.answered(tenant, layer)
  }

  function remembered({ tenant, folded }: Asked): Verdict | undefined {
    const known = memory.find(tenant, folded)
    return known === undefined ? undefined : { layer: 'memory', result: RESULTS[known] }
  }

  async function below({ tenant, folded, startedMs }: Asked): Promise<Verdict> {
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

  async function answerOf(result: Verdict['result'], { tenant, name, rules }: Asked): Promise<Availability> {
    if (result === 'free') return FREE
    if (result === 'reserved') return NOT_TO_HAVE
    return { available: false, reason: result, suggestions: await suggest(tenant, name, rules) }
  }
}
