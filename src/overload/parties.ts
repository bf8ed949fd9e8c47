/** Whoever shares the gateway with others: a tenant, a public route, or the crowd of tokens that nobody has verified yet. */
export interface Party {
  /** Requests that were let in and are not over. */
  inFlight: number
  /** Whether it asked lately. */
  active: boolean
  /** By rank of priority: requests since the last look. */
  readonly asked: Float64Array
  /** By rank: requests for each look, smoothed. */
  readonly demand: Float64Array
  /** By rank: share of its requests that is refused. */
  readonly refused: Float64Array
}

export interface Parties {
  /** Notes a request. */
  note(party: Party, rank: number): void
  /** Counts it in. */
  enter(party: Party): void
  leave(party: Party): void
  /** How many have requests in flight. */
  present(): number
  /** Looks at what was asked since the last time, and settles what each has to give up so that `share` of all is refused. */
  settle(share: number): void
}

const RANKS = 3
/** Weight of what was before at each look: half of it is forgotten after three. */
const KEEP = 0.8
/** Less than this is nothing. */
const NOTHING = 0.01

/**
 * Divides what can be done among those who ask: low priority gives way before normal, normal before high; within one priority
 * whoever asks for less than an equal share gets all of it, and who asks for more gets what is left, in equal shares (max-min
 * fairness).
 */
export function createParties(): Parties {
  const active: Party[] = []
  let present = 0
  let sharing = false
  return { note, enter, leave, present: () => present, settle }

  function note(party: Party, rank: number): void {
    party.asked[rank] = (party.asked[rank] ?? 0) + 1
    if (party.active) return
    party.active = true
    active.push(party)
  }

  function enter(party: Party): void {
    if (party.inFlight === 0) present += 1
    party.inFlight += 1
  }

  function leave(party: Party): void {
    party.inFlight -= 1
    if (party.inFlight === 0) present -= 1
  }

  function settle(share: number): void {
    const totals = new Float64Array(RANKS)
    for (let index = active.length - 1; index >= 0; index -= 1) {
      const party = active[index]
      if (party === undefined || smooth(party, totals)) continue
      party.active = false
      party.refused.fill(0)
      active[index] = active[active.length - 1] ?? party
      active.pop()
    }
    if (share === 0 && !sharing) return
    sharing = share > 0
    let toRefuse = share * totals.reduce((sum, demand) => sum + demand, 0)
    for (let rank = 0; rank < RANKS; rank += 1) {
      const total = totals[rank] ?? 0
      const here = Math.min(total, toRefuse)
      toRefuse -= here
      divide(active, rank, total - here)
    }
  }
}

export function createParty(): Party {
  return {
    inFlight: 0,
    active: false,
    asked: new Float64Array(RANKS),
    demand: new Float64Array(RANKS),
    refused: new Float64Array(RANKS),
  }
}

/** Takes what was asked into the demand. False when there is none any more. */
function smooth({ asked, demand }: Party, totals: Float64Array): boolean {
  let some = false
  for (let rank = 0; rank < RANKS; rank += 1) {
    const smoothed = (demand[rank] ?? 0) * KEEP + (asked[rank] ?? 0) * (1 - KEEP)
    demand[rank] = smoothed
    asked[rank] = 0
    totals[rank] = (totals[rank] ?? 0) + smoothed
    if (smoothed >= NOTHING) some = true
  }
  return some
}

function divide(parties: readonly Party[], rank: number, room: number): void {
  const level = levelOf(parties, rank, room)
  for (const { demand, refused } of parties) {
    const wanted = demand[rank] ?? 0
    refused[rank] = wanted > level ? 1 - level / wanted : 0
  }
}

/** The most that one may have, so that all together have `room`. */
function levelOf(parties: readonly Party[], rank: number, room: number): number {
  const wanted = Float64Array.from(parties, (party) => party.demand[rank] ?? 0).toSorted()
  let left = room
  for (const [index, demand] of wanted.entries()) {
    const equal = left / (wanted.length - index)
    // What is left of a sum after its parts were taken off is not exactly nothing.
    if (demand > equal + NOTHING * NOTHING) return equal
    left -= demand
  }
  return Number.POSITIVE_INFINITY
}
