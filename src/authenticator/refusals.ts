import { Problem } from '../problem/problem.ts'
import type { ProblemKind } from '../problem/problem.ts'

/** Every reason for which a request is refused here, and the answer it gets. The reason is for the log and a metric label. */
export const REFUSALS = {
  no_token: 'unauthorized',
  repeated_authorization: 'repeated_authorization',
  repeated_cookie: 'repeated_cookie',
  cross_site: 'cross_site_request',
  // The token's form and header.
  too_large: 'invalid_token',
  malformed: 'invalid_token',
  header: 'invalid_token',
  critical: 'invalid_token',
  embedded_key: 'invalid_token',
  kid: 'invalid_token',
  algorithm: 'invalid_token',
  type: 'invalid_token',
  // Its claims.
  payload: 'invalid_token',
  claim_type: 'invalid_token',
  issuer: 'invalid_token',
  expiry_missing: 'invalid_token',
  expired: 'token_expired',
  audience: 'invalid_token',
  not_before: 'invalid_token',
  issued_at: 'invalid_token',
  lifetime: 'invalid_token',
  user: 'invalid_token',
  scope: 'invalid_token',
  session: 'invalid_token',
  token_id: 'invalid_token',
  tenant: 'invalid_token',
  token_type: 'invalid_token',
  epoch: 'invalid_token',
  // Its key and signature.
  unknown_key: 'invalid_token',
  key_mismatch: 'invalid_token',
  signature: 'invalid_signature',
  // Not looked at: there is no time for it.
  rate_limited: 'rate_limited',
  overloaded: 'overloaded',
} as const satisfies Record<string, ProblemKind>

export type Refusal = keyof typeof REFUSALS

/** One for each reason: nothing of the request is in it, so that a flood of refusals makes none. */
const KNOWN: ReadonlyMap<string, Problem> = new Map(
  Object.entries(REFUSALS).map(([reason, kind]) => [reason, new Problem(kind, Object.freeze({ detail: reason }))]),
)

export function problemOf(reason: Refusal): Problem {
  return KNOWN.get(reason) ?? new Problem(REFUSALS[reason], { detail: reason })
}
