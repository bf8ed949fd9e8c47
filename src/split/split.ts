/**
 * Chooses which of the upstreams of a split route serves a request: always the same one for the same user.
 *
 * The choice follows from who asks and from the names and weights of the upstreams alone, so that every process and every
 * gateway makes the same one without a word between them. It knows nothing of the health of an upstream, and moves nobody
 * because of it.
 *
 * @module
 */
import { type Admitted, networkOf, type Route, type SplitSide } from '../exchange/exchange.ts'

export interface Split {
  /** The exchange on the route of one side; as it is where the route is not split. */
  choose(exchange: Admitted): Admitted
}

interface Side {
  readonly route: Route
  readonly seed: number
  readonly weight: number
}

/** @param routes Those of the router. */
export function createSplit(routes: readonly Route[]): Split {
  const sides = new Map<Route, readonly Side[]>()
  for (const route of routes) if (route.target.kind === 'split') sides.set(route, compile(route, route.target.sides))
  return { choose }

  function choose(exchange: Admitted): Admitted {
    if (exchange.route.target.kind !== 'split') return exchange
    const route = heaviest(sides.get(exchange.route) ?? [], nameOf(exchange))
    if (route === undefined) throw new Error(`the route ${exchange.route.name} has no side`)
    return { ...exchange, route }
  }
}

function compile(route: Route, sides: readonly SplitSide[]): readonly Side[] {
  return sides
    .filter(({ weight }) => weight > 0)
    .map(({ upstream, weight }) => ({
      route: Object.freeze({ ...route, target: Object.freeze({ kind: 'upstream', upstream }) }),
      seed: hash(upstream, 0),
      weight,
    }))
}

/** Who stays on one side: the user, wherever it logs in; a client without a token by its address, a /64 for IPv6. */
function nameOf({ principal, client }: Admitted): string {
  return principal.kind === 'identified' ? `${principal.tenant} ${principal.user}` : networkOf(client)
}

/**
 * Weighted rendezvous hashing: each side draws a number for the user, as exponential as its weight is high, and the least one
 * wins. A weight that changes moves users to or from that side only, and no more of them than it must.
 */
function heaviest(sides: readonly Side[], name: string): Route | undefined {
  let best: Route | undefined
  let least = Infinity
  for (const { route, seed, weight } of sides) {
    const drawn = -Math.log((hash(name, seed) + 0.5) / 2 ** 32) / weight
    if (drawn < least) {
      least = drawn
      best = route
    }
  }
  return best
}

/** FNV-1a with the finish of MurmurHash3, so that names that differ in one character are far apart. 32 bits, unsigned. */
function hash(text: string, seed: number): number {
  let bits = 0x811c9dc5 ^ seed
  for (let at = 0; at < text.length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
