import { createHash } from 'node:crypto'

/** A Lua script and the name that Redis gives it. Runs on Redis 7 without modules or Functions. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/**
 * Makes a script of its body.
 *
 * With a first line of this kind Redis refuses the whole of a script when it has no memory, no disk or no replica to write
 * to, before its first command: nothing is done by halves.
 *
 * @param kind - `write`; `free`: runs without spare memory too, for what must be possible always; `read`
 */
export function script(kind: 'write' | 'free' | 'read', ...parts: readonly string[]): Script {
  const text = `${FIRST_LINES[kind]}\n${parts.join('\n')}`
  return Object.freeze({ text, sha: createHash('sha1').update(text).digest('hex') })
}

const FIRST_LINES = {
  write: '#!lua',
  free: '#!lua flags=allow-oom',
  read: '#!lua flags=no-writes',
} as const

/** The caller's clock, within 2 s of the server's: one gateway that is off neither revives nor ends what others see. */
export const CLOCK = `
local function clamp(now)
  local server = tonumber(redis.call('TIME')[1])
  return math.min(math.max(tonumber(now), server - 2), server + 2)
end`

/**
 * Records a revocation three times: its own key, the set of live ones, and the feed. Says nothing when as much is known.
 *
 * The feed is cut after 30 minutes and the set of a hundred that expired a minute ago, so that neither grows without end.
 */
export const REVOKE = `
local function publish(feed, live, fact, expires, now)
  redis.call('ZADD', live, 'GT', expires, fact)
  local old = redis.call('ZRANGE', live, '-inf', '(' .. (now - 60), 'BYSCORE', 'LIMIT', 0, 100)
  if #old > 0 then redis.call('ZREM', live, unpack(old)) end
  if redis.call('EXPIRETIME', live) < expires + 120 then redis.call('EXPIREAT', live, expires + 120) end
  redis.call('XADD', feed, 'MINID', '~', string.format('%d', (now - 1800) * 1000), '*', 'f', fact, 'x', expires)
end
local function revoke(feed, live, key, fact, reason, expires, now)
  if expires < now then return end
  local known = redis.call('ZSCORE', live, fact)
  if known and tonumber(known) >= expires then return end
  if key then redis.call('SET', key, reason, 'EXAT', expires) end
  publish(feed, live, fact, expires, now)
end`

/** A session as a table, and what follows from it. Times are kept apart from the creation, which makes them short. */
export const SESSION = `
local function load(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local s = {}
  for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
  return s, flat
end
local function usedAt(s) return tonumber(s.c) + tonumber(s.l or 0) end
local function endsAt(s) return math.min(tonumber(s.c) + tonumber(s.x), usedAt(s) + tonumber(s.i)) end
local function tokensUntil(s) return usedAt(s) + tonumber(s.k) end
local function isLive(s, epoch, now)
  return now < endsAt(s) and tonumber(s.e or 0) >= tonumber(epoch or 0)
end`
