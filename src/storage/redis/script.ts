import { createHash } from 'node:crypto'

/** A Lua script and the name that Redis gives it. Runs on Redis 7 without modules or Functions. */
export interface Script {
  readonly text: string
  readonly sha: string
  /** What its answer has where Redis has strings. */
  readonly answers: 'texts' | 'bytes'
}

/**
 * Makes a script of its body.
 *
 * With a first line of this kind Redis refuses the whole of a script when it has no memory, no disk or no replica to write
 * to, before its first command: nothing is done by halves.
 *
 * The last of its arguments is a tag of the question, which stands before the answer: who asks sees that it is the answer
 * to that question, and not the one to another's that came in its place.
 *
 * @param kind - `write`; `free`: runs without spare memory too, for what must be possible always; `read`
 */
export function script(kind: 'write' | 'free' | 'read', ...parts: readonly string[]): Script {
  const text = `${FIRST_LINES[kind]}\nlocal tag = table.remove(ARGV)\nlocal function answer()\n${parts.join('\n')}\nend\nreturn { tag, answer() }`
  return Object.freeze({ text, sha: createHash('sha1').update(text).digest('hex'), answers: 'texts' })
}

/** The same script; what it answers is no text, or not all of it. */
export function inBytes(made: Script): Script {
  return Object.freeze({ ...made, answers: 'bytes' })
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

/**
 * A session as a table of numbers, and what follows from them. They are kept packed, 32 bits each, in one field, the last
 * three only as far as they are needed; what is said of them stands beside the record that is made of them.
 */
export const SESSION = `
local FORM, MOST = '>I4I4I4I4I4I4I4I4I4', 4294967295
local function unpacked(t)
  local s = {}
  s.c, s.x, s.i, s.k, s.l, s.g, s.e, s.n, s.r = struct.unpack(FORM, t .. string.rep('\\0', 36 - #t))
  return s
end
local function packed(s)
  local function fit(v) return math.min(math.max(v, 0), MOST) end
  local t = struct.pack(FORM, fit(s.c), fit(s.x), fit(s.i), fit(s.k), fit(s.l), fit(s.g), fit(s.e), fit(s.n), fit(s.r))
  return string.sub(t, 1, s.r > 0 and 36 or s.n > 0 and 32 or s.e > 0 and 28 or 24)
end
local function load(key)
  local t = redis.call('HGET', key, 't')
  return t and unpacked(t)
end
local function read(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
  return fields.t and unpacked(fields.t), flat, fields
end
local function isOf(fields, owner)
  local text, n = fields.b or '', 1
  while #text < #owner and fields['b' .. n] do
    text, n = text .. fields['b' .. n], n + 1
  end
  return string.sub(text, 1, #owner) == owner
end
local function epochs(user, tenant)
  return tonumber(redis.call('GET', user) or 0), tonumber(redis.call('GET', tenant) or 0)
end
local function usedAt(s) return s.c + s.l end
local function endsAt(s) return math.min(s.c + s.x, usedAt(s) + s.i) end
local function tokensUntil(s) return usedAt(s) + s.k end
local function isEnded(s, user, tenant) return s.e < user or s.n < tenant end
local function isLive(s, user, tenant, now) return now < endsAt(s) and not isEnded(s, user, tenant) end`
