import type { UpstreamBreakerConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'

export type CircuitState = 'closed' | 'half-open' | 'open'

/** The circuit breaker of an upstream. */
export interface Circuit {
  /** @throws Problem `upstream_resting` while it is open, and while another request tries */
  admit(): void
  judge(isGood: boolean, latencyMs: number): void
  state(): CircuitState
}

export interface CircuitNeeds {
  monotonicMs(): number
  /** Requests that were admitted and are not over. */
  underWay(): number
  changed(state: CircuitState): void
}

type CircuitConfig = Pick<UpstreamBreakerConfig, 'errorThreshold' | 'minRequests' | 'windowMs' | 'resetAfterMs'>

const SLOTS = 10

/**
 * Opens when too large a share of the requests within the window fails; then nothing is sent for `resetAfterMs`; then one
 * request tries, and its outcome decides. The rules are those of opossum, which wraps each call into a promise, 0.6 µs against
 * 0.07 µs, and has no word for an end that says nothing about the upstream, such as that of a client that went away.
 */
export function createCircuit(needs: CircuitNeeds, config: CircuitConfig): Circuit {
  const slotMs = config.windowMs / SLOTS
  const good = new Float64Array(SLOTS)
  const bad = new Float64Array(SLOTS)
  let slot = Math.floor(needs.monotonicMs() / slotMs)
  let state: CircuitState = 'closed'
  let openedMs = 0
  let triedMs = 0
  /** Requests under way when the try was let in. */
  let besideTry = 0
  return { admit, judge, state: () => state }

  function admit(): void {
    if (state === 'closed') return
    const nowMs = needs.monotonicMs()
    const sinceMs = nowMs - (state === 'open' ? openedMs : triedMs)
    // A try that ends without a word about the upstream, because its client went away, makes room for the next at once: else
    // whoever goes away each time could have it rest for ever.
    const isTried = state === 'open' || needs.underWay() > besideTry
    if (isTried && sinceMs < config.resetAfterMs) throw resting(config.resetAfterMs - sinceMs)
    besideTry = needs.underWay()
    triedMs = nowMs
    turn('half-open')
  }

  function judge(isGood: boolean, latencyMs: number): void {
    const nowMs = needs.monotonicMs()
    if (state === 'closed') {
      count(isGood, nowMs)
      return
    }
    // What was sent before has nothing to say about now.
    if (state === 'open' || nowMs - latencyMs < triedMs) return
    if (isGood) close()
    else open(nowMs)
  }

  function count(isGood: boolean, nowMs: number): void {
    moveTo(Math.floor(nowMs / slotMs))
    const counts = isGood ? good : bad
    counts[slot % SLOTS] = (counts[slot % SLOTS] ?? 0) + 1
    if (isGood) return
    const failed = bad.reduce(add, 0)
    const total = failed + good.reduce(add, 0)
    if (total >= config.minRequests && failed >= total * config.errorThreshold) open(nowMs)
  }

  function moveTo(now: number): void {
    for (let passed = Math.max(slot, now - SLOTS) + 1; passed <= now; passed += 1) {
      good[passed % SLOTS] = 0
      bad[passed % SLOTS] = 0
    }
    slot = now
  }

  function open(nowMs: number): void {
    openedMs = nowMs
    turn('open')
  }

  function close(): void {
    good.fill(0)
    bad.fill(0)
    turn('closed')
  }

  function turn(to: CircuitState): void {
    if (state === to) return
    state = to
    needs.changed(to)
  }
}

function resting(leftMs: number): Problem {
  return new Problem('upstream_resting', { headers: { 'retry-after': String(Math.max(1, Math.ceil(leftMs / 1000))) } })
}

function add(a: number, b: number): number {
  return a + b
}
