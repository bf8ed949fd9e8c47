import { CLOCK, REVOKE, script, SESSION } from './script.ts'

/**
 * Where a user has as many sessions as allowed, it first asks for their ids, because a script touches declared keys only.
 *
 * KEYS session, index, epoch, feed, live, then (session, revoked) of each candidate for eviction
 * ARGV now, limit, id, ends, expires, tokens until, number of fields, fields…, then (id, fact) of each candidate
 * → ['created', epoch, evicted…] or ['again', id…]
 */
export const CREATE = script(
  'write',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now = clamp(ARGV[1])
local fields = tonumber(ARGV[7])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local surplus = redis.call('ZCARD', KEYS[2]) + 1 - tonumber(ARGV[2])
local evicted = {}
if surplus > 0 then
  local candidates = {}
  for at = 6, #KEYS, 2 do
    local n = 7 + fields + at - 5
    local id, fact = ARGV[n], ARGV[n + 1]
    if redis.call('ZSCORE', KEYS[2], id) then
      local v = redis.call('HMGET', KEYS[at], 'c', 'l', 'k')
      if v[1] then
        local s = { c = v[1], l = v[2], k = v[3] }
        candidates[#candidates + 1] = { key = KEYS[at], revoked = KEYS[at + 1], id = id, fact = fact, s = s, used = usedAt(s) }
      else
        redis.call('ZREM', KEYS[2], id)
        surplus = surplus - 1
      end
    end
  end
  if #candidates < surplus then
    local ids = redis.call('ZRANGE', KEYS[2], 0, -1)
    table.insert(ids, 1, 'again')
    return ids
  end
  table.sort(candidates, function(a, b)
    if a.used ~= b.used then return a.used < b.used end
    if a.s.c ~= b.s.c then return tonumber(a.s.c) < tonumber(b.s.c) end
    return a.id > b.id
  end)
  for n = 1, surplus do
    local one = candidates[n]
    redis.call('DEL', one.key)
    redis.call('ZREM', KEYS[2], one.id)
    revoke(KEYS[4], KEYS[5], one.revoked, one.fact, 'evicted', math.max(tonumber(ARGV[6]), tokensUntil(one.s)), now)
    evicted[n] = one.id
  end
end
local epoch = redis.call('GET', KEYS[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 8, 7 + fields))
if epoch then
  redis.call('HSET', KEYS[1], 'e', epoch)
  local last = tonumber(ARGV[5]) + tonumber(ARGV[6]) - now
  if redis.call('EXPIRETIME', KEYS[3]) < last then redis.call('EXPIREAT', KEYS[3], last) end
end
redis.call('EXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
if redis.call('EXPIRETIME', KEYS[2]) < tonumber(ARGV[5]) then redis.call('EXPIREAT', KEYS[2], ARGV[5]) end
return { 'created', tonumber(epoch or 0), unpack(evicted) }`,
)

/**
 * KEYS session, index, epoch, revoked, feed, live
 * ARGV now, user, id, fact, generation, grace, rotation, idle, tokens until, reason
 * → ['rotated' | 'retried' | 'healed', fields] or [outcome]
 */
export const ROTATE = script(
  'write',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now = clamp(ARGV[1])
local s, flat = load(KEYS[1])
if not s or s.u ~= ARGV[2] or now >= endsAt(s) then return { 'unknown' } end
local epoch = redis.call('GET', KEYS[3])
if tonumber(s.e or 0) < tonumber(epoch or 0) then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[3])
  return { 'epoch' }
end
local presented, stored = tonumber(ARGV[5]), tonumber(s.g or 0)
local grace, rotates = tonumber(ARGV[6]), ARGV[7] == 'on'
local rotatedAt = tonumber(s.c) + tonumber(s.r or s.l or 0)
if presented == stored - 1 and grace > 0 and now - rotatedAt <= grace then return { 'retried', flat } end
if presented < stored or presented > stored + 2 then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[3])
  revoke(KEYS[5], KEYS[6], KEYS[4], ARGV[4], ARGV[10], math.max(tonumber(ARGV[9]), tokensUntil(s)), now)
  return { 'reused' }
end
local tokens = math.max(tonumber(ARGV[9]), tokensUntil(s)) - now
redis.call('HSET', KEYS[1], 'g', presented + (rotates and 1 or 0), 'l', now - tonumber(s.c), 'i', ARGV[8], 'k', tokens)
if rotates then
  if s.r then redis.call('HDEL', KEYS[1], 'r') end
elseif not s.r and stored > 0 then
  redis.call('HSET', KEYS[1], 'r', s.l or 0)
end
if epoch and redis.call('EXPIRETIME', KEYS[3]) < tonumber(ARGV[9]) then redis.call('EXPIREAT', KEYS[3], ARGV[9]) end
local after, fields = load(KEYS[1])
redis.call('EXPIREAT', KEYS[1], endsAt(after))
redis.call('ZADD', KEYS[2], endsAt(after), ARGV[3])
return { presented == stored and 'rotated' or 'healed', fields }`,
)

/** KEYS session, epoch · ARGV now, user → fields, or nil when it is over or another user's */
export const FIND = script(
  'read',
  CLOCK,
  SESSION,
  `
local s, flat = load(KEYS[1])
if s and s.u == ARGV[2] and isLive(s, redis.call('GET', KEYS[2]), clamp(ARGV[1])) then return flat end
return false`,
)

/** KEYS epoch, sessions… · ARGV now → fields of each, empty when it is over */
export const LIST = script(
  'read',
  CLOCK,
  SESSION,
  `
local now, epoch, found = clamp(ARGV[1]), redis.call('GET', KEYS[1]), {}
for at = 2, #KEYS do
  local s, flat = load(KEYS[at])
  found[at - 1] = s and isLive(s, epoch, now) and flat or {}
end
return found`,
)

/** KEYS session, index, epoch, revoked, feed, live · ARGV now, user, id, fact, tokens until, reason → 1 when it was live */
export const END = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[5])
local s = load(KEYS[1])
if s and s.u ~= ARGV[2] then return 0 end
local wasLive = s and isLive(s, redis.call('GET', KEYS[3]), now)
if s then expires = math.max(expires, tokensUntil(s)) end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[3])
revoke(KEYS[5], KEYS[6], KEYS[4], ARGV[4], ARGV[6], expires, now)
return wasLive and 1 or 0`,
)

/**
 * The new epoch is the time when that is more: it stays above every earlier one even where the counter was lost.
 *
 * The records stay until the last token is over, so that a refresh learns why it is refused. One that began since the ids
 * were read is ended by its epoch like the others; its tokens are no longer than the caller's bound.
 *
 * KEYS index, epoch, ended, feed, live, sessions… · ARGV now, first part of the fact, tokens until → number of live ones
 */
export const END_ALL = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[3])
local count = redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
local old = redis.call('GET', KEYS[3])
if old then expires = math.max(expires, tonumber(redis.call('ZSCORE', KEYS[5], old) or 0)) end
for at = 6, #KEYS do
  local s = load(KEYS[at])
  if s then expires = math.max(expires, tokensUntil(s)) end
end
for at = 6, #KEYS do redis.call('EXPIREAT', KEYS[at], expires, 'LT') end
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now)
local last = math.max(redis.call('EXPIRETIME', KEYS[2]), redis.call('EXPIRETIME', KEYS[1]), expires)
redis.call('SET', KEYS[2], epoch, 'EXAT', last)
redis.call('DEL', KEYS[1])
if expires < now then return count end
local at = old and math.max(now, tonumber(string.match(old, ',(%d+)%]$'))) or now
local fact = ARGV[2] .. ',' .. epoch .. ',' .. at .. ']'
if old then redis.call('ZREM', KEYS[5], old) end
redis.call('SET', KEYS[3], fact, 'EXAT', expires)
publish(KEYS[4], KEYS[5], fact, expires, now)
return count`,
)

/**
 * KEYS index, epoch, feed, live, then (session, revoked) of each other session
 * ARGV now, id that stays, tokens until, reason, then (id, fact) of each other session
 * → number of those that were live, or −1 when another one began since the ids were read
 */
export const END_OTHERS = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now, epoch = clamp(ARGV[1]), redis.call('GET', KEYS[2])
local declared = { [ARGV[2]] = true }
for n = 5, #ARGV, 2 do declared[ARGV[n]] = true end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE')) do
  if not declared[id] then return -1 end
end
local count = 0
for at = 5, #KEYS, 2 do
  local s = load(KEYS[at])
  redis.call('DEL', KEYS[at])
  redis.call('ZREM', KEYS[1], ARGV[at])
  if s and isLive(s, epoch, now) then
    count = count + 1
    revoke(KEYS[3], KEYS[4], KEYS[at + 1], ARGV[at + 1], ARGV[4], math.max(tonumber(ARGV[3]), tokensUntil(s)), now)
  end
end
return count`,
)

/** KEYS revoked, feed, live · ARGV now, fact, expires, reason */
export const REVOKE_ONE = script(
  'free',
  CLOCK,
  REVOKE,
  `
revoke(KEYS[2], KEYS[3], KEYS[1], ARGV[2], ARGV[4], tonumber(ARGV[3]), clamp(ARGV[1]))
return 1`,
)

/** KEYS feed, live · ARGV now, fact, expires */
export const REVOKE_KEY = script(
  'free',
  CLOCK,
  REVOKE,
  `
revoke(KEYS[1], KEYS[2], nil, ARGV[2], nil, tonumber(ARGV[3]), clamp(ARGV[1]))
return 1`,
)

/** KEYS ended, feed, live · ARGV now, first part of the fact, expires */
export const REVOKE_TENANT = script(
  'free',
  CLOCK,
  REVOKE,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[3])
local old = redis.call('GET', KEYS[1])
if old then expires = math.max(expires, tonumber(redis.call('ZSCORE', KEYS[3], old) or 0)) end
if expires < now then return 1 end
local at = old and math.max(now, tonumber(string.match(old, ',(%d+)%]$'))) or now
local fact = ARGV[2] .. ',' .. at .. ']'
if old and old ~= fact then redis.call('ZREM', KEYS[3], old) end
redis.call('SET', KEYS[1], fact, 'EXAT', expires)
publish(KEYS[2], KEYS[3], fact, expires, now)
return 1`,
)
