/** One limit and whom it counts a request with, as a store of the fleet needs it. */
export interface Charged {
  readonly route: string
  readonly policy: string
  /** From a caller's own words in part: of any length and with any character. Begins with its kind and a colon. */
  readonly caller: string
  /** Debt of one request, microseconds. */
  readonly intervalUs: number
  /** Largest debt, microseconds. */
  readonly spanUs: number
}

export interface Taken {
  /** False: some limit has no room, and nothing was taken from any. */
  readonly isAdmitted: boolean
  /** Debt of each, in the order of the question; after the request, where it is admitted. Microseconds. */
  readonly debtsUs: readonly number[]
}

/** Counts of the whole fleet. */
export interface SharedCounts {
  /** Parts of the store that may be away by themselves, at least 1. */
  readonly parts: number
  partOf(charges: readonly Charged[]): number
  /** Takes one request from all limits or from none, in one atomic step. Rejects when it cannot be told. */
  take(part: number, charges: readonly Charged[]): Promise<Taken>
  /** Resolves when the part answers. */
  look(part: number): Promise<unknown>
}

export interface SharedNeeds {
  readonly counts: SharedCounts
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Runs once after what came in with this turn of the event loop. */
  endOfTurn(run: () => void): void
  /** Told at the opening and of each change; open while any part is given up. */
  breaker(state: 'closed' | 'open'): void
}

export interface Shared {
  /** Undefined at once while the part is given up, and resolved so when it does not answer in time. Never rejects. */
  take(charges: readonly Charged[]): Promise<Taken | undefined> | undefined
  stop(): void
}

/** Failures one after the other until a part is given up: one lost answer is no outage. */
const FAILURES = 3
/** Between two looks at a part that was given up. */
const LOOK_MS = 250

interface Part {
  failures: number
  isOpen: boolean
}

/**
 * Asks the store for so long and no longer. A part that fails is given up and looked at from time to time; no request is used to
 * find out whether it is back.
 */
export function createShared(needs: SharedNeeds, timeoutMs: number): Shared {
  const { counts } = needs
  const parts = Array.from({ length: counts.parts }, (): Part => ({ failures: 0, isOpen: false }))
  let openParts = 0
  let isStopped = false
  needs.breaker('closed')
  return {
    take(charges) {
      const number = counts.partOf(charges)
      const part = parts[number]
      if (part === undefined || part.isOpen) return undefined
      return answered(counts.take(number, charges)).then(
        (taken) => {
          if (!part.isOpen) part.failures = 0
          return taken
        },
        () => failed(number, part),
      )
    },
    stop() {
      isStopped = true
    },
  }

  function failed(number: number, part: Part): undefined {
    part.failures += 1
    if (part.failures < FAILURES || part.isOpen || isStopped) return
    part.isOpen = true
    openParts += 1
    if (openParts === 1) needs.breaker('open')
    needs.schedule(LOOK_MS, () => look(number, part))
  }

  function look(number: number, part: Part): void {
    if (isStopped) return
    answered(counts.look(number)).then(
      () => {
        part.isOpen = false
        part.failures = 0
        openParts -= 1
        if (openParts === 0) needs.breaker('closed')
      },
      () => needs.schedule(LOOK_MS, () => look(number, part)),
    )
  }

  function answered<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error('the counts of the fleet did not answer in time'))
      // A process that was busy for so long may have the answer and not have read it.
      const cancel = needs.schedule(timeoutMs, () => needs.endOfTurn(late))
      work.then(resolve, reject).finally(cancel)
    })
  }
}
