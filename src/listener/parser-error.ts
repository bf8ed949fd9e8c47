import { Problem, type ProblemKind } from '../problem/problem.ts'

export interface ParserError extends Error {
  readonly code?: string
}

/** The client took longer for a head or a body than it may. */
export const TOOK_TOO_LONG = 'ERR_HTTP_REQUEST_TIMEOUT'

/** The client closed its side within a message. */
export const ENDED_EARLY = 'HPE_INVALID_EOF_STATE'
/** The same two of what no parser has seen. They are always the same: collecting a stack takes as long as all else that is done. */
export const TAKES_TOO_LONG: ParserError = Object.assign(new Error('the head took too long'), { code: TOOK_TOO_LONG })
export const ENDS_EARLY: ParserError = Object.assign(new Error('the head ended early'), { code: ENDED_EARLY })

/** Why the parser gave up, where it is not simply a bad request. */
const PARSER_PROBLEMS: ReadonlyMap<string, ProblemKind> = new Map([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  [TOOK_TOO_LONG, 'request_timeout'],
])

/** What becomes of a request that the parser gave up on. */
export function problemOf(error: ParserError): Problem {
  return new Problem(PARSER_PROBLEMS.get(error.code ?? '') ?? 'invalid_request', { detail: error.code ?? error.message })
}
