import { z } from 'zod'
import { choice, duration, integer, seconds } from './scalars.ts'
import { list, mapping } from './shapes.ts'

export const RATE_LIMIT_BY = ['ip', 'user', 'tenant', 'token', 'client'] as const

const limit = mapping({
  requests: integer(1, 1_000_000).optional().describe('So many requests …'),
  per: seconds('1s', '30d').optional().describe('… in so much time.'),
  by: choice(RATE_LIMIT_BY)
    .optional()
    .describe('Whose requests count together: those of an address (IPv6: a /64), a user, a tenant, a token or a client.'),
  burst: integer(1, 1_000_000).optional().describe('Most at once; they come back at the rate. Default: requests.'),
})

/** `rateLimit` of a route. */
export const rateLimit = z.union([limit, list(limit)])

export type RateLimitDraft = z.output<typeof limit>

/** `rateLimits` of the file. */
export const rateLimits = mapping({
  entries: integer(256, 4_194_304)
    .prefault(131_072)
    .describe('Callers of each limit that a process knows one by one; a power of two, or it is rounded up to one.'),
  timeout: duration('1ms', '2s').prefault('50ms').describe('Longest wait for Redis. After it the process counts by itself.'),
})
