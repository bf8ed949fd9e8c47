import { Problem, type ProblemKind } from '../problem/problem.ts'

export interface ParserError extends Error {
  readonly code?: string
}

/** The client took longer for a head or a body than it may. */
export const TOOK_TOO_LONG = 'ERR_HTTP_REQUEST_TIMEOUT'

/** Why the parser gave up, where it is not simply a bad request. */
const PARSER_PROBLEMS: ReadonlyMap<string, ProblemKind> = new Map([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  [TOOK_TOO_LONG, 'request_timeout'],
])

/** What becomes of a request that the parser gave up on. */
export function problemOf(error: ParserError): Problem {
  return new Problem(PARSER_PROBLEMS.get(error.code ?? '') ?? 'invalid_request', { detail: error.code ?? error.message })
}
