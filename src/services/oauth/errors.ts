import { Problem } from '../../problem/problem.ts'
import type { Answer } from '../services.ts'
import { json } from '../services.ts'

/**
 * RFC 6749 §5.2. These are answers of this service and no rows of PROBLEMS: OAuth clients read `error` from
 * `application/json` and know these codes, some of which mean something else there than in the rest of the gateway.
 */
export const OAUTH_ERRORS = {
  invalid_request: { status: 400, description: 'The request is malformed, or a parameter is missing or repeated.' },
  invalid_client: { status: 401, description: 'The client is not known here or did not prove itself.' },
  invalid_grant: { status: 400, description: 'The refresh token is not good, or not any more, or was given to another client.' },
  unauthorized_client: { status: 403, description: 'The client lacks the scope that this needs.' },
  unsupported_grant_type: { status: 400, description: 'grant_type is client_credentials or refresh_token.' },
  invalid_scope: { status: 400, description: 'The scope is more than the client or the session has.' },
} as const

export type OAuthError = keyof typeof OAUTH_ERRORS

/** RFC 6749 §5.1: never kept by a cache on the way. */
export const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' } as const

/** What RFC 6749 §5.2 does not let stand in `error_description`. */
const NOT_IN_DESCRIPTION = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g

/** @param headers - lower-case names */
export function refuse(error: OAuthError, description?: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const row = OAUTH_ERRORS[error]
  const body = { error, error_description: (description ?? row.description).replace(NOT_IN_DESCRIPTION, "'") }
  // RFC 6749 §5.2 with RFC 9110 §15.5.2: a 401 names the scheme.
  const challenge = row.status === 401 ? { 'www-authenticate': 'Basic realm="gatehouse", charset="UTF-8"' } : {}
  return json(row.status, body, { ...NO_STORE, ...challenge, ...headers })
}

/**
 * The answer for a refusal of what this service is built on.
 *
 * @throws what has no code of its own in OAuth: a body that is too large, too many failures, storage that is not there. Its
 * answer has `error` and `error_description` too.
 */
export function answerTo(thrown: unknown): Answer {
  if (!(thrown instanceof Problem)) throw thrown
  if (thrown.kind === 'invalid_request') return refuse('invalid_request', thrown.facts.description)
  // A client of another tenant is none at this host.
  if (thrown.kind === 'unauthorized' || thrown.kind === 'tenant_mismatch') return refuse('invalid_client')
  throw thrown
}
