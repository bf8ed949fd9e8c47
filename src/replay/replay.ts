/**
 * Takes each token once, where the route says `replay: once`.
 *
 * The use is noted in the store of the whole fleet after the policy has let the request in and before anything of it is
 * passed on. A refusal before this step uses nothing up; whatever comes after it, a 502 or a 413 too, has used the token.
 * It never asks the store for any other route, never looks at a token itself, and takes no silence of the store for a yes.
 *
 * @module
 */
import type { Admitted, Counted, Identified, Unspent } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** One use of one token. Ids (`jti`) are told apart by issuer: equal ones of two issuers have nothing to do with each other. */
export interface TokenUse {
  /** Name of the issuer in the configuration; `gateway` for the gateway's own tenants. */
  readonly issuer: string
  readonly tenant: string
  readonly user: string
  /** The token's own id (`jti`). */
  readonly id: string
  /** For how long the use is kept: at least as long as any gateway takes the token. Whole seconds, at least 1. */
  readonly forSeconds: number
}

/** Which tokens were used, known to every gateway of the fleet. */
export interface UsedTokens {
  /**
   * Notes a use, in one step with the look whether there was one before.
   *
   * @returns true for the first use, false for every later one
   * @throws Problem `storage_unavailable` when the store cannot tell; the use may be noted then
   */
  use(token: TokenUse): Promise<boolean>
}

export interface Replay {
  /**
   * The exchange itself on a route that takes tokens any number of times.
   *
   * @throws {Problem} `token_used`, `invalid_token` for a token without an id, `storage_unavailable`
   */
  spend(exchange: Counted): Admitted | Promise<Admitted>
  /** The same for a request that is only asked about: nobody is asked whether its token was used, and no use is noted. */
  readonly preview: { spend(exchange: Counted): Admitted }
}

/**
 * How far the clocks of two gateways may be apart: for a gateway that is behind, the token lives longer than for this one.
 */
const CLOCK_SECONDS = 60

/** @param now The time in seconds since 1970, fractions welcome. */
export function createReplay(used: UsedTokens, now: () => number): Replay {
  return {
    spend: (exchange) => ('admitted' in exchange ? exchange : spendOnce(exchange)),
    preview: { spend: (exchange) => ('admitted' in exchange ? exchange : unspent(exchange)) },
  }

  function unspent(exchange: Unspent): Admitted {
    // Throws for a token that could not be told from others.
    useOf(exchange.principal, now())
    return { ...exchange, admitted: true }
  }

  async function spendOnce(exchange: Unspent): Promise<Admitted> {
    if (!(await used.use(useOf(exchange.principal, now())))) throw new Problem('token_used')
    return { ...exchange, admitted: true }
  }
}

function useOf(principal: Identified, nowSeconds: number): TokenUse {
  const { issuer, tenant, user, tokenId: id, expiresAt, skewSeconds } = principal
  if (id === undefined) throw new Problem('invalid_token', WITHOUT_ID)
  const leftSeconds = Math.max(0, Math.ceil(expiresAt + skewSeconds - nowSeconds))
  return { issuer, tenant, user, id, forSeconds: leftSeconds + CLOCK_SECONDS }
}

const WITHOUT_ID = Object.freeze({
  description: 'This resource takes each access token once, and this one has no id (jti) to know it by. Get one that has.',
  detail: 'the route says replay: once, and the token has no jti',
})
