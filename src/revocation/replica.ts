import type { Revocation, TokenFacts } from './revocation.ts'

/** The live revocations in memory. Facts only grow until they expire, so it may be told the same twice, in any order. */
export interface Replica {
  /** Adds one, or extends what is known of it; false when it said nothing new. */
  add(revocation: Revocation): boolean
  lists(token: TokenFacts): boolean
  entries(): number
  /** Looks at the next slice for what expired before `nowSeconds`; true when it reached the end of the set. */
  sweep(nowSeconds: number): boolean
}

/** How many entries one slice of a sweep looks at: a millisecond or two. */
const SLICE = 2000

interface UserFact {
  epoch: number
  at: number
  expiresAt: number
}

/** Nested by tenant: no id of one tenant can be spelt so that it meets one of another. */
interface TenantFacts {
  readonly tokens: Map<string, number>
  readonly sessions: Map<string, number>
  readonly users: Map<string, UserFact>
  readonly keys: Map<string, number>
  /** Tokens issued up to `at` are revoked until `expiresAt`; both 0 when none are. */
  at: number
  expiresAt: number
}

export function createReplica(): Replica {
  const tenants = new Map<string, TenantFacts>()
  let sweeping: Iterator<void> | undefined
  let sweepSeconds = 0
  return { add, lists, entries, sweep }

  function add(revocation: Revocation): boolean {
    let facts = tenants.get(revocation.tenant)
    if (facts === undefined) {
      facts = { tokens: new Map(), sessions: new Map(), users: new Map(), keys: new Map(), at: 0, expiresAt: 0 }
      tenants.set(revocation.tenant, facts)
    }
    if (revocation.kind === 'user') return addUser(facts.users, revocation)
    if (revocation.kind === 'tenant') return addTenant(facts, revocation)
    const expiries = expiriesOf(facts, revocation.kind)
    const known = expiries.get(revocation.id)
    if (known !== undefined && known >= revocation.expiresAt) return false
    expiries.set(revocation.id, revocation.expiresAt)
    return true
  }

  function lists(token: TokenFacts): boolean {
    const facts = tenants.get(token.tenant)
    if (facts === undefined) return false
    if (token.tokenId !== undefined && facts.tokens.has(token.tokenId)) return true
    if (token.session !== undefined && facts.sessions.has(token.session)) return true
    if (token.keyId !== undefined && facts.keys.has(token.keyId)) return true
    if (facts.expiresAt !== 0 && isNotAfter(token, facts.at)) return true
    const user = facts.users.get(token.user)
    return user !== undefined && isOlder(token, user)
  }

  function entries(): number {
    let sum = 0
    for (const facts of tenants.values()) sum += size(facts)
    return sum
  }

  function sweep(nowSeconds: number): boolean {
    sweepSeconds = nowSeconds
    sweeping ??= walk()
    for (let looked = 0; looked < SLICE; looked += 1) {
      if (sweeping.next().done !== true) continue
      sweeping = undefined
      return true
    }
    return false
  }

  /** Goes over the maps as they change: what is added behind it is met the next time. */
  function* walk(): Generator<void, void> {
    for (const [tenant, facts] of tenants) {
      yield* walkExpiries(facts.tokens)
      yield* walkExpiries(facts.sessions)
      for (const [id, user] of facts.users) {
        if (user.expiresAt < sweepSeconds) facts.users.delete(id)
        yield
      }
      yield* walkExpiries(facts.keys)
      if (facts.expiresAt < sweepSeconds) facts.at = facts.expiresAt = 0
      if (size(facts) === 0) tenants.delete(tenant)
    }
  }

  function* walkExpiries(expiries: Map<string, number>): Generator<void, void> {
    for (const [id, expiresAt] of expiries) {
      if (expiresAt < sweepSeconds) expiries.delete(id)
      yield
    }
  }
}

/** Whether the revocation concerns the token. */
export function covers(revocation: Revocation, token: TokenFacts): boolean {
  if (revocation.tenant !== token.tenant) return false
  if (revocation.kind === 'token') return revocation.id === token.tokenId
  if (revocation.kind === 'session') return revocation.id === token.session
  if (revocation.kind === 'key') return revocation.id === token.keyId
  if (revocation.kind === 'tenant') return isNotAfter(token, revocation.at)
  return revocation.id === token.user && isOlder(token, revocation)
}

/** By epoch where the token has one, else by time. */
function isOlder(token: TokenFacts, user: { readonly epoch: number; readonly at: number }): boolean {
  if (token.epoch !== undefined) return token.epoch < user.epoch
  return isNotAfter(token, user.at)
}

/** The grain of `iat` is a second: a token of the same second may be older, and one that does not say when it was issued may be too. */
function isNotAfter(token: TokenFacts, at: number): boolean {
  return token.issuedAt === undefined || token.issuedAt <= at
}

function expiriesOf(facts: TenantFacts, kind: 'token' | 'session' | 'key'): Map<string, number> {
  if (kind === 'token') return facts.tokens
  return kind === 'session' ? facts.sessions : facts.keys
}

function addTenant(facts: TenantFacts, { at, expiresAt }: Revocation & { readonly kind: 'tenant' }): boolean {
  const isNew = at > facts.at || expiresAt > facts.expiresAt
  facts.at = Math.max(at, facts.at)
  facts.expiresAt = Math.max(expiresAt, facts.expiresAt)
  return isNew
}

function addUser(users: Map<string, UserFact>, { id, epoch, at, expiresAt }: Revocation & { readonly kind: 'user' }): boolean {
  const known = users.get(id)
  if (known === undefined) {
    users.set(id, { epoch, at, expiresAt })
    return true
  }
  const isNew = epoch > known.epoch || at > known.at || expiresAt > known.expiresAt
  known.epoch = Math.max(epoch, known.epoch)
  known.at = Math.max(at, known.at)
  known.expiresAt = Math.max(expiresAt, known.expiresAt)
  return isNew
}

function size(facts: TenantFacts): number {
  return facts.tokens.size + facts.sessions.size + facts.users.size + facts.keys.size + (facts.expiresAt === 0 ? 0 : 1)
}
