import { Problem } from '../problem/problem.ts'

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

/** `overloaded`, made once for each number of seconds: a flood of refusals makes no more of them. */
export function createShedProblems(needs: RetryNeeds): () => Problem {
  const kept = eachSecond((seconds) => ({ 'retry-after': seconds }))
  const closed = eachSecond((seconds) => ({ 'retry-after': seconds, connection: 'close' }))
  return function next() {
    const index = Math.floor(needs.random() * LONGEST_SECONDS)
    const problem = needs.connectionShare() < NEARLY_ALL ? kept[index] : closed[index]
    return problem ?? new Problem('overloaded')
  }
}

function eachSecond(headers: (seconds: string) => Readonly<Record<string, string>>): readonly Problem[] {
  return Array.from(
    { length: LONGEST_SECONDS },
    (_, index) => new Problem('overloaded', { headers: Object.freeze(headers(String(index + 1))) }),
  )
}

/** What a budget of signatures takes to have one again, at most: its rate is no less than one a minute. */
const LONGEST_WAIT_SECONDS = 60
const DETAIL = 'too many wrong signatures from the address: not looked at'

/** `rate_limited` for tokens that nobody looks at, by the seconds to wait. */
export function createForgeryProblems(): (waitMs: number) => Problem {
  const problems = Array.from({ length: LONGEST_WAIT_SECONDS + 1 }, (_, seconds) => problemOf(seconds))
  return (waitMs) => {
    const seconds = Math.ceil(waitMs / 1000)
    return problems[seconds] ?? problemOf(seconds)
  }
}

function problemOf(seconds: number): Problem {
  const headers = Object.freeze({ 'retry-after': String(seconds) })
  return new Problem('rate_limited', { headers, detail: DETAIL, isOneOfMany: true })
}
