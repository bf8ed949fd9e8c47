import { z } from 'zod'
import type { Operation } from './operations.ts'

const AVAILABILITY = z
  .strictObject({
    username: z.string(),
    available: z.boolean().describe('Whether anyone could claim it now. Who has it is decided when it is claimed.'),
    reason: z.enum(['invalid', 'reserved', 'taken', 'held']).optional(),
    suggestions: z.array(z.string()).max(5).optional().describe('Names like it that are free.'),
  })
  .meta({ title: 'UsernameAvailability' })

const TICKET = z
  .strictObject({
    ticket: z.string().describe('Redeems the name as hold_ticket, and in x-hold-ticket raises the budget of checks.'),
    expires_in: z.int().positive(),
  })
  .meta({ title: 'UsernameHold' })

const PROBLEMS = [
  'tenant_not_found',
  'rate_limited',
  'storage_unavailable',
  'overloaded',
  'invalid_token',
  'token_expired',
  'token_revoked',
  'invalid_signature',
  'tenant_mismatch',
  'revocation_unavailable',
] as const

/** What the document says of the usernames service. */
export const USERNAME_OPERATIONS = {
  availability: {
    summary: 'Whether a username can be had; a name that breaks the rules is answered with the reason invalid',
    caller: 'anyone',
    status: 200,
    answer: AVAILABILITY,
    problems: PROBLEMS,
  },
  hold: {
    summary: 'Hold a username until it is claimed, five minutes at most',
    caller: 'anyone',
    status: 201,
    answer: TICKET,
    problems: ['username_invalid', 'username_reserved', 'username_taken', 'cross_site_request', ...PROBLEMS],
  },
} as const satisfies Readonly<Record<string, Operation>>
