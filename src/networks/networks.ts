/**
 * Lets a request in by where its client is, on routes that say where clients must be.
 *
 * It compares the one address that the listener decided on, and fails closed where that cannot be read. It never reads a
 * header field, and asks nobody.
 *
 * @module
 */
import { type Entered, type NetworkRules, readAddress, type Route, type Routed } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createAddressSet, type AddressSet } from './address-set.ts'

export interface Networks {
  /** @throws {Problem} `address_refused` */
  admit(exchange: Routed): Entered
}

interface Compiled {
  /** Undefined: everyone. */
  readonly allow: AddressSet | undefined
  readonly deny: AddressSet
}

/** @param routes Those of the router. The rules of each are compiled once, whatever the number of routes that share them. */
export function createNetworks(routes: readonly Route[]): Networks {
  const compiled = new Map<NetworkRules, Compiled>()
  for (const { ip } of routes) if (ip !== undefined && !compiled.has(ip)) compiled.set(ip, compile(ip))
  return { admit }

  function admit(exchange: Routed): Entered {
    if (!isInside(exchange)) throw new Problem('address_refused')
    return exchange
  }

  function isInside(exchange: Routed): exchange is Entered {
    const { ip } = exchange.route
    return ip === undefined || letsIn(compiled.get(ip), readAddress(exchange.client))
  }
}

function letsIn(rules: Compiled | undefined, address: string | undefined): boolean {
  if (rules === undefined || address === undefined || rules.deny.has(address)) return false
  return rules.allow === undefined || rules.allow.has(address)
}

function compile({ allow, deny }: NetworkRules): Compiled {
  return { allow: allow.length === 0 ? undefined : createAddressSet(allow), deny: createAddressSet(deny) }
}
