import type { ProblemFacts } from '../problem/problem.ts'

export interface RetryNeeds {
  /** From 0, below 1. */
  random(): number
  /** Share in use of the connections that the listener takes, 0 to 1. */
  connectionShare(): number
}

/** Seconds after which a refused client may ask again, at most; each is told its own, so that they do not come back at once. */
const LONGEST_SECONDS = 5
/**
 * Where so many connections are open, that of a refused client is closed. Otherwise it is kept: a new one, with its TLS
 * handshake, costs more than many refusals.
 */
const NEARLY_ALL = 0.9

/** Facts of a refusal, made once for each number of seconds. */
export function createRetryHeaders(needs: RetryNeeds): () => ProblemFacts {
  const kept = eachSecond((seconds) => ({ 'retry-after': seconds }))
  const closed = eachSecond((seconds) => ({ 'retry-after': seconds, connection: 'close' }))
  return function next() {
    const index = Math.floor(needs.random() * LONGEST_SECONDS)
    const facts = needs.connectionShare() < NEARLY_ALL ? kept[index] : closed[index]
    return facts ?? NONE
  }
}

const NONE: ProblemFacts = Object.freeze({})

function eachSecond(headers: (seconds: string) => Readonly<Record<string, string>>): readonly ProblemFacts[] {
  return Array.from({ length: LONGEST_SECONDS }, (_, index) =>
    Object.freeze({ headers: Object.freeze(headers(String(index + 1))) }),
  )
}
