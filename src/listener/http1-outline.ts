import { NOT_IN_TOKEN } from './http1-lines.ts'

/** Nothing came yet. */
export const BEGINNING = 1
/** It can be no simple head any more. */
export const NOT_SIMPLE = 0
/** Its last octet is here. */
export const WHOLE = 2

/** Each with what stands before its target: the methods whose requests have no body unless they say so. */
export const STARTS = ['GET /', 'HEAD /', 'OPTIONS /', 'DELETE /'] as const
export const VERSION = ' HTTP/1.1\r\n'
const ASCII = 128
const MOST_STATES = 64
/** For each state and octet the next state. */
const STEPS = createSteps()

/**
 * Follows the head of a request that comes in pieces, as far as it is made of what may stand in a simple one at its place. It
 * does not read the head: it says when there is something to read, and when another reader is to have it at once.
 *
 * @param state how far it was followed
 * @param piece octets, a character each
 * @returns how far it is now: {@link NOT_SIMPLE}, {@link WHOLE}, or somewhere between
 */
export function follow(state: number, piece: string): number {
  let at = state
  for (let index = 0; index < piece.length && at !== NOT_SIMPLE; index += 1) {
    const octet = piece.charCodeAt(index)
    at = octet < ASCII ? (STEPS[at * ASCII + octet] ?? NOT_SIMPLE) : NOT_SIMPLE
  }
  return at
}

/** RFC 9112 §2.1, without what two readers may take for different things. */
function createSteps(): Uint8Array {
  const steps = new Uint8Array(MOST_STATES * ASCII)
  let states = WHOLE
  const another = (): number => (states += 1)
  const step = (from: number, octets: Iterable<string>, to: number): void => {
    for (const octet of octets) steps[from * ASCII + octet.charCodeAt(0)] = to
  }
  /** Words that begin alike share their states. */
  const spell = (from: number, word: string, to: number): void => {
    let at = from
    for (const octet of word.slice(0, -1)) {
      const place = at * ASCII + octet.charCodeAt(0)
      at = steps[place] = steps[place] || another()
    }
    step(at, word.slice(-1), to)
  }
  const [target, line, name, value, lineEnd, lastEnd] = [another(), another(), another(), another(), another(), another()]
  for (const start of STARTS) spell(BEGINNING, start, target)
  step(
    target,
    octetsBetween('!', '~').filter((octet) => octet !== '#'),
    target,
  )
  spell(target, VERSION, line)
  const inToken = octetsBetween('!', '~').filter((octet) => !NOT_IN_TOKEN.test(octet))
  step(line, inToken, name)
  step(line, '\r', lastEnd)
  step(name, inToken, name)
  step(name, ':', value)
  step(value, octetsBetween(' ', '~'), value)
  step(value, '\r', lineEnd)
  step(lineEnd, '\n', line)
  step(lastEnd, '\n', WHOLE)
  return steps
}

function octetsBetween(first: string, last: string): string[] {
  const [from, to] = [first.charCodeAt(0), last.charCodeAt(0)]
  return Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index))
}
