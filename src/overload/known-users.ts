import { createKeyedHash } from '../exchange/exchange.ts'

/**
 * What is left to users who showed a good token at a network: a table of fixed size without a name in it. One lies still in memory,
 * where a map of texts, with a new one for each first token, would be looked through again and again.
 */
export interface KnownUsers {
  /** Finds the place of a user; false for one who is not known. The other members are about that place. */
  find(network: string, who: string): boolean
  /** What is left, filled up to now. */
  level(): number
  take(): void
  /** Gives the user who was looked for the place of the one who was not seen for longest, with all that there is to have. */
  enter(): void
}

export interface KnownUsersConfig {
  /** A power of two. */
  readonly places: number
  readonly burst: number
  readonly perMinute: number
}

/** Places that a user may have. */
const WAYS = 8

/** @param seed 64 secret bits: nobody finds names that meet */
export function createKnownUsers(
  needs: { monotonicMs(): number; readonly seed: readonly [number, number] },
  { places, burst, perMinute }: KnownUsersConfig,
): KnownUsers {
  const keyed = createKeyedHash(needs.seed)
  // Made when the first one comes: a gateway that nobody shows tokens to has no need of them.
  let highs = new Uint32Array(0)
  let lows = highs
  let levels = new Float64Array(0)
  let filledMs = levels
  let [high, low, place] = [0, 0, 0]
  return { find, level, take, enter }

  function find(network: string, who: string): boolean {
    keyed.hash(network)
    const [networkHigh, networkLow] = [keyed.high(), keyed.low()]
    keyed.hash(who)
    // Crosswise, so that the two may not stand for each other.
    high = (keyed.high() ^ networkLow) >>> 0
    low = (keyed.low() ^ networkHigh) >>> 0
    const first = firstOf(low)
    place = first
    if (levels.length === 0) return false
    for (let next = first; next < first + WAYS; next += 1) {
      if (lows[next] === low && highs[next] === high && (filledMs[next] ?? 0) > 0) {
        place = next
        return true
      }
      if ((filledMs[next] ?? 0) < (filledMs[place] ?? 0)) place = next
    }
    return false
  }

  function firstOf(number: number): number {
    return (number & (places / WAYS - 1)) * WAYS
  }

  function level(): number {
    const nowMs = clockMs()
    const filled = (levels[place] ?? 0) + ((nowMs - (filledMs[place] ?? nowMs)) / 60_000) * perMinute
    levels[place] = Math.min(burst, filled)
    filledMs[place] = nowMs
    return levels[place] ?? 0
  }

  function take(): void {
    levels[place] = (levels[place] ?? 0) - 1
  }

  function enter(): void {
    if (levels.length === 0) {
      highs = new Uint32Array(places)
      lows = new Uint32Array(places)
      levels = new Float64Array(places)
      filledMs = new Float64Array(places)
    }
    highs[place] = high
    lows[place] = low
    levels[place] = burst
    filledMs[place] = clockMs()
  }

  /** Never 0, by which a place is known that nobody has. */
  function clockMs(): number {
    return needs.monotonicMs() + 1
  }
}
