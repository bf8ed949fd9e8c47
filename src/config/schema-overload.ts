import { duration, flag, integer, percentage, rate } from './scalars.ts'
import { mapping } from './shapes.ts'

/** `listeners.public.overload`. */
export const overload = mapping({
  enabled: flag().prefault(true).describe('false: nothing is refused because there is too much to do.'),
  maxRequests: integer(1, 1_000_000)
    .optional()
    .describe('Most requests in flight; low priority stops at 80% of it, normal at 90%. Default: as limits.connections.'),
  lag: duration('5ms', '10s').prefault('250ms').describe('Standing delay of the event loop from which on requests are refused.'),
  memory: percentage().prefault('95%').describe('Share of the memory of the process from which on requests are refused.'),
  badSignatures: rate()
    .prefault('600/m')
    .describe('Tokens with a wrong signature that are verified for one address; then only known ones are taken. IPv6: a /64.'),
})
