/** Addresses of a name, and how long they may be kept. */
export interface Found {
  readonly addresses: readonly string[]
  readonly ttlSeconds: number
}

/** Looks a name up. */
export interface Names {
  /** @returns nothing where DNS has nothing to say: the name is known to this machine alone, or not at all */
  find(name: string): Promise<Found | undefined>
  /** Gives up what is under way. */
  stop(): void
}

export interface ResolveNeeds {
  readonly names: Names
  /** From 0, below 1. */
  random(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

/** A time to live of nothing would mean to ask for ever. */
const LEAST_TTL_SECONDS = 1
const MOST_TTL_SECONDS = 300
/** Each address costs a pool of connections, and a choice looks at all of them. */
const MOST_ADDRESSES = 64
/** How soon a look-up that brought nothing is tried again; of a name that DNS never knew, less and less often. */
const AGAIN_SECONDS = 5

/**
 * Follows the addresses of a name: tells them whenever they are others than before, and looks again when their time is over. A
 * look-up that fails changes nothing.
 *
 * @returns the way to leave off
 */
export function followName(needs: ResolveNeeds, name: string, changed: (addresses: readonly string[]) => void): () => void {
  let known = ''
  let againSeconds = AGAIN_SECONDS
  let isOver = false
  let cancel = needs.schedule(0, look)
  return stop

  function look(): void {
    needs.names.find(name).then(take, () => take(undefined))
  }

  function take(found: Found | undefined): void {
    if (isOver) return
    cancel = needs.schedule(waitMs(found), look)
    if (found === undefined || found.addresses.length === 0) return
    const addresses = [...new Set(found.addresses)].toSorted().slice(0, MOST_ADDRESSES)
    if (addresses.join() === known) return
    known = addresses.join()
    changed(addresses)
  }

  /** A little later than the record ends, so that what is asked next is not an answer that is about to end as well. */
  function waitMs(found: Found | undefined): number {
    const seconds = found?.ttlSeconds ?? againSeconds
    if (found === undefined && known === '') againSeconds = Math.min(MOST_TTL_SECONDS, againSeconds * 2)
    return 1000 * Math.min(MOST_TTL_SECONDS, Math.max(LEAST_TTL_SECONDS, seconds)) * (1 + needs.random() / 10)
  }

  function stop(): void {
    isOver = true
    cancel()
  }
}
