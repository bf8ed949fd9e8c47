import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../errors/errors.ts'
import { describeProblem, Problem, type ProblemAnswer, type ProblemKind } from '../problem/problem.ts'

/** Rows of the table of answers, by the code of an error. What has none is a fault of this service: 500. */
const KINDS: ReadonlyMap<string, ProblemKind> = new Map<string, ProblemKind>([
  ['unauthorized', 'unauthorized'],
  ['invalid_token', 'invalid_token'],
  ['token_expired', 'token_expired'],
  ['token_revoked', 'token_revoked'],
  ['invalid_signature', 'invalid_signature'],
  ['insufficient_scope', 'insufficient_scope'],
  ['tenant_mismatch', 'tenant_mismatch'],
  // To whoever sent the token it is one that is not taken here.
  ['tenant_not_found', 'invalid_token'],
  ['invalid_request', 'invalid_request'],
  ['keys_unavailable', 'storage_unavailable'],
  ['revocation_unavailable', 'revocation_unavailable'],
])

/** Of a request id that goes into an answer: what a gateway makes, and whatever looks like it. */
const REQUEST_ID = /^[\w.:-]{1,128}$/

/** What a client is told of a refusal: `application/problem+json`, as a gateway would answer. */
export function answerTo(error: unknown, requestId: unknown): ProblemAnswer {
  const known = error instanceof GatehouseError ? error : undefined
  const kind = known === undefined ? 'internal_error' : (KINDS.get(known.code) ?? 'internal_error')
  const seconds = known?.retryAfterSeconds
  const problem = new Problem(kind, {
    ...(known?.scope === undefined ? {} : { scope: known.scope }),
    ...(seconds === undefined ? {} : { headers: { 'retry-after': String(seconds) } }),
  })
  const id = typeof requestId === 'string' && REQUEST_ID.test(requestId) ? requestId : randomUUID()
  return describeProblem(problem, id)
}
