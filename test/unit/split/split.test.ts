import { describe, expect, it } from 'vitest'
import { ANONYMOUS, type Admitted, type Identified, type Route, type SplitSide } from '../../../src/exchange/exchange.ts'
import { createSplit } from '../../../src/split/split.ts'
import { admittedFrom } from '../../support/clients.ts'

const USERS = Array.from({ length: 10_000 }, (_, at) => `user-${at}`)

function routeOf(sides: readonly SplitSide[]): Route {
  return { ...admittedFrom([]).route, name: 'orders', target: { kind: 'split', sides } }
}

function admitted(route: Route, who: { readonly user?: string; readonly tenant?: string; readonly client?: string }): Admitted {
  const exchange = admittedFrom([], { client: who.client ?? '192.0.2.1' })
  const principal: Identified = {
    kind: 'identified',
    issuer: 'gateway',
    tenant: who.tenant ?? 'default',
    user: who.user ?? '',
    scopes: [],
    expiresAt: 0,
    skewSeconds: 0,
    tokenType: 'access',
    algorithm: 'RS256',
    claims: {},
  }
  return { ...exchange, route, principal: who.user === undefined ? ANONYMOUS : principal }
}

/** Name of the upstream that each one of `whos` comes to. */
function taken(sides: Readonly<Record<string, number>>, whos: readonly Parameters<typeof admitted>[1][]): string[] {
  const route = routeOf(Object.entries(sides).map(([upstream, weight]) => ({ upstream, weight })))
  const split = createSplit([route])
  return whos.map((who) => {
    const { target, name } = split.choose(admitted(route, who)).route
    return target.kind === 'upstream' && name === 'orders' ? target.upstream : `${target.kind} of ${name}`
  })
}

const users = USERS.map((user) => ({ user }))
const count = (all: readonly string[], one: string) => all.filter((name) => name === one).length

describe('a split', () => {
  it('gives each side its share of the users', () => {
    const all = taken({ stable: 95, canary: 5 }, users)
    expect(count(all, 'stable') + count(all, 'canary')).toBe(USERS.length)
    expect(count(all, 'canary') / USERS.length).toBeCloseTo(0.05, 2)
    const thirds = taken({ a: 1, b: 1, c: 1 }, users)
    for (const name of ['a', 'b', 'c']) expect(count(thirds, name) / USERS.length).toBeCloseTo(1 / 3, 1)
  })

  it('gives each side its share of clients without a token', () => {
    const clients = Array.from({ length: 10_000 }, (_, at) => ({ client: `10.${at >> 8}.${at & 255}.9` }))
    expect(count(taken({ stable: 3, canary: 1 }, clients), 'canary') / 10_000).toBeCloseTo(0.25, 1)
  })

  it('takes a user to the same side again, whatever the order of the file, the route, the address and the process', () => {
    const once = taken({ stable: 50, canary: 50 }, users)
    const again = taken(
      { canary: 50, stable: 50 },
      USERS.map((user, at) => ({ user, client: `198.51.100.${at % 250}` })),
    )
    expect(again).toEqual(once)
    // As it was with the first release: an update moves nobody.
    expect(
      once
        .slice(0, 8)
        .map((side) => side.charAt(0))
        .join(''),
    ).toBe('ssccssss')
  })

  it('moves no user but those that a new weight needs', () => {
    const before = taken({ stable: 95, canary: 5 }, users)
    const after = taken({ stable: 90, canary: 10 }, users)
    const moves = before.map((side, at) => `${side} → ${after[at]}`)
    expect(count(moves, 'canary → stable')).toBe(0)
    expect(count(moves, 'stable → canary') / USERS.length).toBeCloseTo(0.05, 1)
    expect(moves.filter((move) => move === 'stable → canary').length).toBeLessThan(700)
  })

  it('moves only users of the side that leaves', () => {
    const before = taken({ a: 1, b: 1, c: 1 }, users)
    const after = taken({ a: 1, b: 1, c: 0 }, users)
    expect(before.filter((side, at) => side !== 'c' && after[at] !== side)).toEqual([])
    expect(count(after, 'c')).toBe(0)
  })

  it('tells users of two tenants apart, who have the same name', () => {
    const of = (tenant: string) =>
      taken(
        { a: 1, b: 1 },
        USERS.slice(0, 1000).map((user) => ({ user, tenant })),
      )
    const [one, other] = [of('acme'), of('globex')]
    expect(one.filter((side, at) => side !== other[at]).length / 1000).toBeCloseTo(0.5, 0)
  })

  it('takes the addresses of one customer to one side', () => {
    const six = (at: number) => Array.from({ length: 50 }, (_, host) => ({ client: `2001:db8:0:${at}::${host.toString(16)}` }))
    for (const at of [0, 1, 2, 3]) expect(new Set(taken({ a: 1, b: 1 }, six(at))).size).toBe(1)
    expect(
      new Set(
        taken(
          { a: 1, b: 1 },
          Array.from({ length: 40 }, (_, at) => ({ client: `2001:db8:0:${at}::1` })),
        ),
      ).size,
    ).toBe(2)
  })

  it('leaves other routes as they are', () => {
    const exchange = admittedFrom([])
    expect(createSplit([exchange.route]).choose(exchange)).toBe(exchange)
  })
})
