import type { RetryReason } from '../config/config.ts'
import type { LiveEnd } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { CONNECTION_LOST, RESET, UNPROCESSED } from './http2-failures.ts'

/** Codes of undici's errors that mean: reached, but too slow. */
const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** The connection was closed or reset. */
const BROKEN_OFF: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED', CONNECTION_LOST, RESET])

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

/** Whether a failure says something about the upstream: neither about us nor about what the client sent. */
export function isOfUpstream(problem: Problem): boolean {
  return problem.kind === 'upstream_unreachable' || problem.kind === 'upstream_timeout'
}

/**
 * What a request that failed before there was an answer could be sent again for. `wasSent`: something of it may have arrived.
 * A kept connection that the upstream closed at the same moment looks like any other that broke off; what the upstream says that
 * it did not look at is as good as not sent.
 */
export function reasonOfFailure(error: Error, wasSent: boolean): RetryReason | undefined {
  if (!wasSent || codeOf(error) === UNPROCESSED) return 'connect'
  return BROKEN_OFF.has(codeOf(error)) ? 'reset' : undefined
}

/** The problem of a request whose token did not last until there was an answer. */
export function problemOfEnd(reason: LiveEnd): Problem {
  if (reason === 'revoked') return new Problem('token_revoked')
  if (reason === 'expired') return new Problem('token_expired')
  return new Problem('revocation_unavailable', { headers: { 'retry-after': '1' } })
}

/** The problem of a request whose upload left its connection to others. */
export function problemOfGivingWay(): Problem {
  return new Problem('request_timeout', {
    headers: { connection: 'close' },
    detail: 'the upload was silent while others waited for its connection',
  })
}

/** What an error is, in a word that holds nothing of an address. */
export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
