/**
 * Every answer the gateway gives that is not a success, in one table, and the one place that writes it out.
 *
 * A `Problem` is an expected refusal. Anything else that is thrown is a fault of ours and becomes `internal_error`, with
 * its cause in the log and nothing of it in the answer.
 *
 * @module
 */
import { createDescriber, type ProblemAnswer, type Row } from './describe.ts'
import { PROBLEMS } from './table.ts'

export type { ProblemAnswer } from './describe.ts'
export { PROBLEMS } from './table.ts'

export type ProblemKind = keyof typeof PROBLEMS

/** One field of a body that was refused: its name as the client wrote it and what to write. */
export interface FieldFault {
  readonly field: string
  readonly message: string
}

export interface ProblemFacts {
  /** For the client, in place of the row's own description. Never of a token, a key, a host or a stack. */
  readonly description?: string
  /** Scopes that would have been enough, for the challenge (RFC 6750 §3). */
  readonly scope?: string
  /** Seconds of authentication age that the route takes, for the challenge (RFC 9470 §3). */
  readonly maxAgeSeconds?: number
  /** Further headers of the answer, lower-case names: `allow`, `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>
  readonly fields?: readonly FieldFault[]
  /** Free usernames like the one that could not be had. */
  readonly suggestions?: readonly string[]
  /** Said to a flood: the log has some of them each second, the metrics have all. */
  readonly isOneOfMany?: true
  /** For the log only. */
  readonly detail?: string
  /** For the log only. */
  readonly cause?: unknown
}

/** An expected refusal: a row of {@link PROBLEMS} and what is particular to this case. Has no stack. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly kind: ProblemKind
  readonly facts: ProblemFacts

  constructor(kind: ProblemKind, facts: ProblemFacts = NO_FACTS) {
    // Refusals are on the path of hostile traffic: collecting a stack costs many times the rest of the refusal.
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(kind, facts.cause === undefined ? undefined : { cause: facts.cause })
    Error.stackTraceLimit = limit
    this.kind = kind
    this.facts = facts
  }

  get status(): number {
    return PROBLEMS[this.kind].status
  }

  /** The stable code of the answer. */
  get error(): string {
    return PROBLEMS[this.kind].error
  }

  /** The problem itself, or `internal_error` with what was thrown as its cause. */
  static from(thrown: unknown): Problem {
    return thrown instanceof Problem ? thrown : new Problem('internal_error', { cause: thrown })
  }
}

const NO_FACTS: ProblemFacts = Object.freeze({})

const describe = createDescriber<ProblemKind>(PROBLEMS)

/** What a refusal says in an answer of another form: the stable code, and what to do. */
export function describeRefusal(problem: Problem): { readonly error: string; readonly error_description: string } {
  const row: Row = PROBLEMS[problem.kind]
  return { error: row.error, error_description: problem.facts.description ?? row.description }
}

/** The answer for a problem: `application/problem+json` (RFC 9457), with the Bearer challenge on 401 and 403. */
export function describeProblem(problem: Problem, requestId: string): ProblemAnswer {
  return describe(problem, requestId)
}
