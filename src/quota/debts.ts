import type { KeyedHash } from '../exchange/exchange.ts'

/**
 * Until when each caller of one limit is in debt: a table of fixed size, 16 octets a place, without a name in it.
 *
 * Who is in debt no more takes no room. Where all places that a caller could have are taken, whoever is the first to be out
 * of debt there gives his up, **and the newcomer takes over what is owed**: being forgotten sets nobody free, since all
 * places together never let more pass than that many callers may, however many addresses somebody sends from. To get rid
 * of a large debt one would have to bring all the other places of its row into a larger one first.
 */
export interface Debts {
  /** Finds the place of a caller, or the one that it would take over; the next two members are about that one. */
  locate(caller: string, nowUs: number): void
  /** End of the debt there, in microseconds of the clock; one that is past is none. */
  untilUs(): number
  /** Whether the place is the caller's own, and the debt therefore too. */
  isOwn(): boolean
  /** Gives the place to the caller that was located. */
  put(untilUs: number): void
  /** Places that it has now. */
  size(): number
}

/** Places that a caller may have. */
const WAYS = 8
const FIRST_ROWS = 32

/** @param most - places, rounded up to a power of two; the table begins small and doubles as it fills */
export function createDebts(keyed: KeyedHash, most: number): Debts {
  const mostRows = 2 ** Math.ceil(Math.log2(Math.max(most, FIRST_ROWS * WAYS) / WAYS))
  let rows = FIRST_ROWS
  let highs = new Uint32Array(rows * WAYS)
  let lows = new Uint32Array(rows * WAYS)
  let untils = new Float64Array(rows * WAYS)
  let [high, low, place] = [0, 0, 0]
  let own = false
  return { locate, untilUs: () => untils[place] ?? 0, isOwn: () => own, put, size: () => rows * WAYS }

  function locate(caller: string, nowUs: number): void {
    keyed.hash(caller)
    high = keyed.high()
    low = keyed.low()
    find()
    while (!own && rows < mostRows && (untils[place] ?? 0) > nowUs) {
      grow()
      find()
    }
  }

  /** The place of the caller, else that of its row which is out of debt first. */
  function find(): void {
    const first = (low & (rows - 1)) * WAYS
    place = first
    for (let next = first; next < first + WAYS; next += 1) {
      if (lows[next] === low && highs[next] === high) {
        place = next
        own = true
        return
      }
      if ((untils[next] ?? 0) < (untils[place] ?? 0)) place = next
    }
    own = false
  }

  function put(untilUs: number): void {
    highs[place] = high
    lows[place] = low
    untils[place] = untilUs
  }

  /** Each row becomes two by one more bit of the hash, so that every place finds room. */
  function grow(): void {
    const [oldHighs, oldLows, oldUntils] = [highs, lows, untils]
    rows *= 2
    highs = new Uint32Array(rows * WAYS)
    lows = new Uint32Array(rows * WAYS)
    untils = new Float64Array(rows * WAYS)
    const used = new Uint8Array(rows)
    for (const [old, until] of oldUntils.entries()) {
      if (until === 0) continue
      const row = (oldLows[old] ?? 0) & (rows - 1)
      const target = row * WAYS + (used[row] ?? 0)
      used[row] = (used[row] ?? 0) + 1
      highs[target] = oldHighs[old] ?? 0
      lows[target] = oldLows[old] ?? 0
      untils[target] = until
    }
  }
}
