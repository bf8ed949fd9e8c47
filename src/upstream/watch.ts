export interface WatchNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

/** Bounds a silence. */
export interface Watch {
  /** From now on nothing may last longer than `limitMs`. */
  start(limitMs: number): void
  /** Something happened. */
  moved(): void
  /** Whoever waits is us. */
  pause(): void
  resume(): void
  stop(): void
}

/** Calls `late` once after a silence that is too long. One timer for all that moves: it looks again when it is due. */
export function createWatch(needs: WatchNeeds, late: () => void): Watch {
  let limitMs = 0
  let movedMs = 0
  let isPaused = false
  let cancel: (() => void) | undefined
  return { start, moved, pause, resume, stop }

  function start(givenMs: number): void {
    limitMs = givenMs
    isPaused = false
    moved()
    cancel?.()
    cancel = needs.schedule(limitMs, look)
  }

  function moved(): void {
    movedMs = needs.monotonicMs()
  }

  function look(): void {
    const leftMs = isPaused ? limitMs : movedMs + limitMs - needs.monotonicMs()
    if (leftMs > 0) cancel = needs.schedule(leftMs, look)
    else late()
  }

  function pause(): void {
    isPaused = true
  }

  function resume(): void {
    isPaused = false
    moved()
  }

  function stop(): void {
    cancel?.()
    cancel = undefined
  }
}
