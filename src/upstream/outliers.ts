import type { OutliersConfig } from '../config/config.ts'
import type { Destination } from './destination.ts'

/** Leaves destinations out that fail what they are asked, for a while that grows, and never all of them. */
export interface Outliers {
  judge(to: Destination, isGood: boolean): void
  /** Ends every timer. */
  stop(): void
}

export interface OutliersNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** Those that may be left out. */
  members(): readonly Destination[]
  /** A destination is left out now, or let in again. */
  changed(to: Destination): void
}

/** Longest time out, as a multiple of the first. */
const MOST_REPEATS = 10

export function createOutliers(needs: OutliersNeeds, config: OutliersConfig): Outliers {
  const timers = new Map<Destination, () => void>()
  return { judge, stop }

  function judge(to: Destination, isGood: boolean): void {
    const { standing } = to
    if (isGood) {
      standing.failures = 0
      return
    }
    standing.failures += 1
    if (standing.isEjected || standing.failures < config.consecutiveFailures || !isRoom()) return
    eject(to)
  }

  function isRoom(): boolean {
    const members = needs.members()
    const most = Math.min(members.length - 1, Math.max(1, Math.floor(members.length * config.maxEjected)))
    if (config.maxEjected === 0) return false
    let ejected = 0
    for (const { standing } of members) if (standing.isEjected) ejected += 1
    return ejected < most
  }

  function eject(to: Destination): void {
    const { standing } = to
    const isForgotten = needs.monotonicMs() - standing.returnedMs > config.ejectForMs * MOST_REPEATS
    standing.ejections = isForgotten ? 1 : standing.ejections + 1
    standing.isEjected = true
    const timeMs = config.ejectForMs * Math.min(MOST_REPEATS, standing.ejections)
    timers.set(
      to,
      needs.schedule(timeMs, () => readmit(to)),
    )
    needs.changed(to)
  }

  /** On probation: the next failure is enough. */
  function readmit(to: Destination): void {
    timers.delete(to)
    to.standing.isEjected = false
    to.standing.failures = config.consecutiveFailures - 1
    to.standing.returnedMs = needs.monotonicMs()
    needs.changed(to)
  }

  function stop(): void {
    for (const cancel of timers.values()) cancel()
    timers.clear()
  }
}
