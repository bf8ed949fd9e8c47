/**
 * Decides whether a verified, unrevoked caller may use the route: client certificate, tenant, issuer, scopes, claims, age of the login.
 *
 * It adds the tenant that the request is served for. It never looks at a token, a path or a header, never waits, and
 * admits nothing that one of the route's lists does not name.
 *
 * @module
 */
import type { Identified, Permitted, Route, Unrevoked } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

export interface Borders {
  /** @throws {Problem} `country_refused` */
  cross(tenant: string, exchange: Unrevoked): void
}

export interface Policy {
  /**
   * The exchange with its tenant, for a caller that may use the route; not admitted yet where the route has rate limits to be
   * counted here, or takes a token once.
   *
   * @throws {Problem} `certificate_required`, `tenant_mismatch`, `access_denied`, `insufficient_scope`, `authentication_too_old`, `country_refused`, and `unauthorized`
   * for an anonymous caller on a route that requires a token.
   */
  admit(exchange: Unrevoked): Permitted
}

/**
 * @param tenantOfHost Tenant by Host: lower case, without port.
 * @param now The time in seconds since 1970.
 * @param borders Keeps clients out of tenants by where they are. Absent: every tenant is open to everyone.
 */
export function createPolicy(tenantOfHost: ReadonlyMap<string, string>, now: () => number, borders?: Borders): Policy {
  return { admit }

  function admit(exchange: Unrevoked): Permitted {
    const permitted = judge(exchange)
    if (borders !== undefined && permitted.tenant !== undefined) borders.cross(permitted.tenant, exchange)
    return permitted
  }

  function judge(exchange: Unrevoked): Permitted {
    const { principal, route } = exchange
    if (route.clientCertificate === 'required') checkCertificate(exchange, now())
    const hostTenant = tenantOfHost.get(exchange.host)
    if (principal.kind === 'anonymous') {
      // The authenticator or the configuration has refused this already; a fault there must not open the route.
      if (route.auth === 'required' || route.replay === 'once') throw new Problem('unauthorized')
      if (route.rateLimit?.when === 'admission') return { ...exchange, tenant: hostTenant, uncounted: true }
      return { ...exchange, tenant: hostTenant, admitted: true }
    }
    checkTenant(principal, route, hostTenant)
    checkScopes(principal, route)
    checkClaims(principal, route)
    if (route.maxAuthAgeSeconds !== undefined) checkAuthAge(principal, route.maxAuthAgeSeconds, now())
    if (route.rateLimit?.when === 'admission') return { ...exchange, tenant: principal.tenant, uncounted: true }
    if (route.replay === 'once') return { ...exchange, principal, tenant: principal.tenant }
    return { ...exchange, tenant: principal.tenant, admitted: true }
  }
}

/** The connection may be older than the end of what it was opened with. */
function checkCertificate({ certificate }: Unrevoked, nowSeconds: number): void {
  if (certificate === undefined || !(certificate.expiresAt > nowSeconds)) throw new Problem('certificate_required')
}

function checkTenant(principal: Identified, route: Route, hostTenant: string | undefined): void {
  if (hostTenant !== undefined && hostTenant !== principal.tenant) throw new Problem('tenant_mismatch')
  if (route.tenants !== undefined && !route.tenants.has(principal.tenant)) throw new Problem('tenant_mismatch')
  if (route.issuers !== undefined && !route.issuers.has(principal.issuer)) throw new Problem('access_denied')
}

function checkScopes(principal: Identified, route: Route): void {
  for (const scope of route.scopes) if (!principal.scopes.includes(scope)) throw lacksScopes(principal, route)
}

function lacksScopes(principal: Identified, route: Route): Problem {
  const missing = route.scopes.filter((scope) => !principal.scopes.includes(scope))
  const noun = missing.length === 1 ? 'scope' : 'scopes'
  return new Problem('insufficient_scope', {
    description: `The access token lacks the ${noun} ${missing.join(' ')} that this resource needs.`,
    scope: route.scopes.join(' '),
  })
}

function checkClaims(principal: Identified, route: Route): void {
  if (route.claims.size === 0) return
  for (const [name, allowed] of route.claims) {
    // What every object inherits is not a claim.
    const value = Object.hasOwn(principal.claims, name) ? principal.claims[name] : undefined
    const holds = Array.isArray(value) ? value.some((member) => isAllowed(member, allowed)) : isAllowed(value, allowed)
    if (!holds) throw new Problem('access_denied')
  }
}

/** Compared as text, as the configuration is written; null and objects are never equal to anything. */
function isAllowed(value: unknown, allowed: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return allowed.has(value)
  return (typeof value === 'number' || typeof value === 'boolean') && allowed.has(String(value))
}

/** Compared so that a time that is missing or not a number is too old. */
function checkAuthAge(principal: Identified, maxAgeSeconds: number, nowSeconds: number): void {
  if (nowSeconds - (principal.authTime ?? Number.NaN) <= maxAgeSeconds) return
  throw new Problem('authentication_too_old', { maxAgeSeconds })
}
