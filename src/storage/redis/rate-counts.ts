import { createHash } from 'node:crypto'
import type { Charged, SharedCounts } from '../../quota/quota.ts'
import type { Connection } from './connection.ts'
import type { Layout } from './layout.ts'
import { integer, list } from './replies.ts'
import { script } from './script.ts'

/**
 * KEYS one for each limit · ARGV interval and span of each → whether there was room in all, then the debt of each
 *
 * A key holds the end of a debt in microseconds since 2025, by the clock of the server: whole numbers of that size take no
 * room beside the key. Where the clock was set back, or a master with another one took over, no debt is longer than it can be.
 */
const TAKE = script(
  'write',
  `
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])
local debts, room = {}, 1
for i, key in ipairs(KEYS) do
  local interval, span = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local debt = math.min(math.max(tonumber(redis.call('GET', key) or 0) - now, 0), span)
  if debt + interval > span then room = 0 end
  debts[i] = debt
end
if room == 1 then
  for i, key in ipairs(KEYS) do
    debts[i] = debts[i] + tonumber(ARGV[2 * i - 1])
    if debts[i] > 0 then redis.call('SET', key, string.format('%.17g', now + debts[i]), 'PX', math.ceil(debts[i] / 1000)) end
  end
end
return { room, unpack(debts) }`,
)

/** KEYS any of the bucket. A server that takes no writes, since it is full or a replica, refuses this as it refuses to count. */
const LOOK = script('write', 'return 1')

/** Longest text of a caller that is in a key as it is. */
const PLAIN_CHARACTERS = 96

/**
 * Counts of rate limits: one key for each caller of each limit, for as long as it is in debt, and one script for all limits of
 * a request. Its keys are of one bucket: that of the caller where all limits count by the same, else that of the route.
 */
export function createRateCounts({
  connection,
  layout,
}: {
  readonly connection: Connection
  readonly layout: Layout
}): SharedCounts {
  return {
    parts: layout.buckets,
    partOf,
    async take(part, charges) {
      const keys = charges.map(({ route, policy, caller }) => layout.limit(part, route, policy, inKey(caller)))
      const values = charges.flatMap(({ intervalUs, spanUs }) => [intervalUs, spanUs])
      const [room, ...debtsUs] = list(await connection.run(TAKE, keys, values)).map(integer)
      return { isAdmitted: room === 1, debtsUs }
    },
    look: (part) => connection.run(LOOK, [layout.mark(part)], []),
  }

  function partOf(charges: readonly Charged[]): number {
    const [first] = charges
    if (first === undefined) return 0
    const isOfOne = charges.every(({ caller }) => caller === first.caller)
    return layout.bucketOfText(isOfOne ? `${first.route} ${first.caller}` : first.route)
  }
}

/** Ids of tokens, and what somebody wrote to log in. */
const HIDDEN: ReadonlySet<string> = new Set(['token:', 'account:'])

/** Nothing that is hidden is in a key, and no text of whatever length; `~` begins no other caller. */
function inKey(caller: string): string {
  const kind = caller.slice(0, caller.indexOf(':') + 1)
  if (!HIDDEN.has(kind) && caller.length <= PLAIN_CHARACTERS) return caller
  return `${kind}~${createHash('sha256').update(caller).digest('base64url').slice(0, 22)}`
}
