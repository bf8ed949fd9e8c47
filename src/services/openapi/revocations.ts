import { z } from 'zod'
import type { Operation } from './operations.ts'

const LINES = z
  .string()
  .describe('A heading {kind, tenant, position, complete, lag_ms}, a list for each fact, and {end}: how many there were.')

export const REVOCATION_OPERATIONS: { readonly read: Operation } = {
  read: {
    summary:
      'What was revoked, JSON by line; needs the scope revocations:read. Without parameters the whole; with `after` what came since, for which `wait_ms` waits',
    caller: 'client',
    status: 200,
    answer: LINES,
    type: 'application/x-ndjson',
    problems: [
      'unauthorized',
      'insufficient_scope',
      'tenant_mismatch',
      'rate_limited',
      'revocation_unavailable',
      'invalid_request',
      'storage_unavailable',
    ],
  },
}
