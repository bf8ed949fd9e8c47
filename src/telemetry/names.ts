import type { Config } from '../config/config.ts'
import type { Bound } from './tally.ts'

/** Label of what has no name, or none that the configuration knows. */
export const NONE = 'none'

/** Label of the tenants that have no series of their own. No tenant can have this name. */
const OTHER_TENANTS = '_other'

export type NamesConfig = Pick<Config, 'routes' | 'tenants' | 'upstreams' | 'issuers' | 'telemetry'>

/**
 * What may become a label because a configuration says it: of the one in force and of the one before, whose requests may still
 * be under way.
 */
export interface Names {
  readonly tenant: Bound
  readonly issuer: Bound
  /** A configured route, or an endpoint of the service that is mounted there: `auth`, `auth.login`. */
  readonly route: Bound
  readonly upstream: Bound
  use(config: NamesConfig): void
}

const ENDPOINT = /\.[a-z0-9-]{1,40}$/i

export function createNames(config: NamesConfig): Names {
  let now = namesOf(config)
  let before = now
  return {
    tenant: boundTenant,
    issuer: bound(({ issuers }) => issuers),
    upstream: bound(({ upstreams }) => upstreams),
    route(value) {
      const name = String(value)
      return isRoute(name, now.routes) || isRoute(name, before.routes) ? name : NONE
    },
    use(next) {
      before = now
      now = namesOf(next)
    },
  }

  function boundTenant(value: string | number): string {
    const name = String(value)
    if (now.tenants.has(name) || before.tenants.has(name)) return name
    return now.otherTenants.has(name) || before.otherTenants.has(name) ? OTHER_TENANTS : NONE
  }

  function bound(of: (names: NameSets) => ReadonlySet<string>): Bound {
    return (value) => {
      const name = String(value)
      return of(now).has(name) || of(before).has(name) ? name : NONE
    }
  }
}

type NameSets = Readonly<Record<'tenants' | 'otherTenants' | 'issuers' | 'upstreams' | 'routes', ReadonlySet<string>>>

function namesOf({ tenants, issuers, upstreams, routes, telemetry }: NamesConfig): NameSets {
  // Those with series of their own are the first of the file, so that all gateways and processes count alike.
  const all = [...new Set([...tenants.keys(), ...[...issuers.values()].map((issuer) => issuer.tenant)])]
  return {
    tenants: new Set(all.slice(0, telemetry.metrics.tenants)),
    otherTenants: new Set(all.slice(telemetry.metrics.tenants)),
    issuers: new Set(issuers.keys()),
    upstreams: new Set(upstreams.keys()),
    routes: new Set(routes.map((route) => route.name)),
  }
}

function isRoute(name: string, routes: ReadonlySet<string>): boolean {
  if (routes.has(name)) return true
  const end = ENDPOINT.exec(name)
  return end !== null && routes.has(name.slice(0, end.index))
}
