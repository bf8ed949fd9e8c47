export interface LagMeterNeeds {
  /** Milliseconds of a clock that is never set back. */
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

export interface LagMeter {
  /** Looks within a turn of the event loop, which timers cannot: `nowMs` is what the clock says. */
  look(nowMs: number): void
  stop(): void
}

const INTERVAL_MS = 20
/** A turn that goes on so long is looked at this often. */
const LONG_TURN_MS = 100

/**
 * Measures how late timers are: as late as a request that arrives now is looked at.
 *
 * @param sampled Called with each delay, milliseconds.
 */
export function createLagMeter(needs: LagMeterNeeds, sampled: (delayMs: number, nowMs: number) => void): LagMeter {
  let armedMs = needs.monotonicMs()
  let sampledMs = armedMs
  let cancel = needs.schedule(INTERVAL_MS, onTimer)
  return { look, stop: () => cancel() }

  function onTimer(): void {
    const nowMs = needs.monotonicMs()
    sample(nowMs)
    armedMs = nowMs
    cancel = needs.schedule(INTERVAL_MS, onTimer)
  }

  function look(nowMs: number): void {
    if (nowMs - sampledMs > LONG_TURN_MS) sample(nowMs)
  }

  function sample(nowMs: number): void {
    sampledMs = nowMs
    sampled(Math.max(0, nowMs - armedMs - INTERVAL_MS), nowMs)
  }
}
