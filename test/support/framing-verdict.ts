/** Judges what came of a case of `framing-grammar.ts`, by what `framing-reference.ts` reads in it. */
import type { AnswerCase, ClientCase } from './framing-grammar.ts'
import type { AnswerReading, ClientReading, ReadRequest } from './framing-reference.ts'
import { Ambiguity, readAnswers, statusCode, valuesOf, type Message } from './strict-http.ts'

const REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 413, 414, 417, 431])
const BARE_CR = String.raw`"\r"`
const FAILURES: ReadonlySet<number> = new Set([502, 504])

/** What a batch came to, for the test that counts it. */
export interface Tally {
  cases: number
  /** Answers of the upstream that reached a client. */
  answered: number
  /** Answers of the gateway itself. */
  refused: number
}

export interface Conversation {
  readonly received: Buffer
  readonly isHung: boolean
}

export function countOf(received: Buffer, reading: ClientReading): number {
  try {
    return finals(readAnswers(received, { methods: methodsOf(reading) }).messages).length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

interface PlayedClient extends ClientCase, Conversation {
  readonly reading: ClientReading
}

/** What is wrong with what a client got, if anything is. */
export function faultOfClient({ reading, received, isHung, leave }: PlayedClient, tally: Tally): string | undefined {
  const { requests, end } = reading
  if (isHung) return 'the connection was neither answered nor closed'
  const read = readOfClient(received, reading)
  if (typeof read === 'string') return read
  if (leave === 'wait' && read.rest.length > 0) return 'an answer was cut'
  const answers = finals(read.messages)
  const most = requests.length + (end === 'ambiguous' || end === 'partial' ? 1 : 0)
  if (answers.length > most) return `${answers.length} answers to ${requests.length} requests`
  for (const [index, answer] of answers.entries()) {
    const status = statusCode(answer)
    if (status !== 200) {
      tally.refused += 1
      if (!REFUSALS.has(status)) return `the answer ${index} is ${status}`
      continue
    }
    tally.answered += 1
    const asked = requests[index]
    if (asked === undefined) return `the answer ${index} is 200, and there is no such request`
    const [seen] = valuesOf(answer.fields, 'x-seen')
    if (seen !== pathOf(asked.target)) return `the answer ${index} is that to ${seen}`
    if (asked.method !== 'HEAD' && answer.body.toString('latin1') !== seen) return `the answer ${index} has another body`
  }
  return undefined
}

export function incompleteness({ reading, received }: PlayedClient): string | undefined {
  const read = readOfClient(received, reading)
  const statuses = typeof read === 'string' ? [] : finals(read.messages).map(statusCode)
  const isComplete = statuses.length === reading.requests.length && statuses.every((status) => status === 200)
  return isComplete ? undefined : `not all that is in order was answered: ${statuses.join(', ')}`
}

interface PlayedAnswer extends AnswerCase, Conversation {
  readonly second: string
  readonly reading: AnswerReading
}

export function faultOfAnswer(
  { method, leave, reading, received, isHung, second }: PlayedAnswer,
  tally: Tally,
): string | undefined {
  if (isHung) return 'the connection was neither answered nor closed'
  const read = readStrictly(received, [method, 'GET'])
  if (typeof read === 'string') return read
  const [first, other, ...more] = finals(read.messages)
  if (more.length > 0) return `${more.length + 2} answers to two requests`
  if (other !== undefined && statusCode(other) === 200) {
    if (other.body.toString('latin1') !== second) return 'the second answer is not that to the second request'
  } else if (other !== undefined && !FAILURES.has(statusCode(other))) return `the second answer is ${statusCode(other)}`
  if (first === undefined) return undefined
  const status = statusCode(first)
  if (FAILURES.has(status) && valuesOf(first.fields, 'content-type')[0] === 'application/problem+json') {
    tally.refused += 1
    return undefined
  }
  tally.answered += 1
  // The client library takes one for the end of a line; the framing is written anew, and the connection not used again.
  if (reading.end !== 'whole' && reading.why.startsWith(BARE_CR)) return undefined
  if (reading.end !== 'whole') return `an answer that is ${reading.end} was passed on as a whole one`
  if (status !== reading.status) return `the status became ${status}`
  const body = first.body.toString('latin1')
  // A reset takes octets with it, and the client library has none of it where only the end of the connection ends the body.
  if (leave === 'reset' && reading.body.startsWith(body)) return undefined
  if (body !== reading.body) return 'the body became another'
  return undefined
}

export function lossOf({ method, reading, received }: PlayedAnswer): string | undefined {
  const read = readStrictly(received, [method, 'GET'])
  const statuses = typeof read === 'string' ? [] : finals(read.messages).map(statusCode)
  const isLost = reading.end !== 'whole' || statuses.length !== 2 || statuses[0] !== reading.status || statuses[1] !== 200
  return isLost ? `an answer that is in order was not passed on: ${statuses.join(', ')}` : undefined
}

/**
 * Only the gateway knows whether what it could not read to its end was a HEAD, to which there is no body; and what it refuses before
 * it knows the method has one.
 */
function readOfClient(received: Buffer, reading: ClientReading): ReturnType<typeof readAnswers> | string {
  const methods = methodsOf(reading)
  const read = readStrictly(received, methods)
  if (isClean(read)) return read
  const asHead = readStrictly(received, [...methods, 'HEAD'])
  if (isClean(asHead)) return asHead
  for (const count of methods.keys()) {
    const refused = readStrictly(received, methods.slice(0, count))
    if (!isClean(refused)) continue
    const answers = finals(refused.messages)
    const last = answers.at(-1)
    if (answers.length === count + 1 && statusCode(last) === 400 && valuesOf(last?.fields ?? [], 'connection')[0] === 'close')
      return refused
  }
  return read
}

function isClean(read: ReturnType<typeof readStrictly>): read is ReturnType<typeof readAnswers> {
  return typeof read !== 'string' && read.rest.length === 0
}

/** Both ends are closed by now. A text where it cannot be read in one way. */
function readStrictly(received: Buffer, methods: readonly string[]): ReturnType<typeof readAnswers> | string {
  try {
    return readAnswers(received, { methods })
  } catch (error) {
    if (!(error instanceof Ambiguity)) throw error
    return `the client reads ${error.message}`
  }
}

function finals(messages: readonly Message[]): readonly Message[] {
  return messages.filter((message) => statusCode(message) >= 200)
}

function methodsOf({ requests }: ClientReading): readonly string[] {
  return requests.map(({ method }) => method)
}

/** A request as the upstream has to get it. */
export function printOf({ method, target, body }: ReadRequest): string {
  return `${method} ${pathOf(target)}\n${body}`
}

/** Origin form (RFC 9112 §3.2.1), with one slash for several. */
function pathOf(target: string): string {
  const origin = target.replace(/^http:\/\/[^/?]*/i, '')
  const [path = '', ...query] = origin.split('?')
  return [path.replace(/\/{2,}/g, '/'), ...query].join('?')
}
