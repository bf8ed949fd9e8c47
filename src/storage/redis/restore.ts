import type { Revocation, RevocationLog } from '../../revocation/revocation.ts'
import type { Argument, Connection } from './connection.ts'
import { factBegin, factOf } from './facts.ts'
import type { Layout } from './layout.ts'
import { list } from './replies.ts'
import { CLOCK, REVOKE, script } from './script.ts'

/** Facts of one script: a millisecond or so for which Redis serves nobody else. */
const BATCH = 100

/**
 * Puts facts back that a gateway knows. Where the store has some of it, the higher epoch and the later times stay. A session
 * whose end was lost is over again.
 *
 * KEYS feed, live, then for each fact three: (revoked, live, live) of a token, (revoked, session, live) of a session,
 * (ended, epoch, index) of a user, (ended, epoch, live) of a tenant, (live, live, live) of a key
 * ARGV now, then for each fact: kind, fact or its first part, expires, epoch, at → numbers of those that were lacking, from 1
 */
const RESTORE = script(
  'free',
  CLOCK,
  REVOKE,
  `
local now, lacking = clamp(ARGV[1]), {}
local feed, live = KEYS[1], KEYS[2]
local function known(fact) return tonumber(redis.call('ZSCORE', live, fact) or -1) end
local function putOne(n, own, session)
  local kind, fact, expires = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2])
  if known(fact) >= expires then return false end
  if kind == 's' then redis.call('DEL', session) end
  revoke(feed, live, kind ~= 'k' and own or nil, fact, 'restored', expires, now)
  return true
end
local function putAll(n, own, epochKey, index)
  local kind, begin, expires = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2])
  local epoch, at = tonumber(ARGV[n + 3]), tonumber(ARGV[n + 4])
  local old = redis.call('GET', own)
  local oldExpires = old and known(old) or -1
  local oldAt = old and tonumber(string.match(old, ',(%d+)%]$')) or -1
  local oldEpoch = kind == 'u' and tonumber(redis.call('GET', epochKey) or -1) or epoch
  if old and oldExpires >= expires and oldAt >= at and oldEpoch >= epoch then return false end
  expires, at, epoch = math.max(expires, oldExpires), math.max(at, oldAt), math.max(epoch, oldEpoch)
  local fact = begin .. ',' .. at .. ']'
  if kind == 'u' then
    fact = begin .. ',' .. epoch .. ',' .. at .. ']'
    local last = math.max(redis.call('EXPIRETIME', epochKey), redis.call('EXPIRETIME', index), expires)
    redis.call('SET', epochKey, epoch, 'EXAT', last)
  elseif tonumber(redis.call('GET', epochKey) or 0) < at then
    redis.call('SET', epochKey, at)
  end
  if old and old ~= fact then redis.call('ZREM', live, old) end
  redis.call('SET', own, fact, 'EXAT', math.max(redis.call('EXPIRETIME', own), expires))
  publish(feed, live, fact, expires, now)
  return true
end
for n = 1, (#KEYS - 2) / 3 do
  local own, second, third = KEYS[3 * n], KEYS[3 * n + 1], KEYS[3 * n + 2]
  local at = 5 * n - 3
  if tonumber(ARGV[at + 2]) >= now then
    local put = (ARGV[at] == 'u' or ARGV[at] == 'n') and putAll or putOne
    if put(at, own, second, third) then lacking[#lacking + 1] = n end
  end
end
return lacking`,
)

export interface RestoreNeeds {
  readonly connection: Connection
  readonly layout: Layout
  nowSeconds(): number
}

/**
 * A fact of a user goes to the user's bucket, one of a tenant or a key to all. That of a token or a session does not say
 * whose it is: where no bucket has it, it goes to all of them too, which costs space after a disaster and nothing before.
 */
export function createRestore(needs: RestoreNeeds): RevocationLog['restore'] {
  const { connection, layout } = needs
  const buckets = Array.from({ length: layout.buckets }, (_, bucket) => bucket)
  return restore

  async function restore(revocations: readonly Revocation[]): Promise<number> {
    let count = 0
    for (let from = 0; from < revocations.length; from += BATCH) {
      count += await restoreSome(await unknownOf(revocations.slice(from, from + BATCH)))
    }
    return count
  }

  async function restoreSome(revocations: readonly Revocation[]): Promise<number> {
    const lacking = new Set<Revocation>()
    await Promise.all(
      buckets.map(async (bucket) => {
        const own = revocations.filter((one) => one.kind !== 'user' || bucketOf(one) === bucket)
        if (own.length === 0) return
        const keys = [layout.feed(bucket), layout.live(bucket), ...own.flatMap((one) => keysOf(one, bucket))]
        const numbers = list(await connection.run(RESTORE, keys, [needs.nowSeconds(), ...own.flatMap(valuesOf)]))
        for (const number of numbers) {
          const one = own[Number(number) - 1]
          if (one !== undefined) lacking.add(one)
        }
      }),
    )
    return lacking.size
  }

  /** Without those of a token or a session that one of several buckets has for as long already. */
  async function unknownOf(revocations: readonly Revocation[]): Promise<readonly Revocation[]> {
    if (buckets.length === 1) return revocations
    const some = revocations.filter((one) => one.kind === 'token' || one.kind === 'session')
    if (some.length === 0) return revocations
    const facts = some.map(({ kind, tenant, id }) => factOf(kind, tenant, id))
    const known = new Set<Revocation>()
    await Promise.all(
      buckets.map(async (bucket) => {
        const scores = list(await connection.send('ZMSCORE', layout.live(bucket), ...facts))
        for (const [index, one] of some.entries()) {
          if (scores[index] !== null && Number(scores[index]) >= one.expiresAt) known.add(one)
        }
      }),
    )
    return revocations.filter((one) => !known.has(one))
  }

  function bucketOf({ tenant, id }: Revocation & { readonly kind: 'user' }): number {
    return layout.bucketOf({ tenant, user: id })
  }

  /** Three keys for each kind; the set of live facts, which is declared anyway, stands for those that it has not. */
  function keysOf(one: Revocation, bucket: number): readonly string[] {
    const { tenant } = one
    const none = layout.live(bucket)
    if (one.kind === 'token') return [layout.revoked(tenant, bucket, one.id), none, none]
    if (one.kind === 'session') return [layout.revoked(tenant, bucket, one.id), layout.session(tenant, bucket, one.id), none]
    if (one.kind === 'tenant') return [layout.ended(tenant, bucket), layout.epoch(tenant, bucket), none]
    if (one.kind === 'key') return [none, none, none]
    return [layout.ended(tenant, bucket, one.id), layout.epoch(tenant, bucket, one.id), layout.index(tenant, bucket, one.id)]
  }
}

function valuesOf(one: Revocation): readonly Argument[] {
  if (one.kind === 'user') return ['u', factBegin(one.tenant, one.id), one.expiresAt, one.epoch, one.at]
  if (one.kind === 'tenant') return ['n', factBegin(one.tenant), one.expiresAt, 0, one.at]
  return [MARKS[one.kind], factOf(one.kind, one.tenant, one.id), one.expiresAt, 0, 0]
}

const MARKS = { token: 't', session: 's', key: 'k' } as const
