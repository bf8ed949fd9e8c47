import type { LiveExchange } from '../exchange/exchange.ts'

/** What ended tokens: as far as it finds those that it may concern. */
export type TokenEnd =
  | { readonly kind: 'token' | 'session' | 'user' | 'key'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'tenant'; readonly tenant: string }

export interface Held {
  readonly one: LiveExchange
  /** When it has to end or to be asked about, whole seconds since 1970. */
  dueSecond: number
  /** When it last passed while the copy of the revocations was stale, milliseconds since 1970; 0: it was not judged. */
  passedMs: number
}

/** Finds what is held by what its token says. Nested by tenant: an id of one tenant never meets one of another. */
export interface TokenIndex {
  add(entry: Held): void
  remove(entry: Held): void
  /** Those that it may concern; a tenant's or a key's are all of the tenant. */
  concerned(what: TokenEnd): Iterable<Held>
}

type ById = Map<string, Set<Held>>

interface OfTenant {
  readonly all: Set<Held>
  readonly tokens: ById
  readonly sessions: ById
  readonly users: ById
}

const NOTHING: readonly Held[] = Object.freeze([])

export function createTokenIndex(): TokenIndex {
  const tenants = new Map<string, OfTenant>()
  return { add, remove, concerned }

  function add(entry: Held): void {
    const { tenant, tokenId, session, user } = entry.one.principal
    let of = tenants.get(tenant)
    if (of === undefined) {
      of = { all: new Set(), tokens: new Map(), sessions: new Map(), users: new Map() }
      tenants.set(tenant, of)
    }
    of.all.add(entry)
    put(of.tokens, tokenId, entry)
    put(of.sessions, session, entry)
    put(of.users, user, entry)
  }

  function remove(entry: Held): void {
    const { tenant, tokenId, session, user } = entry.one.principal
    const of = tenants.get(tenant)
    if (of === undefined) return
    of.all.delete(entry)
    drop(of.tokens, tokenId, entry)
    drop(of.sessions, session, entry)
    drop(of.users, user, entry)
    if (of.all.size === 0) tenants.delete(tenant)
  }

  function concerned(what: TokenEnd): Iterable<Held> {
    const of = tenants.get(what.tenant)
    if (of === undefined) return NOTHING
    if (what.kind === 'tenant' || what.kind === 'key') return of.all
    if (what.kind === 'user') return of.users.get(what.id) ?? NOTHING
    return (what.kind === 'token' ? of.tokens : of.sessions).get(what.id) ?? NOTHING
  }
}

function put(into: ById, id: string | undefined, entry: Held): void {
  if (id === undefined) return
  const known = into.get(id)
  if (known === undefined) into.set(id, new Set([entry]))
  else known.add(entry)
}

function drop(from: ById, id: string | undefined, entry: Held): void {
  if (id === undefined) return
  const known = from.get(id)
  if (known?.delete(entry) === true && known.size === 0) from.delete(id)
}
