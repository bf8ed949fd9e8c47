import type { LogSlice, Revocation, RevocationLog, RevocationLookup, TokenFacts } from '../../revocation/revocation.ts'
import type { Connection } from './connection.ts'
import { factOf, revocationOf } from './facts.ts'
import type { Layout } from './layout.ts'
import { list, text } from './replies.ts'
import { script } from './script.ts'

/** Revocations of one slice at most, all buckets together. */
const BATCH = 1_000
/** Facts of one answer while the whole is loaded: Redis serves others in between. */
const PAGE = 1_000
/** Before the first entry of a stream. */
const START = '0-0'

/**
 * What comes after an id of the feed, beginning with that id itself: if it is not there any more, what came after it may
 * not be either (cut by age, lost in a failover, put back from a copy), unless nothing came after it.
 *
 * KEYS feed · ARGV after, count → [1, entries] or [0] for a gap
 */
const READ = script(
  'read',
  `
local after, count = ARGV[1], tonumber(ARGV[2])
local facts = {}
if redis.call('EXISTS', KEYS[1]) == 1 then
  local flat = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
end
if after == '0-0' then
  if facts.length and facts['entries-added'] ~= facts.length then return { 0 } end
  return { 1, redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', count) }
end
local entries = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', count + 1)
if entries[1] and entries[1][1] == after then
  table.remove(entries, 1)
  return { 1, entries }
end
if facts['last-generated-id'] == after then return { 1, {} } end
return { 0 }`,
)

/** KEYS feed → id of the last entry that there ever was */
const TAIL = script(
  'read',
  `
if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
local flat = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] == 'last-generated-id' then return flat[i + 1] end
end`,
)

export interface LogNeeds {
  readonly connection: Connection
  readonly layout: Layout
  nowSeconds(): number
  readonly onAppend: RevocationLog['onAppend']
}

/**
 * The ordered feed: one stream a bucket, and for starting up the set of live facts beside it. A position is the list of the
 * last ids as JSON. Order holds within a bucket, that is for each user; facts only grow, so no reader needs more.
 */
export function createRevocationLog(needs: LogNeeds): RevocationLog & RevocationLookup {
  const { connection, layout } = needs
  const buckets = Array.from({ length: layout.buckets }, (_, bucket) => bucket)
  const share = Math.floor(BATCH / layout.buckets)
  return { snapshot, readAfter, onAppend: needs.onAppend, isRevoked }

  async function snapshot(): Promise<LogSlice> {
    // The ends first: what is appended while the facts are read is read again from there.
    const ids = await Promise.all(buckets.map(async (bucket) => text(await connection.run(TAIL, [layout.feed(bucket)], []))))
    const facts = await Promise.all(buckets.map(liveOf))
    return { position: JSON.stringify(ids), revocations: facts.flat(), complete: true }
  }

  async function liveOf(bucket: number): Promise<readonly Revocation[]> {
    const now = needs.nowSeconds()
    const revocations: Revocation[] = []
    let cursor = '0'
    do {
      const [next, flat] = list(await connection.send('ZSCAN', layout.live(bucket), cursor, 'COUNT', PAGE))
      const page = list(flat)
      for (let index = 0; index + 1 < page.length; index += 2) {
        const revocation = revocationOf(page[index], page[index + 1])
        if (revocation.expiresAt >= now) revocations.push(revocation)
      }
      cursor = text(next)
    } while (cursor !== '0')
    return revocations
  }

  async function readAfter(position: string): Promise<LogSlice> {
    const ids = idsOf(position, layout.buckets)
    if (ids === undefined) return snapshot()
    const reads = await Promise.all(
      buckets.map((bucket) => connection.run(READ, [layout.feed(bucket)], [ids[bucket] ?? START, share])),
    )
    const revocations: Revocation[] = []
    let complete = true
    for (const [bucket, reply] of reads.entries()) {
      const [isWhole, found] = list(reply)
      if (isWhole !== 1) return snapshot()
      const entries = list(found).map(list)
      for (const [id, flat] of entries) {
        const [, fact, , expiry] = list(flat)
        revocations.push(revocationOf(fact, expiry))
        ids[bucket] = text(id)
      }
      if (entries.length === share) complete = false
    }
    return { position: JSON.stringify(ids), revocations, complete }
  }

  async function isRevoked(token: TokenFacts): Promise<boolean> {
    const { tenant, user } = token
    const bucket = layout.bucketOf(token)
    const facts: string[] = []
    if (token.tokenId !== undefined) facts.push(factOf('token', tenant, token.tokenId))
    if (token.session !== undefined) facts.push(factOf('session', tenant, token.session))
    if (token.keyId !== undefined) facts.push(factOf('key', tenant, token.keyId))
    const now = needs.nowSeconds()
    const ended = connection.send('MGET', layout.ended(tenant, bucket), layout.ended(tenant, bucket, user))
    const expiries = facts.length === 0 ? [] : connection.send('ZMSCORE', layout.live(bucket), ...facts)
    const [ends, scores] = await Promise.all([ended, expiries])
    if (list(scores).some((score) => score !== null && Number(score) >= now)) return true
    return list(ends).some((fact) => fact !== null && concerns(revocationOf(fact, now), token))
  }
}

/** A token without epoch goes by its time; one without either is taken for old. */
function concerns(revocation: Revocation, token: TokenFacts): boolean {
  if (revocation.kind === 'user' && token.epoch !== undefined) return token.epoch < revocation.epoch
  if (revocation.kind !== 'user' && revocation.kind !== 'tenant') return false
  return token.issuedAt === undefined || token.issuedAt <= revocation.at
}

const ID = /^\d{1,20}-\d{1,20}$/

/** Undefined for what this store did not give, or gave when it had another number of buckets. */
function idsOf(position: string, buckets: number): string[] | undefined {
  try {
    const value: unknown = JSON.parse(position)
    if (!Array.isArray(value) || value.length !== buckets) return undefined
    const ids: string[] = []
    for (const id of value) {
      if (typeof id !== 'string' || !ID.test(id)) return undefined
      ids.push(id)
    }
    return ids
  } catch {
    // Not JSON is not ours either.
    return undefined
  }
}
