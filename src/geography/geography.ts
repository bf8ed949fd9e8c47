/**
 * Knows which country a client is in, and keeps clients out of tenants that are not open to it.
 *
 * The country is what a trusted proxy says in the header of the configuration, else that of the client's address in the file of
 * the configuration; where neither is there, or the proxy says it twice, it is not known. It asks nobody over the network, and
 * believes nothing that the client itself says.
 *
 * @module
 */
import { countriesIn, type Config } from '../config/config.ts'
import type { Arrived, CountryRules } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** What of a request its country shows in. */
export type Seen = Pick<Arrived, 'client' | 'trusted' | 'rawHeaders'>

export interface Geography {
  /** Two letters (ISO 3166-1), upper case; undefined where it is not known. */
  countryOf(seen: Seen): string | undefined
  /**
   * Whether a route with these rules is open to where the client is.
   *
   * @throws {Problem} `country_refused`
   */
  enter(countries: CountryRules, seen: Seen): void
  /**
   * Whether a tenant is open to where the client is.
   *
   * @throws {Problem} `country_refused`
   */
  cross(tenant: string, seen: Seen): void
  /** True where no tenant says which countries it is open to: `cross` lets everyone pass. */
  readonly isOpen: boolean
}

export function createGeography({ geography, tenants }: Pick<Config, 'geography' | 'tenants'>): Geography {
  const header = geography?.header
  const find = geography?.file === undefined ? undefined : countriesIn(geography.file.table)
  const rules = new Map<string, CountryRules>()
  for (const { id, countries } of tenants.values()) if (countries !== undefined) rules.set(id, countries)
  return { countryOf, enter, cross, isOpen: rules.size === 0 }

  function countryOf({ client, trusted, rawHeaders }: Seen): string | undefined {
    if (header !== undefined && trusted) {
      const said = onlyValue(rawHeaders, header)
      if (said === TWICE) return undefined
      const country = said === undefined ? undefined : readCountry(said)
      if (country !== undefined) return country
    }
    return find?.(client)
  }

  function enter(countries: CountryRules, seen: Seen): void {
    const country = countryOf(seen)
    if (!isInside(country, countries))
      throw new Problem('country_refused', { detail: `the client is in ${country ?? 'an unknown country'}` })
  }

  function cross(tenant: string, seen: Seen): void {
    const countries = rules.get(tenant)
    if (countries !== undefined) enter(countries, seen)
  }
}

/** A country that is not known is in none of those that are let in, and in none of those that are not. */
function isInside(country: string | undefined, { allow, deny }: CountryRules): boolean {
  if (country === undefined) return allow.size === 0
  return !deny.has(country) && (allow.size === 0 || allow.has(country))
}

const TWICE = Symbol('there are several')

/** Compared as it is written: other spellings come from clients. */
function onlyValue(rawHeaders: readonly string[], name: string): string | typeof TWICE | undefined {
  let found: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] ?? ''
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    if (found !== undefined) return TWICE
    found = rawHeaders[index + 1] ?? ''
  }
  return found
}

/** `XX`, `ZZ` and Cloudflare's `T1` are no countries. */
function readCountry(text: string): string | undefined {
  const code = text.length === 2 ? text.toUpperCase() : ''
  return /^[A-Z]{2}$/.test(code) && code !== 'XX' && code !== 'ZZ' ? code : undefined
}
