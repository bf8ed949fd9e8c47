/** When a process that never sleeps was not running all the same: another one had its core, or it was busy with itself. */
export interface OwnWaits {
  /** To be called in each turn of its loop. */
  turn(nowMs: number): void
  /** So much of each of these times was not such a wait. */
  without(times: readonly Span[]): Float64Array
}

export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** A turn takes less, but for what is not its own work. */
const LONGEST_TURN_MS = 0.15

export function createOwnWaits(startedMs: number): OwnWaits {
  const waits: Span[] = []
  let lastMs = startedMs
  return { turn, without }

  function turn(nowMs: number): void {
    if (nowMs - lastMs > LONGEST_TURN_MS) waits.push({ fromMs: lastMs, toMs: nowMs })
    lastMs = nowMs
  }

  function without(times: readonly Span[]): Float64Array {
    const sorted = times.toSorted((one, other) => one.fromMs - other.fromMs)
    const rest = new Float64Array(sorted.length)
    let first = 0
    for (const [index, { fromMs, toMs }] of sorted.entries()) {
      while ((waits[first]?.toMs ?? Number.POSITIVE_INFINITY) <= fromMs) first += 1
      let own = 0
      for (let at = first; (waits[at]?.fromMs ?? toMs) < toMs; at += 1) own += overlap(waits[at], fromMs, toMs)
      rest[index] = toMs - fromMs - own
    }
    return rest
  }
}

function overlap(wait: Span | undefined, fromMs: number, toMs: number): number {
  return wait === undefined ? 0 : Math.min(toMs, wait.toMs) - Math.max(fromMs, wait.fromMs)
}
