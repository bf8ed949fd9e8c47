import { isNotAfter, isOlder } from './coverage.ts'
import { createPackedIds } from './packed-ids.ts'
import type { Revocation, TokenFacts } from './log.ts'

/** The live revocations in memory. Facts only grow until they expire, so it may be told the same twice, in any order. */
export interface Replica {
  /** Adds one, or extends what is known of it; false when it said nothing new. `source` tells who said so. */
  add(revocation: Revocation, source: 'log' | 'copy'): boolean
  lists(token: TokenFacts): boolean
  entries(): number
  /** Looks at the next slice for what expired before `nowSeconds`; true when it reached the end of the set. */
  sweep(nowSeconds: number): boolean
  /** The log begins anew: from now on it lacks what it has not told again. */
  forgetLog(): void
  /** What is alive at `nowSeconds`, all or what the log lacks, page by page; others may have their turn in between. */
  pages(nowSeconds: number, which: 'all' | 'lacking'): Generator<readonly Revocation[], void>
}

/** How many entries of the maps one slice of a sweep looks at: a millisecond or two. */
const SLICE = 2000
/** Facts of one page, about. */
const PAGE = 2000
/** Tenants whose ids are packed; those of further ones go to the maps. */
const MOST_TENANTS = 2 ** 28

/** Negative: the log lacks it. Times are positive, and small integers take no memory of their own. */
type Expiries = Map<string, number>

interface EndFact {
  epoch: number
  at: number
  expiresAt: number
  inLog: boolean
}

/**
 * Ids of tokens and sessions are packed where they can be: those that the gateway makes always can. Here is the rest, nested
 * by tenant: no id of one tenant can be spelt so that it meets one of another. A tenant's row stays when it is empty.
 */
interface TenantFacts {
  readonly number: number
  readonly tokens: Expiries
  readonly sessions: Expiries
  readonly keys: Expiries
  readonly users: Map<string, EndFact>
  /** Tokens of the whole tenant, under the name ''. */
  readonly whole: Map<string, EndFact>
}

/** @param random - from 0, below 1 */
export function createReplica(random: () => number): Replica {
  const tenants = new Map<string, TenantFacts>()
  const names: string[] = []
  const packed = createPackedIds(Math.floor(random() * 2 ** 32))
  let walking: Iterator<void> | undefined
  let sweepSeconds = 0
  return { add, lists, entries, sweep, forgetLog, pages }

  function add(revocation: Revocation, source: 'log' | 'copy'): boolean {
    const facts = factsOf(revocation.tenant)
    const inLog = source === 'log'
    if (revocation.kind === 'user') return addEnd(facts.users, revocation.id, { ...revocation, inLog })
    if (revocation.kind === 'tenant') return addEnd(facts.whole, '', { ...revocation, epoch: 0, inLog })
    const { kind, id, expiresAt } = revocation
    if (kind === 'key') return addExpiry(facts.keys, id, expiresAt, inLog)
    const isNew = facts.number < MOST_TENANTS ? packed.put(ownerOf(facts, kind), id, expiresAt, inLog) : undefined
    return isNew ?? addExpiry(kind === 'token' ? facts.tokens : facts.sessions, id, expiresAt, inLog)
  }

  function factsOf(tenant: string): TenantFacts {
    const known = tenants.get(tenant)
    if (known !== undefined) return known
    const maps = { tokens: new Map(), sessions: new Map(), keys: new Map(), users: new Map(), whole: new Map() }
    const facts = { number: names.push(tenant) - 1, ...maps }
    tenants.set(tenant, facts)
    return facts
  }

  function lists(token: TokenFacts): boolean {
    const facts = tenants.get(token.tenant)
    if (facts === undefined) return false
    if (token.tokenId !== undefined && isListed(facts, 'token', token.tokenId)) return true
    if (token.session !== undefined && isListed(facts, 'session', token.session)) return true
    if (token.keyId !== undefined && facts.keys.has(token.keyId)) return true
    const whole = facts.whole.get('')
    if (whole !== undefined && isNotAfter(token, whole.at)) return true
    const user = facts.users.get(token.user)
    return user !== undefined && isOlder(token, user)
  }

  function isListed(facts: TenantFacts, kind: 'token' | 'session', id: string): boolean {
    const isPacked = facts.number < MOST_TENANTS ? packed.has(ownerOf(facts, kind), id) : undefined
    return isPacked ?? (kind === 'token' ? facts.tokens : facts.sessions).has(id)
  }

  function entries(): number {
    let sum = packed.size()
    for (const { tokens, sessions, keys, users, whole } of tenants.values())
      sum += tokens.size + sessions.size + keys.size + users.size + whole.size
    return sum
  }

  function sweep(nowSeconds: number): boolean {
    sweepSeconds = nowSeconds
    if (walking === undefined && !packed.sweep(nowSeconds)) return false
    walking ??= walk()
    for (let looked = 0; looked < SLICE; looked += 1) {
      if (walking.next().done !== true) continue
      walking = undefined
      return true
    }
    return false
  }

  /** Goes over the maps as they change: what is added behind it is met the next time. */
  function* walk(): Generator<void, void> {
    for (const { tokens, sessions, keys, users, whole } of tenants.values()) {
      for (const expiries of [tokens, sessions, keys]) {
        for (const [id, expiresAt] of expiries) {
          if (Math.abs(expiresAt) < sweepSeconds) expiries.delete(id)
          yield
        }
      }
      for (const ends of [users, whole]) {
        for (const [id, end] of ends) {
          if (end.expiresAt < sweepSeconds) ends.delete(id)
          yield
        }
      }
    }
  }

  function forgetLog(): void {
    packed.forgetLog()
    for (const { tokens, sessions, keys, users, whole } of tenants.values()) {
      for (const expiries of [tokens, sessions, keys])
        for (const [id, expiresAt] of expiries) expiries.set(id, -Math.abs(expiresAt))
      for (const ends of [users, whole]) for (const end of ends.values()) end.inLog = false
    }
  }

  function* pages(nowSeconds: number, which: 'all' | 'lacking'): Generator<readonly Revocation[], void> {
    let page: Revocation[] = []
    for (const revocation of every(nowSeconds, which)) {
      page.push(revocation)
      if (page.length < PAGE) continue
      yield page
      page = []
    }
    if (page.length > 0) yield page
  }

  function* every(nowSeconds: number, which: 'all' | 'lacking'): Generator<Revocation, void> {
    for (const part of packed.parts(nowSeconds, which)) {
      for (const { owner, id, expiresAt } of part) {
        const tenant = names[owner >>> 1]
        if (tenant !== undefined) yield { kind: owner % 2 === 0 ? 'token' : 'session', tenant, id, expiresAt }
      }
    }
    for (const [tenant, facts] of tenants) {
      const of = { token: facts.tokens, session: facts.sessions, key: facts.keys }
      for (const kind of ['token', 'session', 'key'] as const) {
        for (const [id, signed] of of[kind]) {
          const expiresAt = Math.abs(signed)
          if (expiresAt >= nowSeconds && (which === 'all' || signed < 0)) yield { kind, tenant, id, expiresAt }
        }
      }
      for (const [id, { epoch, at, expiresAt, inLog }] of facts.users) {
        if (expiresAt >= nowSeconds && (which === 'all' || !inLog)) yield { kind: 'user', tenant, id, epoch, at, expiresAt }
      }
      for (const { at, expiresAt, inLog } of facts.whole.values()) {
        if (expiresAt >= nowSeconds && (which === 'all' || !inLog)) yield { kind: 'tenant', tenant, at, expiresAt }
      }
    }
  }
}

function ownerOf(facts: TenantFacts, kind: 'token' | 'session'): number {
  return facts.number * 2 + (kind === 'token' ? 0 : 1)
}

function addExpiry(expiries: Expiries, id: string, expiresAt: number, inLog: boolean): boolean {
  const known = Math.abs(expiries.get(id) ?? 0)
  if (known > expiresAt || (known === expiresAt && !inLog)) return false
  expiries.set(id, inLog ? expiresAt : -expiresAt)
  return expiresAt > known
}

/** The log has what is known here only when it tells all of it. */
function addEnd(ends: Map<string, EndFact>, id: string, { epoch, at, expiresAt, inLog }: EndFact): boolean {
  const known = ends.get(id)
  if (known === undefined) {
    ends.set(id, { epoch, at, expiresAt, inLog })
    return true
  }
  const isNew = epoch > known.epoch || at > known.at || expiresAt > known.expiresAt
  const isWhole = epoch >= known.epoch && at >= known.at && expiresAt >= known.expiresAt
  known.epoch = Math.max(epoch, known.epoch)
  known.at = Math.max(at, known.at)
  known.expiresAt = Math.max(expiresAt, known.expiresAt)
  if (isWhole && inLog) known.inLog = true
  else if (isNew) known.inLog = false
  return isNew
}
