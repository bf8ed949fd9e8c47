/** Networks in CIDR form, or single addresses. `deny` wins; an empty `allow` lets everyone in. */
export interface NetworkRules {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/**
 * Countries by their codes (ISO 3166-1 alpha-2). `deny` wins; an empty `allow` lets everyone in, one that is not empty nobody whose
 * country is not known.
 */
export interface CountryRules {
  readonly allow: ReadonlySet<string>
  readonly deny: ReadonlySet<string>
}
