/** What presses: there is a queue before the event loop, or little memory is left. */
export type Cause = 'lag' | 'memory'

export interface Pressure {
  /** Share of all requests that is to be refused, 0 to 1. */
  readonly share: number
  readonly cause: Cause
}

export interface Limits {
  /** Standing delay of the event loop that is too much, milliseconds. */
  readonly lagMs: number
  /** Share of memory in use that is too much, 0 to 1. */
  readonly memory: number
}

export interface PressureGauge {
  /** Takes one more delay of the event loop. */
  note(delayMs: number, limits: Limits): void
  read(limits: Limits, memoryShare: number): Pressure
}

export const NO_PRESSURE: Pressure = Object.freeze({ share: 0, cause: 'lag' })

/**
 * How many delays in a row must be too long. One long pause (a collection of garbage, a machine that was busy elsewhere) is no
 * queue; a queue is what is still there at each look, as in CoDel (RFC 8289 §3).
 */
const WINDOW = 5
/** Weight of the latest delay once there is a queue. */
const LATEST = 0.3
/** The queue is gone when delays are below this part of the limit: otherwise it would come and go. */
const GONE = 0.5
/**
 * At the limit nothing is refused, at this multiple of it the most. In proportion, and no steeper: a refusal takes a third of
 * the time of an answer, so that a steep rule would make delays swing, and one that adds up would refuse more and more where
 * clients ask again at once.
 */
const FULL = 4
/** Some are always let in: where it is not requests that take the time, refusing all of them for ever would not help. */
const MOST = 0.9
/** From the limit of memory on, in share of memory: the way from nothing to the most. */
const MEMORY_RAMP = 0.03

/** From delays and memory to a share of requests. */
export function createPressureGauge(): PressureGauge {
  const latest = new Float64Array(WINDOW)
  let noted = 0
  /** 0 while there is no queue. */
  let standingMs = 0
  return { note, read }

  function note(delayMs: number, { lagMs }: Limits): void {
    latest[noted % WINDOW] = delayMs
    noted += 1
    if (standingMs === 0) {
      const leastMs = Math.min(...latest)
      if (leastMs > lagMs) standingMs = leastMs
      return
    }
    standingMs += (delayMs - standingMs) * LATEST
    if (standingMs < lagMs * GONE) standingMs = 0
  }

  function read({ lagMs, memory }: Limits, memoryShare: number): Pressure {
    const ofLag = Math.min(MOST, (standingMs / lagMs - 1) / (FULL - 1))
    const ofMemory = Math.min(MOST, (memoryShare - memory) / MEMORY_RAMP)
    if (ofLag <= 0 && ofMemory <= 0) return NO_PRESSURE
    return ofLag >= ofMemory ? { share: ofLag, cause: 'lag' } : { share: ofMemory, cause: 'memory' }
  }
}
