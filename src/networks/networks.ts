/**
 * Lets a request in by where its client is, on routes that say where clients must be.
 *
 * It compares the one address that the listener decided on, and fails closed where that cannot be read; the country is asked of
 * whoever knows it. It never reads a header field, and asks nobody over the network.
 *
 * @module
 */
import { type CountryRules, type Entered, type NetworkRules, readAddress, type Route, type Routed } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createAddressSet, type AddressSet } from './address-set.ts'

export interface Networks {
  /** @throws {Problem} `address_refused`, `country_refused` */
  admit(exchange: Routed): Entered
}

interface Compiled {
  /** Undefined: everyone. */
  readonly allow: AddressSet | undefined
  readonly deny: AddressSet
}

/** Knows which country a client is in. */
export interface Countries {
  /** @throws {Problem} `country_refused` */
  enter(rules: CountryRules, exchange: Routed): void
}

/** @param routes Those of the router. The rules of each are compiled once, whatever the number of routes that share them. */
export function createNetworks(routes: readonly Route[], known: Countries = NOBODY): Networks {
  const compiled = new Map<NetworkRules, Compiled>()
  for (const { ip } of routes) if (ip !== undefined && !compiled.has(ip)) compiled.set(ip, compile(ip))
  return { admit }

  function admit(exchange: Routed): Entered {
    const { countries } = exchange.route
    if (!isInside(exchange)) throw new Problem('address_refused')
    if (countries !== undefined) known.enter(countries, exchange)
    return exchange
  }

  function isInside(exchange: Routed): exchange is Entered {
    const { ip } = exchange.route
    return ip === undefined || letsIn(compiled.get(ip), readAddress(exchange.client))
  }
}

/** A rule that nobody can judge keeps everyone out. */
const NOBODY: Countries = {
  enter() {
    throw new Problem('country_refused')
  },
}

function letsIn(rules: Compiled | undefined, address: string | undefined): boolean {
  if (rules === undefined || address === undefined || rules.deny.has(address)) return false
  return rules.allow === undefined || rules.allow.has(address)
}

function compile({ allow, deny }: NetworkRules): Compiled {
  return { allow: allow.length === 0 ? undefined : createAddressSet(allow), deny: createAddressSet(deny) }
}
