import { CLOCK, inBytes, REVOKE, script, SESSION } from './script.ts'

/**
 * Where a user has as many sessions as allowed, it first asks for their ids, because a script touches declared keys only.
 *
 * KEYS session, index, epoch, the tenant's epoch, feed, live, then (session, revoked) of each candidate for eviction
 * ARGV now, limit, id, created, life, idle, tokens live for, number of fields, fields…, then (id, fact) of each candidate
 * → ['created', epoch, evicted…] or ['again', id…]
 */
export const CREATE = inBytes(
  script(
    'write',
    CLOCK,
    REVOKE,
    SESSION,
    `
local now = clamp(ARGV[1])
local fields = tonumber(ARGV[8])
local s = { l = 0, g = 0, r = 0 }
s.c, s.x, s.i, s.k = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
s.e, s.n = epochs(KEYS[3], KEYS[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local surplus = redis.call('ZCARD', KEYS[2]) + 1 - tonumber(ARGV[2])
local evicted = {}
if surplus > 0 then
  local candidates = {}
  for at = 7, #KEYS, 2 do
    local n = 8 + fields + at - 6
    local id, fact = ARGV[n], ARGV[n + 1]
    if redis.call('ZSCORE', KEYS[2], id) then
      local one = load(KEYS[at])
      if one and one.n >= s.n then
        candidates[#candidates + 1] = { key = KEYS[at], revoked = KEYS[at + 1], id = id, fact = fact, s = one, used = usedAt(one) }
      else
        redis.call('DEL', KEYS[at])
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
    if a.s.c ~= b.s.c then return a.s.c < b.s.c end
    return a.fact > b.fact
  end)
  for n = 1, surplus do
    local one = candidates[n]
    redis.call('DEL', one.key)
    redis.call('ZREM', KEYS[2], one.id)
    revoke(KEYS[5], KEYS[6], one.revoked, one.fact, 'evicted', math.max(tokensUntil(s), tokensUntil(one.s)), now)
    evicted[n] = one.id
  end
end
redis.call('HSET', KEYS[1], 't', packed(s), unpack(ARGV, 9, 8 + fields))
if s.e > 0 then
  local last = s.c + s.x + tokensUntil(s) - now
  if redis.call('EXPIRETIME', KEYS[3]) < last then redis.call('EXPIREAT', KEYS[3], last) end
end
redis.call('EXPIREAT', KEYS[1], endsAt(s))
redis.call('ZADD', KEYS[2], endsAt(s), ARGV[3])
if redis.call('EXPIRETIME', KEYS[2]) < s.c + s.x then redis.call('EXPIREAT', KEYS[2], s.c + s.x) end
return { 'created', s.e, unpack(evicted) }`,
  ),
)

/**
 * KEYS session, index, epoch, the tenant's epoch, revoked, feed, live
 * ARGV now, owner, id, fact, generation, grace, rotation, idle, tokens until, reason
 * → ['rotated' | 'retried' | 'healed', fields] or [outcome]
 */
export const ROTATE = inBytes(
  script(
    'write',
    CLOCK,
    REVOKE,
    SESSION,
    `
local now = clamp(ARGV[1])
local s, flat, fields = read(KEYS[1])
if not s or not isOf(fields, ARGV[2]) or now >= endsAt(s) then return { 'unknown' } end
if isEnded(s, epochs(KEYS[3], KEYS[4])) then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[3])
  return { 'epoch' }
end
local presented, stored = tonumber(ARGV[5]), s.g
local grace, rotates = tonumber(ARGV[6]), ARGV[7] == 'on'
local rotatedAt = s.c + (s.r > 0 and s.r - 1 or s.l)
if presented == stored - 1 and grace > 0 and now - rotatedAt <= grace then return { 'retried', flat } end
if presented < stored or presented > stored + 2 then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[3])
  revoke(KEYS[6], KEYS[7], KEYS[5], ARGV[4], ARGV[10], math.max(tonumber(ARGV[9]), tokensUntil(s)), now)
  return { 'reused' }
end
local tokens = math.max(tonumber(ARGV[9]), tokensUntil(s))
if rotates then s.r = 0 elseif s.r == 0 and stored > 0 then s.r = s.l + 1 end
s.g, s.l, s.i = presented + (rotates and 1 or 0), math.max(now - s.c, 0), tonumber(ARGV[8])
s.k = tokens - usedAt(s)
local t = packed(s)
redis.call('HSET', KEYS[1], 't', t)
for at = 1, #flat, 2 do
  if flat[at] == 't' then flat[at + 1] = t end
end
if s.e > 0 and redis.call('EXPIRETIME', KEYS[3]) < tonumber(ARGV[9]) then redis.call('EXPIREAT', KEYS[3], ARGV[9]) end
redis.call('EXPIREAT', KEYS[1], endsAt(s))
redis.call('ZADD', KEYS[2], endsAt(s), ARGV[3])
return { presented == stored and 'rotated' or 'healed', flat }`,
  ),
)

/** KEYS session → fields, whether it is over or not */
export const PEEK = inBytes(script('read', "return redis.call('HGETALL', KEYS[1])"))

/** KEYS index → ids */
export const IDS = inBytes(script('read', "return redis.call('ZRANGE', KEYS[1], 0, -1)"))

/** KEYS session, epoch, the tenant's epoch · ARGV now, owner → fields, or nil when it is over or another user's */
export const FIND = inBytes(
  script(
    'read',
    CLOCK,
    SESSION,
    `
local s, flat, fields = read(KEYS[1])
if not s or not isOf(fields, ARGV[2]) then return false end
local user, tenant = epochs(KEYS[2], KEYS[3])
return isLive(s, user, tenant, clamp(ARGV[1])) and flat`,
  ),
)

/** KEYS epoch, the tenant's epoch, sessions… · ARGV now → fields of each, empty when it is over */
export const LIST = inBytes(
  script(
    'read',
    CLOCK,
    SESSION,
    `
local now, found = clamp(ARGV[1]), {}
local user, tenant = epochs(KEYS[1], KEYS[2])
for at = 3, #KEYS do
  local s, flat = read(KEYS[at])
  found[at - 2] = s and isLive(s, user, tenant, now) and flat or {}
end
return found`,
  ),
)

/**
 * KEYS session, index, epoch, the tenant's epoch, revoked, feed, live
 * ARGV now, owner, id, fact, tokens until, reason → 1 when it was live
 */
export const END = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[5])
local s, _, fields = read(KEYS[1])
if s and not isOf(fields, ARGV[2]) then return 0 end
local user, tenant = epochs(KEYS[3], KEYS[4])
local wasLive = s and isLive(s, user, tenant, now)
if s then expires = math.max(expires, tokensUntil(s)) end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[3])
revoke(KEYS[6], KEYS[7], KEYS[5], ARGV[4], ARGV[6], expires, now)
return wasLive and 1 or 0`,
)

/**
 * The new epoch is the time when that is more: it stays above every earlier one even where the counter was lost.
 *
 * The records stay until the last token is over, so that a refresh learns why it is refused. One that began since the ids
 * were read is ended by its epoch like the others; its tokens are no longer than the caller's bound. Those that ended with
 * their tenant are in the index until somebody looks, and do not count.
 *
 * KEYS index, epoch, the tenant's epoch, ended, feed, live, sessions…
 * ARGV now, first part of the fact, tokens until → number of live ones
 */
export const END_ALL = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[3])
local count = redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
local old = redis.call('GET', KEYS[4])
if old then expires = math.max(expires, tonumber(redis.call('ZSCORE', KEYS[6], old) or 0)) end
local user, tenant = epochs(KEYS[2], KEYS[3])
for at = 7, #KEYS do
  local s = load(KEYS[at])
  if s then expires = math.max(expires, tokensUntil(s)) end
  if s and s.n < tenant and s.e >= user and now < endsAt(s) then count = count - 1 end
end
for at = 7, #KEYS do redis.call('EXPIREAT', KEYS[at], expires, 'LT') end
local epoch = math.max(user + 1, now)
local last = math.max(redis.call('EXPIRETIME', KEYS[2]), redis.call('EXPIRETIME', KEYS[1]), expires)
redis.call('SET', KEYS[2], epoch, 'EXAT', last)
redis.call('DEL', KEYS[1])
if expires < now then return count end
local at = old and math.max(now, tonumber(string.match(old, ',(%d+)%]$'))) or now
local fact = ARGV[2] .. ',' .. epoch .. ',' .. at .. ']'
if old then redis.call('ZREM', KEYS[6], old) end
redis.call('SET', KEYS[4], fact, 'EXAT', expires)
publish(KEYS[5], KEYS[6], fact, expires, now)
return count`,
)

/**
 * KEYS index, epoch, the tenant's epoch, feed, live, then (session, revoked) of each other session
 * ARGV now, id that stays, tokens until, reason, then (id, fact) of each other session
 * → number of those that were live, or −1 when another one began since the ids were read
 */
export const END_OTHERS = script(
  'free',
  CLOCK,
  REVOKE,
  SESSION,
  `
local now = clamp(ARGV[1])
local user, tenant = epochs(KEYS[2], KEYS[3])
local declared = { [ARGV[2]] = true }
for n = 5, #ARGV, 2 do declared[ARGV[n]] = true end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE')) do
  if not declared[id] then return -1 end
end
local count = 0
for at = 6, #KEYS, 2 do
  local s, id, fact = load(KEYS[at]), ARGV[at - 1], ARGV[at]
  redis.call('DEL', KEYS[at])
  redis.call('ZREM', KEYS[1], id)
  if s and isLive(s, user, tenant, now) then
    count = count + 1
    revoke(KEYS[4], KEYS[5], KEYS[at + 1], fact, ARGV[4], math.max(tonumber(ARGV[3]), tokensUntil(s)), now)
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

/**
 * The tenant's epoch ends its sessions and has no end of its own: whatever their lives were configured to be, none of them
 * comes back. Its tokens are told from those of later logins by their `iat` alone, which a gateway may have stamped whose clock
 * is as far ahead as is let pass; so for two seconds new ones are refused too. KEYS ended, the tenant's epoch, feed, live · ARGV now, first part of the fact, expires
 */
export const REVOKE_TENANT = script(
  'free',
  CLOCK,
  REVOKE,
  `
local now, expires = clamp(ARGV[1]), tonumber(ARGV[3])
redis.call('SET', KEYS[2], math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now))
local old = redis.call('GET', KEYS[1])
if old then expires = math.max(expires, tonumber(redis.call('ZSCORE', KEYS[4], old) or 0)) end
if expires < now then return 1 end
local at = now + 2
if old then at = math.max(at, tonumber(string.match(old, ',(%d+)%]$'))) end
local fact = ARGV[2] .. ',' .. at .. ']'
if old and old ~= fact then redis.call('ZREM', KEYS[4], old) end
redis.call('SET', KEYS[1], fact, 'EXAT', expires)
publish(KEYS[3], KEYS[4], fact, expires, now)
return 1`,
)
