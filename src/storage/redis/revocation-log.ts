import type { LogSlice, Revocation, RevocationLog } from '../../revocation/revocation.ts'
import { Problem } from '../../problem/problem.ts'
import type { Connection } from './connection.ts'
import { revocationOf } from './facts.ts'
import type { Layout } from './layout.ts'
import type { Near } from './near.ts'
import { idsOf, isBefore, START } from './position.ts'
import { integer, list, text } from './replies.ts'
import { createRestore } from './restore.ts'
import { script } from './script.ts'

/** Revocations of one slice at most, all buckets together. */
const BATCH = 1_000
/** Facts of one answer while the whole is loaded: Redis serves others in between. */
const PAGE = 2_000
/** A replica that is further behind is read only where the master cannot be. */
const LAG_MS = 3_000

/**
 * What comes after an id of the feed, beginning with that id itself: if it is not there any more, what came after it may
 * not be either (cut by age, lost in a failover, put back from a copy), unless nothing came after it.
 *
 * KEYS feed · ARGV after, count → [1, entries] or [0, id of the last entry that there ever was] for a gap
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
  if facts.length and facts['entries-added'] ~= facts.length then return { 0, facts['last-generated-id'] } end
  return { 1, redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', count) }
end
local entries = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', count + 1)
if entries[1] and entries[1][1] == after then
  table.remove(entries, 1)
  return { 1, entries }
end
if facts['last-generated-id'] == after then return { 1, {} } end
return { 0, facts['last-generated-id'] or '0-0' }`,
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
  /** The replica that the feed is read from; absent: the master. */
  readonly near: Near | undefined
  readonly layout: Layout
  nowSeconds(): number
  readonly onAppend: RevocationLog['onAppend']
}

/**
 * The ordered feed: one stream a bucket, and for starting up the set of live facts beside it. A position is the list of the
 * last ids as JSON. Order holds within a bucket, that is for each user; facts only grow, so no reader needs more.
 */
export function createRevocationLog(needs: LogNeeds): RevocationLog {
  const { connection, layout, near } = needs
  const buckets = Array.from({ length: layout.buckets }, (_, bucket) => bucket)
  const share = Math.floor(BATCH / layout.buckets)
  return { snapshot, readAfter, restore: createRestore(needs), onAppend: needs.onAppend }

  async function* snapshot(): AsyncGenerator<LogSlice> {
    const view = await near?.first()
    const isNear = near !== undefined && view?.source === 'replica'
    const source = isNear ? near.connection : connection
    const lag = isNear ? { lagMs: view.lagMs } : undefined
    // The ends first: what is appended while the facts are read is read again from there.
    const ids = await Promise.all(buckets.map(async (bucket) => text(await source.run(TAIL, [layout.feed(bucket)], []))))
    const position = JSON.stringify(ids)
    if (!isNear) near?.masterRead()
    for (const bucket of buckets) {
      for await (const revocations of livePages(source, bucket)) yield { position, revocations, complete: false, ...lag }
    }
    yield { position, revocations: [], complete: true, ...lag }
  }

  async function* livePages(source: Connection, bucket: number): AsyncGenerator<readonly Revocation[]> {
    const now = needs.nowSeconds()
    // No script, in which a page would be copied once more; so an echo behind it tells whether the answers are those to it.
    const scan = (from: string): Promise<readonly unknown[]> => {
      const [key, tag] = [layout.live(bucket), `${bucket} ${from}`]
      const scanning = source
        .sendTogether([
          ['ZSCAN', key, from, 'COUNT', PAGE],
          ['ECHO', tag],
        ])
        .then(([page, echo]) => list(echo === tag ? page : undefined))
      // A reader that stops early leaves the page ahead of it to nobody.
      scanning.catch(() => undefined)
      return scanning
    }
    let cursor = '0'
    let coming = scan(cursor)
    do {
      const [next, flat] = await coming
      cursor = text(next)
      // Redis looks for the next page while this one is taken apart.
      if (cursor !== '0') coming = scan(cursor)
      const page = list(flat)
      const revocations: Revocation[] = []
      for (let index = 0; index + 1 < page.length; index += 2) {
        // Nothing is made of what has expired.
        if (integer(page[index + 1]) >= now) revocations.push(revocationOf(page[index], page[index + 1]))
      }
      if (revocations.length > 0) yield revocations
    } while (cursor !== '0')
  }

  async function readAfter(position: string): Promise<LogSlice> {
    const ids = idsOf(position, layout.buckets)
    if (ids === undefined) return restart(position)
    if (near === undefined) return readFrom(connection, ids)
    const view = await near.view()
    if (view.source === 'master') return readFrom(connection, ids).finally(near.masterRead)
    if (view.lagMs > LAG_MS) {
      const slice = await readFrom(connection, [...ids])
        .finally(near.masterRead)
        .catch(away)
      if (slice !== undefined) return slice
    }
    const slice = await readFrom(near.connection, ids, view.mayBeBehind)
    return { ...slice, lagMs: view.lagMs }
  }

  /** @param mayBeBehind - whether a position past the end is one that a replica has not reached yet, and no loss */
  async function readFrom(source: Connection, ids: string[], mayBeBehind = false): Promise<LogSlice> {
    const reads = await Promise.all(
      buckets.map((bucket) => source.run(READ, [layout.feed(bucket)], [ids[bucket] ?? START, share])),
    )
    const revocations: Revocation[] = []
    let complete = true
    for (const [bucket, reply] of reads.entries()) {
      const [isWhole, found] = list(reply)
      if (isWhole !== 1) {
        if (mayBeBehind && isBefore(text(found), ids[bucket] ?? START)) continue
        return restart(JSON.stringify(ids))
      }
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
}

/** Only what says that the store is away leaves another place to ask. */
function away(error: unknown): undefined {
  if (error instanceof Problem) return undefined
  throw error
}

function restart(position: string): LogSlice {
  return { position, revocations: [], complete: false, isRestart: true }
}
