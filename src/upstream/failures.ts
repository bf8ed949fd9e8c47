import type { LiveEnd } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** Codes of undici's errors that mean: reached, but too slow. */
const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** The library refused what we asked of it; the upstream was not involved. */
const OUR_FAULTS: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED'])

/** The problem that a failed exchange with an upstream is; the failure itself is for the log. */
export function problemOfFailure(error: Error): Problem {
  if (OUR_FAULTS.has(codeOf(error))) return new Problem('internal_error', { cause: error })
  return new Problem(TIMEOUTS.has(codeOf(error)) ? 'upstream_timeout' : 'upstream_unreachable', {
    cause: error,
    detail: codeOf(error),
  })
}

/** The problem of a request whose token did not last until there was an answer. */
export function problemOfEnd(reason: LiveEnd): Problem {
  if (reason === 'revoked') return new Problem('token_revoked')
  if (reason === 'expired') return new Problem('token_expired')
  return new Problem('revocation_unavailable', { headers: { 'retry-after': '1' } })
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
