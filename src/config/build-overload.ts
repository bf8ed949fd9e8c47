import type { Build } from './build.ts'
import type { Draft } from './schema.ts'

/** When the gateway refuses requests because it has too much to do. */
export interface OverloadConfig {
  readonly enabled: boolean
  /** Most in flight. */
  readonly maxRequests: number
  /** Standing delay of the event loop that is too much. */
  readonly lagMs: number
  /** Share of the memory in use that is too much, 0 to 1. */
  readonly memory: number
  /** Tokens of one network whose signature does not hold and that are verified all the same. */
  readonly badSignaturesPerMinute: number
}

/** A process that does nothing has used some of its memory already. */
const LEAST_MEMORY = 0.5

export function buildOverload({ overload, limits }: Draft['listeners']['public'], build: Build): OverloadConfig {
  if (overload.memory < LEAST_MEMORY) build.report(['listeners', 'public', 'overload', 'memory'], 'must be between 50% and 100%')
  return {
    enabled: overload.enabled,
    maxRequests: overload.maxRequests ?? limits.connections,
    lagMs: overload.lag,
    memory: overload.memory,
    badSignaturesPerMinute: overload.badSignatures,
  }
}
