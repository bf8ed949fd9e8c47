export interface Episodes {
  /** A request was refused. */
  refused(reason: string, nowMs: number): void
  /** Looks whether it is over. */
  look(nowMs: number, isPressed: boolean): void
  isUnderWay(): boolean
}

export interface EpisodeEvents {
  /** It begins, because of this. */
  began(reason: string): void
  /** It is over. */
  ended(facts: { readonly seconds: number; readonly refused: number }): void
}

/** Nothing was refused for so long: then it is over. Shorter pauses are part of it, so that the log has two lines and not a hundred. */
const QUIET_MS = 5000

/** Puts refusals together that belong together. */
export function createEpisodes(events: EpisodeEvents): Episodes {
  let beganMs: number | undefined
  let lastMs = 0
  let count = 0
  return { refused, look, isUnderWay: () => beganMs !== undefined }

  function refused(reason: string, nowMs: number): void {
    count += 1
    lastMs = nowMs
    if (beganMs !== undefined) return
    beganMs = nowMs
    events.began(reason)
  }

  function look(nowMs: number, isPressed: boolean): void {
    if (beganMs === undefined || isPressed || nowMs - lastMs < QUIET_MS) return
    events.ended({ seconds: Math.round((lastMs - beganMs) / 1000), refused: count })
    beganMs = undefined
    count = 0
  }
}
